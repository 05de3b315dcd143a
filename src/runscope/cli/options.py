"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from runscope.errors import UsageError, nearest


class Format(StrEnum):
    """What goes to stdout."""

    text = "text"
    json = "json"
    jsonl = "jsonl"
    markdown = "markdown"


class BriefFormat(StrEnum):
    """What goes to stdout; ``brief`` is for a program that reads text."""

    text = "text"
    brief = "brief"
    json = "json"
    jsonl = "jsonl"
    markdown = "markdown"


class DiagnoseFormat(StrEnum):
    """What goes to stdout; pictures too, into a file or a pipe."""

    text = "text"
    brief = "brief"
    json = "json"
    jsonl = "jsonl"
    markdown = "markdown"
    png = "png"
    svg = "svg"


class ReportFormat(StrEnum):
    """Forms of a report."""

    html = "html"
    png = "png"
    svg = "svg"
    markdown = "markdown"
    json = "json"


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
RunsArgument = Annotated[list[str], typer.Argument(metavar="RUN", help=RUN_HELP, autocompletion=local_runs)]
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
ClusterOption = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="COLUMN|none",
        help="Column whose equal values make rows one observation (default: cluster, source, group or document, "
        "where there is one); none: every row is its own observation.",
    ),
]
TaskOption = Annotated[
    str,
    typer.Option("--task", help="loss, answer, number, choice, preference, or your own as module:Name."),
]
ScorerOption = Annotated[
    str,
    typer.Option(
        "--scorer", help="Of the task answer: exact, number, regex, json, or your own as module:function."
    ),
]
TaskMetricOption = Annotated[
    str | None, typer.Option("--metric", help="The deciding metric, where a task has several.")
]
ToleranceOption = Annotated[
    float | None,
    typer.Option(
        "--tolerance", metavar="X", help="Count a number as correct within this distance of the target."
    ),
]
RelativeToleranceOption = Annotated[
    float | None,
    typer.Option(
        "--relative-tolerance",
        metavar="SHARE",
        help="Count a number as correct within this fraction of the target.",
    ),
]
ExtractOption = Annotated[
    str | None,
    typer.Option(
        "--extract",
        metavar="REGEX",
        help="Score only the part of the answer captured by the first group.",
    ),
]
MaxNewTokensOption = Annotated[
    int, typer.Option("--max-new-tokens", metavar="N", help="Longest generated answer.")
]
ChatOption = Annotated[bool, typer.Option("--chat", help="Put plain prompts into the model's chat template.")]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="ROLE=COLUMN,…",
        help="Which column is what: prompt=description,completion=price. Not needed for usual names.",
    ),
]
ScoreOption = Annotated[
    str,
    typer.Option(
        "--score",
        help="Tokens that the loss is taken of: completion, assistant (all its turns), all, last (its last turn), "
        "or auto: what the training scored.",
    ),
]
FullOption = Annotated[bool, typer.Option("--full", help="Evaluate every checkpoint on every example.")]
MinEffectOption = Annotated[
    float | None,
    typer.Option(
        "--min-effect",
        metavar="X",
        help="Smallest difference that matters, in units of the metric; 3% of the best one's loss for the loss.",
    ),
]
MaxExamplesOption = Annotated[
    int | None,
    typer.Option(
        "--max-examples", metavar="N", min=1, help="Evaluate on a random sample of this many examples."
    ),
]
DeviceOption = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda (cuda:1 for the second) or mps.")
]
DtypeOption = Annotated[str, typer.Option("--dtype", help="auto, float32, bfloat16, float16 or 4bit.")]
BatchTokensOption = Annotated[
    int | None,
    typer.Option(
        "--batch-tokens",
        metavar="N",
        help="Maximum tokens per batch, padding included (default: what fits in memory).",
    ),
]
BackendOption = Annotated[str, typer.Option("--backend", help="transformers or vllm.")]
LaunchOption = Annotated[str, typer.Option("--launch", help="local, or ray for many GPUs or machines.")]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers", metavar="N", help="Number of Ray workers (default: one per GPU, else one per CPU)."
    ),
]
AllowPickleOption = Annotated[
    bool, typer.Option("--allow-pickle", help="Load pickled weights; these can run code.")
]
TrustRemoteCodeOption = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run the code of the base model's repository.")
]
FailOnOption = Annotated[FailOn, typer.Option("--fail-on", help="Exit with 1 from this severity on.")]
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


def evaluation_settings(context: typer.Context) -> dict[str, Any]:
    """What the options say that ``evaluate`` and ``report`` share: fields of ``EvaluateSettings`` by name."""
    from runscope.evaluation import EvaluateSettings

    return {f.name: context.params[f.name] for f in fields(EvaluateSettings) if f.name in context.params}


def typed(context: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line, and not in a settings file or the environment."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
