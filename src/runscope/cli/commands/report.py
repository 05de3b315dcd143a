"""``runscope report``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    "compare", "hub", "data", "train_data", "base", "at", "force", "scale", "ignore", "map", "project",
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
    data: opt.DataOption = None,
    train_data: opt.TrainDataOption = None,
    base: opt.BaseOption = None,
    at: opt.AtOption = None,
    force: opt.ForceOption = False,
    scale: opt.ScaleOption = None,
    ignore: opt.IgnoreOption = None,
    map: opt.MapOption = None,
    metric: opt.MetricOption = None,
    project: opt.ProjectOption = None,
    trust_recipe: Annotated[
        bool,
        typer.Option("--trust-recipe", help="Let the recipe run the code that it names (a task, a scorer)."),
    ] = False,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> None:
    """Write one page: the whole curve, the verdict, the checkpoint to keep.

    With --hub it lists the checkpoints, with --data it evaluates them. With --compare it sets trainings side by
    side. A recipe.toml makes an earlier report again.

    Examples:

      runscope report me/pricer/2x9f1k3a me/pricer/7c0d1e2f --hub me/pricer-2024-09-13 --data heldout.jsonl

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
        recipe = Recipe(
            runs=tuple(runs), hub=hub, data=data, train_data=train_data, base=base, at=tuple(at or ()),
            force=force, scale=tuple(scale or ()), ignore=tuple(opt.ignored_roles(ignore)),
            roles={k: str(v) for k, v in opt.role_map(map).items()}, metric=metric,
            project=project, compare=compare,
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
    given = [name for name in DECIDED if _typed(context, name)]
    if given:
        option = f"--{given[0].replace('_', '-')}"
        raise UsageError(
            f"{recipe} decides {option} itself",
            hint="change it there, or name the runs in place of the recipe",
        )


def _typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


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
