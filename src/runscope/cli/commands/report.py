"""``runscope report``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.cli.progress import progress
from runscope.errors import UsageError

if TYPE_CHECKING:
    from runscope.api.recipe import Recipe
    from runscope.progress import Progress
    from runscope.verdict import Comparison, Diagnosis


DECIDED = (
    "compare", "hub", "data", "train_data", "also", "base", "at", "force", "scale", "ignore", "map", "metric",
    "project",
)  # fmt: skip
"""Options that a recipe has decided."""


def report(
    context: typer.Context,
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN|RECIPE", help=opt.RUN_HELP + " Or a recipe.toml.")
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
            "--format", "-f", help="Form of the report; markdown and json are printed where no file is named."
        ),
    ] = None,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="Each RUN is a training; A+B is one of two runs. Which one is better?"
        ),
    ] = False,
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
    cluster: opt.ClusterOption = None,
    task: opt.TaskOption = "loss",
    scorer: opt.ScorerOption = "exact",
    tolerance: opt.ToleranceOption = None,
    relative_tolerance: opt.RelativeToleranceOption = None,
    extract: opt.ExtractOption = None,
    max_new_tokens: opt.MaxNewTokensOption = 64,
    chat: opt.ChatOption = False,
    columns: opt.ColumnsOption = None,
    score: opt.ScoreOption = "auto",
    full: opt.FullOption = False,
    min_effect: opt.MinEffectOption = None,
    max_examples: opt.MaxExamplesOption = None,
    device: opt.DeviceOption = "auto",
    dtype: opt.DtypeOption = "auto",
    batch_tokens: opt.BatchTokensOption = None,
    backend: opt.BackendOption = "transformers",
    launch: opt.LaunchOption = "local",
    workers: opt.WorkersOption = None,
    allow_pickle: opt.AllowPickleOption = False,
    trust_remote_code: opt.TrustRemoteCodeOption = False,
    trust_recipe: Annotated[
        bool,
        typer.Option("--trust-recipe", help="Let the recipe run the code that it names (a task, a scorer)."),
    ] = False,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> None:
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
        if data is not None and hub is None:
            raise UsageError(
                "--data needs checkpoints to evaluate", hint="name the repository that holds them: --hub REPO"
            )
        if compare and (hub or data or at or scale):
            raise UsageError(
                "--compare reads curves: --hub, --data, --at and --scale belong to one training",
                hint="make a report of each training, and compare them without these options",
            )
        settings = _settings(context, data)
        recipe = Recipe(
            runs=tuple(runs), hub=hub, data=data, train_data=train_data, also=also, base=base, at=tuple(at or ()),
            force=force, scale=tuple(scale or ()), ignore=tuple(opt.ignored_roles(ignore)),
            roles={k: str(v) for k, v in opt.role_map(map).items()}, metric=metric,
            project=project, compare=compare, settings=settings,
        )  # fmt: skip
    with progress(quiet) as update:
        found = _found(recipe, update)
    _tell_of_changes(recipe, found, quiet)
    if output is None and format in (opt.ReportFormat.markdown, opt.ReportFormat.json):
        return _print(found, recipe, format)
    return _write(found, recipe, output, format, quiet)


def _check(output: Path | None, format: opt.ReportFormat | None) -> None:
    """Refuse a file that would be called what it is not, before anything is read."""
    if output is None:
        return
    if output.name.endswith("."):
        raise UsageError(
            f"{output} has no ending that names a form", hint="for example report.html; a folder has no dot"
        )
    ending = output.suffix.lower().removeprefix(".")
    named = "markdown" if ending == "md" else ending
    if format is not None and named != format.value and named in (*opt.ReportFormat, "csv", "parquet"):
        raise UsageError(
            f"--format {format.value} does not fit {output}, which is called {named}",
            hint="leave out --format: the ending picks the form",
        )


def _refuse_beside_recipe(context: typer.Context, recipe: str) -> None:
    """Refuse options on the command line that a recipe decides; settings files and the environment are passed over."""
    decided = (*DECIDED, *opt.evaluation_settings(context))
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

    given = {k: v for k, v in opt.evaluation_settings(context).items() if k != "metric"}
    if data is None:
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

    if not recipe.compare:
        return api.investigate(**recipe.arguments(), progress=update)
    options = {"ignore": recipe.ignore, "roles": recipe.roles, "project": recipe.project, "progress": update}
    return api.compare(recipe.trainings(), **options)


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

    target = output or Path(f"report.{format or 'html'}")
    for path in write_report(found, recipe, target, form=format.value if format else None):
        out.note(f"wrote {path}", quiet=quiet)
    out.note(found.verdict.headline if isinstance(found, Diagnosis) else found.headline, quiet=quiet)
