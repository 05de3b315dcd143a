"""``runscope keep``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.cli.progress import progress


def keep(
    repo: Annotated[
        str, typer.Argument(metavar="REPO", help="Hub repository, local clone or bundle of one, or folder.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write it; new or empty.")
    ],
    step: Annotated[
        int | None, typer.Option("--step", metavar="N", min=0, help="The checkpoint of this step.")
    ] = None,
    revision: Annotated[
        str | None,
        typer.Option(
            "--revision", metavar="R", help="The checkpoint of this commit, or folder of this name."
        ),
    ] = None,
    average: Annotated[
        str | None,
        typer.Option(
            "--average",
            metavar="last:K|STEP,STEP,…|as-good|ema:D",
            help="The average of these checkpoints; as-good: those that --evaluated found; ema:0.5: the newest counts "
            "1, the one before it a half, and so on.",
        ),
    ] = None,
    evaluated: Annotated[
        Path | None,
        typer.Option(
            "--evaluated",
            metavar="FILE|FOLDER",
            help="What runscope evaluate --output or a report found: names the best one, or those as good, and why.",
        ),
    ] = None,
    rank: Annotated[
        int | None,
        typer.Option(
            "--rank",
            metavar="R",
            min=1,
            help="Cut an averaged LoRA back to this rank (default: exact, a larger one).",
        ),
    ] = None,
    why: Annotated[
        str | None,
        typer.Option(
            "--why", metavar="TEXT", help="The reason, for the model card (default: as --evaluated says)."
        ),
    ] = None,
    run: Annotated[
        list[str] | None,
        typer.Option(
            "--run", metavar="RUN", help="The run (or runs) that saved them: counts their steps on one line."
        ),
    ] = None,
    base: opt.BaseOption = None,
    project: opt.ProjectOption = None,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> None:
    """Write one checkpoint, or the average of several, as a folder that loads, with a model card.

    Weights, configuration and tokenizer are written, and a README.md that says which step and commit it is, and why.

    Examples:

      runscope keep me/pricer-2024-09-13 --step 4000 --output ./kept --why "best held-out loss"

      runscope keep ./output --average last:3 --output ./averaged

      runscope keep ./output --evaluated evaluation.json --average as-good --output ./averaged
    """
    from runscope import api

    with progress(quiet) as update:
        line = None
        if run:
            line = (
                api.as_line(run, project=project)
                if len(run) == 1
                else api.require_joined(api.stitch(run, project=project))
            )
        kept = api.keep(
            repo, output, step=step, revision=revision, average=average, evaluated=evaluated, rank=rank, why=why,
            line=line, base=base, progress=update,
        )  # fmt: skip
    out.notes(kept.notes, quiet=quiet)
    out.note(f"wrote {kept.folder}", quiet=quiet)
