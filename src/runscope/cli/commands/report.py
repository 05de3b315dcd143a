"""``runscope report``."""

from __future__ import annotations

import tempfile
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
    from runscope.api.recipe import Recipe
    from runscope.progress import Progress
    from runscope.verdict import Comparison, Diagnosis


DECIDED = (
    "compare", "hub", "data", "train_data", "also", "base", "at", "force", "scale", "ignore", "map", "metric",
    "project", "baseline",
)  # fmt: skip
"""Options that a recipe has decided."""
PRINTED = (opt.ReportFormat.markdown, opt.ReportFormat.json, opt.ReportFormat.slack, opt.ReportFormat.chat)
ENDINGS = {opt.ReportFormat.card: "png", opt.ReportFormat.slack: "txt", opt.ReportFormat.chat: "md"}
"""Of a file whose form is not called like its ending."""
FOR_CI = (opt.ReportFormat.sarif, opt.ReportFormat.junit)


@takes_evaluation_options(before="trust_recipe")
def report(
    context: typer.Context,
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...|RECIPE", help=opt.RUN_HELP + " Or a recipe.toml.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A folder (report.html, findings.json, recipe.toml), or a file whose ending picks the form. "
            "[default: report.html]",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        opt.ReportFormat | None,
        typer.Option(
            "--format",
            "-f",
            help="Form of the report; markdown, json, sarif and junit are printed where no file is named.",
        ),
    ] = None,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="Each RUN is a training; A+B is one of two runs. Which one is better?"
        ),
    ] = False,
    baseline: opt.BaselineOption = None,
    hub: opt.HubOption = None,
    data: opt.HeldOutOption = None,
    train_data: opt.TrainDataOption = None,
    also: opt.AlsoOption = None,
    base: opt.BaseOption = None,
    at: opt.AtOption = None,
    force: opt.ForceOption = False,
    scale: opt.ScaleOption = None,
    ignore: opt.IgnoreOption = None,
    map: opt.MapOption = None,
    metric: opt.DecidingOption = None,
    project: opt.ProjectOption = None,
    fail_on: opt.FailOnOption = opt.FailOn.never,
    trust_recipe: Annotated[
        bool,
        typer.Option("--trust-recipe", help="Let the recipe run the code that it names (a task, a scorer)."),
    ] = False,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> int:
    """Write one page: the whole curve, the verdict, the checkpoint to keep.

    With --hub it lists the checkpoints, with --data it evaluates them, as `runscope evaluate` does and with its
    options. With --compare it sets trainings side by side. A recipe.toml makes an earlier report again.

    Examples:

      runscope report me/pricer/2x9f1k3a me/pricer/7c0d1e2f --hub me/pricer-2024-09-13 --data heldout.jsonl

      runscope report ./output --hub ./output --data prices.csv --task number --tolerance 40

      runscope report wandb/offline-run-small wandb/offline-run-large --compare --output compared.html
    """
    from runscope.api.recipe import Recipe

    _check(output, format)
    if len(runs) == 1 and runs[0].endswith(".toml"):
        _refuse_beside_recipe(context, runs[0])
        recipe = Recipe.read(Path(runs[0]), trust=trust_recipe)
    else:
        recipe = _recipe(context)
    with progress(quiet) as update:
        found = _found(recipe, update)
    _tell_of_changes(recipe, found, quiet)
    _give(found, recipe, output, format, quiet, fail_on)
    held = None if recipe.compare else _diagnoses(found)[0].baseline
    return ci.status([f for d in _diagnoses(found) for f in d.findings], fail_on, held)


def _recipe(context: typer.Context) -> Recipe:
    """What the command line asks for.

    Raises:
        UsageError: options that do not go together.
    """
    from runscope.api.recipe import Recipe
    from runscope.evaluation.settings import brings_examples

    given = context.params
    evaluates = "--data" if given["data"] is not None else f"--task {given['task']}"
    if given["hub"] is None and (given["data"] is not None or brings_examples(given["task"])):
        raise UsageError(
            f"{evaluates} needs checkpoints to evaluate",
            hint="name the repository that holds them: --hub REPO",
        )
    if given["compare"] and any(given[name] for name in ("hub", "data", "at", "scale")):
        raise UsageError(
            "--compare reads curves: --hub, --data, --at and --scale belong to one training",
            hint="make a report of each training, and compare them without these options",
        )
    if given["compare"] and given["baseline"]:
        raise UsageError(
            "--compare sets all trainings side by side, the good ones among them",
            hint="leave out --baseline, and name its runs beside the others",
        )
    as_they_are: dict[str, Any] = {
        n: given[n]
        for n in ("hub", "data", "train_data", "also", "base", "force", "metric", "project", "compare")
    }
    several: dict[str, Any] = {n: tuple(given[n] or ()) for n in ("runs", "at", "scale", "baseline")}
    return Recipe(
        **as_they_are, **several, ignore=tuple(opt.ignored_roles(given["ignore"])),
        roles={k: str(v) for k, v in opt.role_map(given["map"]).items()}, settings=_settings(context, given["data"]),
    )  # fmt: skip


