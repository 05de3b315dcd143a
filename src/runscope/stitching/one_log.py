"""One log as a timeline: the parts of a training that was resumed into the same log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runscope.history import Run, Timeline
from runscope.history.checkpoint import Checkpoint
from runscope.history.ending import logging_interval
from runscope.history.parts import taken_apart
from runscope.stitching.line import stitch

NEAR = 2.5
"""A join is right to about two logging intervals, and a part that goes on so near to the end of the one before it in
the same log goes on from there: nothing that was logged is dropped for the sake of noise."""
MOST_SURE = 0.99
"""What a curve alone says of a place is never surer."""


def line_of(run: Run, *, checkpoints: Sequence[Checkpoint] = ()) -> Timeline:
    """One reference as a line: the parts of a resumed training that one log holds are found and joined.

    Every verb reads a reference through this function, so that its parts read alike. Parts that belong to another
    training, or to none for sure, are left out of the line and named in a note.
    """

    if len(taken_apart(run)) == 1:
        return Timeline.of(run) if run.points else stitch([run])
    line = _from_the_end(stitch([run], checkpoints=checkpoints))
    return replace(line, notes=(*_parts_said(run, line), *line.notes))


def _from_the_end(line: Timeline) -> Timeline:
    """Parts of one log that go on where the one before ended, moved to its very end; later parts move along."""

    segments, moved = list(line.segments), 0
    for number in range(1, len(segments)):
        before, after = segments[number - 1], segments[number]
        if not (before.continues and after.continues) or after.method in (
            "global_step",
            "resume_metadata",
            "given",
        ):
            continue
        others = tuple(replace(a, offset=a.offset + moved) for a in after.alternatives)
        after = replace(
            after, offset=after.offset + moved, start=after.joined_at + moved, alternatives=others
        )
        interval = logging_interval(before.run) * before.scale
        end = round(before.run.last_step * before.scale) + before.offset
        if end - NEAR * interval <= after.joined_at <= end + NEAR * interval:
            first = round(after.run.first_step * after.scale) + after.offset
            by = round(end + logging_interval(after.run) * after.scale) - first
            moved += by
            # All places so near to the end are one: that it went on from there is as sure as they are together.
            near = [a for a in others if abs(a.offset - end) <= NEAR * interval]
            after = replace(
                after,
                offset=after.offset + by,
                start=end,
                confidence=round(min(MOST_SURE, after.confidence + sum(a.confidence for a in near)), 4),
                alternatives=tuple(a for a in others if a not in near),
            )
            segments[number - 1] = replace(before, cut=end)
        elif moved:
            segments[number - 1] = replace(before, cut=after.start)
        segments[number] = replace(after, cut=None if after.cut is None else after.cut + moved)
    return replace(line, segments=tuple(segments))


def _parts_said(run: Run, line: Timeline) -> list[str]:
    """How the parts of one log were put together."""
    joined = [s for s in line.line if s.parent is not None]
    if not joined:
        return [f"{run.name} holds {len(line.segments)} parts that do not continue one another"]
    places = ", ".join(f"{s.joined_at:,} ({s.confidence:.0%} sure)" for s in joined[:4])
    places += f" and {len(joined) - 4} more places" if len(joined) > 4 else ""
    return [
        f"{run.name} holds {len(line.segments)} parts of one training, whose steps restart: joined at {places}"
    ]
