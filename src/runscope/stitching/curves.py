"""What the curves say: a run that continues another begins at the level where the other stood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runscope.history import Series
from runscope.stats.arrays import Floats
from runscope.stats.level import Continuation, Level, blocks, calm, fit_level, log_likelihood
from runscope.stitching.evidence import Candidate
from runscope.stitching.profile import Curve, Profile

FIRST_POINTS = 24
"""How many of the later run's first points are compared at least; then its own learning takes over."""
MOST_BLOCKS = 48
"""More points are compared as block means, where the earlier run logged the same steps in its dead tail."""
NEWEST = 12
"""The compared stretch reaches from so many saved states before the end of the earlier run to that end."""
AFTER_RESTART = Continuation(shift=0.25, drift=0.5, freedom=2.0)
"""Chosen on simulated restarts of 83 real curves from 25 repositories: with these the posterior is calibrated
(``docs/stitching.md``); the result hardly changes when they are halved or doubled."""
SECOND_CHANNEL = 0.5
"""Weight of the gradient norm: it moves together with the loss, so that the two are not independent."""


def points_to_compare(before: Profile, after: Profile, candidates: list[Candidate]) -> int:
    """How many of the later run's first points say something: those that the earlier run logged too, and a few."""
    if after.loss is None or not candidates:
        return FIRST_POINTS
    newest = sorted(c.offset for c in candidates)[-NEWEST:]
    own = (before.last_step - newest[0]) / candidates[0].scale
    return max(FIRST_POINTS, int(np.searchsorted(after.loss.step, own)))


@dataclass(frozen=True)
class Reference:
    """Levels of an earlier line on its continuous axis: of the loss, and of the gradient norm's logarithm."""

    loss: Level | None
    grad: Level | None
    origin: float


def reference(parts: Sequence[tuple[Profile, float, float, float]]) -> Reference:
    """The levels of a line.

    Args:
        parts: its runs in order: profile, offset, scale, and the continuous step up to which it counts.
    """
    first, offset, scale, _ = parts[0]
    origin = scale * (first.first_step - first.interval) + offset
    loss = _joined([(p.curve, o, s, e) for p, o, s, e in parts])
    return Reference(loss, _joined([(p.grad_curve, o, s, e) for p, o, s, e in parts]), origin)


def _joined(parts: Sequence[tuple[Curve | None, float, float, float]]) -> Level | None:
    x, y, each = [], [], []
    for curve, offset, scale, end in parts:
        if curve is not None:
            place = scale * curve.x + offset
            kept = place <= end
            x.append(place[kept])
            y.append(curve.y[kept])
            each.append(np.full(int(kept.sum()), curve.each))
    if not x:
        return None
    order = np.argsort(np.concatenate(x), kind="stable")
    return fit_level(np.concatenate(x)[order], np.concatenate(y)[order], float(np.mean(np.concatenate(each))))


def weigh(
    line: Reference,
    after: Profile,
    candidates: list[Candidate],
    places: list[float],
    scale: float,
    taken: int,
) -> float | None:
    """Add to each candidate the likelihood of the later run's first losses and gradient norms.

    Args:
        line: what they are held against.
        after: the later run.
        candidates: where it may have begun.
        places: the same on the line's axis.
        scale: steps of the line per step of the later run.
        taken: how many points of the later run are compared.

    Returns:
        Log-likelihood that the later run begins where the line *began*: that it is a training from scratch.
        Comparable with the weights that were added. None where no curve could be compared.
    """
    begin = np.array([*places, line.origin], dtype=np.float64)
    loss = _channel(line.loss, after.loss, False, begin, scale, taken)
    grad = _channel(line.grad, after.grad, True, begin, scale, taken)
    for number, candidate in enumerate(candidates):
        if loss is not None:
            candidate.weights["loss"] = float(loss[number])
        if grad is not None:
            candidate.weights["grad_norm"] = SECOND_CHANNEL * float(grad[number])
    if loss is None and grad is None:
        return None
    return sum(float(w * c[-1]) for c, w in ((loss, 1.0), (grad, SECOND_CHANNEL)) if c is not None)


def explain(before: Profile, after: Profile, candidate: Candidate) -> str:
    """How the later run's first losses lie to the earlier curve at a candidate; empty where nothing can be said."""
    level, loss = before.level, after.loss
    if level is None or loss is None or len(loss) < 4:
        return ""
    taken = min(FIRST_POINTS, len(loss))
    place = candidate.offset + candidate.scale * loss.step[:taken]
    off = float(np.mean(calm(loss.value)[:taken] - np.interp(place, level.x, level.mean)))
    error = float(np.sqrt(level.noise / taken + np.interp(place[0], level.x, level.variance)))
    if abs(off) <= 3 * error:
        return "its first losses lie where the run before stood after that step"
    where = "above" if off > 0 else "below"
    return f"its first losses lie {abs(off):.3g} {where} the run before after that step"


def _channel(
    level: Level | None, after: Series | None, logarithm: bool, begin: Floats, scale: float, taken: int
) -> Floats | None:
    """Log-likelihood of one metric's first points for every place; None where too little was logged."""
    if level is None or after is None or len(after) < 4:
        return None
    head = after.between(None, int(after.step[min(taken, len(after)) - 1]))
    own = head.step.astype(np.float64)
    value = calm(np.log(head.value) if logarithm else head.value)
    x, mean, size = blocks(own, value, MOST_BLOCKS)
    seen = fit_level(own, value)
    # Another batch or logging interval averages more or fewer samples: its own noise counts, within reason.
    noise = float(np.clip(seen.noise if seen else level.noise, level.noise / 4, level.noise * 4))
    return log_likelihood(level, begin, scale, x, mean, noise / size, AFTER_RESTART)