def _check(output: Path | None, format: opt.ReportFormat | None) -> None:
    """Refuse a file that would be called what it is not, before anything is read."""
    if output is None:
        return
    if output.name.endswith("."):
        raise UsageError(
            f"{output} has no ending that names a form", hint="for example report.html; a folder has no dot"
        )
    ending = output.suffix.lower().removeprefix(".")
    named = {"md": "markdown", "xml": "junit"}.get(ending, ending)
    if format in FOR_CI and named != format:
        raise UsageError(
            f"--format {format} is printed, or written to a file of its own",
            hint="for example --output findings.sarif, or --output junit.xml",
        )
    fits = format is None or named == format.value or ending == ENDINGS.get(format)
    if format is not None and not fits and named in (*opt.ReportFormat, "csv", "parquet"):
        raise UsageError(
            f"--format {format.value} does not fit {output}, which is called {named}",
            hint="leave out --format: the ending picks the form",
        )


def _refuse_beside_recipe(context: typer.Context, recipe: str) -> None:
    """Refuse options on the command line that a recipe decides; settings files and the environment are passed over."""
    decided = (*DECIDED, *evaluation_settings(context))
    given = [name for name in decided if opt.typed(context, name)]
    if given:
        option = f"--{given[0].replace('_', '-')}"
        raise UsageError(
            f"{recipe} decides {option} itself",
            hint="change it there, or name the runs in place of the recipe",
        )


def _settings(context: typer.Context, data: str | None) -> dict[str, Any]:
    """What the options say of the evaluation, where it is not what anyhow holds; none without examples.

    Raises:
        UsageError: one has a wrong value, or stands on the command line where nothing is evaluated.
    """
    from runscope.evaluation import EvaluateSettings
    from runscope.evaluation.settings import brings_examples

    given = {k: v for k, v in evaluation_settings(context).items() if k != "metric"}
    if data is None and not brings_examples(given["task"]):
        for name in given:
            if opt.typed(context, name):
                raise UsageError(
                    f"--{name.replace('_', '-')} says how checkpoints are evaluated, and there are no examples",
                    hint="name them: --data heldout.jsonl, and --hub REPO for the checkpoints",
                )
        return {}
    usual = EvaluateSettings()
    EvaluateSettings(**given)  # a wrong word is told before anything is read
    return {name: value for name, value in given.items() if value != getattr(usual, name)}


def _found(recipe: Recipe, update: Progress) -> Diagnosis | Comparison:
    from runscope import api

    options: dict[str, Any] = {
        "ignore": recipe.ignore, "roles": recipe.roles, "project": recipe.project, "progress": update
    }  # fmt: skip
    if recipe.compare:
        return api.compare(recipe.trainings(), **options)
    diagnosis = api.investigate(**recipe.arguments(), progress=update)
    if not recipe.baseline:
        return diagnosis
    return api.against_runs(diagnosis, recipe.baseline, metric=recipe.metric, **options)


def _tell_of_changes(recipe: Recipe, found: Diagnosis | Comparison, quiet: bool) -> None:
    """A recipe gives the same findings only from the same inputs."""
    if recipe.made_from:
        from runscope.api import recipe_facts

        now = recipe_facts(recipe, found)["inputs"]
        for name in recipe.changed(now):
            out.note(f"note: {name} has changed since the recipe was written", quiet=quiet)
        for name in recipe.added(now):
            out.note(f"note: {name} was not there when the recipe was written", quiet=quiet)
        for name in recipe.missing(now):
            out.note(f"note: {name} is missing; it was there when the recipe was written", quiet=quiet)


def _diagnoses(found: Diagnosis | Comparison) -> list[Diagnosis]:
    from runscope.verdict import Diagnosis

    return [found] if isinstance(found, Diagnosis) else [c.diagnosis for c in found.contenders]


def _give(
    found: Diagnosis | Comparison,
    recipe: Recipe,
    output: Path | None,
    format: opt.ReportFormat | None,
    quiet: bool,
    fail_on: opt.FailOn,
) -> None:
    """Print or write it, as asked."""
    if format in FOR_CI or (output is not None and output.suffix.lower() in ci.ENDINGS):
        from runscope.reporting import diagnosis_checked

        named = recipe.trainings() if recipe.compare else [list(recipe.runs)]
        checked = [
            diagnosis_checked(d, runs, fail_on.value)
            for d, runs in zip(_diagnoses(found), named, strict=True)
        ]
        if output is None:
            ci.print_checked(checked, str(format))
        else:
            ci.save_checked(checked, output, quiet=quiet)
    elif output is None and format in PRINTED:
        _print(found, recipe, format)
    else:
        _write(found, recipe, output, format, quiet)


def _print(found: Diagnosis | Comparison, recipe: Recipe, format: opt.ReportFormat) -> None:
    from runscope.api import recipe_facts, report

    with tempfile.TemporaryDirectory() as folder:
        path = report(found, Path(folder) / "report", facts=recipe_facts(recipe, found), form=format.value)
        out.print_text(path.read_text(encoding="utf-8"))


def _write(
    found: Diagnosis | Comparison,
    recipe: Recipe,
    output: Path | None,
    format: opt.ReportFormat | None,
    quiet: bool,
) -> None:
    from runscope.api import write_report
    from runscope.verdict import Diagnosis

    target = output or Path(f"report.{ENDINGS.get(format, format) if format else 'html'}")
    for path in write_report(found, recipe, target, form=format.value if format else None):
        out.note(f"wrote {path}", quiet=quiet)
    out.note(found.verdict.headline if isinstance(found, Diagnosis) else found.headline, quiet=quiet)
    if isinstance(found, Diagnosis) and found.baseline is not None:
        out.note(found.baseline.headline, quiet=quiet)
