"""From curves to a probability of overfitting.

Two small logistic models, one for a held-out curve, one for a training curve alone. Their few
coefficients were fitted with a ridge penalty on 271 public training logs that were labelled by eye or by
their authors; on repositories left out of the fit the first ranks 98% of the pairs right (AUC).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runscope.stats.curves import Turn, smooth, turn

Floats = npt.NDArray[np.float64]

FEW_EVALUATIONS = 6
"""With fewer evaluations a careful practitioner hesitates; the probability is drawn towards one half of itself."""

_HELD_OUT = {"rise": 2.4, "z": 1.2, "monotone": 1.2, "bias": 0.7}
DIVERGED = 0.3
"""A training loss that ends above its level at the best point by this share of its range has diverged."""


@dataclass(frozen=True)
class HeldOut:
    """What a held-out curve says.

    Attributes:
        probability: of overfitting.
        turn: how it turned.
        train_rise: rise of the training loss since the best point, as a share of its range.
    """

    probability: float
    turn: Turn
    train_rise: float


def held_out(steps: Floats, value: Floats, train_steps: Floats, train_value: Floats) -> HeldOut:
    """Probability that a model overfits, from its held-out loss and its training loss.

    Args:
        steps, value: (n,) held-out loss in order of step, n ≥ 3, finite.
        train_steps, train_value: (m,) training loss, finite; may be empty.
    """
    seen = turn(value)
    share = np.log10(seen.rise_share + 1e-3)
    certain = np.log10(np.clip(seen.z, 0.1, 30))
    steady = seen.monotone * min(1.0, seen.after / 0.15)
    odds = (
        _HELD_OUT["rise"] * share
        + _HELD_OUT["z"] * certain
        + _HELD_OUT["monotone"] * steady
        + _HELD_OUT["bias"]
    )
    probability = float(1 / (1 + np.exp(-odds)))
    rise = _train_rise(float(steps[seen.best]), train_steps, train_value)
    if rise > DIVERGED:
        probability *= DIVERGED  # both losses went up: that is divergence, and another rule's business
    if len(value) < FEW_EVALUATIONS:
        probability *= 0.5 + 0.5 * (len(value) - 2) / FEW_EVALUATIONS
    return HeldOut(probability, seen, rise)


def _train_rise(best_step: float, steps: Floats, value: Floats) -> float:
    if len(value) < 4:
        return 0.0
    level = smooth(value, 0.02 * len(value))
    at_best = level[min(int(np.searchsorted(steps, best_step)), len(level) - 1)]
    span = max(float(np.ptp(level)), 1e-12)
    return float((np.mean(level[-max(1, len(level) // 10) :]) - at_best) / span)


@dataclass(frozen=True)
class Stairs:
    """Drops of the training loss at the first steps of new epochs.

    Attributes:
        depth: median drop at a boundary, as a share of the loss before it.
        z: depth against the noise of a level.
        from_epoch: first epoch that begins with a clear drop.
        drops: drop at each boundary, as a share.
        within: median change inside an epoch, as a share (negative: it falls within, too).
    """

    depth: float
    z: float
    from_epoch: int | None
    drops: tuple[float, ...]
    within: float


def stairs(epoch: Floats, value: Floats) -> Stairs | None:
    """Look for stairs: the examples of the last pass are remembered, so the loss drops when they return.

    Howard & Whitaker 2023, «Can LLMs learn from a single example?».

    Args:
        epoch: (n,) epoch at each logged loss.
        value: (n,) training loss.

    Returns:
        None with fewer than two full epochs or fewer than 8 points an epoch.
    """
    known = np.isfinite(epoch) & np.isfinite(value)
    epoch, value = epoch[known], value[known]
    if len(epoch) < 16 or epoch[-1] - epoch[0] < 1.5:
        return None
    number = np.floor(epoch - 1e-9).astype(int)
    drops, errors, begins, within = [], [], [], []
    for boundary in range(int(number[0]) + 1, int(number[-1]) + 1):
        before, after = value[number == boundary - 1], value[number == boundary]
        if len(before) < 8 or len(after) < 4:
            continue
        width = max(4, len(before) // 3)
        left, right = before[-width:], after[1 : 1 + width] if len(after) > 4 else after
        level = max(abs(float(np.mean(left))), 1e-12)
        drops.append(float(np.mean(left) - np.mean(right)) / level)
        scatter = max(float(np.std(left)), float(np.std(right)), 1e-12) / level
        errors.append(scatter * np.sqrt(1 / len(left) + 1 / len(right)))
        begins.append(boundary)
        half = len(before) // 2
        within.append(float(np.mean(before[half:]) - np.mean(before[:half])) / level)
    if not drops:
        return None
    strength = np.asarray(drops) / np.asarray(errors)
    clear = [b for b, s, d in zip(begins, strength, drops, strict=True) if s > 2.5 and d > 0.02]
    depth = float(np.median(drops))
    z = float(np.sum(drops) / np.sqrt(np.sum(np.square(errors))))
    return Stairs(depth, z, clear[0] if clear else None, tuple(drops), float(np.median(within)))


@dataclass(frozen=True)
class TrainOnly:
    """What a training curve alone says: at most a suspicion.

    Attributes:
        probability: of overfitting.
        fall: natural logarithm of first over last level of the loss.
        stairs: drops at epoch boundaries, where epochs are known.
    """

    probability: float
    fall: float
    stairs: Stairs | None


_TRAIN_ONLY = {"fall": 0.7, "late": 2.0, "stairs": 2.2, "bias": -2.6}


def train_only(value: Floats, epoch: Floats) -> TrainOnly:
    """Probability of overfitting from the training loss: how far it fell, whether late, whether in stairs.

    Args:
        value: (n,) training loss in order of step, finite, n ≥ 8.
        epoch: (n,) epochs, NaN where unknown.
    """
    level = smooth(value, 0.02 * len(value))
    edge = max(1, len(level) // 20)
    first, middle, last = (
        float(np.mean(level[:edge])), float(level[len(level) // 2]), float(np.mean(level[-edge:]))
    )  # fmt: skip
    if min(first, middle, last) <= 0:
        fall, late = 0.0, 0.0
    else:
        fall = float(np.clip(np.log(first / last), -2, 6))
        late = float(np.clip(np.log(middle / last), -1, 3))
    found = stairs(epoch, value)
    step_like = 0.0 if found is None or found.z < 3 else min(2.0, found.depth / 0.05)
    odds = (
        _TRAIN_ONLY["fall"] * fall
        + _TRAIN_ONLY["late"] * late
        + _TRAIN_ONLY["stairs"] * step_like
        + _TRAIN_ONLY["bias"]
    )
    return TrainOnly(float(1 / (1 + np.exp(-odds))), fall, found)
