"""What is said of a curve's turn: the lowest logged value, what cannot be told from it, and what is luck."""

from __future__ import annotations

import numpy as np
import pytest

from runscope.stats.overfitting.overfit import held_out, train_only
from runscope.stats.overfitting.turn import turn

NONE = np.empty(0)


def p_of(value: np.ndarray, train: np.ndarray = NONE) -> float:
    step = np.arange(len(value), dtype=float)
    at = np.linspace(0, len(value) - 1, len(train)) if len(train) else NONE
    return held_out(step, value, at, train).probability


@pytest.mark.parametrize("seed", range(40))
def test_the_lowest_value_is_the_lowest_logged_value(seed: int) -> None:
    rng = np.random.default_rng(seed)
    value = np.exp(rng.uniform(0, 0.3) * rng.standard_normal(int(rng.integers(3, 200))) - rng.uniform(0, 9))
    seen = turn(value)
    assert value[seen.best] == value.min() == seen.lowest
    first, last = seen.as_good
    assert first <= seen.best <= last


@pytest.mark.parametrize("seed", range(40))
def test_the_step_to_keep_is_the_same_as_the_lowest_but_for_luck(seed: int) -> None:
    rng = np.random.default_rng(seed)
    value = np.exp(rng.uniform(0, 0.3) * rng.standard_normal(int(rng.integers(3, 200))) - rng.uniform(0, 9))
    seen = turn(value)
    assert value[seen.first_best] <= 1.003 * value.min()
    assert seen.as_good[0] <= seen.first_best <= seen.as_good[1]


def test_in_a_noisy_valley_the_step_to_keep_is_nearer_to_its_ground_than_the_lowest_value() -> None:
    rng = np.random.default_rng(6)
    t = np.arange(1000.0)
    kept, lowest = [], []
    for _ in range(40):
        ground = rng.uniform(200, 400)
        level = 1 + 2e-6 * (t - ground) ** 2 * np.where(t < ground, 3.0, 0.5)
        seen = turn(level * np.exp(2e-3 * rng.standard_normal(1000)))
        kept.append(abs(seen.first_best - ground))
        lowest.append(abs(seen.best - ground))
    assert np.mean(kept) < np.mean(lowest)


def test_the_end_is_in_percent_of_the_lowest_value() -> None:
    assert turn(np.array([0.318, 0.320, 0.443])).rise_share == pytest.approx(0.443 / 0.318 - 1)


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1.0, 1e6])
def test_the_unit_of_a_loss_plays_no_role(unit: float) -> None:
    rng = np.random.default_rng(1)
    t = np.linspace(0, 1, 60)
    value = (1 + np.exp(-10 * t) + 0.2 * np.maximum(t - 0.4, 0)) * np.exp(0.01 * rng.standard_normal(60))
    train = (0.5 + np.exp(-4 * t)) * np.exp(0.03 * rng.standard_normal(60))
    assert p_of(unit * value, unit * train) == pytest.approx(p_of(value, train), rel=1e-6)
    assert train_only(unit * train, 4.0).probability == pytest.approx(train_only(train, 4.0).probability)


@pytest.mark.parametrize("kind", ["heavy tails", "spikes", "falls by orders of magnitude"])
def test_tiny_losses_with_heavy_tails_are_seldom_called_overfitting(kind: str) -> None:
    rng = np.random.default_rng(2)
    called = 0
    for _ in range(60):
        count = int(rng.integers(12, 200))
        t = np.linspace(0, 1, count)
        level = 10 ** rng.uniform(-6, -3) * np.exp(-rng.uniform(0, 4) * np.minimum(4 * t, 1))
        if kind == "heavy tails":
            value = level * np.exp(0.15 * rng.standard_t(3, count))
        elif kind == "spikes":
            value = (
                level
                * np.exp(0.1 * rng.standard_normal(count))
                * np.where(rng.random(count) < 0.15, 9.0, 1.0)
            )
        else:
            value = level * np.exp(-6 * t) * np.exp(0.3 * rng.standard_normal(count))
        called += p_of(value) >= 0.5
    assert called <= 6


def test_a_late_climb_is_found() -> None:
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(40):
        count = int(rng.integers(30, 70))
        i = np.arange(count)
        climb = np.maximum(i - (count - 9), 0) / 8
        value = (1 + np.exp(-i / 3)) * (1 + 0.06 * climb) * np.exp(0.004 * rng.standard_normal(count))
        train = (0.8 - 0.2 * climb + np.exp(-i / 3)) * np.exp(0.01 * rng.standard_normal(count))
        found += p_of(value, train) >= 0.5
    assert found >= 32


def test_what_lies_beyond_a_turn_is_not_as_good() -> None:
    rng = np.random.default_rng(4)
    t = np.linspace(0, 1, 60)
    value = (1 + np.exp(-12 * t) + 0.8 * np.maximum(t - 0.4, 0)) * np.exp(0.02 * rng.standard_normal(60))
    seen = held_out(np.arange(60.0), value, NONE, NONE)
    assert seen.probability > 0.9
    assert seen.turn.as_good[1] < seen.turn.onset


def test_a_training_loss_that_stood_still_is_not_said_to_have_fallen() -> None:
    rng = np.random.default_rng(5)
    t = np.linspace(0, 1, 80)
    rising = 1e-4 * (1 + np.exp(-20 * t) + np.maximum(t - 0.4, 0))
    still = 1e-4 * (0.5 + np.exp(-30 * t)) * np.exp(0.3 * rng.standard_normal(80))
    steps = np.arange(80.0)
    assert not held_out(steps, rising, steps, still).train_fell
    assert held_out(steps, rising, steps, 1e-4 * (0.05 + np.exp(-3 * t))).train_fell


@pytest.mark.parametrize("seed", range(20))
def test_a_bend_of_few_values_that_only_rises_is_no_noise(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, after = int(rng.integers(1, 4)), int(rng.integers(3, 6))
    down = np.sort(rng.uniform(1.1, 2, before))[::-1]
    up = 1 + np.cumsum(rng.uniform(0.05, 0.15, after))
    seen = turn(np.r_[down, 1.0, up])
    assert seen.best == before
    assert seen.z > 1
    assert seen.rise > 0.1
