"""``runscope evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.cli.progress import progress
from runscope.errors import UsageError

if TYPE_CHECKING:
    from runscope.evaluation.plan import Plan
    from runscope.evaluation.study import Study
    from runscope.history import Timeline


def evaluate(
    repo: Annotated[
        str | None,
        typer.Argument(metavar="[REPO]", help="Hub repository, local clone or bundle of one, or folder."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="FILE|DATASET",
            help="Held-out examples: JSON lines, CSV, Parquet, or a Hub data set as user/name:split.",
        ),
    ] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            "--scores",
            metavar="TABLE",
            help="In place of REPO and --data: results that are there already. A table, or samples_*.jsonl of "
            "lm-evaluation-harness or logs of Inspect (files or folders; repeat for each).",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="COLUMN|none",
            help="Column whose equal values make rows one observation (default: cluster, source, group or document, "
            "where there is one); none: every row is its own observation.",
        ),
    ] = None,
    lower_is_better: Annotated[
        bool | None,
        typer.Option(
            "--lower-is-better/--higher-is-better",
            help="Of --scores: which way the metric goes (default: as its name says).",
        ),
    ] = None,
    train_data: opt.TrainDataOption = None,
    base: opt.BaseOption = None,
    run: Annotated[
        list[str] | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="The run (or runs) that saved them: says around which step to look first.",
        ),
    ] = None,
    task: Annotated[
        str,
        typer.Option("--task", help="loss, answer, number, choice, preference, or your own as module:Name."),
    ] = "loss",
    scorer: Annotated[
        str,
        typer.Option(
            "--scorer", help="Of the task answer: exact, number, regex, json, or your own as module:function."
        ),
    ] = "exact",
    metric: Annotated[
        str | None, typer.Option("--metric", help="The deciding metric, where a task has several.")
    ] = None,
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
        int, typer.Option("--max-new-tokens", metavar="N", help="Longest generated answer.")
    ] = 64,
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
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Print what would be run and downloaded, and the memory needed, then stop."
        ),
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Evaluate every checkpoint on every example.")] = False,
    min_effect: Annotated[
        float | None,
        typer.Option(
            "--min-effect",
            metavar="X",
            help="Smallest difference that matters, in units of the metric; 0.02 nats for the loss.",
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
            "--workers", metavar="N", help="Number of Ray workers (default: one per GPU, else one per CPU)."
        ),
    ] = None,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Load pickled weights; these can run code.")
    ] = False,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run the code of the base model's repository.")
    ] = False,
    format: opt.FormatOption = opt.Format.text,
    output: opt.OutputOption = None,
    project: opt.ProjectOption = None,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> None:
    """Evaluate checkpoints on held-out examples and say whether later ones are really worse.

    Checkpoints that are unlikely to be the best are set aside early. Results are kept as they come: nothing is
    computed twice, even after an interruption.

    Examples:

      runscope evaluate me/pricer-2024-09-13 --data heldout.jsonl

      runscope evaluate ./output --data prices.csv --task number --tolerance 40 --relative-tolerance 0.2

      runscope evaluate --scores losses.csv --cluster document
    """
    from runscope import api
    from runscope.evaluation import EvaluateSettings

    if scores:
        if repo or data:
            raise UsageError(
                "--scores takes the place of REPO and --data",
                hint="name either results or what is to be evaluated",
            )
        from runscope.evaluation.given import judge_files

        judged = judge_files(
            scores, metric=metric, lower_is_better=lower_is_better, min_effect=min_effect, cluster=cluster
        )
        return _show(judged, None, format, output, quiet=quiet)
    if repo is None or data is None:
        raise UsageError(
            "no checkpoints were named to evaluate"
            if repo is None
            else "there are no examples to evaluate on",
            hint="runscope evaluate REPO --data heldout.jsonl, or --scores TABLE for results that are there already",
        )
    settings: dict[str, Any] = {
        "task": task, "scorer": scorer, "metric": metric, "tolerance": tolerance,
        "relative_tolerance": relative_tolerance, "extract": extract, "max_new_tokens": max_new_tokens,
        "chat": chat, "columns": columns, "score": score, "cluster": cluster,
        "full": full, "min_effect": min_effect, "max_examples": max_examples, "device": device, "dtype": dtype,
        "batch_tokens": batch_tokens, "backend": backend, "launch": launch, "workers": workers,
        "allow_pickle": allow_pickle, "trust_remote_code": trust_remote_code,
    }  # fmt: skip
    EvaluateSettings(**settings)  # a wrong word is told before anything is read
    with progress(quiet) as update:
        line = _line(run, project) if run else None
        saved = api.checkpoints(repo, line=line, progress=update)
        what: dict[str, Any] = {
            "line": line,
            "train_data": train_data,
            "base": base,
            "progress": update,
            **settings,
        }
        if plan:
            return _print_plan(api.plan_evaluation(saved, data, **what), format)
        study = api.evaluate(saved, data, **what)
    return _show(study, repo, format, output, quiet=quiet)


def _show(study: Study, repo: str | None, format: opt.Format, output: Path | None, *, quiet: bool) -> None:
    from runscope import reporting as page

    if output:
        forms = out.table_forms(lambda: page.study_table(study)) | out.json_form(
            lambda: page.study_json(study, repo)
        )
        return out.save(output, forms, quiet=quiet)
    if format in (opt.Format.json, opt.Format.jsonl):
        return out.print_json(page.study_json(study, repo), line=format is opt.Format.jsonl)
    if format is opt.Format.markdown:
        print(page.markdown_study(study))  # noqa: T201
        return None
    return page.print_study(out.stdout(), study)


def _print_plan(plan: Plan, format: opt.Format) -> None:
    from runscope import reporting as page

    if format in (opt.Format.json, opt.Format.jsonl):
        return out.print_json(page.plan_json(plan), line=format is opt.Format.jsonl)
    return page.print_plan(out.stdout(), plan)


def _line(runs: list[str], project: str | None) -> Timeline:
    from runscope import api

    if len(runs) == 1:
        return api.as_line(runs, project=project)
    return api.require_joined(api.stitch(runs, project=project))
