"""Medians of short arrays, as NumPy has them and in a quarter of its time: a survey asks for a hundred of each run."""

from __future__ import annotations

import numpy as np

from runscope.stats.arrays import Floats, Ints

SHORT = 200
"""So many values are sorted sooner than parted."""


def median(value: Floats) -> float:
    """What :func:`numpy.median` says of (n,) values; NaN where one of them is, or there is none."""
    count = len(value)
    if not count:
        return float("nan")
    half = count // 2
    ordered = np.sort(value) if count < SHORT else np.partition(value, (half - 1, half, count - 1))
    last = float(ordered[-1])
    if last != last:
        return last
    return float(ordered[half]) if count % 2 else float((ordered[half - 1] + ordered[half]) / 2)


def medians(value: Floats, edges: Ints) -> Floats:
    """The median of each stretch between two edges; those of one length are taken together."""
    length = np.diff(edges)
    found = np.empty(len(length))
    for size in np.unique(length):
        some = np.flatnonzero(length == size)
        found[some] = np.median(value[edges[some, None] + np.arange(size)], axis=1)
    return found
