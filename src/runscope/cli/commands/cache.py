"""``runscope cache``."""

from __future__ import annotations

import re
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.errors import UsageError, nearest
from runscope.units import readable_bytes

if TYPE_CHECKING:
    from runscope.store import Holding

_AGE = re.compile(r"^(\d+)\s*(h|d|w)$")
_SECONDS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


def cache(
    runs: Annotated[bool, typer.Option("--runs", help="List the runs that are kept.")] = False,
    clear: Annotated[
        list[str] | None,
        typer.Option("--clear", metavar="KIND", help="Delete a kind of thing, or 'all'. May repeat."),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than", metavar="AGE", help="Delete only what was not changed for 12h, 30d, 8w …"
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
    format: opt.FormatOption = opt.Format.text,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> None:
    """Show what runscope keeps on this disk and how large it is; clear it.

    Examples:

      runscope cache --runs

      runscope cache --clear checkpoints --older-than 30d
    """
    from runscope.store import holdings, home

    age = _age(older_than)
    if older_than and not clear:
        raise UsageError("--older-than deletes nothing by itself", hint="name a kind as well: --clear runs")
    if clear:
        return _clear(clear, age, yes, format, quiet)
    kept = holdings()
    listed = _runs() if runs else []
    if format in (opt.Format.json, opt.Format.jsonl):
        data = {"schema": "runscope.cache/1", "home": str(home()), "kinds": [h.as_dict() for h in kept]}
        return out.print_json(data | ({"runs": listed} if runs else {}), line=format is opt.Format.jsonl)
    print(f"{home()}: {readable_bytes(sum(h.size_bytes for h in kept))}")  # noqa: T201
    _table(
        [(h.kind, readable_bytes(h.size_bytes), f"{h.files:,} files", _when(h.newest), h.what) for h in kept]
    )
    if runs:
        _table(
            [(r["run"], r["name"], r["state"], f"{r['values']:,} values", str(r["kept_at"])) for r in listed]
        )
    return None


def _runs() -> list[dict[str, Any]]:
    """The runs in the store."""
    from runscope.store import RunStore

    return [
        {
            "run": f"{key.project}/{key.id}", "host": key.host, "name": facts.get("name"), "state": facts.get("state"),
            "rows": facts.get("rows", 0), "values": facts.get("values", 0), "kept_at": facts.get("kept_at"),
        }
        for key, facts in RunStore().all()
    ]  # fmt: skip


def _clear(kinds: list[str], age_seconds: float, yes: bool, format: opt.Format, quiet: bool) -> None:
    from runscope.store import clear, holdings, home

    known = {h.kind: h for h in holdings()}
    for kind in kinds:
        if kind not in (*known, "all"):
            close = nearest(kind, (*known, "all"))
            raise UsageError(
                f"the store has no {kind!r}",
                hint=(f"did you mean {close!r}? " if close else "") + f"there are {', '.join(known)} and all",
            )
    chosen = [h for h in known.values() if h.kind in kinds or "all" in kinds]
    _confirm(chosen, age_seconds, yes)
    gone = [clear(h.kind, older_than_seconds=age_seconds) for h in chosen]
    if format in (opt.Format.json, opt.Format.jsonl):
        told = {h.kind: {"files": h.files, "size_bytes": h.size_bytes} for h in gone}
        return out.print_json({"schema": "runscope.cache/1", "home": str(home()), "cleared": told})
    for h in gone:
        print(f"{h.kind}: {h.files:,} files deleted, {readable_bytes(h.size_bytes)}")  # noqa: T201
    return None


def _confirm(chosen: list[Holding], age_seconds: float, yes: bool) -> None:
    """Ask before something is deleted that was paid for.

    Raises:
        UsageError: nobody is there to be asked.
        Abort: the answer was no.
    """
    if yes or not any(h.files for h in chosen):
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "cannot ask for confirmation: this is not a terminal", hint="add --yes to delete without asking"
        )
    what = ", ".join(f"{h.kind} ({readable_bytes(h.size_bytes)})" for h in chosen if h.files)
    since = " that was not changed for a while" if age_seconds else ""
    typer.confirm(f"delete {what}{since}?", abort=True, err=True)


def _age(text: str | None) -> float:
    """An age in seconds; 0 where none is given.

    Raises:
        UsageError: it is no age.
    """
    if text is None:
        return 0.0
    found = _AGE.match(text.strip())
    if found is None:
        raise UsageError(f"{text} is no age", hint="for example --older-than 12h, 30d or 8w")
    return float(int(found[1]) * _SECONDS[found[2]])


def _when(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    days = (time.time() - seconds) / 86_400
    return "today" if days < 1 else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _table(rows: list[tuple[str, ...]]) -> None:
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in rows[0]:
        table.add_column()
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    out.stdout().print(table)
