"""Shape of a curve: its noise, and the curve without it. Pure functions on arrays."""

from __future__ import annotations

import numpy as np

from runscope.stats.arrays import Floats
from runscope.stats.levels.filters import running_gaussian, running_median
from runscope.stats.medians import median


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
    return float(1.4826 * median(np.abs(second - median(second))) / np.sqrt(6))


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
