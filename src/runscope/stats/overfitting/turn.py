"""How a held-out curve turned up after its lowest value. Pure functions on arrays.

Two things are kept apart: what was logged (the lowest value, where, and how far above it the curve ends) and what can
be known behind the noise (the level there, the rise that is believed, and which steps cannot be told from the lowest).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runscope.stats.arrays import Floats
from runscope.stats.curves import heavy_noise, noise, smooth
from runscope.stats.levels.level import fit_level

STAY = 0.15
"""Share of the run that a rise must last to count in full: a shorter one is often transient (a restart)."""
MATTERS = 0.03
"""The rise that matters, as a share of the lowest loss. Another seed moves a fine-tuned model by about as much (Dodge
et al. 2020, arXiv 2002.06305), and people who labelled public logs called smaller rises none. An evaluated
loss that is surely worse by less than this share is called slight as well."""
AS_GOOD = 0.01
"""A loss within 1% of the lowest is as good: a third of what matters."""
SAME = 0.003
"""A loss within 0.3% of the lowest is the same in all but luck: a tenth of what matters."""
HARDLY = 0.1
"""Levels within a tenth of their standard error of each other are one level."""
ENOUGH_FOR_LEVEL = 12
"""Values from which on noise and movement of the level can be told apart; fewer are smoothed by a median."""
BEND = 0.5
"""Half of what second differences see in a curve of a few values that bends and then only rises is the bend."""
END = 3
"""The end of a curve is the median of its last three values; with fewer than six values the last one."""


@dataclass(frozen=True)
class Turn:
    """How a held-out loss turned up after its lowest value.

    Attributes:
        best: index of the lowest logged value; of several as low, the first.
        first_best: the first index whose logged value is the same as the lowest (:data:`SAME`), and whose level is the
            lowest of such: what to keep where more training only does harm.
        onset: index from which the curve stays clearly above its floor.
        lowest, last: the lowest logged value, and the value at the end (see :data:`END`).
        rise_share: ``last`` above ``lowest``, as a share of the lowest's size: as logged, luck included.
        rise: how far the level at the end lies above the floor, as a share of the floor; at least 0.
        luck: how large a share noise alone makes of a flat curve's rise.
        believed: the rise, shrunk by how much of it may be luck.
        stays: share of the points after the best that lie clearly above the floor, less where those are few.
        z: rise in units of ``luck``.
        after: share of the curve that lies after the floor.
        as_good: first and last index whose level cannot be told from the floor, or is within 1% of it.
        unit: what a share is a share of, where the curve is not judged by factors.
    """

    best: int
    first_best: int
    onset: int
    lowest: float
    last: float
    rise_share: float
    rise: float
    luck: float
    believed: float
    stays: float
    z: float
    after: float
    as_good: tuple[int, int]
    unit: float


def turn(value: Floats, *, logs: bool = True) -> Turn:
    """Describe how a curve turned up.

    A loss that is always positive is judged by factors, on the logarithmic scale: there the noise of a loss that falls
    by orders of magnitude is the same all along, and a tail of high values is short. The level is that of the local
    level model (:mod:`runscope.stats.levels.level`), fitted after single outliers were drawn in.

    The lowest of m noisy levels lies about σ√(2 ln m) below them (extreme value theory): a rise of that size is what
    luck alone makes. It is shrunk by r²/(r² + luck²), as an empirical Bayes estimate would. Spikes point up only, so
    the lower quarter of the last values has to have risen as well, above any earlier stretch of the same length.

    Args:
        value: (n,) finite values in order of step, n ≥ 3.
        logs: judge positive values by factors; a score is judged by differences.
    """
    count = len(value)
    seen, unit = scaled(value, logs=logs)
    as_share = _by_factor if logs and positive(value) else float
    level, error, kernel = _level(seen)
    floor = int(np.argmin(level))
    lowest = int(np.argmin(value))
    sigma = float(np.hypot(error[floor], _spiky(seen, floor) / np.sqrt(kernel)))
    several = max(2.0, count / kernel)
    luck = float(np.hypot(sigma * np.sqrt(2 * np.log(several)), error[-1]))
    left = count - 1 - floor
    rise = min(max(float(level[-1] - level[floor]), 0.0), _rise(seen, float(level[floor]), left))
    stays = float(np.mean(seen[floor + 1 :] > level[floor] + 0.5 * luck)) if left else 0.0
    after = left / max(count - 1, 1)
    above = level - level[floor] > max(2 * sigma, 0.05 * rise)
    onset = floor + 1 + _last_false(above[floor:]) if left else count - 1
    alike = level - level[floor] <= np.maximum(2 * np.hypot(error, sigma), AS_GOOD)
    alike[lowest] = True
    onset = min(max(onset, min(max(lowest, floor) + 1, count - 1)), count - 1)
    if rise > luck:  # what lies beyond a clear turn is no longer as good, however noisy
        alike[onset:] &= np.arange(onset, count) == lowest
    good = _around(alike, lowest, floor)
    believed = rise * rise**2 / (rise**2 + luck**2 + 1e-300)
    end = float(np.median(value[-END:])) if count >= 2 * END else float(value[-1])
    return Turn(
        best=lowest,
        first_best=_first_best(value, level, good, HARDLY * float(error[floor])),
        onset=onset,
        lowest=float(value[lowest]),
        last=end,
        rise_share=max(end - float(value[lowest]), 0.0)
        / max(abs(float(value[lowest])), 1e-12 * unit, 1e-300),
        rise=as_share(rise),
        luck=as_share(luck),
        believed=as_share(believed),
        stays=stays * min(1.0, after / STAY),
        z=rise / max(luck, 1e-6),
        after=after,
        as_good=good,
        unit=unit,
    )


def positive(value: Floats) -> bool:
    """Whether a curve can be judged by factors: nothing is negative, and not all is 0."""
    return bool(np.min(value) >= 0 and np.max(value) > 0)


def scaled(value: Floats, *, logs: bool = True) -> tuple[Floats, float]:
    """A curve on the scale on which its noise is even, and the unit of that scale.

    Logarithms where all values are positive (zeros among positive values are rounded ones: they count as half the
    smallest); else values in units of the larger of the lowest one's size and the middle half's width.
    """
    if logs and positive(value):
        smallest = float(np.min(value[value > 0]))
        return np.log(np.maximum(value, smallest / 2)), smallest
    quarters = np.quantile(value, (0.25, 0.75))
    unit = max(abs(float(np.min(value))), float(quarters[1] - quarters[0]), 1e-300)
    return value / unit, unit


def _by_factor(rise: float) -> float:
    """A rise on the scale of :func:`scaled` as a share; a factor of a million is enough to say."""
    return float(np.expm1(min(rise, 13.8)))


def _level(seen: Floats) -> tuple[Floats, Floats, float]:
    """Level of a curve at each point, its standard error, and over how many points it averages."""
    count = len(seen)
    fitted = fit_level(np.arange(count, dtype=np.float64), seen) if count >= ENOUGH_FOR_LEVEL else None
    if fitted is None:
        if _only_rises(seen):
            return seen, np.full(count, BEND * noise(seen)), 1.0
        level = smooth(seen, 0.0) if count >= 5 else seen
        return level, np.full(count, noise(seen)), 1.0
    place = np.arange(count, dtype=np.float64)
    level = np.interp(place, fitted.x, fitted.mean)
    error = np.sqrt(np.interp(place, fitted.x, fitted.variance))
    kernel = max(1.0, fitted.noise / max(float(np.median(fitted.variance)), 1e-300))
    return level, error, min(kernel, count / 2)


def _only_rises(seen: Floats) -> bool:
    """Whether every value after the lowest is higher than the one before it, three times or more.

    Noise does so once in six at most. A median of three would cut off the bend of such a curve, and second differences
    count it as noise.
    """
    rises = np.diff(seen[int(np.argmin(seen)) :])
    return len(rises) >= END and bool((rises > 0).all())


def _first_best(value: Floats, level: Floats, good: tuple[int, int], hardly: float) -> int:
    """The first of the values that are the same as the lowest around which the curve is as low as around any of them.

    On a noisy curve of many evaluations the lowest single value lies anywhere in the valley; what is the same to three
    parts in a thousand is told apart by the level, and of equal ones the first took the least training.
    """
    lowest = float(np.min(value))
    same = value - lowest <= SAME * abs(lowest)
    place = np.arange(len(value))
    same &= (place >= good[0]) & (place <= good[1])
    same[int(np.argmin(value))] = True
    around = np.where(same, level, np.inf)
    return int(np.argmax(around - np.min(around) <= hardly))


def _spiky(seen: Floats, floor: int) -> float:
    """Noise after the floor beyond what a Gaussian of the curve's own noise has: spikes make rises mean less."""
    tail = seen[floor:]
    return float(np.sqrt(max(heavy_noise(tail) ** 2 - noise(seen) ** 2, 0.0))) if len(tail) >= 8 else 0.0


def _rise(seen: Floats, floor: float, left: int) -> float:
    """Lower quarter of the last values above the floor, and above that of any stretch as long."""
    if not left:
        return 0.0
    length = max(round(STAY * left), min(3, left))
    last = float(np.quantile(seen[-length:], 0.25))
    if length <= 3:
        return max(last - floor, 0.0)
    starts = np.unique(np.linspace(0, len(seen) - length, 400).astype(int))
    windows = np.lib.stride_tricks.sliding_window_view(seen, length)[starts]
    lowest = float(np.min(np.quantile(windows, 0.25, axis=1)))
    return max(min(last - floor, last - lowest), 0.0)


def _last_false(mask: npt.NDArray[np.bool_]) -> int:
    false = np.flatnonzero(~mask)
    return int(false[-1]) if len(false) else -1


def _around(mask: npt.NDArray[np.bool_], *places: int) -> tuple[int, int]:
    """The stretch of true values that holds these places; a single false value between true ones is noise."""
    first, last = min(places), max(places)
    whole = mask.copy()
    whole[1:-1] |= mask[:-2] & mask[2:]
    while first > 0 and whole[first - 1]:
        first -= 1
    while last < len(mask) - 1 and whole[last + 1]:
        last += 1
    return first, last
