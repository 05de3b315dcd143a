"""Whether a curve goes up or down, against scipy's rank correlation and a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from runscope.stats.trend import rank_correlation, rank_trend, slope

VALUES = st.lists(st.integers(-50, 50).map(float), min_size=4, max_size=60)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_the_rank_trend_is_spearmans(values: list[float]) -> None:
    curve = np.array(values)
    rho, errors = rank_trend(curve)
    if np.ptp(curve) == 0:
        assert (rho, errors) == (0.0, 0.0)
        return
    expected = scipy_stats.spearmanr(curve, np.arange(len(curve))).statistic
    assert rho == pytest.approx(expected, abs=1e-12)
    assert errors == pytest.approx(expected * np.sqrt(len(curve) - 1), abs=1e-12)
    np.testing.assert_allclose(rank_trend(np.exp(curve / 10)), (rho, errors), atol=1e-12)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-9, 9).map(float), st.integers(-9, 9).map(float)), min_size=2, max_size=60)
)
def test_two_curves_go_together_as_spearman_says(pairs: list[tuple[float, float]]) -> None:
    a, b = np.array(pairs).T
    expected = 0.0 if np.ptp(a) == 0 or np.ptp(b) == 0 else scipy_stats.spearmanr(a, b).statistic
    assert rank_correlation(a, b) == pytest.approx(expected, abs=1e-12)


def test_three_points_show_no_trend() -> None:
    assert rank_trend(np.array([1.0, 2.0, 3.0])) == (0.0, 0.0)


def test_without_a_trend_the_errors_are_those_of_chance() -> None:
    errors = [rank_trend(np.random.default_rng(seed).normal(size=50))[1] for seed in range(500)]
    assert np.mean(errors) == pytest.approx(0.0, abs=0.15)
    assert np.std(errors) == pytest.approx(1.0, abs=0.1)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-20, 20)), min_size=2, max_size=50))
def test_the_slope_is_the_median_between_points_half_a_curve_apart(points: list[tuple[int, int]]) -> None:
    x = np.cumsum([float(gap) for gap, _ in points])
    y = np.array([float(height) for _, height in points])
    half = max(1, len(x) // 2)
    slopes = [(y[i + half] - y[i]) / (x[i + half] - x[i]) for i in range(len(x) - half) if x[i + half] > x[i]]
    assert slope(x, y) == pytest.approx(np.median(slopes) if slopes else 0.0)


def test_a_line_has_its_own_slope_in_spite_of_outliers() -> None:
    x = np.arange(100.0)
    y = 3.0 - 0.25 * x
    y[::7] = 1e9
    assert slope(x, y) == pytest.approx(-0.25)
