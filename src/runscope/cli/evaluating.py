"""Options of an evaluation, which ``evaluate`` and ``report`` share: declared here, once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

T = TypeVar("T")


def _options(
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="COLUMN|none",
            help="Column whose equal values make rows one observation (default: cluster, source, group or document, "
            "where there is one); none: every row is its own observation.",
        ),
    ] = None,
    task: Annotated[
        str,
        typer.Option(
            "--task",
            help="auto (what the kind of model is made for), loss, answer, number, choice, preference, classify, "
            "regression, tags, reward, multiple-choice, masked, lm-eval:NAME (or lm-eval:task.yaml: a task of "
            "lm-evaluation-harness, which brings its examples), or your own as module:Name.",
        ),
    ] = "auto",
    scorer: Annotated[
        str,
        typer.Option(
            "--scorer", help="Of the task answer: exact, number, regex, json, or your own as module:function."
        ),
    ] = "exact",
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance", metavar="X", help="Count a number as correct within this distance of the target."
        ),
    ] = None,
    relative_tolerance: Annotated[
        float | None,
        typer.Option(
            "--relative-tolerance",
            metavar="SHARE",
            help="Count a number as correct within this fraction of the target.",
        ),
    ] = None,
    extract: Annotated[
        str | None,
        typer.Option(
            "--extract",
            metavar="REGEX",
            help="Score only the part of the answer captured by the first group.",
        ),
    ] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-new-tokens",
            metavar="N",
            help="Longest generated answer (default: 64; of speech what the model allows).",
        ),
    ] = None,
    samples: Annotated[
        int,
        typer.Option(
            "--samples",
            metavar="N",
            min=1,
            help="Answers to draw for each example, of the task answer: their mean score, and pass@k.",
        ),
    ] = 1,
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature",
            metavar="T",
            min=0,
            help="Temperature at which answers are drawn (default: 0, greedy).",
        ),
    ] = 0.0,
    chat: Annotated[
        bool, typer.Option("--chat", help="Put plain prompts into the model's chat template.")
    ] = False,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="ROLE=COLUMN,…",
            help="Which column is what: prompt=description,completion=price. Not needed for usual names.",
        ),
    ] = None,
    score: Annotated[
        str,
        typer.Option(
            "--score",
            help="Tokens that the loss is taken of: completion, assistant (all its turns), all, last (its last turn), "
            "or auto: what the training scored.",
        ),
    ] = "auto",
    beside: Annotated[
        str | None,
        typer.Option(
            "--beside",
            metavar="TASK",
            help="A second task on the same examples, shown beside the one that decides: answer (by --scorer), number, "
            "choice, loss, or your own as module:Name.",
        ),
    ] = None,
    average: Annotated[
        str | None,
        typer.Option(
            "--average",
            metavar="WHICH…",
            help="Evaluate averages of checkpoints too: last:3, as-good, ema:0.5, steps as 200,300; several in quotes.",
        ),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Evaluate every checkpoint on every example.")] = False,
    min_effect: Annotated[
        float | None,
        typer.Option(
            "--min-effect",
            metavar="X",
            help="Smallest difference that matters, in units of the metric; 3% of the best one's loss for the loss.",
        ),
    ] = None,
    max_examples: Annotated[
        int | None,
        typer.Option(
            "--max-examples", metavar="N", min=1, help="Evaluate on a random sample of this many examples."
        ),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu, cuda (cuda:1 for the second) or mps.")
    ] = "auto",
    dtype: Annotated[str, typer.Option("--dtype", help="auto, float32, bfloat16, float16 or 4bit.")] = "auto",
    batch_tokens: Annotated[
        int | None,
        typer.Option(
            "--batch-tokens",
            metavar="N",
            help="Maximum tokens per batch, padding included (default: what fits in memory).",
        ),
    ] = None,
    backend: Annotated[str, typer.Option("--backend", help="transformers or vllm.")] = "transformers",
    launch: Annotated[
        str, typer.Option("--launch", help="local, or ray for many GPUs or machines.")
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            help="Number of Ray workers (default: one per GPU, else one per CPU); of vLLM the GPUs that a model is "
            "spread over (default: 1).",
        ),
    ] = None,
    disk: Annotated[
        str | None,
        typer.Option(
            "--disk",
            metavar="SIZE",
            help="Disk space for fetched whole models, such as 50GB: those that were evaluated make room for the "
            "next. Nothing that was there before is removed.",
        ),
    ] = None,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Load pickled weights; these can run code.")
    ] = False,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run the code of the base model's repository.")
    ] = False,
    trust_task_code: Annotated[
        bool,
        typer.Option(
            "--trust-task-code", help="Run the Python functions that a task of lm-evaluation-harness names."
        ),
    ] = False,
) -> None:
    """Never called: its signature is what a command gets."""


def takes_evaluation_options(*, before: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Give a command the options of an evaluation; :func:`evaluation_settings` reads them from its context.

    Args:
        before: the command's own parameter that comes after them in its help.
    """
    shared = inspect.signature(_options).parameters
    of_options = get_type_hints(_options, include_extras=True)

    def with_options(command: Callable[..., T]) -> Callable[..., T]:
        @wraps(command)
        def called(**options: Any) -> T:
            return command(**{name: value for name, value in options.items() if name not in shared})

        own = list(inspect.signature(command).parameters.values())
        place = [p.name for p in own].index(before)
        # The parser reads the signature, and the settings the annotations: strings would be looked up elsewhere.
        hints = get_type_hints(command, include_extras=True) | of_options
        parameters = [
            p.replace(annotation=hints[p.name]) for p in (*own[:place], *shared.values(), *own[place:])
        ]
        called.__annotations__ = {p.name: hints[p.name] for p in parameters} | {"return": hints["return"]}
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return called

    return with_options


def evaluation_settings(context: typer.Context) -> dict[str, Any]:
    """What the options say that ``evaluate`` and ``report`` share: fields of ``EvaluateSettings`` by name."""
    from runscope.evaluation import EvaluateSettings

    return {f.name: context.params[f.name] for f in fields(EvaluateSettings) if f.name in context.params}
