"""``runscope stitch``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runscope.cli import ci
from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.cli.joining import join
from runscope.cli.progress import progress
from runscope.errors import NotJoinable, UsageError

if TYPE_CHECKING:
    from runscope.history import Timeline


def stitch(
    context: typer.Context,
    runs: Annotated[list[str] | None, typer.Argument(metavar="RUN...", help=opt.RUN_HELP)] = None,
    format: opt.FormatOption = opt.Format.text,
    output: opt.OutputOption = None,
    fail_on: opt.FailOnOption = opt.FailOn.never,
    at: opt.AtOption = None,
    force: opt.ForceOption = False,
    scale: opt.ScaleOption = None,
    hub: opt.HubOption = None,
    find: Annotated[
        str | None,
        typer.Option("--find", metavar="PROJECT|FOLDER", help="Propose which of many runs belong together."),
    ] = None,
    axis: Annotated[
        str,
        typer.Option(
            "--axis", help="Axis of a table that --output writes: step, epoch, tokens, samples, hours, time."
        ),
    ] = "step",
    project: opt.ProjectOption = None,
    map: opt.MapOption = None,
    refresh: opt.RefreshOption = False,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> int:
    """Join interrupted and resumed runs on one continuous step axis.

    The order of the runs does not matter. What a run logged after the step from which the next one
    continues is discarded: it is cut from the timeline and kept in the table.

    Examples:

      runscope stitch me/pricer/2x9f1k3a me/pricer/7c0d1e2f

      runscope stitch wandb/run-a wandb/run-b --output line.html
    """
    if find is not None:
        return _find(find, format, project, refresh, quiet)
    if not runs:
        raise UsageError(
            "no run was named",
            hint="runscope stitch RUN RUN, or --find FOLDER to be shown which belong together",
        )
    asked = context.get_parameter_source("axis")  # a setting holds for the tables alone
    if asked is not None and asked.name == "COMMANDLINE" and not _is_table(output):
        raise UsageError(
            "--axis is that of the table, which is written to a file",
            hint=f"runscope stitch … --axis {axis} --output line.csv (or .parquet)",
        )
    with progress(quiet) as update:
        line = join(
            runs, at=at, force=force, scale=scale, hub=hub, project=project, roles=opt.role_map(map),
            refresh=refresh, progress=update,
        )  # fmt: skip
    # One reference may hold many parts: their joins are no surer than those of runs that were named.
    unsure = len(line.segments) > 1 and not force and not at
    if unsure:
        line = _ask(line, quiet)
    _show(line, format, output, axis, quiet)
    if unsure:
        from runscope.api import require_joined

        require_joined(line)
    return _status(line, fail_on)


def _status(line: Timeline, fail_on: opt.FailOn) -> int:
    """By what the resumes did: the rest of the curves is what ``diagnose`` reads."""
    if fail_on is opt.FailOn.never:
        return 0
    from runscope.rules import View
    from runscope.verdict import findings_of_resumes

    return ci.status(findings_of_resumes(View(line)), fail_on)


def _is_table(output: Path | None) -> bool:
    return output is not None and output.suffix.lower() in (".csv", ".parquet")


def _show(line: Timeline, format: opt.Format, output: Path | None, axis: str, quiet: bool) -> None:
    from runscope import reporting as page

    if output:
        endings = (".html", ".png", ".svg", ".md", ".json", ".csv", ".parquet")
        forms = dict.fromkeys(endings, lambda path: page.write_line(line, path, axis=axis))
        out.save(output, forms, quiet=quiet)
    elif format in (opt.Format.json, opt.Format.jsonl):
        out.print_json(page.timeline_json(line), line=format is opt.Format.jsonl)
    elif format is opt.Format.markdown:
        print(page.markdown_timeline(line))  # noqa: T201
    else:
        page.print_timeline(out.stdout(), line, refused=True)


def _ask(line: Timeline, quiet: bool) -> Timeline:
    """Let a person at a terminal decide a join that is too unsure to be made unasked."""
    from runscope.api import require_joined, stitch

    try:
        return require_joined(line)
    except NotJoinable as doubt:
        if quiet or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return line
        typer.echo(doubt.message, err=True)
        starts = []
        for segment in line.segments[1:]:
            default = str(segment.joined_at) if segment.continues else ""
            starts.append(
                typer.prompt(f"{segment.run.name} continues from step", default=default, type=int, err=True)
            )
        return stitch([s.run for s in line.segments], at=starts)


def _find(place: str, format: opt.Format, project: str | None, refresh: bool, quiet: bool) -> int:
    from runscope.api import propose_trainings

    with progress(quiet) as update:
        found, failed = propose_trainings(place, project=project, refresh=refresh, progress=update)
    out.notes((f"{reference} was left out: {why}" for reference, why in failed.items()), quiet=quiet)
    if format in (opt.Format.json, opt.Format.jsonl):
        groups = [[run.reference for run in training.runs] for training in found]
        sure = [training.confidence for training in found]
        out.print_json({"schema": "runscope.find/1", "trainings": groups, "confidence": sure})
        return 0
    joined = [training for training in found if len(training.runs) > 1]
    for training in joined:
        command = shlex.join(["runscope", "stitch", *(run.reference for run in training.runs)])
        print(f"{command}  # {training.confidence:.0%} sure")  # noqa: T201
    alone = len(found) - len(joined)
    what = "training" if len(joined) == 1 else "trainings"
    out.note(f"{len(joined)} {what} of several runs, {alone} runs on their own", quiet=quiet)
    return 0
