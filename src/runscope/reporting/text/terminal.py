"""What runscope says, on a terminal. Names and texts of runs are shown as text, never as markup."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runscope.history import Segment, Timeline
from runscope.reporting.text.braille import loss_chart
from runscope.reporting.text.run import sparkline
from runscope.rules import View
from runscope.rules.resume.answers import answers

SURE = 0.95
"""Below this the other places are said too."""


def print_timeline(console: Console, line: Timeline, *, refused: bool = False) -> None:
    """The segments, the evidence in words, and the loss as one curve.

    Args:
        console: where to.
        line: what is shown.
        refused: an error that follows says why a run continues none of the others.
    """
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "steps", "from", "sure", "method", "discarded tail"):
        table.add_column(heading)
    for s in line.segments:
        if s.continues:
            steps = "a branch, not kept" if s.is_branch else f"{s.first_step:,} to {s.last_step:,}"
            begun = f"{s.joined_at if s.parent else s.offset:,}"
            row = (steps, begun, f"{s.confidence:.0%}", s.method)
            table.add_row(Text(s.run.title), *row, _tail(s))
        else:
            table.add_row(Text(s.run.title), "another training", "", f"{s.confidence:.0%}", "", "")
    console.print(table)
    for s in (s for s in line.segments[1:] if s.continues):
        for reason in s.evidence[:3]:
            console.print(Text(f"  {s.run.title}: {reason}"))
        if s.alternatives and s.confidence < SURE:
            others = " or ".join(f"step {a.offset:,} ({a.confidence:.0%})" for a in s.alternatives[:2])
            console.print(Text(f"  {s.run.title}: it may also have started from {others}"))
    for told in answers(View(line)):
        console.print(
            Text(f"  {told.resume.name}: resumed at step {told.resume.join.start:,.0f}: {told.short}")
        )
    loss = line.role("train_loss")
    if console.is_terminal:
        _print_loss(console, line)
    elif loss is not None and len(loss):
        console.print(Text(f"loss  {sparkline(loss, 60)}  {loss.value[0]:.3g} to {loss.value[-1]:.3g}"))
    strangers = tuple(f"{s.run.name} continues none of" for s in line.segments if not s.continues)
    for note in line.notes:
        if refused and strangers and note.startswith(strangers):
            continue
        console.print(Text(f"note: {note}"))


def _tail(segment: Segment) -> str:
    """What is not kept of a run, in steps: how many metrics were logged at each is no matter."""
    steps = segment.discarded_steps
    if not len(steps):
        return ""
    return f"steps {steps[0]:,} to {steps[-1]:,}, {len(steps):,} row{'s' if len(steps) > 1 else ''}"


def _print_loss(console: Console, line: Timeline) -> None:
    """The loss as a chart, for people: a pipe or a file gets none."""
    for row in loss_chart(line, width=min(console.width, 110)):
        console.print(row, no_wrap=True)
