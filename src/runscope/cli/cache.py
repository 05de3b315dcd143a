"""``runscope cache``."""

from __future__ import annotations

from typing import Annotated

import typer

from runscope.cli import options as opt
from runscope.cli import output as out


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove what is kept.")] = False,
    older_than_days: Annotated[
        float | None,
        typer.Option(
            "--older-than", metavar="DAYS", help="With --clear: only what was not used for so long."
        ),
    ] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only this kind: runs, pages, results.")] = None,
    format: opt.FormatOption = opt.Format.text,
    debug: opt.DebugOption = False,
) -> None:
    """Show or clear what runscope keeps on disk: pulled runs and evaluation results.

    Examples:

      runscope cache

      runscope cache --clear --older-than 30
    """
    from runscope.api import cache_clear, cache_entries

    if clear:
        removed = cache_clear(older_than_days=older_than_days, kind=kind)
        out.note(f"removed {removed} entries")
        return
    home, entries = cache_entries(kind=kind)
    if format in (opt.Format.json, opt.Format.jsonl):
        out.print_json({"schema": "runscope.cache/1", "home": str(home), "entries": entries})
        return
    from rich.table import Table

    console = out.stdout()
    console.print(f"{home}")
    table = Table(box=None, pad_edge=False)
    for heading in ("kind", "what", "size", "used"):
        table.add_column(heading)
    for entry in entries:
        table.add_row(entry["kind"], entry["name"], f"{entry['bytes'] / 1e6:.1f} MB", entry["used"])
    console.print(table if entries else "nothing is kept")
