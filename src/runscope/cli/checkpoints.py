"""``runscope checkpoints``."""

from __future__ import annotations

from typing import Annotated

import typer

from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.cli.progress import progress


def checkpoints(
    repo: Annotated[
        str, typer.Argument(metavar="REPO", help="Hub repository, local clone of one, or folder.")
    ],
    run: Annotated[
        list[str] | None,
        typer.Option(
            "--run", metavar="RUN", help="Place the checkpoints on this run's (or these runs') line."
        ),
    ] = None,
    format: opt.FormatOption = opt.Format.text,
    output: opt.OutputOption = None,
    project: opt.ProjectOption = None,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> None:
    """List every commit and folder that holds weights: step, epoch, when, size, what changed.

    Examples:

      runscope checkpoints me/pricer-2024-09-13_13.04.39

      runscope checkpoints ./output --run ./output/checkpoint-500
    """
    from runscope import api
    from runscope import reporting as page
    from runscope.api import require_joined
    from runscope.history import Timeline

    with progress(quiet) as update:
        found = api.checkpoints(repo, progress=update)
        if run:
            loaded = [api.load(r, project=project, progress=update) for r in run]
            joined = api.stitch(loaded, checkpoints=found) if len(loaded) > 1 else Timeline.of(loaded[0])
            from runscope.hub import place

            found = place(found, require_joined(joined))
    if output:
        forms = out.table_forms(lambda: page.checkpoints_table(found))
        out.save(output, forms | out.json_form(lambda: page.checkpoints_json(found, repo)), quiet=quiet)
    elif format is opt.Format.json:
        out.print_json(page.checkpoints_json(found, repo))
    elif format is opt.Format.jsonl:
        for row in page.checkpoints_json(found, repo)["checkpoints"]:
            out.print_json(row, line=True)
    elif format is opt.Format.markdown:
        print(page.markdown_checkpoints(found))  # noqa: T201
    else:
        page.print_checkpoints(out.stdout(), found)
