"""Which learning-rate schedule a curve of rates follows. Pure functions on arrays.

By hand: libraries make schedules, none recognises one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from runscope.stats.arrays import Floats, Ints
from runscope.stats.stretches import blocks

Kind = Literal[
    "zero", "constant", "linear", "cosine", "restarts", "inverse-sqrt", "exponential", "stairs", "wsd", "rising",
    "unknown",
]  # fmt: skip

GOOD = 0.02
"""A fit whose root mean square error is below 2% of the peak rate names the schedule; rounding of logged
rates and steps off by one stay below 1%."""


@dataclass(frozen=True)
class Schedule:
    """A fitted schedule.

    Attributes:
        kind: its form after the warm-up; ``unknown`` where no form fits.
        warmup_end: step at which the rate first reaches its peak; None without a warm-up.
        peak: highest rate.
        ends: step at which a linear or cosine decay reaches its end, extrapolated; None for other forms.
        error: root mean square error of the fit as a share of the peak.
        restarts: steps at which the rate jumped up again.
        floor: rate that the decay ends at, as a share of the peak.
    """

    kind: Kind
    warmup_end: int | None
    peak: float
    ends: float | None
    error: float
    restarts: tuple[int, ...] = ()
    floor: float = 0.0


def fit_schedule(step: Ints, rate: Floats) -> Schedule:
    """Fit the known forms to a curve of rates and take the one that fits best.

    Args:
        step: (n,) steps in order, n ≥ 4.
        rate: (n,) finite rates.
    """
    step, rate = blocks(step, rate, 1000)
    peak = float(rate.max())
    if peak <= 0:
        return Schedule("zero", None, peak, None, 0.0)
    share = rate / peak
    top = int(np.argmax(share >= 0.999))
    warm = top if top >= 1 and share[0] < 0.9 and bool(np.all(np.diff(share[: top + 1]) > -0.01)) else 0
    if warm and warm >= 0.95 * (len(step) - 1) and share[0] < 0.2:
        return Schedule("rising", None, peak, None, 0.0)
    warmup_end = int(step[warm]) if warm else None
    after, level = step[warm:].astype(np.float64), share[warm:]
    if len(level) < 4:
        return Schedule("unknown", warmup_end, peak, None, 0.0)
    jumps = _jumps_up(level)
    if len(jumps):
        whole = tuple(int(s) for s in after[jumps])
        return Schedule("restarts", warmup_end, peak, None, 0.0, whole)
    straight = _straight(after, level)
    if straight is not None:
        return Schedule("linear", warmup_end, peak, straight, 0.0)
    if np.ptp(level) < 0.005:
        return Schedule("constant", warmup_end, peak, None, 0.0)
    error, kind, ends, floor = min(_fits(after, level), key=lambda fit: fit[0])
    if error > GOOD:
        return Schedule("unknown", warmup_end, peak, None, error)
    return Schedule(kind, warmup_end, peak, ends, error, floor=floor)


def _jumps_up(share: Floats) -> Ints:
    """Points at which a falling rate is suddenly higher by a fifth of the peak or more."""
    rise = np.diff(share)
    return np.flatnonzero((rise > 0.2) & (rise > 5 * np.median(np.abs(rise)))) + 1


STRAIGHT_LINE = 0.004
"""Of the fall that was seen: an exponential decay to a half bends by 3% of its fall, one to 0.8 by 1%."""


def _straight(step: Floats, share: Floats) -> float | None:
    """A linear decay, however early it was cut off, and where it ends; None where it is something else.

    Rates are computed, not measured: however little of a line is seen, it is straight to the last digit that was
    logged."""
    fall = float(share[0] - share[-1])
    if len(share) < 6 or fall < 1e-5 or not np.all(np.diff(share) < 0):
        return None
    slope, at_zero = np.polyfit(step - step[0], share, 1)
    off = float(np.max(np.abs(share - (at_zero + slope * (step - step[0])))))
    if slope >= 0 or off > max(STRAIGHT_LINE * fall, 1e-9):
        return None
    return float(step[0] - at_zero / slope)


def _fits(step: Floats, share: Floats) -> Iterator[tuple[float, Kind, float | None, float]]:
    """Error, form, end and floor of every form."""
    x = step - step[0]
    yield _decay("linear", lambda t: 1 - t, x, share, step[0])
    yield _decay("cosine", lambda t: 0.5 * (1 + np.cos(np.pi * t)), x, share, step[0])
    yield _error(share, _inverse_sqrt(x, share)), "inverse-sqrt", None, 0.0
    yield _held(x, share, step[0])
    positive = share > 1e-8
    if positive.sum() >= 4:
        line = np.polyfit(x[positive], np.log(share[positive]), 1)
        yield _error(share, np.exp(np.clip(np.polyval(line, x), -50, 50))), "exponential", None, 0.0
    levels = np.unique(np.round(share, 4))
    if len(levels) <= max(2, len(share) // 6):
        # Few distinct levels, each held for a while; slightly worse than an exact fit of a smooth form.
        yield 0.004, "stairs", None, 0.0


def _decay(
    kind: Kind, form: Callable[[Floats], Floats], x: Floats, share: Floats, start: float
) -> tuple[float, Kind, float | None, float]:
    """Fit a decay from 1 to a floor over an unknown length, by a grid that is refined twice."""
    error, best, floor = np.inf, float(x[-1]), 0.0
    low, high = 0.3 * x[-1], 5.0 * x[-1]
    below = 1 - share
    # Trainers end at 0 or at a stated share of the peak; a free floor only where most of it is seen.
    seen = x[-1] * (0.95 if kind == "linear" else 1.02)
    for _ in range(3):
        length = np.geomspace(max(low, 1e-9), high, 60)
        missing = 1 - form(np.minimum(x[None, :] / length[:, None], 1.0))
        weight = np.einsum("ij,ij->i", missing, missing)
        fall = np.divide(missing @ below, weight, out=np.ones(len(length)), where=weight > 0)
        fall = np.where(length <= seen, np.minimum(1.0, fall), 1.0)
        off = np.sqrt(np.mean((below - fall[:, None] * missing) ** 2, axis=1))
        at = int(np.argmin(off))
        if off[at] < error:
            error, best, floor = float(off[at]), float(length[at]), 1 - float(fall[at])
        ratio = (high / max(low, 1e-9)) ** (1 / 30)
        low, high = best / ratio, best * ratio
    return error, kind, start + best, max(0.0, floor)


def _held(x: Floats, share: Floats, start: float) -> tuple[float, Kind, float | None, float]:
    """A constant rate that then falls in a line to zero (warm-up, stable, decay)."""
    best: tuple[float, float | None] = (np.inf, None)
    falling = np.flatnonzero(share < 0.995)
    if not len(falling) or falling[0] < 0.2 * len(share) or len(share) - falling[0] < 3:
        return np.inf, "wsd", None, 0.0
    slope = np.polyfit(x[falling], share[falling], 1)
    if slope[0] < 0:
        fitted = np.clip(np.polyval(slope, x), 0.0, 1.0)
        best = (_error(share, fitted), float(start - slope[1] / slope[0]))
    # Slightly worse than an exact fit of a form with fewer parts.
    return best[0] + 0.004, "wsd", best[1], 0.0


def _inverse_sqrt(x: Floats, share: Floats) -> Floats:
    """√(c / (x + c)) through the last point."""
    last = max(float(share[-1]), 1e-6)
    shift = x[-1] * last**2 / max(1 - last**2, 1e-9)
    return np.sqrt(shift / (x + shift)) if shift > 0 else np.zeros_like(x)


def _error(seen: Floats, fitted: Floats) -> float:
    return float(np.sqrt(np.mean((seen - fitted) ** 2)))


STRAIGHT = 0.01
"""A decay is linear or a cosine if its phase is a straight line to 1% of its range; rounding stays below 0.1%."""


def decay_end(step: Ints, rate: Floats, *, peak: float | None = None) -> tuple[float, float] | None:
    """Step at which a linear or cosine decay reaches zero, extrapolated, and the standard error of that.

    The phase of such a decay, 1 - r or arccos(2r - 1) / π for a rate r relative to its peak, is a straight line
    in the step: it is 1 where the decay ends.

    Args:
        step: (n,) steps in order.
        rate: (n,) finite rates.
        peak: the peak, where it is known better than from the curve.

    Returns:
        None where neither form fits, or too little of the decay (a tenth) is seen.
    """
    top = max(float(rate.max(initial=0.0)), peak or 0.0)
    if top <= 0 or len(step) < 6:
        return None
    after = slice(int(np.argmax(rate)), None)
    share = np.clip(rate[after] / top, 0.0, 1.0)
    x = step[after].astype(np.float64)
    falling = (share < 0.995) & (share > 0)
    if falling.sum() < 5 or share.min() > 0.9:
        return None
    found = []
    for phase in (1 - share[falling], np.arccos(2 * share[falling] - 1) / np.pi):
        slope, at_zero = np.polyfit(x[falling], phase, 1)
        error = float(np.std(phase - (slope * x[falling] + at_zero)))
        if slope > 0:
            found.append((error, float((1 - at_zero) / slope), error / float(slope)))
    if not found or min(found)[0] > STRAIGHT * float(np.ptp(share)):
        return None
    _, end, unsure = min(found)
    return (end, unsure) if end >= x[-1] - 2 * unsure - 1 else None
