"""Paired comparisons: error rates hold, equal models are equal, clusters count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runscope.stats.paired import cluster_codes, compare, examples_needed, influence, picked_optimism


def losses(seed: int, n: int = 200, k: int = 6, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    common = rng.gamma(2.0, 0.7, (n, 1))
    values = common + 0.3 * rng.standard_normal((n, k))
    values[:, -1] += shift
    return np.asarray(values)


def test_differences_and_errors_are_those_of_a_paired_t_test() -> None:
    values = losses(0)
    seen = compare(values, np.ones(len(values)), np.arange(len(values)))
    d = values[:, 3] - values[:, 1]
    assert seen.difference[1, 3] == pytest.approx(d.mean())
    assert seen.difference_error[1, 3] == pytest.approx(d.std(ddof=1) / np.sqrt(len(d)))
    assert seen.difference_error[1, 3] < np.hypot(seen.error[1], seen.error[3]) / 2, "pairing pays"


def test_equal_models_have_no_difference_and_no_proof() -> None:
    values = np.repeat(losses(1, k=1), 3, axis=1)
    seen = compare(values, np.ones(len(values)), np.arange(len(values)))
    assert not seen.statistic.any()
    assert seen.p_value(0, 2) == 1.0


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_no_pair_differs_by_chance_more_often_than_promised(alpha: float) -> None:
    false = 0
    for seed in range(400):
        seen = compare(values := losses(seed, n=120), np.ones(len(values)), np.arange(len(values)), seed=seed)
        false += np.abs(seen.statistic).max() > seen.critical(alpha)
    # Three standard errors of a binomial above what is promised.
    assert false / 400 < alpha + 3 * np.sqrt(alpha * (1 - alpha) / 400)


def test_right_and_wrong_are_held_to_mcnemars_exact_test() -> None:
    from scipy.stats import binomtest

    for first_only, second_only in ((10, 0), (9, 2), (3, 3), (14, 4)):
        values = np.zeros((80, 2))
        values[:first_only, 1] = 1
        values[first_only : first_only + second_only, 0] = 1
        seen = compare(values, np.ones(80), np.arange(80))
        exact = binomtest(second_only, first_only + second_only).pvalue
        assert seen.p_value(0, 1) == pytest.approx(exact, rel=0.15, abs=0.002)


def test_a_real_difference_is_found() -> None:
    found = sum(
        compare(v := losses(s, shift=0.15), np.ones(len(v)), np.arange(len(v))).p_value(0, 5) < 0.05
        for s in range(100)
    )
    assert found > 80


def test_examples_of_one_source_count_as_one() -> None:
    values = np.repeat(losses(2, n=50), 4, axis=0)
    alone = compare(values, np.ones(200), np.arange(200))
    together = compare(values, np.ones(200), np.repeat(np.arange(50), 4))
    assert together.difference_error[0, 1] == pytest.approx(2 * alone.difference_error[0, 1], rel=0.02)


def test_longer_examples_weigh_more() -> None:
    values = np.array([[1.0, 2.0], [3.0, 3.0]])
    seen = compare(values, np.array([3.0, 1.0]), np.arange(2))
    np.testing.assert_allclose(seen.mean, [1.5, 2.25])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(-50, 50))
def test_what_is_added_to_all_models_changes_nothing(seed: int, constant: float) -> None:
    values = losses(seed, n=60, k=3)
    weights, clusters = np.ones(60), np.arange(60)
    before, after = compare(values, weights, clusters), compare(values + constant, weights, clusters)
    np.testing.assert_allclose(before.statistic, after.statistic, atol=1e-6)


def test_the_best_of_many_is_flattered() -> None:
    gain = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        values = rng.standard_normal((80, 10))
        mean = values.mean(axis=0)
        flattery = picked_optimism(influence(values, np.ones(80), np.arange(80)), mean, seed=seed)
        assert flattery > 0
        gain.append(mean.min() + flattery)
    # Ten equal models: the truth is 0, the picked one looks 0.17 better; most of that is taken back.
    assert abs(np.mean(gain)) < 0.06


def test_examples_needed() -> None:
    assert examples_needed(0.1, 0.05, 100, 1.96) == pytest.approx(196, abs=2)
    assert examples_needed(-0.1, 0.05, 100, 1.96) is None
    assert examples_needed(0.0, 0.05, 100, 1.96) is None


def test_clusters_are_numbered_in_order() -> None:
    np.testing.assert_array_equal(cluster_codes(["b", "a", "b"]), [0, 1, 0])
