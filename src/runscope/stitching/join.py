"""Decide where one run continues a line, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from runscope.history import Alternative, Run, Segment, Series
from runscope.hub.checkpoint import Checkpoint
from runscope.stitching import counters, curves
from runscope.stitching.evidence import Candidate, Line, interval_of, normalise, sigmoid
from runscope.stitching.kinship import kinship
from runscope.stitching.saves import saved_states

COUNTER_SURE = {"resume_metadata": 0.995, "global_step": 0.99, "epoch": 0.97, "tokens": 0.98}
"""How often a counter that goes on is right, on interrupted runs with a known join."""


@dataclass(frozen=True)
class Join:
    """Where a run continues, or that it does not.

    Attributes:
        segment: the run, placed; its cut is set later.
        start: continuous step of the state it began from.
    """

    segment: Segment
    start: int


def line_of(segment: Segment) -> Line:
    """What a later run is held against: one segment on the continuous axis."""
    run = segment.run

    def placed(role: str) -> Series | None:
        series = run.role(role)
        return None if series is None else segment.place(series.finite.sorted())

    loss = placed("train_loss")
    last = int(loss.step[-1]) if loss is not None and len(loss) else segment.last_step
    interval, rate = interval_of(loss), placed("learning_rate")
    return Line(run, loss, placed("epoch"), placed("tokens"), segment.first_step, last, interval, rate)


def decide(before: Segment, run: Run, checkpoints: Sequence[Checkpoint] = ()) -> Join:
    """Place a run behind a segment: weigh every candidate and the chance that they are strangers."""
    line = line_of(before)
    odds, kin = kinship(line, run)
    for counter in (counters.recorded, counters.global_step, counters.epochs, counters.tokens):
        found = counter(line, run)
        if found:
            return _by_counter(run, _snapped(found[0], line, run, checkpoints), odds, kin)
    candidates = saved_states(line, run, checkpoints)
    curves.weigh(line, run.role("train_loss"), candidates, run.role("learning_rate"))
    shares = normalise(candidates)
    ranked = sorted(zip(candidates, shares, strict=True), key=lambda pair: -pair[1])
    best, share = ranked[0]
    related = sigmoid(odds)
    if related < 0.5:
        return _stranger(run, related, kin)
    others = tuple(Alternative(c.offset, round(s * related, 4)) for c, s in ranked[1:5] if s > 0.005)
    method = "curve" if best.offset != candidates[0].offset else best.method
    segment = Segment(
        run,
        offset=best.offset,
        scale=best.scale,
        method=method,
        confidence=round(min(0.99, share * related), 4),
        evidence=(*best.why, *kin),
        alternatives=others,
    )
    return Join(segment, best.join)


def _by_counter(run: Run, best: Candidate, odds: float, kin: list[str]) -> Join:
    # A counter that goes on is itself evidence of kinship: an unrelated run begins at zero.
    related = sigmoid(odds + 3.0)
    if related < 0.5:
        return _stranger(run, related, kin)
    segment = Segment(
        run,
        offset=best.offset,
        scale=best.scale,
        method=best.method,
        confidence=round(COUNTER_SURE[best.method] * related, 4),
        evidence=(*best.why, *kin),
    )
    return Join(segment, best.join)


def _stranger(run: Run, related: float, kin: list[str]) -> Join:
    against = tuple(k for k in kin if "differ" in k or "far from" in k or "only one" in k) or tuple(kin)
    segment = Segment(
        run, continues=False, confidence=round(1 - related, 4), method="start", evidence=against
    )
    return Join(segment, 0)


def _snapped(found: Candidate, line: Line, run: Run, checkpoints: Sequence[Checkpoint]) -> Candidate:
    """A clock is rounded: a saved state within one logging interval of it is where the run began."""
    if found.method not in ("epoch", "tokens", "global_step"):
        return found
    near = max(line.interval, interval_of(run.role("train_loss")) * found.scale)
    states = [c for c in saved_states(line, run, checkpoints) if c.weights["saved"] < 0 or "that" in c.why[0]]
    close = min(states, key=lambda c: abs(c.offset - found.join), default=None)
    if close is None or abs(close.offset - found.join) > near:
        return found
    why = [*found.why, f"a state was saved at step {close.offset:,}"]
    if found.method == "global_step":
        return replace(found, start=close.offset, why=why)
    return replace(found, offset=close.offset, why=why)
