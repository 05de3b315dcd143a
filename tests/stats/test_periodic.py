"""The strongest period of a curve, against scipy's periodogram."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from runscope.stats.periodic import swing


@pytest.mark.parametrize(
    ("period", "amplitude", "noise"), [(8.0, 0.5, 0.0), (12.5, 0.3, 0.1), (40.0, 2.0, 1.0)]
)
def test_a_swing_is_found_with_its_period_and_height(period: float, amplitude: float, noise: float) -> None:
    count = 400
    place = np.arange(count)
    curve = amplitude * np.sin(2 * np.pi * place / period)
    curve += np.random.default_rng(1).normal(0.0, noise, count)
    found = swing(curve)
    assert found is not None
    frequency = 1 / found.period
    assert abs(frequency - 1 / period) <= 1 / count, "within one of the curve's frequencies"
    assert found.amplitude == pytest.approx(amplitude, rel=0.15)
    assert found.share > (0.95 if noise == 0 else 0.5)


@pytest.mark.parametrize("count", [16, 31, 300])
def test_period_and_share_are_those_of_scipys_periodogram(count: int) -> None:
    curve = np.random.default_rng(count).normal(size=count)
    frequency, power = signal.periodogram(curve, window=np.hanning(count), detrend="constant")
    # scipy counts each frequency twice but the last one of an even number: undone, both are one sum of squares.
    if count % 2 == 0:
        power[-1] *= 2
    power[0] = 0.0
    top = int(np.argmax(power))
    found = swing(curve)
    assert found is not None
    assert found.period == pytest.approx(1 / frequency[top])
    assert found.share == pytest.approx(power[max(1, top - 1) : top + 2].sum() / power.sum())
    assert found.amplitude == pytest.approx(np.sqrt(2 * found.share * curve.var()))


@pytest.mark.parametrize(("count", "bound"), [(30, 0.75), (60, 0.55), (100, 0.35)])
def test_noise_alone_stays_below_the_stated_share(count: int, bound: float) -> None:
    found = [swing(np.random.default_rng(seed).normal(size=count)) for seed in range(1000)]
    shares = [s.share for s in found if s is not None]
    assert len(shares) == 1000
    assert np.mean(np.array(shares) > bound) <= 0.004
    assert np.mean(np.array(shares) > 0.7 * bound) > 0.01, "a bound far above all of them would say nothing"


def test_too_few_points_and_a_flat_curve_have_no_period() -> None:
    assert swing(np.sin(np.arange(15.0))) is None
    assert swing(np.full(100, 0.25)) is None
