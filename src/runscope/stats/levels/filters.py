"""Running means and medians along a curve.

By hand: each gives what the function of ``scipy.ndimage`` of the same kind gives, sum by sum; importing that costs a
third of a second, more than all of them take on a curve.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from runscope.stats.arrays import Floats

Ends = Literal["nearest", "mirror", "reflect"]
"""What stands beyond an end: its value again; the curve mirrored at its last point, or half a point behind it."""
_PADDING: dict[Ends, Literal["edge", "reflect", "symmetric"]] = {
    "nearest": "edge",
    "mirror": "reflect",
    "reflect": "symmetric",
}
_REACH = 4.0
"""The Gaussian window ends at so many standard deviations."""
_ROWS = 1 << 14
"""So many medians are taken at a time."""


def running_gaussian(value: Floats, width: float, ends: Ends = "nearest") -> Floats:
    """Mean with Gaussian weights.

    Args:
        value: (n,) finite values.
        width: standard deviation of the weights in points, > 0; they reach four of them far.
        ends: what stands beyond the ends.

    Returns:
        (n,).
    """
    reach = int(_REACH * width + 0.5)
    weight = np.exp(-0.5 / width**2 * np.arange(-reach, reach + 1) ** 2)
    weight /= weight.sum()
    padded, count = _padded(value, reach, ends), len(value)
    mean: Floats = padded[reach : reach + count] * weight[reach]
    pair = np.empty(count)
    for i in range(reach):
        far = 2 * reach - i
        np.add(padded[i : i + count], padded[far : far + count], out=pair)
        pair *= weight[i]
        mean += pair
    return mean


def running_mean(value: Floats, size: int, ends: Ends = "nearest") -> Floats:
    """Mean of a window of ``size`` points, odd, around each of (n,) finite values: (n,)."""
    padded = _padded(value, size // 2, ends)
    first = np.cumsum(padded[:size])[-1]
    return np.cumsum(np.concatenate(((first,), padded[size:] - padded[:-size]))) / size


def running_median(value: Floats, size: int, ends: Ends = "nearest") -> Floats:
    """Median of a window of ``size`` points, odd, around each of (n,) finite values: (n,)."""
    middle = size // 2
    padded, count = _padded(value, middle, ends), len(value)
    if size == 3:
        before, here, after = padded[:-2], padded[1:-1], padded[2:]
        return np.maximum(np.minimum(before, here), np.minimum(np.maximum(before, here), after))
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)
    median = np.empty(count)
    for begin in range(0, count, _ROWS):
        part = slice(begin, begin + _ROWS)
        median[part] = np.partition(windows[part], middle, axis=1)[:, middle]
    return median


def _padded(value: Floats, by: int, ends: Ends) -> Floats:
    return np.pad(np.asarray(value, dtype=np.float64), by, mode=_PADDING[ends])
