"""How low a noisy curve lies, and which of two lies lower."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from runscope.stats.arrays import Floats
from runscope.stats.curves import heavy_noise, turn

FEWEST = 4
"""Values from which on the noise of a curve can be measured at all."""
MOST = 0.99
"""One curve each: no comparison is surer than this."""


@dataclass(frozen=True)
class Height:
    """A height of a curve.

    Attributes:
        value: the height.
        error: its standard error, from the curve's own noise.
        first, last: indices of the values that it is the mean of.
    """

    value: float
    error: float
    first: int
    last: int


def lowest(value: Floats) -> Height:
    """The level of a curve around its best point.

    The mean of all values that cannot be told from the best one: the best one alone is too low, because it was
    picked.

    Args:
        value: (n,) finite values in order of step, n ≥ ``FEWEST``.
    """
    first, last = turn(value).as_good
    around = value[first : last + 1]
    return Height(float(around.mean()), heavy_noise(value) / float(np.sqrt(len(around))), first, last)


def around_end(value: Floats, share: float = 0.05) -> Height:
    """The level of a curve at its end: the mean of its last values.

    Args:
        value: (n,) finite values in order of step, n ≥ ``FEWEST``.
        share: how much of the curve counts as its end.
    """
    count = max(FEWEST, round(share * len(value)))
    end = value[-count:]
    return Height(
        float(end.mean()),
        heavy_noise(value) / float(np.sqrt(len(end))),
        len(value) - len(end),
        len(value) - 1,
    )


def probably_lower(one: Height, other: Height) -> float:
    """Probability that one level truly lies below the other, both errors being normal and independent."""
    error = float(np.hypot(one.error, other.error))
    gap = other.value - one.value
    if error == 0.0:
        return MOST if gap > 0 else 1 - MOST if gap < 0 else 0.5
    return float(np.clip(norm.cdf(gap / error), 1 - MOST, MOST))
