"""Shape of a curve: noise, smoothing, best point, rise after it. Pure functions on arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d, median_filter

Floats = npt.NDArray[np.float64]


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


def smooth(value: Floats, width: float) -> Floats:
    """Gaussian smoothing after a median of 3 that takes single outliers away.

    Args:
        value: (n,) finite values.
        width: standard deviation of the kernel, in points; below 0.4 only the median acts.
    """
    if len(value) < 3:
        return value.copy()
    calm = np.asarray(median_filter(value, 3, mode="nearest"), dtype=np.float64)
    return (
        np.asarray(gaussian_filter1d(calm, width, mode="nearest"), dtype=np.float64) if width >= 0.4 else calm
    )


@dataclass(frozen=True)
class Turn:
    """How a held-out loss turned up after its best point.

    Attributes:
        best: index of the smoothed minimum.
        onset: index from which it stays more than one noise above the minimum.
        rise: smoothed value at the end above the minimum.
        rise_share: rise as a share of the minimum's absolute value.
        rise_of_drop: rise as a share of what the loss had fallen before its minimum.
        z: rise in standard errors of the difference of two smoothed points.
        after: share of the points that lie after the minimum.
        monotone: rank correlation of value and order after the minimum (Kendall's tau).
        as_good: first and last index whose smoothed value cannot be told from the minimum.
    """

    best: int
    onset: int
    rise: float
    rise_share: float
    rise_of_drop: float
    z: float
    after: float
    monotone: float
    as_good: tuple[int, int]


def turn(value: Floats) -> Turn:
    """Describe how a curve turned up.

    Args:
        value: (n,) finite values in order of step, n ≥ 3.
    """
    from scipy.stats import kendalltau

    count = len(value)
    width = max(0.5, 0.005 * count) if count >= 12 else 0.0
    level = smooth(value, width)
    best = int(np.argmin(level))
    sigma = noise(value)
    # Points that the kernel averages: its equivalent width is 2√π standard deviations.
    averaged = max(1.0, 2 * np.sqrt(np.pi) * width)
    error = sigma * np.sqrt(2 / averaged)
    tail = max(1, round(0.1 * (count - best)))
    rise = float(np.mean(level[-tail:]) - level[best]) if best < count - 1 else 0.0
    drop = float(np.max(level[: best + 1]) - level[best])
    above = level - level[best] > max(2 * error, 0.05 * rise)
    onset = _last_false(above[best:]) + best + 1 if best < count - 1 else count - 1
    later = value[best:]
    thin = later[:: max(1, len(later) // 200)]
    tau = (
        float(kendalltau(np.arange(len(thin)), thin).statistic) if len(thin) > 2 and np.ptp(thin) > 0 else 0.0
    )
    good = level - level[best] <= max(error, 0.002 * abs(level[best]))
    return Turn(
        best=best,
        onset=min(onset, count - 1),
        rise=rise,
        rise_share=rise / max(abs(float(level[best])), 1e-12),
        rise_of_drop=rise / max(drop, 0.02 * abs(float(level[best])), 1e-12),
        z=rise / max(error, 1e-4 * abs(float(level[best])), 1e-12),
        after=(count - 1 - best) / max(count - 1, 1),
        monotone=0.0 if np.isnan(tau) else tau,
        as_good=_around(good, best),
    )


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
