"""Curves that swing with a period. Pure functions on arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runscope.stats.arrays import Floats


@dataclass(frozen=True)
class Swing:
    """The strongest period of a curve around its level.

    Attributes:
        period: points a swing.
        share: of the variance that lies at this period and its neighbours in frequency.
        amplitude: half the height of the swing, in units of the curve.
    """

    period: float
    share: float
    amplitude: float


def swing(around: Floats) -> Swing | None:
    """Find the strongest period of a curve from which its level was taken.

    A periodogram with a Hann window. In white noise the largest share of three neighbouring frequencies stays
    below 0.75 for 30 points, 0.55 for 60 and 0.35 for 100 in 998 curves of 1,000 (simulated; the test repeats it).

    Args:
        around: (n,) finite values around 0.

    Returns:
        None for fewer than 16 points or a curve without variance.
    """
    count = len(around)
    if count < 16 or np.ptp(around) == 0:
        return None
    power = np.abs(np.fft.rfft((around - around.mean()) * np.hanning(count))) ** 2
    power[0] = 0.0
    total = float(power.sum())
    if total <= 0:
        return None
    top = int(np.argmax(power))
    near = power[max(1, top - 1) : top + 2]
    share = float(near.sum() / total)
    return Swing(count / top, share, float(np.sqrt(2 * share * np.var(around))))
