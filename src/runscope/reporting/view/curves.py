"""Curves at the resolution that the eye can use, with nothing that matters left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runscope.history import Series
from runscope.stats.arrays import Floats, Ints
from runscope.stats.levels.filters import running_gaussian
from runscope.stats.stretches import stretches

SMOOTHING = (0.004, 0.012, 0.035, 0.1)
"""Widths of the Gaussian windows that a reader can choose from, as shares of a curve; the second one is shown."""
POINTS_A_WINDOW = 7
"""Points that a smooth line needs for each width of its window, so that straight pieces look round."""


def thinned(series: Series, points: int) -> Series:
    """Lowest and highest finite value of each stretch, in order; the others are :func:`not_finite`.

    Args:
        series: in order of step.
        points: how many finite points are kept at most.
    """
    finite = np.isfinite(series.value)
    kept = np.flatnonzero(finite)
    if len(kept) > points:
        borders = np.linspace(0, len(kept), points // 2 + 1).astype(np.int64)
        values = series.value[kept]
        kept = kept[np.unique(_extremes(values, borders))]
    return Series(series.name, series.step[kept], series.value[kept], series.time[kept])


def _extremes(values: Floats, borders: Ints) -> Ints:
    """Positions of the least and the greatest value between consecutive borders, first and last point too."""
    size = int(np.max(np.diff(borders)))
    # A rectangle of stretches, short ones filled up by repeating their last value.
    index = np.minimum(borders[:-1, None] + np.arange(size)[None, :], borders[1:, None] - 1)
    block = values[index]
    rows = np.arange(len(index))
    low, high = index[rows, block.argmin(axis=1)], index[rows, block.argmax(axis=1)]
    return np.concatenate(([0], low, high, [len(values) - 1])).astype(np.int64)


def smoothed(series: Series, width: float = SMOOTHING[1], points: int | None = None) -> Series:
    """Running mean with a Gaussian window, at as many steps as its width needs.

    The curve is mirrored at its ends: to repeat its last value there would let one noisy point bend the line.

    Args:
        series: in order of step.
        width: standard deviation of the window as a share of the curve.
        points: how many are kept; None for as many as a smooth line of that width needs.
    """
    points = points or round(POINTS_A_WINDOW / width)
    finite = series.finite
    if len(finite) < 8:
        return finite
    if len(finite) > 20 * points:
        finite = _means(finite, 10 * points)
    level = running_gaussian(finite.value, max(1.5, width * len(finite)), ends="reflect")
    at = np.unique(np.linspace(0, len(finite) - 1, points).astype(np.int64))
    return Series.of(series.name, finite.step[at], level[at])


def _means(series: Series, points: int) -> Series:
    borders = np.unique(np.linspace(0, len(series), points + 1).astype(np.int64))
    counts = np.diff(borders)
    value = np.add.reduceat(series.value, borders[:-1]) / counts
    return Series.of(series.name, series.step[borders[:-1] + counts // 2], value)


def shares(lengths: Sequence[int], room: int, least: int) -> list[int]:
    """How many points each curve may keep: short ones all of them, long ones an equal part of what is left.

    Args:
        lengths: points that each curve has.
        room: points there are for all of them.
        least: what a curve keeps however many there are.
    """
    kept = [0] * len(lengths)
    for done, number in enumerate(sorted(range(len(lengths)), key=lengths.__getitem__)):
        fair = max(room, 0) // (len(lengths) - done)
        kept[number] = min(lengths[number], max(fair, least))
        room -= kept[number]
    return kept


def not_finite(series: Series, most: int = 1000) -> list[list[int]]:
    """Unbroken stretches of points that are not finite: first step, last step, how many.

    Args:
        series: in order of step.
        most: stretches closer than this part of the curve are drawn as one; none is left out.
    """
    bad = ~np.isfinite(series.value)
    if not bad.any():
        return []
    found = [[int(series.step[a]), int(series.step[b]), b - a + 1] for a, b in stretches(bad)]
    if len(found) <= most:
        return found
    apart = (found[-1][1] - found[0][0]) / most
    merged = [found[0]]
    for first, last, count in found[1:]:
        if first - merged[-1][1] <= apart:
            merged[-1] = [merged[-1][0], last, merged[-1][2] + count]
        else:
            merged.append([first, last, count])
    return merged
