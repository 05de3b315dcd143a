"""Metrics of all examples together: leave-one-out by hand, and how often a paired difference is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from runscope.stats.comparing.bounds import NORMAL
from runscope.stats.comparing.paired import Ground
from runscope.stats.comparing.pooled import (
    class_counts,
    jackknife,
    macro_f1,
    pearson,
    r_squared,
    rank_jackknife,
    spearman,
)


def counts(true: np.ndarray, said: np.ndarray, classes: int = 3) -> np.ndarray:
    return np.array(
        [class_counts(np.array([t]), np.array([s]), classes) for t, s in zip(true, said, strict=True)],
        dtype=np.float64,
    )


def test_pseudo_values_are_those_of_leaving_one_out() -> None:
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(0)
    true, said = rng.integers(3, size=40), rng.integers(3, size=40)
    found = jackknife(counts(true, said), macro_f1)
    whole = f1_score(true, said, average="macro")
    for i in range(40):
        without = f1_score(np.delete(true, i), np.delete(said, i), average="macro")
        assert found[i] == pytest.approx(40 * whole - 39 * without)


def test_r_squared_is_sklearn_s() -> None:
    from sklearn.metrics import r2_score

    rng = np.random.default_rng(1)
    target = rng.normal(size=50)
    said = target + rng.normal(size=50)
    sums = np.stack([np.ones(50), target, target**2, (said - target) ** 2], axis=1).sum(axis=0)
    assert float(r_squared(sums)) == pytest.approx(r2_score(target, said))


def shares(gain: float, repetitions: int = 300, examples: int = 300) -> tuple[float, float]:
    """How often one of two classifiers is shown to be better, by a gain of it, and how often the other."""
    rng = np.random.default_rng(2)
    wanted, better, worse = NORMAL.inv_cdf(0.025), 0, 0
    for _ in range(repetitions):
        true = rng.choice(3, size=examples, p=[0.7, 0.2, 0.1])
        hard = rng.random(examples)  # what is hard for one is hard for the other
        both = []
        for accuracy in (0.7 + gain, 0.7):
            wrong = (hard + 0.3 * rng.random(examples)) / 1.3 > accuracy
            both.append(np.where(wrong, rng.integers(3, size=examples), true))
        first, second = (jackknife(counts(true, said), macro_f1) for said in both)
        ground = Ground.of(np.stack([first, second], axis=1), np.ones(examples), np.arange(examples))
        pair = ground.between(-first, -second)  # costs
        better += pair.score(0.0) <= wanted
        worse += pair.score_below(0.0) <= wanted
    return better / repetitions, worse / repetitions


def test_equal_classifiers_are_told_apart_no_oftener_than_promised() -> None:
    better, worse = shares(0.0)
    assert better + worse <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5


def test_a_better_classifier_is_found() -> None:
    better, worse = shares(0.15)
    assert better > 0.8
    assert worse == 0


def test_ranks_without_one_are_as_if_it_had_never_been() -> None:
    from scipy.stats import pearsonr, spearmanr

    rng = np.random.default_rng(3)
    first = rng.integers(8, size=60).astype(float)  # many are equal
    second = first + rng.normal(0, 4, size=60)
    whole = spearmanr(first, second).statistic
    assert spearman(first, second) == pytest.approx(whole)
    found = rank_jackknife(first, second)
    for i in range(60):
        without = spearmanr(np.delete(first, i), np.delete(second, i)).statistic
        assert found[i] == pytest.approx(60 * whole - 59 * without)
    sums = np.stack([np.ones(60), first, second, first**2, second**2, first * second], axis=1).sum(axis=0)
    assert float(pearson(sums)) == pytest.approx(pearsonr(first, second).statistic)


def ranked(gain: float, repetitions: int = 300, examples: int = 200) -> tuple[float, float]:
    """How often one of two models of embeddings is shown to be better, by less noise, and how often the other."""
    rng, better, worse = np.random.default_rng(4), 0, 0
    wanted = NORMAL.inv_cdf(0.025)
    for _ in range(repetitions):
        target, shared = rng.normal(size=examples), rng.normal(size=examples)
        both = [
            rank_jackknife(target + (1 - less) * (0.8 * shared + 0.6 * rng.normal(size=examples)), target)
            for less in (gain, 0.0)
        ]
        ground = Ground.of(np.stack(both, axis=1), np.ones(examples), np.arange(examples))
        pair = ground.between(-both[0], -both[1])  # costs
        better += pair.score(0.0) <= wanted
        worse += pair.score_below(0.0) <= wanted
    return better / repetitions, worse / repetitions


def test_equal_embeddings_are_told_apart_no_oftener_than_promised() -> None:
    better, worse = ranked(0.0)
    assert better + worse <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5


def test_a_better_embedding_is_found() -> None:
    better, worse = ranked(0.4)
    assert better > 0.8
    assert worse == 0
