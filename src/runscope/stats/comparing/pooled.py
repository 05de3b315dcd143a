"""Metrics of all examples together, as F1 and corpus BLEU are, as a mean over examples that can be paired.

Such a metric is a function of sums over the examples. Leaving out one example after another gives its jackknife
pseudo-values (Quenouille 1956, Tukey 1958): their mean is the metric, without its bias of order 1/n, and they scatter
as independent results do (Efron and Stein 1981). Differences of two models' pseudo-values are paired as losses are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from runscope.stats.arrays import Floats


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


def class_counts(true: Floats, predicted: Floats, classes: int) -> Floats:
    """(3·K,) counts of an example for :func:`macro_f1`, of (m,) numbers of classes."""
    right = true[true == predicted]
    return np.concatenate(
        [np.bincount(v.astype(np.int64), minlength=classes) for v in (right, predicted, true)]
    )


def r_squared(sums: Floats) -> Floats:
    """Share of the variance that is explained, of (..., 4): count, target, its square, squared error."""
    count, total, squares, errors = np.moveaxis(sums, -1, 0)
    spread = squares - total**2 / np.maximum(count, 1)
    found: Floats = 1 - np.divide(errors, spread, out=np.full_like(errors, np.nan), where=spread > 0)
    return found
