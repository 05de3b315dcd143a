"""The level of a noisy curve, and how sure it is. Pure functions on arrays.

The local level model: a curve is a random walk that is seen with noise (Harvey 1989, *Forecasting, Structural
Time Series Models and the Kalman Filter*, chapter 2). The two variances are found by maximum likelihood.
By hand: statsmodels fits this model too, but to evenly spaced points only, and logs are not evenly spaced.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runscope.stats.arrays import Floats
from runscope.stats.levels.filters import running_median

MOST_BLOCKS = 400
"""A curve is reduced to so many block means: the level of a million points is as well known from them."""
RATIOS = np.geomspace(1e-5, 10.0, 25)
"""Tried ratios of the walk's variance per block to the noise's variance."""
CLIP = 3.0
"""Points further from the running median than so many standard deviations are drawn in to it."""


@dataclass(frozen=True)
class Level:
    """What is known of a curve's level.

    Attributes:
        x: (n,) places of the blocks, increasing.
        mean, variance: (n,) of the level at them, given the whole curve.
        walk: variance that the level gains per unit of ``x``.
        noise: variance of one logged point around the level.
        reach: distance in ``x`` over which errors of the level stay alike.
    """

    x: Floats
    mean: Floats
    variance: Floats
    walk: float
    noise: float
    reach: float


def calm(value: Floats) -> Floats:
    """Draw single outliers in to the running median of 9, by :data:`CLIP` robust standard deviations."""
    if len(value) < 9:
        return value
    middle = running_median(value, 9, ends="mirror")
    rest = value - middle
    spread = 1.4826 * float(np.median(np.abs(rest)))
    limit = CLIP * (spread if spread > 0 else float(np.std(rest)))
    return middle + np.clip(rest, -limit, limit)


def merged(x: Floats, value: Floats) -> tuple[Floats, Floats]:
    """One point for each stretch of equal values: a number that is written again is not seen again."""
    if len(value) < 2:
        return x, value
    new = np.append(True, np.diff(value) != 0)
    return x[new], value[new]


def blocks(x: Floats, value: Floats, most: int) -> tuple[Floats, Floats, float]:
    """Means of at most ``most`` blocks of neighbours, and how many points each holds."""
    size = -(-len(x) // most)
    if size <= 1:
        return x, value, 1.0
    edges = np.arange(0, len(x), size)
    count = np.diff(np.append(edges, len(x)))
    return np.add.reduceat(x, edges) / count, np.add.reduceat(value, edges) / count, float(size)


def fit_level(x: Floats, value: Floats, each: float = 1.0) -> Level | None:
    """Fit the local level model.

    Args:
        x: (n,) increasing places.
        value: (n,) finite values.
        each: how many logged points each value is the mean of.

    Returns:
        The level, None for fewer than 6 distinct points.
    """
    place, seen = merged(np.asarray(x, dtype=np.float64), calm(value))
    if len(place) < 6:
        return None
    place, seen, size = blocks(place, seen, MOST_BLOCKS)
    gap = np.diff(place)
    step = float(np.median(gap)) or 1.0
    apart = np.append(0.0, gap) / step
    # The first quarter of a training falls faster than the rest: it would make the walk look too wide.
    late = len(seen) // 4 if len(seen) >= 40 else 0
    ratio, noise = _likeliest(seen[late:], apart[late:])
    mean, variance = _smoothed(seen, apart, ratio)
    floor = 1e-12 * max(1.0, float(np.max(np.abs(seen)))) ** 2
    noise = max(noise, floor)
    reach = step * max(1.0, 1 / float(np.arccosh(1 + ratio / 2)))
    return Level(place, mean, variance * noise, ratio * noise / step, noise * size * each, reach)


def _likeliest(seen: Floats, apart: Floats) -> tuple[float, float]:
    """Ratio of walk to noise with the highest likelihood, and the variance of a block's noise."""
    count = len(seen)
    level = np.full(len(RATIOS), seen[0])
    spread = np.ones(len(RATIOS))
    squares = np.zeros(len(RATIOS))
    logs = np.zeros(len(RATIOS))
    for i in range(1, count):
        ahead = spread + RATIOS * apart[i]
        total = ahead + 1.0
        error = seen[i] - level
        squares += error**2 / total
        logs += np.log(total)
        gain = ahead / total
        level = level + gain * error
        spread = ahead * (1 - gain)
    noise = np.maximum(squares / max(count - 1, 1), 1e-300)
    best = int(np.argmin((count - 1) * np.log(noise) + logs))
    return float(RATIOS[best]), float(noise[best])


def _smoothed(seen: Floats, apart: Floats, ratio: float) -> tuple[Floats, Floats]:
    """Mean and variance (in units of the noise) of the level at every block, by the Rauch-Tung-Striebel smoother."""
    count = len(seen)
    level, spread, ahead = np.empty(count), np.empty(count), np.empty(count)
    level[0], spread[0], ahead[0] = seen[0], 1.0, 1.0
    for i in range(1, count):
        ahead[i] = spread[i - 1] + ratio * apart[i]
        gain = ahead[i] / (ahead[i] + 1.0)
        level[i] = level[i - 1] + gain * (seen[i] - level[i - 1])
        spread[i] = ahead[i] * (1 - gain)
    for i in range(count - 2, -1, -1):
        back = spread[i] / ahead[i + 1]
        level[i] += back * (level[i + 1] - level[i])
        spread[i] += back**2 * (spread[i + 1] - ahead[i + 1])
    return level, spread
