"""How low a noisy curve lies, and which of two lies lower."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from runscope.stats.arrays import Floats
from runscope.stats.levels.level import Level, fit_level

FEWEST = 6
"""Values from which level and noise of a curve can be told apart, see
:func:`runscope.stats.levels.level.fit_level`."""
MOST = 0.99
"""One curve each: no comparison is surer than this."""


@dataclass(frozen=True)
class Height:
    """A height of a curve.

    Attributes:
        value: the level there, noise taken away.
        error: its standard error.
        first, last: between which places the curve is as low, as far as can be told.
    """

    value: float
    error: float
    first: float
    last: float


def lowest(x: Floats, value: Floats) -> Height | None:
    """The lowest level of a curve.

    The lowest value is too low, because it was picked for its luck; the level weighs its neighbours too.

    Args:
        x: (n,) increasing places.
        value: (n,) finite values.

    Returns:
        None where there are too few distinct values to know their noise.
    """
    level = fit_level(x, value)
    return None if level is None else _at(level, int(np.argmin(level.mean)))


def around_end(x: Floats, value: Floats) -> Height | None:
    """The level of a curve at its end; None as in :func:`lowest`."""
    level = fit_level(x, value)
    return None if level is None else _at(level, len(level.x) - 1)


def _at(level: Level, place: int) -> Height:
    error = float(np.sqrt(level.variance[place]))
    alike = np.abs(level.mean - level.mean[place]) <= error
    first = last = place
    while first > 0 and alike[first - 1]:
        first -= 1
    while last < len(alike) - 1 and alike[last + 1]:
        last += 1
    return Height(float(level.mean[place]), error, float(level.x[first]), float(level.x[last]))


def probably_lower(one: Height, other: Height) -> float:
    """Probability that one level truly lies below the other, both errors being normal and independent."""
    error = float(np.hypot(one.error, other.error))
    gap = other.value - one.value
    if error == 0.0:
        return MOST if gap > 0 else 1 - MOST if gap < 0 else 0.5
    return float(np.clip(math.erfc(-gap / error / math.sqrt(2)) / 2, 1 - MOST, MOST))
