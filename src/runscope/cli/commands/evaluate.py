"""``runscope evaluate``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runscope.cli import ci
from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.cli.evaluating import evaluation_settings, takes_evaluation_options
from runscope.cli.progress import progress
from runscope.errors import UsageError

if TYPE_CHECKING:
    from runscope.evaluation.plan import Plan
    from runscope.evaluation.study import Study
    from runscope.evaluation.trainings.seeds import Seeds
    from runscope.history import Timeline


@takes_evaluation_options(before="plan")
def evaluate(
    context: typer.Context,
    repo: Annotated[
        str | None,
        typer.Argument(
            metavar="[REPO]",
            help="Hub repository, local clone or bundle of one, or folder; A,B,C are seeds of one training.",
        ),
    ] = None,
    other: Annotated[
        str | None,
        typer.Argument(
            metavar="[OTHER]",
            help="Checkpoints of another training, or of its seeds: which is better, on the same examples?",
        ),
    ] = None,
    data: opt.HeldOutOption = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            "--scores",
            metavar="TABLE",
            help="In place of REPO and --data: results that are there already. A table, or samples_*.jsonl of "
            "lm-evaluation-harness or logs of Inspect (files or folders; repeat for each).",
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
    also: opt.AlsoOption = None,
    base: opt.BaseOption = None,
    run: Annotated[
        list[str] | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="The run (or runs) that saved them: says around which step to look first.",
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", help="The deciding metric, where a task has several.")
    ] = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Print what would be run and downloaded, and the memory needed, then stop."
        ),
    ] = False,
    price: Annotated[
        float | None,
        typer.Option(
            "--price",
            metavar="DOLLARS",
            min=0,
            help="Of --plan: what the GPU costs an hour; names what it all costs.",
        ),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            "--baseline",
            metavar="REPO|TABLE",
            help="Checkpoints of an earlier, good training (with --scores: its results): exit with 1 if the best one "
            "here is shown to be worse than the best one there, paired on the same examples.",
        ),
    ] = None,
    fail_on: opt.FailOnOption = opt.FailOn.never,
    format: opt.FormatOption = opt.Format.text,
    output: opt.OutputOption = None,
    project: opt.ProjectOption = None,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> int:
    """Evaluate checkpoints on held-out examples and say whether later ones are really worse.

    Checkpoints that are unlikely to be the best are set aside early. Results are kept as they come: nothing is
    computed twice, even after an interruption.

    Examples:

      runscope evaluate me/pricer-2024-09-13 --data heldout.jsonl

      runscope evaluate ./small-rank ./large-rank --data heldout.jsonl

      runscope evaluate small-1,small-2,small-3 large-1,large-2,large-3 --data heldout.jsonl

      runscope evaluate ./output --data prices.csv --task number --tolerance 40 --relative-tolerance 0.2

      runscope evaluate --scores losses.csv --cluster document

      runscope evaluate ./output --data heldout.jsonl --baseline ./last-good/checkpoint-500
    """
    from runscope import api
    from runscope.evaluation import EvaluateSettings
    from runscope.evaluation.settings import brings_examples

    settings = evaluation_settings(context)
    if scores:
        if repo or other or data:
            raise UsageError(
                "--scores takes the place of REPO and --data",
                hint="name either results or what is to be evaluated",
            )
        judged = _given(scores, baseline, settings, lower_is_better)
        _show(judged, None, format, output, quiet=quiet)
        return _status(judged, fail_on)
    if repo is None or (data is None and not brings_examples(settings["task"])):
        raise UsageError(
            "no checkpoints were named to evaluate"
            if repo is None
            else "there are no examples to evaluate on",
            hint="runscope evaluate REPO --data heldout.jsonl, or --scores TABLE for results that are there already",
        )
    if (groups := seeds_named(repo, other)) is not None:
        _require_alone(plan=plan, baseline=baseline, run=run, train_data=train_data, also=also, **settings)
        EvaluateSettings(**settings)
        with progress(quiet) as update:
            seeds = api.evaluate_seeds(groups, data, base=base, progress=update, **settings)
        _show_seeds(seeds, format, output, quiet=quiet)
        return max(_status(t.study, fail_on) for group in seeds.groups for t in group.trainings)
    rivals = [*(baseline or []), *([other] if other else [])]
    if len(rivals) > 1:
        raise UsageError("checkpoints are held against one baseline", hint="name the best one of them")
    if price is not None and not plan:
        raise UsageError(
            "--price belongs to --plan", hint="runscope evaluate REPO --data FILE --plan --price 2.5"
        )
    EvaluateSettings(**settings)  # a wrong word is told before anything is read
    with progress(quiet) as update:
        line = _line(run, project) if run else None
        saved = api.checkpoints(repo, line=line, progress=update)
        what: dict[str, Any] = {
            "train_data": train_data,
            "also": also,
            "base": base,
            "progress": update,
            **settings,
        }
        if plan:
            _print_plan(api.plan_evaluation(saved, data, line=line, price=price, **what), format)
            return 0
        study = api.evaluate(saved, data, line=line, **what)
        if rivals:  # memorising is not asked of it, and the line that was followed is not its own
            left_out = {"train_data": None, "also": None, "average": None}
            study = api.against_checkpoints(study, rivals[0], data, **what | left_out)
    _show(study, repo, format, output, quiet=quiet)
    # Two trainings side by side are a question, a baseline is a demand.
    return _status(replace(study, baseline=None) if other else study, fail_on)


def seeds_named(*references: str | None) -> list[list[str]] | None:
    """The trainings of each group, where one reference names several with commas between; None where none does.

    Raises:
        UsageError: a training is named twice.
    """
    named = [
        [reference] if Path(reference).exists() else [part for part in reference.split(",") if part.strip()]
        for reference in references
        if reference
    ]
    every = [part.strip() for group in named for part in group]
    if len(every) <= len(named):
        return None
    twice = next((part for part in every if every.count(part) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice} is named twice", hint="each seed is one training, named once")
    return [[part.strip() for part in group] for group in named]


def _require_alone(**given: Any) -> None:
    """Refuse what is a question to one training.

    Raises:
        UsageError: it was given for groups of seeds.
    """
    for option in ("plan", "baseline", "run", "train_data", "also", "average", "beside"):
        if given[option]:
            raise UsageError(
                f"--{option.replace('_', '-')} asks about one training, and these are groups of seeds",
                hint="evaluate one of them with it; results are kept, so that nothing is computed twice",
            )


def _show_seeds(seeds: Seeds, format: opt.Format, output: Path | None, *, quiet: bool) -> None:
    from runscope import reporting as page

    if output:
        forms = out.table_forms(seeds.to_pandas) | out.json_form(lambda: page.seeds_json(seeds))
        return out.save(output, forms, quiet=quiet)
    if format in (opt.Format.json, opt.Format.jsonl):
        return out.print_json(page.seeds_json(seeds), line=format is opt.Format.jsonl)
    if format is opt.Format.markdown:
        print(page.markdown_seeds(seeds))  # noqa: T201
        return None
    return page.print_seeds(out.stdout(), seeds)


def _given(
    scores: list[str], baseline: list[str] | None, settings: dict[str, Any], lower_is_better: bool | None
) -> Study:
    """The verdict on results that are there already."""
    from runscope import api
    from runscope.evaluation.given import judge_files

    how: dict[str, Any] = {name: settings[name] for name in ("metric", "min_effect", "cluster")}
    how["lower_is_better"] = lower_is_better
    study = judge_files(scores, **how)
    return api.against_scores(study, baseline, **how) if baseline else study


def _status(study: Study, fail_on: opt.FailOn) -> int:
    from runscope.verdict import findings_of

    return ci.status(findings_of(study), fail_on, study.baseline)


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
