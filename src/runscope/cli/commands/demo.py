"""``runscope demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.cli.progress import progress


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the report goes.")
    ] = Path("reports/demo"),
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> None:
    """Run the whole of it on a bundled fine-tune that was killed and resumed: no account, no network.

    Examples:

      runscope demo

      runscope demo --output /somewhere/else --quiet
    """
    from runscope import reporting as page
    from runscope.api import investigate, write_report
    from runscope.api.example import recipe

    made = recipe()
    out.note("stitching two runs, reading their curves, evaluating their checkpoints …", quiet=quiet)
    with progress(quiet) as update:
        # Everything is computed here and now: results of an earlier demo are not taken.
        diagnosis = investigate(**made.arguments(), keep_results=False, progress=update)
    page.print_timeline(out.stdout(), diagnosis.timeline)
    page.print_diagnosis(out.stdout(), diagnosis)
    for path in write_report(diagnosis, made, output):
        out.note(f"wrote {path}", quiet=quiet)
