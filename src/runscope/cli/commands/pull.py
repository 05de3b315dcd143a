"""``runscope pull``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.cli.progress import progress

if TYPE_CHECKING:
    from runscope.sources.wandb_cloud.pull import Pulled


def pull(
    project: Annotated[str, typer.Argument(metavar="ENTITY/PROJECT", help="W&B project, or its address.")],
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state", metavar="STATE", help="Only runs that are finished, running, crashed, … May repeat."
        ),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="Only runs with this tag; given twice, with both."),
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", metavar="GROUP", help="Only runs of this group.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="PATTERN", help="Only runs whose name or id fits, e.g. 'sft-*'."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="Only runs created since: 2026-11-01, or 36h, 7d, 2w ago."
        ),
    ] = None,
    format: opt.FormatOption = opt.Format.text,
    refresh: opt.RefreshOption = False,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> int:
    """Bring the runs of a W&B project into the store, at full resolution.

    Every other command then reads them from there. A second pull asks only what has changed: of a run that
    went on it fetches the new rows, of a finished one nothing. One that was interrupted goes on where it stopped.

    Examples:

      runscope pull me/pricer

      runscope pull me/pricer --state finished --tag sft --since 30d
    """
    from runscope import api

    with progress(quiet) as update:
        pulled = api.pull(
            project, states=state or (), tags=tag or (), group=group, name=name, since=since, refresh=refresh,
            progress=update,
        )  # fmt: skip
    if format is opt.Format.json:
        out.print_json(_as_json(pulled))
    elif format is opt.Format.jsonl:
        for run in pulled.runs:
            out.print_json({k: v for k, v in asdict(run).items() if v is not None}, line=True)
    else:
        _print(pulled, format)
    return 2 if pulled.counts["failed"] else 0


def _as_json(pulled: Pulled) -> dict[str, Any]:
    runs = [{k: v for k, v in asdict(run).items() if v is not None} for run in pulled.runs]
    return {"schema": "runscope.pull/1", "project": pulled.project, **pulled.counts, "runs": runs}


def _print(pulled: Pulled, format: opt.Format) -> None:
    changed = [run for run in pulled.runs if run.outcome not in ("unchanged", "empty")]
    lines = [(r.reference, r.name, r.state, r.outcome, r.error or f"{r.values:,} values") for r in changed]
    if format is opt.Format.markdown:
        from runscope.reporting.text.escaping import markdown_table

        out.print_text(markdown_table(("run", "name", "state", "outcome", ""), lines) + "\n")
    elif lines:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_header=False)
        for _ in range(5):
            table.add_column()
        for line in lines:
            table.add_row(*(Text(cell) for cell in line))
        out.stdout().print(table)
    out.print_text(_summary(pulled) + "\n")


def _summary(pulled: Pulled) -> str:
    """One line: what was done."""
    if not pulled.runs:
        return f"{pulled.project} has no run that fits"
    counts = ", ".join(f"{n} {outcome}" for outcome, n in pulled.counts.items() if n)
    values = sum(run.values for run in pulled.runs)
    return f"{len(pulled.runs)} runs of {pulled.project}: {counts}; {values:,} values in the store"
