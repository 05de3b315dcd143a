"""From curves to a probability of overfitting: what is measured of a curve, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from runscope.stats.arrays import Floats
from runscope.stats.curves import heavy_noise, smooth
from runscope.stats.overfitting.calibration import HELD_OUT, TRAIN_ONLY, probability
from runscope.stats.overfitting.turn import MATTERS, Turn, positive, scaled, turn

FEW_EVALUATIONS = 6
"""With fewer evaluations a careful practitioner hesitates, and so does the probability."""
UNSETTLED = 0.2
"""Of so few evaluations the noise is not known either: a rise that would matter is neither shown nor ruled out, and the
probability stays at the edge of what is called unclear."""
TOGETHER = 0.5
"""A training loss that rose by half of what the held-out loss rose: both went up, that is divergence."""
DOUBT = 0.3
"""What is left of the probability then: divergence is another rule's business."""
BRIEF = 0.05
"""A rise that has lasted a twentieth of the run or less is a moment as yet: many come back."""
LITTLE = 3e-3
"""A rise of 0.3% is no harm to anybody: the logarithm of the rise ends there."""
SURE_FALL = 0.01
"""A training loss that fell by less than 1% stood still."""
ONCE = 1.05
"""Passes over the data up to which no example comes twice; logged epochs are rounded."""
MANY = 4.0
"""Sixteen passes: how much oftener than that examples were seen tells no more."""
UNKNOWN_PASSES = 0.4
"""Where the epoch is not known: three passes, what public fine-tunes are trained for most often."""
LATE = 1.5
"""A fall to less than a quarter in the second half."""


@dataclass(frozen=True)
class HeldOut:
    """What a held-out curve says.

    Attributes:
        probability: of overfitting.
        turn: how it turned.
        train_fall: how far the training loss fell since the best point, in its own unit; negative: it rose.
        train_fell, train_rose: whether it did so by more than its noise.
        terms: what the calibration was given.
    """

    probability: float
    turn: Turn
    train_fall: float
    train_fell: bool
    train_rose: bool
    terms: Mapping[str, float]


def held_out(steps: Floats, value: Floats, train_steps: Floats, train_value: Floats) -> HeldOut:
    """Probability that a model overfits, from its held-out loss and its training loss.

    Args:
        steps, value: (n,) held-out loss in order of step, n ≥ 3, finite.
        train_steps, train_value: (m,) training loss, finite, at most a few thousand points; may be empty.
    """
    seen = turn(value)
    fall, error, then = _fall_since(float(steps[seen.best]), train_steps, train_value)
    # Losses that are summed over more or fewer examples than the held-out one are compared in their own size.
    scale = max(abs(seen.lowest), abs(then), 1e-300)
    doubt = error / fall if fall else 0.0
    believed = fall / (1.0 + doubt * doubt)  # products grow to infinity where powers raise
    terms = {
        "rise": float(np.log10(seen.believed + LITTLE)),
        "stays": seen.stays,
        "widens": float(np.clip(believed / scale, 0.0, 0.5)),
    }
    chance = probability(HELD_OUT, terms)
    sure = max(2 * error, SURE_FALL * abs(then))
    if seen.rise > 0 and -fall > max(TOGETHER * seen.rise * abs(seen.lowest), 2 * error):
        chance *= DOUBT
    chance *= min(1.0, seen.after / BRIEF)
    if len(value) < FEW_EVALUATIONS:
        chance *= 0.5 + 0.15 * (len(value) - 3)
        if seen.rise_share >= MATTERS and not -fall > sure:
            chance = max(chance, UNSETTLED)
    if chance >= 0.5:  # beyond a turn nothing is as good, however noisy the curve
        first, last = seen.as_good
        seen = replace(seen, as_good=(first, min(last, max(seen.onset - 1, seen.best))))
    return HeldOut(chance, seen, fall, fall > sure, -fall > sure, terms)


def _fall_since(step: float, steps: Floats, value: Floats) -> tuple[float, float, float]:
    """Fall of the training loss since a step, its standard error, and its level then."""
    if len(value) < 4:
        return 0.0, 0.0, 0.0
    seen, unit = scaled(value)
    logs = positive(value)
    level = smooth(seen, 0.02 * len(value))
    place = min(int(np.searchsorted(steps, step)), len(level) - 1)
    tenth = max(1, len(value) // 10)
    if place >= len(level) - tenth:  # nothing has come since
        return 0.0, 0.0, float(np.median(value[-tenth:]))
    then, last = float(level[place]), float(np.median(seen[-tenth:]))
    error = float(np.sqrt(2) * heavy_noise(seen) / np.sqrt(max(1.0, len(value) / 10)))
    if not logs:
        return (then - last) * unit, error * unit, then * unit
    level_then = float(np.exp(then))
    return level_then - float(np.exp(last)), error * level_then, level_then


@dataclass(frozen=True)
class TrainOnly:
    """What a training curve alone says: at most a suspicion.

    Attributes:
        probability: of overfitting.
        fall: natural logarithm of the loss in the middle over the loss at the end.
        last: loss at the end, the median of the last tenth.
        terms: what the calibration was given.
    """

    probability: float
    fall: float
    last: float
    terms: Mapping[str, float]


def train_only(value: Floats, passes: float) -> TrainOnly:
    """Probability of overfitting from the training loss: was data seen again, and did it go on falling late.

    A loss that goes on falling in its second half by a constant factor, long after the easy part is learned and while
    the same examples come again, is memorising as a rule. Everything is measured by factors, so that the loss's unit
    and size play no role: how low a loss is says nothing where its unit is not known. In a single pass over the data no
    example comes twice and the training loss is nearly a held-out loss. Stairs (OVF003) play no part: of the zoo's
    fine-tunes that show them none was worse on new examples.

    Args:
        value: (n,) training loss in order of step, finite, n ≥ 6, at most a few thousand points.
        passes: epochs trained, NaN where unknown.
    """
    seen, _ = scaled(value)
    logs = positive(value)
    level = smooth(seen, 0.02 * len(value))
    end = float(np.median(seen[-max(1, len(value) // 10) :]))
    fall = float(level[len(level) // 2]) - end if logs else 0.0
    many = UNKNOWN_PASSES if np.isnan(passes) else float(np.clip(np.log2(max(passes, 1.0)), 0.0, MANY)) / MANY
    terms = {
        "once": float(passes <= ONCE),
        "passes": many,
        "late": float(np.clip(fall, 0.0, LATE)),
    }
    last = float(np.median(value[-max(1, len(value) // 10) :]))
    return TrainOnly(probability(TRAIN_ONLY, terms), fall, last, terms)


METRIC_STEEP = 4.0
"""Log odds for ten times the difference that matters; checked, not fitted, on the zoo's trainings with a metric."""


def by_metric(turned: Turn, matters: float, evaluations: int) -> float:
    """Probability that a metric ends worse than its best in a way that matters.

    Args:
        turned: of the metric, oriented so that lower is better and judged by differences.
        matters: the smallest difference that matters, in the metric's unit.
        evaluations: how many values there are.
    """
    believed = turned.believed * turned.unit
    odds = METRIC_STEEP * float(np.log10((believed + 0.1 * matters) / (1.1 * matters))) - (1 - turned.stays)
    chance = float(1 / (1 + np.exp(-odds))) * min(1.0, turned.after / BRIEF)
    return chance * (0.5 + 0.15 * (evaluations - 3)) if evaluations < FEW_EVALUATIONS else chance
