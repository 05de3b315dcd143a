"""What the curves say: a run that continues another begins at the level where the other stood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
OFTEN_OFF, FURTHER_OFF = 0.2, 2.0
"""One in five restarts is taken to shift the level by about twice the noise of a logged loss."""
LIVELIER = 20.0
"""Half of those also move so much faster than the line did at its end, as variance: a high rate again."""
MOST_AGAINST = -6.0
"""The curve alone says at most 400 to 1 that two runs are strangers: names and settings have a say too."""
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


@dataclass(frozen=True)
class Head:
    """First points of a later run's curve as block means: own steps, means, the variance of each, and how many
    points each holds."""

    x: Floats
    mean: Floats
    noise: float
    size: float


@dataclass(frozen=True)
class Heads:
    """First points of a later run: of its loss, and of the gradient norm's logarithm; None where not logged."""

    loss: Head | None
    grad: Head | None


def heads(after: Profile, taken: int) -> Heads:
    """The first ``taken`` points of a run, as the lines that it may continue are held against them."""
    return Heads(_head(after.curve, after.loss, taken), _head(after.grad_curve, after.grad, taken))


def _head(curve: Curve | None, logged: Series | None, taken: int) -> Head | None:
    if curve is None or logged is None or len(logged) < 4:
        return None
    first = curve.x <= logged.step[min(taken, len(logged)) - 1]
    if first.sum() < 4:
        first[:4] = True
    own, value = curve.x[first], calm(curve.y[first])
    x, mean, size = blocks(own, value, MOST_BLOCKS)
    seen = fit_level(own, value, curve.each)
    size *= curve.each
    return Head(x, mean, (seen.noise if seen else np.nan) / size, size)


def weigh(
    line: Reference, later: Heads, candidates: list[Candidate], places: list[float], scale: float
) -> float | None:
    """Add to each candidate the likelihood of the later run's first losses and gradient norms.

    Args:
        line: what they are held against.
        later: the later run's first points.
        candidates: where it may have begun.
        places: the same on the line's axis.
        scale: steps of the line per step of the later run.

    Returns:
        Log-likelihood that the later run begins where the line *began*: that it is a training from scratch.
        Comparable with the weights that were added. None where no curve could be compared.
    """
    begin = np.array([*places, line.origin], dtype=np.float64)
    loss = _channel(line.loss, later.loss, begin, scale)
    grad = _channel(line.grad, later.grad, begin, scale)
    for number, candidate in enumerate(candidates):
        if loss is not None:
            candidate.weights["loss"] = float(loss[number])
        if grad is not None:
            candidate.weights["grad_norm"] = SECOND_CHANNEL * float(grad[number])
    if loss is None and grad is None:
        return None
    return sum(float(w * c[-1]) for c, w in ((loss, 1.0), (grad, SECOND_CHANNEL)) if c is not None)


def kin(line: Reference, later: Heads, place: float, scale: float) -> float:
    """Log-odds, at most 0, that a run which begins at a place of a line continues it, against any other run.

    A continued run begins near the level of its saved state, sometimes further off (another learning rate, a new
    optimiser); another training begins anywhere in the range that the line went through.
    """
    level, head = line.loss, later.loss
    if level is None or head is None:
        return 0.0
    begin = np.array([place])
    span = max(float(np.ptp(level.mean)) / float(np.sqrt(level.noise)), 5 * FURTHER_OFF)

    def shifted(by: float, drift: float = AFTER_RESTART.drift) -> float:
        found = _channel(level, head, begin, scale, replace(AFTER_RESTART, shift=by, drift=drift))
        return 0.0 if found is None else float(found[0])

    near, off, livelier = shifted(AFTER_RESTART.shift), shifted(FURTHER_OFF), shifted(FURTHER_OFF, LIVELIER)
    continues = np.logaddexp(
        np.log(1 - OFTEN_OFF) + near, np.log(OFTEN_OFF / 2) + np.logaddexp(off, livelier)
    )
    # Another training may also be in its own first, steep part: it goes through half the range as it is compared.
    through = (span / 2) ** 2 * level.noise / max(level.walk * scale * float(head.x[-1]), 1e-300)
    other = np.logaddexp(shifted(span), shifted(span, max(through, AFTER_RESTART.drift))) - np.log(2)
    return float(np.clip(continues - other, MOST_AGAINST, 0.0))


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
    level: Level | None, head: Head | None, begin: Floats, scale: float, how: Continuation = AFTER_RESTART
) -> Floats | None:
    """Log-likelihood of one metric's first points for every place; None where too little was logged."""
    if level is None or head is None:
        return None
    # Another batch or logging interval averages more or fewer samples: its own noise counts, within reason.
    each = level.noise / head.size
    noise = float(np.clip(head.noise, each / 4, each * 4)) if np.isfinite(head.noise) else each
    return log_likelihood(level, begin, scale, head.x, head.mean, noise, how)
