"""Curves at the resolution that a screen can show, with nothing that matters left out."""

from __future__ import annotations

from typing import Any

import numpy as np

from runscope.history import Series
from runscope.stats.arrays import Floats, Ints

RAW_POINTS = 6000
"""Points of one raw curve: two for each of 3,000 columns, more than a wide screen has."""
SMOOTH_POINTS = 600


def thinned(series: Series, points: int = RAW_POINTS) -> Series:
    """Lowest and highest value of each stretch, in order, with every step that is not finite.

    Args:
        series: in order of step.
        points: how many finite points are kept at most.
    """
    finite = np.isfinite(series.value)
    kept = np.flatnonzero(finite)
    if len(kept) > points:
        stretches = np.linspace(0, len(kept), points // 2 + 1).astype(np.int64)
        values = series.value[kept]
        kept = kept[np.unique(_extremes(values, stretches))]
    chosen = np.zeros(len(series), dtype=np.bool_)
    chosen[kept] = True
    return series.where(chosen)


def _extremes(values: Floats, stretches: Ints) -> Ints:
    """Positions of the least and the greatest value between consecutive borders, first and last point too."""
    size = int(np.max(np.diff(stretches)))
    # A rectangle of stretches, short ones filled up by repeating their last value.
    index = np.minimum(stretches[:-1, None] + np.arange(size)[None, :], stretches[1:, None] - 1)
    block = values[index]
    rows = np.arange(len(index))
    low, high = index[rows, block.argmin(axis=1)], index[rows, block.argmax(axis=1)]
    return np.concatenate(([0], low, high, [len(values) - 1])).astype(np.int64)


def smoothed(series: Series, points: int = SMOOTH_POINTS) -> Series:
    """Running mean with a Gaussian window of 1% of the curve, at a few hundred steps."""
    from runscope.stats.curves import smooth

    finite = series.finite
    if len(finite) < 8:
        return finite
    if len(finite) > 20 * points:
        finite = _means(finite, 10 * points)
    level = smooth(finite.value, max(1.5, 0.012 * len(finite)))
    at = np.unique(np.linspace(0, len(finite) - 1, points).astype(np.int64))
    return Series.of(series.name, finite.step[at], level[at])


def _means(series: Series, points: int) -> Series:
    borders = np.unique(np.linspace(0, len(series), points + 1).astype(np.int64))
    counts = np.diff(borders)
    value = np.add.reduceat(series.value, borders[:-1]) / counts
    return Series.of(series.name, series.step[borders[:-1] + counts // 2], value)


def as_lists(series: Series) -> dict[str, list[Any]]:
    """Steps and values as JSON has them, values to six digits."""
    return {"x": series.step.tolist(), "y": [float(f"{v:.6g}") for v in series.value.tolist()]}


def not_finite(series: Series, points: int = 400) -> list[int]:
    """Steps at which something else than a number was logged; of very many, evenly chosen ones."""
    steps = np.unique(series.step[~np.isfinite(series.value)])
    if len(steps) > points:
        steps = steps[np.linspace(0, len(steps) - 1, points).astype(np.int64)]
    return [int(s) for s in steps]
