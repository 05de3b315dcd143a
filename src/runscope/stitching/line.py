"""Put runs end to end: the line, its dead tails, its gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runscope.errors import UsageError
from runscope.history import Gap, Run, Segment, Timeline
from runscope.hub.checkpoint import Checkpoint
from runscope.stitching.join import Join, decide, line_of
from runscope.stitching.order import in_order, taken_apart

GAP_INTERVALS = 2.5
"""A hole of more than so many logging intervals between two runs is a gap: something was not logged."""


def stitch(
    runs: Sequence[Run],
    *,
    checkpoints: Sequence[Checkpoint] = (),
    at: Sequence[int] | None = None,
    force: bool = False,
    scale: Sequence[float] | None = None,
) -> Timeline:
    """Find which run continues which and from what step, and join them on one axis.

    Args:
        runs: in any order.
        checkpoints: saved states of the training: a run can only start from one.
        at: continuous start step of each run after the first, decided by hand; the runs are then taken in
            the order in which they are given.
        force: join even what seems unrelated.
        scale: continuous steps per own step of each run after the first.

    Returns:
        The line. Runs that continue nothing come as segments with ``continues=False``.

    Raises:
        UsageError: no runs, or ``at`` or ``scale`` have not one value for each run after the first.
    """
    # Steps given by hand belong to the runs in the order in which those were named.
    ordered = in_order(runs) if at is None else [part for run in runs for part in taken_apart(run)]
    _check(ordered, at, "at")
    _check(ordered, scale, "scale")
    joined = [Join(Segment(ordered[0], evidence=("it is the first",)), ordered[0].first_step)]
    strangers: list[Segment] = []
    for number, run in enumerate(ordered[1:]):
        given = None if at is None else at[number]
        join = _place(
            joined[-1].segment, run, checkpoints, given, force, None if scale is None else scale[number]
        )
        if join.segment.continues:
            joined.append(join)
        else:
            strangers.append(join.segment)
    segments = _cut(joined)
    notes = [f"{s.run.name} continues none of the others: {'; '.join(s.evidence[:2])}" for s in strangers]
    return Timeline((*segments, *strangers), _gaps(segments, joined), tuple(notes))


def _check(runs: Sequence[Run], values: Sequence[float] | None, name: str) -> None:
    if not runs:
        raise UsageError("there is nothing to stitch", hint="name at least one run")
    if values is not None and len(values) != len(runs) - 1:
        raise UsageError(
            f"--{name} has {len(values)} values for {len(runs) - 1} joins",
            hint=f"give --{name} once for each run after the first",
        )


def _place(
    before: Segment,
    run: Run,
    checkpoints: Sequence[Checkpoint],
    at: int | None,
    force: bool,
    scale: float | None,
) -> Join:
    if at is None:
        join = decide(before, run, checkpoints)
        if not join.segment.continues and force:
            join = _forced(before, run, checkpoints)
    else:
        # A run whose own counter goes on already counts in continuous steps.
        offset = 0 if decide(before, run, checkpoints).segment.method == "global_step" else at
        join = Join(Segment(run, offset=offset, method="given", evidence=("the step was given by hand",)), at)
    if scale is not None:
        join = Join(replace(join.segment, scale=scale), join.start)
    return join


def _forced(before: Segment, run: Run, checkpoints: Sequence[Checkpoint]) -> Join:
    """Join a run that seems unrelated: as if it had no name and no configuration of its own."""
    relative = replace(run, name=before.run.name, config=dict(before.run.config))
    join = decide(before, relative, checkpoints)
    offset = join.segment.offset if join.segment.continues else line_of(before).last_step
    start = join.start if join.segment.continues else offset
    segment = Segment(
        run, offset=offset, method="given", confidence=1.0, evidence=("the join was forced by hand",)
    )
    return Join(segment, start)


def _cut(joined: list[Join]) -> list[Segment]:
    """Cut each segment where the first later one starts: what it logged after that is its dead tail."""
    segments = []
    for number, join in enumerate(joined):
        later = [j.start for j in joined[number + 1 :]]
        segments.append(replace(join.segment, cut=min(later)) if later else join.segment)
    return segments


def _gaps(segments: list[Segment], joined: list[Join]) -> tuple[Gap, ...]:
    gaps = []
    for before, after, join in zip(segments, segments[1:], joined[1:], strict=False):
        interval = line_of(before).interval
        if join.start - before.last_step > GAP_INTERVALS * interval and before.last_step < after.first_step:
            gaps.append(Gap(before.last_step, after.first_step))
    return tuple(gaps)
