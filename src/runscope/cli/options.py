"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from runscope.errors import UsageError, nearest


class Format(StrEnum):
    """What goes to stdout."""

    text = "text"
    json = "json"
    jsonl = "jsonl"
    markdown = "markdown"


class ScanFormat(StrEnum):
    """What goes to stdout; ``brief`` is for a program that reads text, ``sarif`` and ``junit`` are for CI."""

    text = "text"
    brief = "brief"
    json = "json"
    jsonl = "jsonl"
    markdown = "markdown"
    sarif = "sarif"
    junit = "junit"


class DiagnoseFormat(StrEnum):
    """What goes to stdout; pictures too, into a file or a pipe; the last two are for CI.

    ``chat`` is Markdown without tables; ``card`` is a PNG of 1200 × 630.
    """

    text = "text"
    brief = "brief"
    json = "json"
    jsonl = "jsonl"
    markdown = "markdown"
    slack = "slack"
    chat = "chat"
    card = "card"
    png = "png"
    svg = "svg"
    sarif = "sarif"
    junit = "junit"


class ReportFormat(StrEnum):
    """Forms of a report."""

    html = "html"
    png = "png"
    svg = "svg"
    markdown = "markdown"
    slack = "slack"
    chat = "chat"
    card = "card"
    json = "json"
    sarif = "sarif"
    junit = "junit"


class FailOn(StrEnum):
    """From which severity on a finding makes the exit status 1."""

    never = "never"
    info = "info"
    warning = "warning"
    critical = "critical"


def local_runs(incomplete: str) -> list[str]:
    """Completion: offline W&B runs and Trainer checkpoints below this folder, then any path."""
    typed = Path(incomplete)
    folder = typed if incomplete.endswith("/") or not incomplete else typed.parent
    here = (str(p) for p in (folder.iterdir() if folder.is_dir() else ()) if not p.name.startswith("."))
    known = (str(p) for kind in ("wandb/*run-*", "checkpoint-*", "*/checkpoint-*") for p in Path().glob(kind))
    return sorted({name for name in (*here, *known) if name.startswith(incomplete)})


RUN_HELP = (
    "W&B path, URL, name or id; offline W&B folder or .wandb file; Trainer folder or trainer_state.json; "
    "hf://user/repo; TensorBoard folder; MLflow or Trackio store; CSV, JSON lines, Parquet. "
    "PLACE::RUN is one of several runs in a place."
)
RunsArgument = Annotated[
    list[str], typer.Argument(metavar="RUN...", help=RUN_HELP, autocompletion=local_runs)
]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="What to print.")]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write a file instead; its ending picks the form."),
]
ProjectOption = Annotated[
    str | None,
    typer.Option(
        "--project",
        metavar="ENTITY/PROJECT",
        envvar="RUNSCOPE_PROJECT",
        help="Where bare W&B names and ids are looked up.",
    ),
]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map", metavar="ROLE=NAME", help="Which logged name plays a role, e.g. eval_loss=val/nll."
    ),
]
IgnoreOption = Annotated[
    list[str] | None, typer.Option("--ignore", metavar="ROLE", help="Hide a role, e.g. eval_loss.")
]
MetricOption = Annotated[
    str | None,
    typer.Option(
        "--metric",
        metavar="NAME[:lower|higher]",
        help="The logged metric that decides which step is best, e.g. eval_wer or val/score:higher.",
    ),
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Also say which rules had nothing to look at, and why.")
]
AtOption = Annotated[
    list[int] | None,
    typer.Option(
        "--at",
        metavar="STEP",
        min=0,
        help="Step at which the next run continues. Repeat for each run after the first.",
    ),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Join the runs even where nothing says they belong together.")
]
ScaleOption = Annotated[
    list[float] | None,
    typer.Option(
        "--scale", metavar="X", help="Timeline steps per step of a run. Repeat for each run after the first."
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="FILE", help="Held-out examples (JSON lines, CSV, Parquet): evaluate on these."
    ),
]
TrainDataOption = Annotated[
    Path | None,
    typer.Option("--train-data", metavar="FILE", help="Training examples: how much was memorised."),
]
AlsoOption = Annotated[
    Path | None,
    typer.Option(
        "--also",
        metavar="FILE",
        help="A second set of examples: what each checkpoint forgot, beside what it gained.",
    ),
]
HubOption = Annotated[
    str | None,
    typer.Option(
        "--hub", metavar="REPO", help="Hub repository, local clone or folder that holds the checkpoints."
    ),
]
BaseOption = Annotated[
    str | None,
    typer.Option(
        "--base", metavar="MODEL", help="Base model of the adapters, if their config names none that loads."
    ),
]
DecidingOption = Annotated[
    str | None,
    typer.Option(
        "--metric",
        metavar="NAME[:lower|higher]",
        help="The metric that decides which step is best: a logged one (eval_wer, val/score:higher) or, with --data, "
        "one of the task.",
    ),
]
HeldOutOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="FILE|DATASET",
        help="Held-out examples: JSON lines, CSV, Parquet, or a Hub data set as user/name:split.",
    ),
]
FailOnOption = Annotated[
    FailOn, typer.Option("--fail-on", help="Exit with 1 if a finding has this severity or a graver one.")
]
BaselineOption = Annotated[
    list[str] | None,
    typer.Option(
        "--baseline",
        metavar="RUN",
        help="An earlier, good training (A+B is one of two runs): exit with 1 if this one is shown to be worse. Repeat "
        "for several seeds, whose spread then counts.",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no notes on stderr.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")]
RefreshOption = Annotated[bool, typer.Option("--refresh", help="Fetch again although the store has it.")]


def role_map(pairs: list[str] | None) -> dict[str, str | None]:
    """Parse ``ROLE=NAME`` words.

    Raises:
        UsageError: a word without ``=``, or a role that does not exist.
    """
    from runscope.history import ROLES

    found: dict[str, str | None] = {}
    for pair in pairs or ():
        role, equals, name = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--map {pair} is not ROLE=NAME", hint="for example --map eval_loss=val/nll")
        found[known_role(role, ROLES)] = name
    return found


def known_role(role: str, roles: tuple[str, ...]) -> str:
    """The role, or :class:`UsageError` with the nearest one."""
    if role not in roles:
        close = nearest(role, roles)
        raise UsageError(
            f"there is no role {role!r}",
            hint=(f"did you mean {close!r}? " if close else "") + f"the roles are {', '.join(roles)}",
        )
    return role


def ignored_roles(words: list[str] | None) -> list[str]:
    """Check the roles named with ``--ignore``."""
    from runscope.history import ROLES

    return [known_role(word, ROLES) for word in words or ()]


def typed(context: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line, and not in a settings file or the environment."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
