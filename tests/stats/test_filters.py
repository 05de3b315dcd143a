"""The filters give what those of scipy give."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from runscope.stats.levels.filters import Ends, running_gaussian, running_mean, running_median

LENGTHS = (9, 10, 57, 1000, 40_001)
ENDS: tuple[Ends, ...] = ("nearest", "mirror", "reflect")


def curve(count: int) -> np.ndarray:
    """A falling loss with noise, a spike and a stretch of equal values, around 1000 so that rounding shows."""
    value = (
        1000 + np.exp(-np.arange(count) / count) + 0.1 * np.random.default_rng(count).standard_normal(count)
    )
    value[count // 3] = 1e6
    value[count // 2 : count // 2 + 5] = 1.25
    return value


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("count", LENGTHS)
def test_running_gaussian(count: int, ends: Ends) -> None:
    value = curve(count)
    for width in (0.4, 0.5, 1.5, 12.3, 40.0):
        expected = ndimage.gaussian_filter1d(value, width, mode=ends)
        np.testing.assert_allclose(running_gaussian(value, width, ends), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("count", LENGTHS)
def test_running_mean(count: int, ends: Ends) -> None:
    value = curve(count)
    for size in (3, 5, 9, count // 4 | 1):
        expected = ndimage.uniform_filter1d(value, size, mode=ends)
        np.testing.assert_allclose(running_mean(value, size, ends), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("count", LENGTHS)
def test_running_median(count: int, ends: Ends) -> None:
    value = curve(count)
    for size in (1, 3, 5, 9, 15):
        expected = ndimage.median_filter(value, size, mode=ends)
        np.testing.assert_array_equal(running_median(value, size, ends), expected)


def test_curve_shorter_than_the_window() -> None:
    value = np.array([3.0, 1.0, 2.0, 7.0])
    np.testing.assert_array_equal(running_median(value, 9), ndimage.median_filter(value, 9, mode="nearest"))
    np.testing.assert_allclose(
        running_gaussian(value, 3.0, "reflect"),
        ndimage.gaussian_filter1d(value, 3.0, mode="reflect"),
        rtol=1e-12,
    )


def test_equal_values_stay_equal() -> None:
    level = running_gaussian(np.full(500, 0.1), 7.0)
    assert len(np.unique(level)) == 1
