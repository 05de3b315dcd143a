"""Bounds for a mean that also hold where values are skewed, and where the worst has not been seen yet.

A mean of n values lies above x unless values that were not drawn are worse than those that were. So one more value
is added, as bad as a value can be, and all n + 1 get random weights that sum to one, uniformly (Dirichlet); the share
of draws in which the weighted mean lies at or below x is the p-value of "the true mean is at most x". This is the bound
of Gaffke (2005, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative
variable"), in the form of Learned-Miller and Thomas (2019, arXiv 1905.06208). No distribution is known in which it
fails more often than it promises, with any number of values. For right/wrong it is the exact bound of Clopper and
Pearson, with no failure among n the rule of three; for many values of a well-behaved kind Student's t.

A weighted mean of exponential numbers has a known distribution, which the saddlepoint approximation of Lugannani and
Rice (1980; in the form of Barndorff-Nielsen 1986) gives to a few parts in a hundred down to the smallest p-values.
"""

from __future__ import annotations

from collections.abc import Callable
from math import copysign, exp, lgamma, log, pi, sqrt
from statistics import NormalDist

import numpy as np

from runscope.stats.arrays import Floats

NORMAL = NormalDist()
POWER = NORMAL.inv_cdf(0.8)
"""Of a test that is planned: it finds what is there in four of five cases, as is customary."""
NEAR = 1e-4
"""Where the saddlepoint is this near to the mean its formula is 0/0, and its limit is taken."""
STEPS = 100
"""Newton's method and the secants need 5 to 10; more only where values differ by many powers of ten."""
CLOSE = 1e-4
"""Normal scores this close are the same: a p-value of 0.025 is then known to 0.00001."""


def mean_score(sums: Floats, weights: Floats, reach: float, value: float) -> float:
    """How sure it is that a weighted mean lies above a value: the normal score of the p-value of "at most that".

    Args:
        sums: (m,) weight times value of each independent unit.
        weights: (m,) their weights.
        reach: no value lies below −reach: the one that is added does.
        value: held against the mean.

    Returns:
        The standard normal quantile of the p-value: −1.96 where it is 0.025, −inf where no weights give such a mean.
    """
    parts = sums - value * weights
    worst = -(reach + value) * float(weights.mean())
    if weights.min() < weights.max():  # one that was not drawn may weigh as much as any that was
        worst = min(worst, -float(np.abs(parts).max()))
    return below_zero(np.append(parts, worst))


def below_zero(parts: Floats) -> float:
    """Normal score of the probability that the sum of (m,) parts, each times an exponential number, is at most 0."""
    size = sqrt(float(parts @ parts))
    if size == 0:
        return float("inf")
    parts = parts / size
    least, most = float(parts.min()), float(parts.max())
    if least >= 0 or most <= 0:
        return -float("inf") if most > 0 else float("inf")
    point = _saddlepoint(parts, 1 / least, 1 / most)
    tilted = parts / (1 - point * parts)
    spread = float(tilted @ tilted)
    root = copysign(sqrt(max(2 * float(np.log1p(-point * parts).sum()), 0.0)), point)
    if abs(root) < NEAR:
        return root + float((tilted**3).sum()) / (3 * spread * sqrt(spread))
    return root + log(point * sqrt(spread) / root) / root


def _saddlepoint(parts: Floats, low: float, high: float) -> float:
    """Where the slope of −Σ log(1 − t·part) is zero, by Newton's method held between its poles."""
    point = 0.0
    for _ in range(STEPS):
        tilted = parts / (1 - point * parts)
        slope, spread = float(tilted.sum()), float(tilted @ tilted)
        low, high = (point, high) if slope < 0 else (low, point)
        step = point - slope / spread
        step = step if low < step < high else (low + high) / 2
        if abs(step - point) * sqrt(spread) < 1e-9:
            return step
        point = step
    return point


def lower_bound(
    score: Callable[[float], float], mean: float, error: float, floor: float, wanted: float
) -> float:
    """The value at which a rising score reaches the one that is wanted.

    Args:
        score: of a value, as :func:`mean_score` gives it.
        mean, error: of the sample: where to begin.
        floor: no bound lies below.
        wanted: normal quantile of the error rate, below 0.
    """
    low, high = floor, mean
    before = (mean, score(mean))
    guess = mean + wanted * error
    for _ in range(STEPS):
        guess = guess if low < guess < high else (low + high) / 2
        if not low < guess < high:
            break
        here = (guess, score(guess))
        if abs(here[1] - wanted) < CLOSE:
            return guess
        low, high = (guess, high) if here[1] < wanted else (low, guess)
        rise = before[1] - here[1]
        along = (before[0] - guess) * (wanted - here[1]) / rise if np.isfinite(rise) and rise else np.inf
        before, guess = here, guess + along
    return low


def reach_of(values: Floats) -> float:
    """How far apart two checkpoints may lie on an example that was not drawn, (n, k) values with NaN where not seen.

    As far as any two lay on an example that was, or as the most unusual result of all lies from the usual one,
    whichever is more. Right/wrong are one apart, also where all are right.
    """
    seen = values[np.isfinite(values)]
    if not len(seen):
        return 0.0
    least, most = float(seen.min()), float(seen.max())
    if least in (-1.0, 0.0) and np.isin(seen, (least, least + 1)).all():
        return 1.0
    if least == most:
        return abs(most)
    rows = values[np.isfinite(values).any(axis=1)]
    apart = float((np.nanmax(rows, axis=1) - np.nanmin(rows, axis=1)).max())
    usual = float(np.median(seen))
    return float(max(apart, most - usual, usual - least))


def half_width(spread: float, count: float, reach: float, wanted: float) -> float:
    """How far below the mean the lower bound of so many values lies, before they are drawn.

    The mean varies normally, and the value that is added has an exponential share of 1/count: the quantile of the sum
    of the two.

    Args:
        spread: standard deviation of the values.
        count: how many.
        reach: as in :func:`mean_score`.
        wanted: normal quantile of the error rate, below 0.
    """
    error, share = spread / sqrt(count), reach / count
    if share <= 0 or error / share > 20:  # the added value no longer matters
        return -wanted * error + share
    if error <= share * 1e-6:
        return -share * log(NORMAL.cdf(wanted))

    def beyond(width: float) -> float:
        tail = NORMAL.cdf(width / error - error / share) * exp(error**2 / share**2 / 2 - width / share)
        return NORMAL.cdf(-width / error) + tail

    low, high = 0.0, -wanted * error - share * log(NORMAL.cdf(wanted))
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(middle) > NORMAL.cdf(wanted) else (low, middle)
    return high


def student_below(value: float, freedom: float) -> float:
    """Probability that Student's t is below a value; degrees of freedom need not be whole, 1 at least.

    With t = √f·tan φ the density is proportional to cos^(f−1) φ, which Simpson's rule integrates.
    """
    angle = np.linspace(0.0, float(np.arctan2(abs(value), sqrt(freedom))), 2001)
    heights = np.cos(angle) ** (freedom - 1)
    total = float(heights[0] + heights[-1] + 4 * heights[1:-1:2].sum() + 2 * heights[2:-1:2].sum())
    area = float(angle[1]) / 3 * total
    half = area * exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2)) / sqrt(pi)
    return 0.5 + half if value > 0 else max(0.5 - half, 0.0)


def student_quantile(share: float, freedom: float) -> float:
    """The value below which Student's t is with a probability above a half, by halving: it is asked for once."""
    low, high = 0.0, 1e4
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if student_below(middle, freedom) < share else (low, middle)
    return high
