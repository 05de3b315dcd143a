"""From curves to a probability of overfitting: what is measured of a curve, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from runscope.stats.arrays import Floats
from runscope.stats.calibration import HELD_OUT, TRAIN_ONLY, probability
from runscope.stats.curves import Turn, heavy_noise, smooth, turn

FEW_EVALUATIONS = 6
"""With fewer evaluations a careful practitioner hesitates, and so does the probability."""
TOGETHER = 0.5
"""A training loss that rose by half of what the held-out loss rose: both went up, that is divergence."""
DOUBT = 0.3
"""What is left of the probability then: divergence is another rule's business."""
BRIEF = 0.05
"""A rise that has lasted a twentieth of the run or less is a moment as yet: many come back."""
LITTLE = 3e-3
"""A rise of 0.3% is no harm to anybody: the logarithm of the rise ends there."""
LOW = 0.1
"""A loss of 0.1 nats means nine of ten right with certainty: lower is low for almost any task."""


@dataclass(frozen=True)
class HeldOut:
    """What a held-out curve says.

    Attributes:
        probability: of overfitting.
        turn: how it turned.
        train_fall: how far the training loss fell since the best point, in its own unit; negative: it rose.
        terms: what the calibration was given.
    """

    probability: float
    turn: Turn
    train_fall: float
    terms: Mapping[str, float]


def held_out(steps: Floats, value: Floats, train_steps: Floats, train_value: Floats) -> HeldOut:
    """Probability that a model overfits, from its held-out loss and its training loss.

    Args:
        steps, value: (n,) held-out loss in order of step, n ≥ 3, finite.
        train_steps, train_value: (m,) training loss, finite, at most a few thousand points; may be empty.
    """
    seen = turn(value)
    fall, believed = _fall_since(float(steps[seen.best]), train_steps, train_value)
    scale = max(abs(float(value[seen.best])), 1e-12)
    terms = {
        "rise": float(np.log10(seen.believed + LITTLE)),
        "stays": seen.stays,
        "widens": float(np.clip(believed / scale, 0.0, 0.5)),
    }
    chance = probability(HELD_OUT, terms)
    if seen.rise > 0 and -fall > TOGETHER * seen.rise:
        chance *= DOUBT
    chance *= min(1.0, seen.after / BRIEF)
    if len(value) < FEW_EVALUATIONS:
        chance *= 0.5 + 0.15 * (len(value) - 3)
    return HeldOut(chance, seen, fall, terms)


def _fall_since(step: float, steps: Floats, value: Floats) -> tuple[float, float]:
    """Fall of the training loss since a step: as it is, and shrunk by what noise makes of it."""
    if len(value) < 4:
        return 0.0, 0.0
    level = smooth(value, 0.02 * len(value))
    then = float(level[min(int(np.searchsorted(steps, step)), len(level) - 1)])
    tenth = max(1, len(value) // 10)
    fall = then - float(np.median(value[-tenth:]))
    error = 2 * heavy_noise(value) ** 2 / max(1.0, len(value) / 10)
    return fall, fall * fall**2 / (fall**2 + error + 1e-24)


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
    """Probability of overfitting from the training loss: did it fall late, is it low, was data seen again.

    A loss that goes on falling in its second half by a constant factor, long after the easy part is learned,
    and down to values that the data's own noise should forbid, is memorising. In a single pass over the data
    no example comes twice and the training loss is nearly a held-out loss.

    Args:
        value: (n,) training loss in order of step, finite, n ≥ 6, at most a few thousand points.
        passes: epochs trained, NaN where unknown.
    """
    level = smooth(value, 0.02 * len(value))
    middle = float(level[len(level) // 2])
    last = float(np.median(value[-max(1, len(value) // 10) :]))
    fall = float(np.log(middle / last)) if min(middle, last) > 0 else 0.0
    late = float(np.clip(fall, 0.0, 1.5))
    low = float(np.clip(-np.log10(max(abs(last), 1e-4)), 0.0, 2.0))
    many = 0.4 if np.isnan(passes) else float(np.clip(np.log2(max(passes, 0.5)), 0.0, 5.0)) / 5
    terms = {"late": late, "late_and_low": late * low, "once": float(passes <= 1.05), "passes": many}
    return TrainOnly(probability(TRAIN_ONLY, terms), fall, last, terms)
