"""``runscope push``."""

from __future__ import annotations

from typing import Annotated

import typer

from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.cli.progress import progress


def push(
    runs: opt.RunsArgument,
    to: Annotated[
        str, typer.Option("--to", metavar="ENTITY/PROJECT", help="W&B project that gets the stitched run.")
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="Display name; default: the parts' names joined.")
    ] = None,
    at: opt.AtOption = None,
    force: opt.ForceOption = False,
    scale: opt.ScaleOption = None,
    project: opt.ProjectOption = None,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> None:
    """Write the stitched line back to W&B as one run. Pushing twice does not double it.

    With WANDB_MODE=offline it writes an offline run instead.

    Examples:

      runscope push me/pricer/2x9f1k3a me/pricer/7c0d1e2f --to me/pricer

      WANDB_MODE=offline runscope push wandb/run-a wandb/run-b --to me/pricer
    """
    from runscope import api
    from runscope.api import require_joined
    from runscope.sources.wandb_push import push as write_back

    with progress(quiet) as update:
        line = api.stitch(
            runs, at=at or None, force=force, scale=scale or None, project=project, progress=update
        )
        where = write_back(line if force or at else require_joined(line), to, name=name)
    out.stdout().print(str(where))
