"""Put checkpoints on the continuous axis of a stitched line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from runscope.history import Segment, Timeline
from runscope.hub.checkpoint import Checkpoint

CLOCK_SLACK_SECONDS = 120.0
"""A push ends after the step it holds: a commit may be so much later than the run's last log."""


def place(checkpoints: Sequence[Checkpoint], timeline: Timeline) -> tuple[Checkpoint, ...]:
    """Give each checkpoint its continuous step, epoch and run.

    Own steps begin again after a restart. The run that saved a checkpoint is told by the commit's time; where
    times are missing, by the order: when own steps go back, the next run has begun.
    """
    line = timeline.line
    if not line:
        return tuple(checkpoints)
    placed = []
    session = 0
    before: int | None = None
    for checkpoint in checkpoints:
        if checkpoint.own_step is not None:
            if before is not None and checkpoint.own_step < before and session < len(line) - 1:
                session += 1
            before = checkpoint.own_step
        segment = _by_time(checkpoint, line) or line[session]
        session = max(session, line.index(segment))
        placed.append(_placed(checkpoint, segment, timeline))
    return tuple(placed)


def _by_time(checkpoint: Checkpoint, line: tuple[Segment, ...]) -> Segment | None:
    """The last run that had begun when the commit was made."""
    starts = [s.run.started_at for s in line]
    if checkpoint.saved_at is None or any(start is None for start in starts):
        return None
    begun = [
        s for s, start in zip(line, starts, strict=True) if start is not None and start <= checkpoint.saved_at
    ]
    return begun[-1] if begun else None


def _placed(checkpoint: Checkpoint, segment: Segment, timeline: Timeline) -> Checkpoint:
    own = checkpoint.own_step
    notes = list(checkpoint.notes)
    if own is None:
        step = _step_at(checkpoint.saved_at, segment)
        source = "commit_time" if step is not None else "unknown"
    else:
        step = round(segment.scale * own) + segment.offset
        source = checkpoint.step_source
    if step is None:
        return checkpoint
    if segment.cut is not None and step > segment.cut:
        notes.append("saved in a dead tail: nothing was trained on from here")
    epoch = float(timeline.epoch_at([step])[0])
    return replace(
        checkpoint,
        step=step,
        step_source=source,  # type: ignore[arg-type]
        epoch=checkpoint.epoch if np.isnan(epoch) else round(epoch, 3),
        run_id=segment.run.id,
        notes=tuple(notes),
    )


def _step_at(when: float | None, segment: Segment) -> int | None:
    """The step that the run had reached at a time."""
    loss = segment.run.role("train_loss")
    if when is None or loss is None or not len(loss) or not np.isfinite(loss.time).all():
        return None
    if when < loss.time[0] or when > loss.time[-1] + 10 * CLOCK_SLACK_SECONDS:
        return None
    own = int(loss.step[max(0, int(np.searchsorted(loss.time, when, side="right")) - 1)])
    return round(segment.scale * own) + segment.offset
