"""How much the best of several looks better than it is, for having been picked."""

from __future__ import annotations

import numpy as np

from runscope.stats.arrays import Floats, Ints

FOLDS = 5
"""The pick of four fifths is nearly that of all, and the fifth did not take part in it. With ten folds the estimate
varies by a third more, with two the picks are worse than the one that is corrected (``benchmarks/racing.py``)."""
TIMES = 40
"""Partitions into folds: the estimate then varies little from how examples happened to fall."""


def flattery(values: Floats, weights: Floats, clusters: Ints, *, seed: int = 0) -> float:
    """How much too low the lowest of several means is, by repeated cross-validation (Stone 1974).

    One fold after another is left out, the lowest mean is picked on the others and measured on the one left out: that
    measurement is not flattered. Clusters stay whole.

    Args:
        values: (n, k) of the candidates; the lowest mean is picked.
        weights: (n,) of the examples.
        clusters: (n,) number of each example's cluster.
        seed: of the partitions.

    Returns:
        In units of the values; right on average, so it may be below 0 where the lowest is far from the others.
    """
    units, place = np.unique(clusters, return_inverse=True)
    folds = min(FOLDS, len(units))
    if values.shape[1] < 2 or folds < 2:
        return 0.0
    weighted = values * weights[:, None]
    total, weight = weighted.sum(axis=0), float(weights.sum())
    rng = np.random.default_rng(seed)
    found = np.empty(TIMES)
    for time in range(TIMES):
        fold = rng.permutation(np.arange(len(units)) % folds)[place]
        within = np.zeros((folds, values.shape[1]))
        np.add.at(within, fold, weighted)
        held = np.bincount(fold, weights, folds)
        picked = ((total - within) / (weight - held)[:, None]).argmin(axis=1)
        found[time] = within[np.arange(folds), picked].sum() / weight
    return float(found.mean() - (total / weight).min())
