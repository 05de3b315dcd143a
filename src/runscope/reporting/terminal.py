"""What runscope says, on a terminal. Names and texts of runs are shown as text, never as markup."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runscope.history import Run, Series, Timeline
from runscope.reporting.braille import loss_chart

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(series: Series, width: int = 32) -> str:
    """A curve in one line; ``!`` marks a stretch that holds a value that is not a number."""
    if not len(series):
        return ""
    parts = np.array_split(series.value, min(width, len(series)))
    known = series.value[np.isfinite(series.value)]
    low, span = (float(known.min()), float(np.ptp(known)) or 1.0) if len(known) else (0.0, 1.0)
    marks = []
    for part in parts:
        finite = part[np.isfinite(part)]
        whole = len(finite) == len(part)
        marks.append(_BARS[int(7 * (finite.mean() - low) / span)] if whole else "!")
    return "".join(marks)


def print_run(console: Console, run: Run) -> None:
    """What a run holds."""
    console.print(
        Text(
            f"{run.name}  {run.source}, {run.state}, steps {run.first_step:,} to {run.last_step:,} ({run.step_key})"
        )
    )
    role_of = {name: role for role, name in run.roles.items()}
    table = Table(box=None, pad_edge=False)
    for heading in ("metric", "role", "points", "last", "curve"):
        table.add_column(heading, justify="right" if heading in ("points", "last") else "left")
    for name, series in sorted(run.series.items(), key=lambda item: (item[0] not in role_of, item[0])):
        last = f"{series.value[-1]:.4g}" if len(series) else ""
        table.add_row(Text(name), role_of.get(name, ""), f"{len(series):,}", last, sparkline(series))
    console.print(table)
    for note in run.notes:
        console.print(Text(f"note: {note}"))


def print_timeline(console: Console, line: Timeline) -> None:
    """The segments, the evidence in words, and the loss as one curve."""
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "steps", "from", "sure", "method", "dead tail"):
        table.add_column(heading)
    for s in line.segments:
        if s.continues:
            row = (f"{s.first_step:,} to {s.last_step:,}", f"+{s.offset:,}", f"{s.confidence:.0%}", s.method)
            table.add_row(Text(s.run.name), *row, f"{s.dropped_points:,} points" if s.dropped_points else "")
        else:
            table.add_row(Text(s.run.name), "another training", "", f"{s.confidence:.0%}", "", "")
    console.print(table)
    for s in line.segments[1:]:
        for reason in s.evidence[:3]:
            console.print(Text(f"  {s.run.name}: {reason}"))
    loss = line.role("train_loss")
    if console.is_terminal:
        _print_loss(console, line)
    elif loss is not None and len(loss):
        console.print(Text(f"loss  {sparkline(loss, 60)}  {loss.value[0]:.3g} to {loss.value[-1]:.3g}"))
    for note in line.notes:
        console.print(Text(f"note: {note}"))


def _print_loss(console: Console, line: Timeline) -> None:
    """The loss as a chart, for people: a pipe or a file gets none."""
    for row in loss_chart(line, width=min(console.width, 110)):
        console.print(row, no_wrap=True)
