"""Put checkpoints on the continuous axis of a stitched line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from runscope.history import Segment, Timeline
from runscope.history.checkpoint import DEAD_TAIL, Checkpoint, StepSource
from runscope.hub.titles import read_title

CLOCK_SLACK_SECONDS = 1200.0
"""A push ends after the step it holds: a commit may be so much later than the run's last log."""
LARGEST_DELAY_SECONDS = 3600.0
"""A push that took longer tells nothing of how long others took."""

OWN_SOURCES: tuple[StepSource, ...] = ("title", "folder", "trainer_state")
"""How a step is known that the run itself counted; not by what stands elsewhere with the same weights."""


def place(checkpoints: Sequence[Checkpoint], timeline: Timeline) -> tuple[Checkpoint, ...]:
    """Give each checkpoint its continuous step, epoch and run.

    Own steps begin again after a restart. The run that saved a checkpoint is told by the commit's time; where
    times are missing, by the order: when own steps go back, the next run has begun. A checkpoint that names no step
    gets one from the epoch in its title, from «End of training», or from its commit's time against the run's clock,
    less the time that pushes of known steps took.
    """
    line = timeline.line
    if not line:
        return tuple(checkpoints)
    placed = []
    session = 0
    before: int | None = None
    segments = []
    for checkpoint in checkpoints:
        if checkpoint.own_step is not None:
            if before is not None and checkpoint.own_step < before and session < len(line) - 1:
                session += 1
            before = checkpoint.own_step
        segment = _by_time(checkpoint, line) or line[session]
        session = max(session, line.index(segment))
        segments.append(segment)
    delay = _delay(list(zip(checkpoints, segments, strict=True)))
    for checkpoint, segment in zip(checkpoints, segments, strict=True):
        placed.append(_placed(checkpoint, segment, timeline, delay))
    return tuple(placed)


def starts_again(checkpoints: Sequence[Checkpoint]) -> bool:
    """Whether own steps go back from one commit to a later one: more than one run saved here."""
    saved = [
        c for c in checkpoints
        if c.own_step is not None and c.saved_at is not None and c.changed and c.step_source in OWN_SOURCES
    ]  # fmt: skip
    return any((b.own_step or 0) < (a.own_step or 0) and b.revision != a.revision for a, b in pairwise(saved))


def _by_time(checkpoint: Checkpoint, line: tuple[Segment, ...]) -> Segment | None:
    """The last run that had begun when the commit was made."""
    starts = [s.run.started_at for s in line]
    if checkpoint.saved_at is None or any(start is None for start in starts):
        return None
    begun = [
        s for s, start in zip(line, starts, strict=True) if start is not None and start <= checkpoint.saved_at
    ]
    return begun[-1] if begun else None


def _delay(pairs: Sequence[tuple[Checkpoint, Segment]]) -> float:
    """Median seconds from a known step's log to its commit; 0 where none is known."""
    found = []
    for checkpoint, segment in pairs:
        clock = _clock(segment)
        if checkpoint.own_step is None or checkpoint.saved_at is None or clock is None:
            continue
        steps, times = clock
        if steps[0] <= checkpoint.own_step <= steps[-1]:
            seconds = checkpoint.saved_at - float(np.interp(checkpoint.own_step, steps, times))
            if 0 <= seconds <= LARGEST_DELAY_SECONDS:
                found.append(seconds)
    return float(np.median(found)) if found else 0.0


def _placed(checkpoint: Checkpoint, segment: Segment, timeline: Timeline, delay: float) -> Checkpoint:
    step, source = _step(checkpoint, segment, timeline, delay)
    if step is None:
        return checkpoint
    notes = checkpoint.notes
    if segment.cut is not None and step > segment.cut:
        notes = (*notes, DEAD_TAIL)
    epoch = float(timeline.epoch_at([step])[0])
    return replace(
        checkpoint,
        step=step,
        step_source=source,
        epoch=checkpoint.epoch if np.isnan(epoch) else round(epoch, 3),
        run_id=segment.run.id,
        notes=notes,
    )


def _step(
    checkpoint: Checkpoint, segment: Segment, timeline: Timeline, delay: float
) -> tuple[int | None, StepSource]:
    if checkpoint.own_step is not None:
        return round(segment.scale * checkpoint.own_step) + segment.offset, checkpoint.step_source
    at = None if checkpoint.saved_at is None else _step_at(checkpoint.saved_at - delay, segment)
    named = checkpoint.epoch
    if named is not None:
        step = _step_of_epoch(named, at, timeline)
        if step is not None:
            return step, "epoch"
    if read_title(checkpoint.title).end and segment is timeline.line[-1] and _just_ended(checkpoint, segment):
        return segment.last_step, "title"
    return at, "commit_time" if at is not None else "unknown"


def _just_ended(checkpoint: Checkpoint, segment: Segment) -> bool:
    """Whether a commit was made when a run that was not broken off had come to its end."""
    run = segment.run
    if run.state != "finished":
        return False
    if checkpoint.saved_at is None or run.ended_at is None:
        return True
    return -CLOCK_SLACK_SECONDS <= checkpoint.saved_at - run.ended_at <= LARGEST_DELAY_SECONDS


def _step_of_epoch(epoch: float, near: int | None, timeline: Timeline) -> int | None:
    """The step at an epoch that a title names.

    The Trainer cuts the epoch down to a whole number: one saved at 2.998 is called 2. Of the two readings, the one
    nearer to the commit's time is taken; without a time, the number as it stands.
    """
    epochs = timeline.epochs
    if epochs is None or len(epochs) < 2:
        return None
    rows = epochs.finite.sorted()
    span = float(np.max(np.diff(rows.value), initial=0.0))
    readings = (epoch, epoch + 1) if near is not None and epoch == int(epoch) else (epoch,)
    found = [
        int(np.rint(np.interp(reading, rows.value, rows.step)))
        for reading in readings
        if rows.value[0] - span <= reading <= rows.value[-1] + span
    ]
    return min(found, key=lambda step: abs(step - (near if near is not None else step)), default=None)


def _clock(segment: Segment) -> tuple[np.ndarray, np.ndarray] | None:
    """Own steps and their times of what a run logged most often; None where it kept no times."""
    loss = segment.run.role("train_loss")
    if loss is None or len(loss) < 2 or not np.isfinite(loss.time).all():
        return None
    ordered = loss.sorted()
    return ordered.step, ordered.time


def _step_at(when: float, segment: Segment) -> int | None:
    """The continuous step that the run had reached at a time."""
    clock = _clock(segment)
    if clock is None:
        return None
    steps, times = clock
    if when < times[0] or when > times[-1] + CLOCK_SLACK_SECONDS:
        return None
    own = int(steps[max(0, int(np.searchsorted(times, when, side="right")) - 1)])
    return round(segment.scale * own) + segment.offset
