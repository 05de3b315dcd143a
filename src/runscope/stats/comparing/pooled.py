"""Metrics of all examples together, as F1 and corpus BLEU are, as a mean over examples that can be paired.

Such a metric is a function of sums over the examples. Leaving out one example after another gives its jackknife
pseudo-values (Quenouille 1956, Tukey 1958): their mean is the metric, without its bias of order 1/n, and they scatter
as independent results do (Efron and Stein 1981). Differences of two models' pseudo-values are paired as losses are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from runscope.stats.arrays import Floats

BLOCK = 256
"""Examples left out in one go: each takes as much memory as all others."""


def jackknife(statistics: Floats, value: Callable[[Floats], Floats]) -> Floats:
    """(n,) pseudo-values of a metric.

    Args:
        statistics: (n, d) of the examples.
        value: the metric from sums (..., d) of them.
    """
    n = len(statistics)
    sums = statistics.sum(axis=0)
    if n < 2:
        return np.full(n, float(value(sums)))
    found: Floats = n * float(value(sums)) - (n - 1) * value(sums - statistics)
    return found


def macro_f1(sums: Floats) -> Floats:
    """Mean F1 over the classes that occur, of (..., 3·K): right ones, predicted ones, true ones of each class."""
    right, predicted, true = np.split(sums, 3, axis=-1)
    both = predicted + true
    each = np.divide(2 * right, both, out=np.zeros_like(right), where=both > 0)
    found: Floats = each.sum(axis=-1) / np.maximum((both > 0).sum(axis=-1), 1)
    return found


def macro_f1_of_labels(sums: Floats) -> Floats:
    """The same where an example has several: over all labels, as scikit-learn has it; one that never occurs is 0."""
    right, predicted, true = np.split(sums, 3, axis=-1)
    both = predicted + true
    found: Floats = np.divide(2 * right, both, out=np.zeros_like(right), where=both > 0).mean(axis=-1)
    return found


def micro_f1(sums: Floats) -> Floats:
    """F1 of all labels together, of (..., 3·K)."""
    right, predicted, true = (part.sum(axis=-1) for part in np.split(sums, 3, axis=-1))
    both = predicted + true
    found: Floats = np.divide(2 * right, both, out=np.zeros_like(right), where=both > 0)
    return found


def class_counts(true: Floats, predicted: Floats, classes: int) -> Floats:
    """(3·K,) counts of an example for :func:`macro_f1`, of (m,) numbers of classes."""
    right = true[true == predicted]
    return np.concatenate(
        [np.bincount(v.astype(np.int64), minlength=classes) for v in (right, predicted, true)]
    )


def pearson(sums: Floats) -> Floats:
    """Correlation, of (..., 6): count, both values, their squares, their product."""
    count, a, b, a2, b2, ab = np.moveaxis(sums, -1, 0)
    n = np.maximum(count, 1)
    spread = np.sqrt(np.maximum(a2 - a**2 / n, 0) * np.maximum(b2 - b**2 / n, 0))
    found: Floats = np.divide(ab - a * b / n, spread, out=np.full_like(ab, np.nan), where=spread > 0)
    return found


def spearman(first: Floats, second: Floats) -> float:
    """Correlation of ranks, equal values sharing theirs; NaN where all of either are equal or one is not finite."""
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return float("nan")
    return float(_of_ranks(ranks(first)[None], ranks(second)[None])[0])


def rank_jackknife(first: Floats, second: Floats) -> Floats:
    """(n,) pseudo-values of Spearman's correlation of two (n,) arrays.

    Without example i all ranks above its own are one lower, and those that it shares a half: no sorting anew.
    """
    n, whole = len(first), spearman(first, second)
    if n < 3 or not np.isfinite(whole):
        return np.full(n, whole)
    both, found = [(v, ranks(v)) for v in (first, second)], np.empty(n)
    for begin in range(0, n, BLOCK):
        out = np.arange(begin, min(begin + BLOCK, n))
        left = [r - (v > v[out, None]) - 0.5 * (v == v[out, None]) for v, r in both]
        keep = np.arange(n) != out[:, None]
        found[out] = n * whole - (n - 1) * _of_ranks(*(r[keep].reshape(len(out), n - 1) for r in left))
    return found


def ranks(values: Floats) -> Floats:
    """(n,) ranks from 1; equal values share the mean of theirs."""
    ordered = np.sort(values)
    below, upto = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    found: Floats = (below + upto + 1) / 2
    return found


def _of_ranks(first: Floats, second: Floats) -> Floats:
    """(rows,) correlation of each row."""
    a, b = (r - r.mean(axis=1, keepdims=True) for r in (first, second))
    spread = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    found: Floats = np.divide((a * b).sum(axis=1), spread, out=np.full(len(a), np.nan), where=spread > 0)
    return found


def r_squared(sums: Floats) -> Floats:
    """Share of the variance that is explained, of (..., 4·K): count, target, its square, squared error of each target.

    Of several targets it is the mean of theirs.
    """
    count, total, squares, errors = np.moveaxis(sums.reshape(*sums.shape[:-1], -1, 4), -1, 0)
    spread = squares - total**2 / np.maximum(count, 1)
    each: Floats = 1 - np.divide(errors, spread, out=np.full_like(errors, np.nan), where=spread > 0)
    found: Floats = each.mean(axis=-1)
    return found
