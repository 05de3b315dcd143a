"""The best of several is flattered, and that is taken back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from runscope.stats.comparing.picking import flattery


def equal(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal((80, 10)), np.zeros(10)


def sisters(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal((120, 1)) + 0.5 * rng.standard_normal((120, 8)), np.zeros(8)


def u_shape(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    mean = 0.1 * ((np.arange(12) - 5) / 6) ** 2
    return mean + rng.standard_normal((300, 1)) + 0.3 * rng.standard_normal((300, 12)), mean


def one_is_best(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    mean = np.array([0.0, 5.0, 5.0])
    return mean + rng.standard_normal((50, 3)), mean


@pytest.mark.parametrize("draw", [equal, sisters, u_shape])
def test_what_picking_flatters_is_taken_back(
    draw: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]],
) -> None:
    looks, corrected = [], []
    for seed in range(250):
        values, mean = draw(np.random.default_rng(seed))
        n = len(values)
        best = int(values.mean(axis=0).argmin())
        shared = (values - mean).mean()  # luck that all columns have in common has nothing to do with picking
        off = values[:, best].mean() - mean[best] - shared
        looks.append(-off)
        corrected.append(off + flattery(values, np.ones(n), np.arange(n), seed=seed))
    share = 1 + np.mean(corrected) / np.mean(looks)
    error = 3 * np.std(corrected) / np.sqrt(250) / np.mean(looks)
    assert abs(share - 1) < 0.1 + error


def test_nothing_is_taken_back_where_one_is_far_ahead() -> None:
    values, _ = one_is_best(np.random.default_rng(0))
    assert flattery(values, np.ones(50), np.arange(50)) == pytest.approx(0, abs=1e-12)
    assert flattery(values[:, :1], np.ones(50), np.arange(50)) == 0


def test_clusters_stay_whole() -> None:
    """The same ten rows eight times over are ten rows: flattered as much as ten are."""
    rng = np.random.default_rng(1)
    alone, together = [], []
    for _ in range(40):
        values = rng.standard_normal((10, 6))
        alone.append(flattery(values, np.ones(10), np.arange(10)))
        repeated = np.repeat(values, 8, axis=0)
        together.append(flattery(repeated, np.ones(80), np.repeat(np.arange(10), 8)))
    assert np.mean(together) == pytest.approx(np.mean(alone), rel=0.05)
