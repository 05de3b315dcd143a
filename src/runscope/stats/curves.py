"""Shape of a curve: noise, smoothing, best point, rise after it. Pure functions on arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runscope.stats.arrays import Floats
from runscope.stats.filters import running_gaussian, running_median

STAY = 0.15
"""Share of the run that a rise must last to count in full: a shorter one is often transient (a restart)."""


def noise(value: Floats) -> float:
    """Standard deviation of a curve's noise, from its second differences.

    Second differences cancel a straight trend: their variance is 6σ² for independent noise (Gasser,
    Sroka & Jennen-Steinmetz 1986). The median absolute deviation makes it robust against spikes.

    Args:
        value: (n,) finite values in order of step.

    Returns:
        σ, 0 for fewer than 4 points.
    """
    if len(value) < 4:
        return 0.0
    second = np.diff(value, 2)
    return float(1.4826 * np.median(np.abs(second - np.median(second))) / np.sqrt(6))


def heavy_noise(value: Floats) -> float:
    """Like :func:`noise`, but not blind to spikes: at least half the ordinary standard deviation.

    For Gaussian noise both agree and the half is idle; a curve that spikes all the time has a small median
    deviation, and its rises mean less than that says.
    """
    if len(value) < 8:
        return noise(value)
    return max(noise(value), 0.5 * float(np.std(np.diff(value, 2))) / float(np.sqrt(6)))


def smooth(value: Floats, width: float) -> Floats:
    """Gaussian smoothing after a median of 3 that takes single outliers away.

    Args:
        value: (n,) finite values.
        width: standard deviation of the kernel, in points; below 0.4 only the median acts.
    """
    if len(value) < 3:
        return value.copy()
    calm = running_median(value, 3)
    return running_gaussian(calm, width) if width >= 0.4 else calm


@dataclass(frozen=True)
class Turn:
    """How a held-out loss turned up after its best point.

    Attributes:
        best: index of the smoothed minimum; of several as low, the first.
        onset: index from which it stays clearly above the minimum.
        rise: how far the lower quarter of its last values lies above the minimum; at least 0.
        rise_share: rise as a share of the minimum's absolute value.
        luck: how far below the true level the lowest of so many noisy values is expected to lie.
        believed: the rise's share, shrunk by how much of it may be luck.
        stays: share of the points after the minimum that lie clearly above it, less where those are few.
        z: rise in units of ``luck``.
        after: share of the run that lies after the minimum.
        as_good: first and last index whose smoothed value cannot be told from the minimum.
    """

    best: int
    onset: int
    rise: float
    rise_share: float
    luck: float
    believed: float
    stays: float
    z: float
    after: float
    as_good: tuple[int, int]


def turn(value: Floats) -> Turn:
    """Describe how a curve turned up.

    The lowest of m values with noise σ lies about σ√(2 ln m) below their level (extreme value theory): a
    rise of that size is what luck alone makes. It is shrunk by r²/(r² + luck²), as an empirical Bayes
    estimate would. Spikes point up only, so the lower quarter of the last values is compared with the
    lowest quarter of any stretch of the same length.

    Args:
        value: (n,) finite values in order of step, n ≥ 3.
    """
    count = len(value)
    width = max(0.5, 0.003 * count) if count >= 12 else 0.0
    level = smooth(value, width) if count >= 5 else value
    # Points that the kernel averages: its equivalent width is 2√π standard deviations.
    averaged = max(1.0, 2 * np.sqrt(np.pi) * width)
    error = noise(value) / np.sqrt(averaged)
    best = int(np.argmax(level - np.min(level) <= 0.1 * error))
    sigma = max(noise(value), heavy_noise(value[best:])) / np.sqrt(averaged)
    luck = float(sigma * np.sqrt(2 * np.log(max(2.0, count / averaged))))
    floor, left = float(level[best]), count - 1 - best
    rise = _rise(value, floor, left)
    scale = max(abs(floor), 1e-12)
    stays = float(np.mean(value[best + 1 :] > floor + 0.5 * luck)) if left else 0.0
    after = left / max(count - 1, 1)
    above = level - floor > max(2 * error, 0.05 * rise)
    onset = best + 1 + _last_false(above[best:]) if left else count - 1
    return Turn(
        best=best,
        onset=min(onset, count - 1),
        rise=rise,
        rise_share=rise / scale,
        luck=luck,
        believed=rise / scale * rise**2 / (rise**2 + luck**2 + 1e-24),
        stays=stays * min(1.0, after / STAY),
        z=rise / max(luck, 1e-6 * scale),
        after=after,
        as_good=_around(level - floor <= max(error, 0.002 * scale), best),
    )


def _rise(value: Floats, floor: float, left: int) -> float:
    """Lower quarter of the last values above the floor, and above that of any stretch as long."""
    if not left:
        return 0.0
    length = max(round(STAY * left), min(3, left))
    last = float(np.quantile(value[-length:], 0.25))
    if length <= 3:
        return max(last - floor, 0.0)
    starts = np.unique(np.linspace(0, len(value) - length, 400).astype(int))
    windows = np.lib.stride_tricks.sliding_window_view(value, length)[starts]
    lowest = float(np.min(np.quantile(windows, 0.25, axis=1)))
    return max(min(last - floor, last - lowest), 0.0)


def _last_false(mask: npt.NDArray[np.bool_]) -> int:
    false = np.flatnonzero(~mask)
    return int(false[-1]) if len(false) else -1


def _around(mask: npt.NDArray[np.bool_], index: int) -> tuple[int, int]:
    """The unbroken stretch of true values that holds an index."""
    first = last = index
    while first > 0 and mask[first - 1]:
        first -= 1
    while last < len(mask) - 1 and mask[last + 1]:
        last += 1
    return first, last
