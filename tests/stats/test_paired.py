"""Paired comparisons: error rates hold, equal models are equal, clusters count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runscope.stats.comparing.bounds import NORMAL
from runscope.stats.comparing.paired import (
    Difference,
    Ground,
    cluster_codes,
    counting,
    grouping,
    mean_and_error,
)

WANTED = NORMAL.inv_cdf(0.025)


def losses(seed: int, n: int = 200, k: int = 2, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    common = rng.gamma(2.0, 0.7, (n, 1))
    values = common + 0.3 * rng.standard_normal((n, k))
    values[:, -1] += shift
    return np.asarray(values)


def pair(
    values: np.ndarray, clusters: np.ndarray | None = None, weights: np.ndarray | None = None, *,
    continuous: bool = False,
) -> Difference:  # fmt: skip
    n = len(values)
    ground = Ground.of(
        values, np.ones(n) if weights is None else weights, np.arange(n) if clusters is None else clusters,
        continuous=continuous,
    )  # fmt: skip
    return ground.between(values[:, 0], values[:, -1])


def test_differences_and_errors_are_those_of_a_paired_t_test() -> None:
    values = losses(0)
    seen = pair(values)
    d = values[:, 1] - values[:, 0]
    assert seen.mean == pytest.approx(d.mean())
    assert seen.error == pytest.approx(d.std(ddof=1) / np.sqrt(len(d)))
    ones, rows = np.ones(200), np.arange(200)
    alone = [mean_and_error(values[:, j], ones, rows)[1] for j in (0, 1)]
    assert seen.error < np.hypot(*alone) / 2, "pairing pays"


def test_the_interval_holds_what_the_scores_say() -> None:
    seen = pair(losses(3, shift=0.1))
    assert seen.low(WANTED) < seen.mean < seen.high(WANTED)
    assert seen.score(seen.low(WANTED)) == pytest.approx(WANTED, abs=1e-3)
    assert seen.score_below(seen.high(WANTED)) == pytest.approx(WANTED, abs=1e-3)
    turned = pair(losses(3, shift=0.1)[:, ::-1])
    assert turned.low(WANTED) == pytest.approx(-seen.high(WANTED))


def test_equal_models_have_no_difference_and_no_proof() -> None:
    seen = pair(np.repeat(losses(1, k=1), 2, axis=1), continuous=True)
    assert seen.score(0.0) > 0
    assert seen.low(WANTED) == seen.high(WANTED) == 0, "losses that agree to the last digit are one model's"


def test_right_answers_that_agree_everywhere_do_not_show_that_models_are_equal() -> None:
    right = np.ones((30, 2))
    assert pair(right).high(WANTED) == pytest.approx(1 - 0.025 ** (1 / 30), rel=0.02), "the rule of three"
    assert pair(right).score_below(0.02) > WANTED
    assert pair(np.ones((400, 2))).score_below(0.02) < WANTED


def test_a_real_difference_is_found() -> None:
    found = sum(pair(losses(s, shift=0.2)).score(0.0) < WANTED for s in range(100))
    assert found > 80


def test_examples_of_one_source_count_as_one() -> None:
    values = losses(2, n=50)
    repeated = np.repeat(values, 4, axis=0)
    alone, together = pair(values), pair(repeated, np.repeat(np.arange(50), 4))
    assert together.error == pytest.approx(alone.error)
    assert together.low(WANTED) == pytest.approx(alone.low(WANTED), rel=0.01)
    assert pair(repeated).error == pytest.approx(alone.error / 2, rel=0.03)


@pytest.mark.parametrize("groups", [2, 3, 6, 40])
def test_sources_that_differ_are_not_taken_for_a_difference_of_the_models(groups: int) -> None:
    """One model is better on some sources, the other on others, and on average none is."""
    false = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        source = np.arange(240) % groups
        values = losses(seed, n=240)
        values[:, 1] += 0.3 * rng.standard_normal(groups)[source]
        false += pair(values, source).score(0.0) < WANTED
    assert false / 300 <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 300)


def test_few_sources_that_agree_still_show_a_difference() -> None:
    """A column with three values must not silence everything."""
    values = losses(5, n=300, shift=1.0)
    seen = pair(values, np.arange(300) % 5)
    assert seen.few
    assert seen.low(WANTED) > 0.5
    assert seen.score(0.0) < WANTED
    assert seen.low(WANTED) <= pair(values).low(WANTED) + 1e-4, "never narrower than rows on their own"


def test_one_source_for_all_says_nothing() -> None:
    values = losses(6, n=100, shift=0.4)
    assert pair(values, np.zeros(100, dtype=np.int64)).low(WANTED) == pytest.approx(pair(values).low(WANTED))
    assert "every row has the same source" in grouping(np.zeros(100, dtype=np.int64), "source")[0]


def test_what_counted_as_one_is_said() -> None:
    assert grouping(np.arange(50), "source") == []
    (many,) = grouping(np.arange(200) // 4, "source")
    assert "50 groups in 200 rows" in many
    (few,) = grouping(np.arange(200) % 3, "source")
    assert "--cluster none" in few
    uneven = np.array([0] * 97 + [1, 2, 3])
    assert "count as 1.1" in grouping(uneven, "source")[0]
    assert counting(np.ones(7)) == pytest.approx(7)


def test_longer_examples_weigh_more() -> None:
    values = np.array([[1.0, 2.0], [3.0, 3.0]])
    assert pair(values, weights=np.array([3.0, 1.0])).mean == pytest.approx(0.75)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(-50, 50))
def test_what_is_added_to_all_models_changes_nothing(seed: int, constant: float) -> None:
    values = losses(seed, n=60)
    before, after = pair(values), pair(values + constant)
    assert before.score(0.0) == pytest.approx(after.score(0.0), abs=1e-3)
    assert before.low(WANTED) == pytest.approx(after.low(WANTED), abs=1e-3)


def test_examples_needed_show_what_is_there_in_four_of_five_sets() -> None:
    counts = [pair(losses(s, n=200)).examples_needed(0.12, WANTED) for s in range(500, 521)]
    needed = int(np.median([c for c in counts if c is not None]))
    found = sum(pair(losses(s, n=needed, shift=0.12)).score(0.0) < WANTED for s in range(200))
    assert found / 200 == pytest.approx(0.8, abs=3 * np.sqrt(0.8 * 0.2 / 200))
    assert pair(losses(7)).examples_needed(-0.1, WANTED) is None
    assert pair(losses(7)).examples_needed(0.0, WANTED) is None


def test_clusters_are_numbered_in_order() -> None:
    np.testing.assert_array_equal(cluster_codes(["b", "a", "b"]), [0, 1, 0])


def test_a_source_that_holds_most_rows_does_not_look_sure() -> None:
    """Its own mean is nearly the mean of all; a residual against that says nothing."""
    rng = np.random.default_rng(0)
    sources = np.r_[np.zeros(900, dtype=np.int64), 1 + np.arange(100) // 10]
    errors, means = [], []
    for _ in range(300):
        values = rng.standard_normal(11)[sources] + 0.1 * rng.standard_normal(1000)
        mean, error = mean_and_error(values, np.ones(1000), sources)
        means.append(mean)
        errors.append(error)
    assert np.sqrt(np.mean(np.square(errors))) > 0.9 * np.std(means)


def test_with_equal_weights_the_error_is_the_usual_one() -> None:
    values = np.random.default_rng(1).standard_normal(50)
    for clusters in (
        np.arange(50),
        np.zeros(50, dtype=np.int64),
    ):  # one source for all says nothing of sources
        mean, error = mean_and_error(values, np.ones(50), clusters)
        assert mean == pytest.approx(values.mean())
        assert error == pytest.approx(values.std(ddof=1) / np.sqrt(50))


@pytest.mark.parametrize("corr", [0.0, 0.5])
def test_heavy_weights_do_not_prove_what_is_not_there(corr: float) -> None:
    """Lognormal weights, with larger differences where they are large: false at most 5%."""
    false = 0
    for seed in range(120):
        rng = np.random.default_rng([3, seed])
        z = rng.standard_normal(300)
        weights = np.ceil(20 * np.exp(1.5 * z))
        pair = 0.3 * rng.standard_normal((300, 2)) * np.exp(corr * z)[:, None] + rng.standard_normal((300, 1))
        ground = Ground.of(pair, weights, np.arange(300))
        false += ground.between(pair[:, 0], pair[:, 1]).score(0.0) <= -1.96
    assert false <= 6
