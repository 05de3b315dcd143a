"""Bounds of a mean: exact where exact ones are known, never too narrow on skewed values, Student's on tame ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, t

from runscope.stats.comparing.bounds import (
    NORMAL,
    below_zero,
    half_width,
    lower_bound,
    mean_score,
    reach_of,
    student_below,
)

WANTED = NORMAL.inv_cdf(0.025)


def low(values: np.ndarray, reach: float, wanted: float = WANTED) -> float:
    ones = np.ones(len(values))
    error = values.std() / np.sqrt(len(values))
    return lower_bound(
        lambda v: mean_score(values, ones, reach, v), float(values.mean()), error, -reach, wanted
    )


@pytest.mark.parametrize(("n", "wrong"), [(100, 0), (100, 1), (100, 7), (30, 0), (30, 2), (10, 3), (1000, 1)])
@pytest.mark.parametrize("alpha", [0.025, 0.0005])
def test_right_and_wrong_have_the_bound_of_clopper_and_pearson(n: int, wrong: int, alpha: float) -> None:
    values = np.zeros(n)
    values[:wrong] = 1.0
    highest = -low(-values, 1.0, NORMAL.inv_cdf(alpha))
    assert highest == pytest.approx(beta.ppf(1 - alpha, wrong + 1, n - wrong), rel=0.01)


def test_random_weights_are_drawn_as_the_formula_says() -> None:
    rng = np.random.default_rng(0)
    parts = rng.exponential(size=60) - 0.8
    share = np.mean(rng.exponential(size=(100_000, 60)) @ parts <= 0)
    assert NORMAL.cdf(below_zero(parts)) == pytest.approx(share, rel=0.05)


DRAWS: dict[str, tuple[Callable[[np.random.Generator, int], np.ndarray], float]] = {
    "rare gains": (lambda r, n: np.where(r.random(n) < 0.03, 3.0, 0.0) - 0.09 + 0.05 * r.standard_normal(n), 0.5),
    "rare disasters": (lambda r, n: 0.09 - np.where(r.random(n) < 0.03, 3.0, 0.0) + 0.05 * r.standard_normal(n), 3.2),
    "exponential": (lambda r, n: 1.0 - r.exponential(size=n), 12.0),
    "mirrored": (lambda r, n: r.exponential(size=n) - 1.0, 1.0),
    "normal": (lambda r, n: r.standard_normal(n), 4.5),
    "two values": (lambda r, n: np.where(r.random(n) < 0.9, 0.1, -0.9), 0.9),
    "heavy": (lambda r, n: np.clip(r.standard_t(2.5, n), -40, 40), 40.0),
}  # fmt: skip


@pytest.mark.parametrize("n", [8, 40, 200])
@pytest.mark.parametrize("name", DRAWS)
def test_the_true_mean_is_seldom_below_the_lower_bound(name: str, n: int) -> None:
    """All have the mean 0. A t-interval fails on the second kind in up to 30% where 2.5% are promised."""
    draw, reach = DRAWS[name]
    failed = 0
    for seed in range(400):
        values = draw(np.random.default_rng(seed), n)
        failed += mean_score(values, np.ones(n), reach, 0.0) < WANTED
    # Three standard errors of a binomial above what is promised.
    assert failed / 400 <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 400)


def test_many_tame_values_have_students_interval() -> None:
    values = np.random.default_rng(1).standard_normal(2000)
    student = values.mean() - t.ppf(0.975, 1999) * values.std(ddof=1) / np.sqrt(2000)
    assert low(values, 4.0) == pytest.approx(student, abs=0.15 * abs(values.mean() - student))


def test_what_was_not_seen_leaves_room_for_three_in_n() -> None:
    """No difference at all on 300 examples: one of 4 nats may yet be there in one of a hundred."""
    assert low(np.zeros(300), 4.0, NORMAL.inv_cdf(0.05)) == pytest.approx(-4 * 3 / 300, rel=0.02)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-5, 5), min_size=2, max_size=40),
    st.floats(0.1, 10),
    st.sampled_from([0.2, 0.025, 1e-4, 1e-7]),
)
def test_the_bound_is_where_the_score_is_met(drawn: list[float], more: float, alpha: float) -> None:
    values = np.array(drawn)
    reach = float(np.abs(values).max()) + more
    found, wanted = low(values, reach, NORMAL.inv_cdf(alpha)), NORMAL.inv_cdf(alpha)
    assert -reach <= found <= values.mean() + 1e-9
    score = mean_score(values, np.ones(len(values)), reach, found)
    assert score == pytest.approx(wanted, abs=1e-3) or found in (-reach, values.mean())
    scaled = low(values * 100, reach * 100, wanted)
    assert scaled == pytest.approx(found * 100, rel=1e-3, abs=reach), "units do not matter"


@pytest.mark.parametrize("freedom", [1.0, 1.7, 4.0, 30.0])
def test_students_distribution(freedom: float) -> None:
    for value in (-12.7, -2.0, -0.3, 0.0, 1.1, 6.0):
        assert student_below(value, freedom) == pytest.approx(t.cdf(value, freedom), abs=1e-6)


@pytest.mark.parametrize(
    ("n", "spread", "reach"), [(64, 0.3, 3.0), (200, 0.45, 3.0), (2000, 0.6, 4.0), (300, 0.0, 1.0)]
)
def test_the_width_is_foreseen(n: int, spread: float, reach: float) -> None:
    rng = np.random.default_rng(2)
    widths = []
    for _ in range(20):
        values = spread * rng.standard_normal(n)
        widths.append(values.mean() - low(values, reach, NORMAL.inv_cdf(0.002)))
    assert half_width(spread, n, reach, NORMAL.inv_cdf(0.002)) == pytest.approx(np.mean(widths), rel=0.1)


def test_how_far_checkpoints_may_lie_apart() -> None:
    assert reach_of(np.array([[1.0, 0.0], [1.0, 1.0]])) == 1.0
    assert reach_of(np.ones((30, 4))) == 1.0, "all right: a wrong answer is one apart"
    assert reach_of(-np.ones((30, 4))) == 1.0
    assert reach_of(np.array([[1.0, 1.1], [2.0, 2.0], [3.0, 9.0], [2.0, np.nan]])) == pytest.approx(7.0)
    assert reach_of(np.array([[2.0, 6.0], [2.0, 3.0], [1.9, 2.0]])) == pytest.approx(4.0)
