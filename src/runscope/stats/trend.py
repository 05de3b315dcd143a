"""Whether a curve goes up or down. Pure functions on arrays."""

from __future__ import annotations

import numpy as np

from runscope.stats.arrays import Floats


def rank_trend(value: Floats) -> tuple[float, float]:
    """Spearman's rank correlation of a curve with its order, and how many standard errors it is from 0.

    The standard error under independence is 1/√(n-1) (Kendall & Gibbons 1990). Ranks do not mind outliers
    or a curve that spans orders of magnitude.

    Args:
        value: (n,) finite values in order of step.

    Returns:
        (ρ, z); (0, 0) for fewer than 4 points or a constant curve.
    """
    count = len(value)
    if count < 4 or np.ptp(value) == 0:
        return 0.0, 0.0
    place = np.arange(count) - (count - 1) / 2
    rank = _ranks(value) - (count + 1) / 2
    rho = float(rank @ place / np.sqrt((rank @ rank) * (place @ place)))
    return rho, rho * float(np.sqrt(count - 1))


def rank_correlation(a: Floats, b: Floats) -> float:
    """Spearman's rank correlation of two curves at the same steps: (n,) and (n,); 0 where one of them is constant."""
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(value: Floats) -> Floats:
    """Rank of every value from 1 on; equal ones share the middle of theirs."""
    order = np.argsort(value, kind="stable")
    ordered = value[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    count = np.diff(first, append=len(value))
    rank = np.empty(len(value))
    rank[order] = np.repeat(first + (count + 1) / 2, count)
    return rank


def slope(x: Floats, y: Floats) -> float:
    """Median slope between points half a curve apart (Siegel's idea at the cost of one pass).

    Args:
        x, y: (n,) finite values, n ≥ 2, x increasing.
    """
    half = max(1, len(x) // 2)
    run = x[half:] - x[: len(x) - half]
    rise = y[half:] - y[: len(y) - half]
    known = run > 0
    return float(np.median(rise[known] / run[known])) if known.any() else 0.0
