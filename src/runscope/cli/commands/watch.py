"""``runscope watch``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runscope.cli import options as opt
from runscope.cli import output as out

if TYPE_CHECKING:
    from runscope.watching import Event, Watcher

CALLED = ("finding",)
POSTED = ("finding", "gone", "verdict", "stalled", "stop", "ended")
"""Events for which the command is run, and which are posted."""


def watch(
    runs: opt.RunsArgument,
    hub: opt.HubOption = None,
    data: opt.DataOption = None,
    train_data: opt.TrainDataOption = None,
    base: opt.BaseOption = None,
    task: Annotated[
        str, typer.Option("--task", help="With --data: loss, answer, number, choice, or module:Name.")
    ] = "loss",
    max_examples: Annotated[
        int | None,
        typer.Option(
            "--max-examples", metavar="N", help="Evaluate on a random sample of this many examples."
        ),
    ] = None,
    every: Annotated[
        float, typer.Option("--every", metavar="SECONDS", min=0.1, help="Time between two looks.")
    ] = 30.0,
    idle: Annotated[
        float,
        typer.Option(
            "--idle",
            metavar="MINUTES",
            help="Treat a run without an exit record as ended after this many minutes without new rows.",
        ),
    ] = 10.0,
    on_finding: Annotated[
        str | None,
        typer.Option(
            "--on-finding",
            metavar="CMD",
            help="Run a command for each new finding, with RUNSCOPE_CODE, RUNSCOPE_SEVERITY, RUNSCOPE_MESSAGE … set.",
        ),
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(
            "--webhook",
            metavar="URL",
            help="Post findings, stalls and the end as JSON (Slack, Discord, your own), or to a phone (an ntfy topic).",
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what an earlier watch of this run has said.")
    ] = False,
    format: opt.FormatOption = opt.Format.text,
    fail_on: opt.FailOnOption = opt.FailOn.never,
    at: opt.AtOption = None,
    force: opt.ForceOption = False,
    ignore: opt.IgnoreOption = None,
    map: opt.MapOption = None,
    metric: opt.MetricOption = None,
    project: opt.ProjectOption = None,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> int:
    """Follow a training while it goes on: new rows and checkpoints, findings as they appear, and when to stop.

    With --data each new checkpoint of --hub is evaluated. Ends when the run ends; exits with 1 as soon as a finding
    reaches --fail-on, and where the run went silent before its plan was done. Several runs are stitched, the
    last one is the one that goes on.

    Examples:

      runscope watch wandb/latest-run --fail-on critical || kill $TRAINING

      runscope watch me/pricer/2x9f1k3a --hub me/pricer-2024-09-13 --data heldout.jsonl --webhook $SLACK
    """
    from runscope.api import live
    from runscope.rules import SEVERITIES
    from runscope.watching import MemoryFile, WatchSettings
    from runscope.watching.hooks import check_address

    if webhook is not None:
        check_address(webhook)
    if fresh:
        MemoryFile((*runs, hub or "")).forget()
    bar = next((severity for severity in SEVERITIES if severity == fail_on.value), None)
    watcher = live.watch(
        runs, hub=hub, data=data, train_data=train_data, base=base, at=at, force=force, project=project,
        watching=WatchSettings(every, 60 * idle, bar),
        ignore=opt.ignored_roles(ignore), roles=opt.role_map(map), task=task, max_examples=max_examples,
        metric=metric or opt.role_map(map).get("eval_metric"),
    )  # fmt: skip
    tell = _teller(" ".join(runs), on_finding, webhook)
    if format in (opt.Format.json, opt.Format.jsonl):
        return _lines(watcher, tell, lambda event: out.print_json(_as_json(event, runs), line=True))
    console = out.stdout()
    if console.is_terminal and not quiet:
        return _live(watcher, tell, console)
    return _lines(watcher, tell, lambda event: _print(console, event))


def _teller(run: str, command: str | None, webhook: str | None) -> Callable[[Event], list[str]]:
    """Tell others of an event; gives back what went wrong."""
    from runscope.watching import run_command, send_webhook

    def tell(event: Event) -> list[str]:
        problems = []
        if command is not None and event.kind in CALLED:
            problems.append(run_command(command, event, run))
        if webhook is not None and event.kind in POSTED:
            problems.append(send_webhook(webhook, event, run))
        return [p for p in problems if p is not None]

    return tell


def _lines(watcher: Watcher, tell: Callable[[Event], list[str]], show: Callable[[Event], None]) -> int:
    """One line an event, as it comes."""
    from runscope.watching import follow

    for event in follow(watcher):
        show(event)
        out.notes(tell(event))
    return int(watcher.stop or watcher.hung)


def _print(console: Any, event: Event) -> None:
    from runscope.reporting.text.live import event_line

    console.print(event_line(event.at, event.kind, event.text), soft_wrap=True)
    console.file.flush()


def _as_json(event: Event, runs: list[str]) -> dict[str, Any]:
    from runscope.reporting.data import plain
    from runscope.watching.hooks import as_json

    answer: dict[str, Any] = plain(as_json(event, " ".join(runs)))
    return answer


def _live(watcher: Watcher, tell: Callable[[Event], list[str]], console: Any) -> int:
    """One screen that is drawn anew; at the end its last state stays."""
    from rich.live import Live

    from runscope.reporting.text.live import live_view
    from runscope.watching import follow

    lines: list[tuple[float, str, str]] = []

    def view(left: float) -> Any:
        return live_view(watcher.diagnosis, lines, next_look_seconds=left, width=console.width)

    with Live(view(0), console=console, auto_refresh=False) as screen:

        def pause(seconds: float) -> None:
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                screen.update(view(left), refresh=True)
                time.sleep(min(1.0, left))

        for event in follow(watcher, pause=pause):
            lines.append((event.at, event.kind, event.text))
            lines += [(event.at, "note", problem) for problem in tell(event)]
            screen.update(view(0), refresh=True)
    return int(watcher.stop or watcher.hung)
