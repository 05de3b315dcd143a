"""``runscope report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.cli.progress import progress
from runscope.errors import UsageError


def report(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...|RECIPE", help=opt.RUN_HELP + " Or a recipe.toml.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A folder (report.html, findings.json, recipe.toml), or a file whose ending picks the form.",
        ),
    ] = Path("report.html"),
    hub: opt.HubOption = None,
    data: opt.DataOption = None,
    train_data: opt.TrainDataOption = None,
    base: opt.BaseOption = None,
    at: opt.AtOption = None,
    force: opt.ForceOption = False,
    scale: opt.ScaleOption = None,
    ignore: opt.IgnoreOption = None,
    map: opt.MapOption = None,
    project: opt.ProjectOption = None,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> None:
    """Write one page: the whole curve, the verdict, the checkpoint to keep.

    With --hub it lists the checkpoints, with --data it evaluates them. A recipe.toml makes an earlier
    report again.

    Examples:

      runscope report me/pricer/2x9f1k3a me/pricer/7c0d1e2f --hub me/pricer-2024-09-13 --data heldout.jsonl

      runscope report reports/demo/recipe.toml --output again/
    """
    from runscope.api import investigate, write_report
    from runscope.recipe import Recipe

    if len(runs) == 1 and runs[0].endswith(".toml"):
        recipe = Recipe.read(Path(runs[0]))
    else:
        if data is not None and hub is None:
            raise UsageError(
                "--data needs checkpoints to evaluate", hint="name the repository that holds them: --hub REPO"
            )
        recipe = Recipe(
            runs=tuple(runs), hub=hub, data=data, train_data=train_data, base=base, at=tuple(at or ()),
            force=force, scale=tuple(scale or ()), ignore=tuple(opt.ignored_roles(ignore)),
            roles={k: str(v) for k, v in opt.role_map(map).items()}, project=project,
        )  # fmt: skip
    with progress(quiet) as update:
        diagnosis = investigate(**recipe.arguments(), progress=update)
    for path in write_report(diagnosis, recipe, output):
        out.note(f"wrote {path}", quiet=quiet)
    out.note(diagnosis.verdict.headline, quiet=quiet)
