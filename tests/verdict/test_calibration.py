"""The terms behind the probability behave as their names say."""

from __future__ import annotations

import numpy as np
import pytest

from runscope.rules.overfitting.stairs_at_epochs import DEPTH, STANDARD_ERRORS
from runscope.stats.curves import noise
from runscope.stats.overfitting.calibration import HELD_OUT, TRAIN_ONLY, probability
from runscope.stats.overfitting.overfit import held_out, train_only
from runscope.stats.overfitting.stairs import stairs
from runscope.stats.overfitting.turn import turn

NONE = np.empty(0)


def p_of(value: np.ndarray, train: np.ndarray = NONE) -> float:
    step = np.arange(len(value), dtype=float)
    return held_out(step, value, np.arange(len(train), dtype=float), train).probability


def test_noise_is_recovered_from_a_curve_with_a_trend() -> None:
    rng = np.random.default_rng(1)
    curve = 2 * np.exp(-np.linspace(0, 3, 5000)) + 0.1 * rng.standard_normal(5000)
    assert noise(curve) == pytest.approx(0.1, rel=0.1)


def test_probability_grows_with_the_rise() -> None:
    t = np.linspace(0, 1, 60)
    curves = [
        1 + np.exp(-10 * t) + rise * np.maximum(t - 0.4, 0) for rise in (0.0, 0.02, 0.05, 0.1, 0.5, 2.0)
    ]
    values = [p_of(c) for c in curves]
    assert values == sorted(values)
    assert values[0] < 0.1
    assert values[-1] > 0.95


def test_flat_noise_is_hardly_ever_called_overfitting() -> None:
    rng = np.random.default_rng(2)
    called = 0
    for _ in range(200):
        count = int(rng.integers(6, 120))
        t = np.linspace(0, 1, count)
        level = 1 + np.exp(-15 * t) + float(rng.uniform(0, 0.1)) * rng.standard_normal(count)
        called += p_of(level) >= 0.5
    assert called <= 10


def test_the_same_rise_means_less_in_more_noise() -> None:
    rng = np.random.default_rng(3)
    t = np.linspace(0, 1, 40)
    curve = 1 + np.exp(-10 * t) + 0.15 * np.maximum(t - 0.4, 0)
    draws = [(p_of(curve), p_of(curve + 0.1 * rng.standard_normal(40))) for _ in range(30)]
    assert np.mean([noisy for _, noisy in draws]) < draws[0][0]


def test_scale_and_axis_do_not_matter() -> None:
    rng = np.random.default_rng(4)
    t = np.linspace(0, 1, 50)
    curve = 1 + np.exp(-10 * t) + 0.2 * np.maximum(t - 0.4, 0) + 0.01 * rng.standard_normal(50)
    assert p_of(curve) == pytest.approx(p_of(1000 * curve), abs=1e-6)


def test_of_several_points_as_low_the_first_is_best() -> None:
    value = np.array([3.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    assert turn(value).best <= 3


def test_one_pass_over_the_data_is_no_reason_for_suspicion() -> None:
    curve = 2 * np.exp(-5 * np.linspace(0, 1, 200)) + 0.01
    once, often = train_only(curve, 1.0).probability, train_only(curve, 8.0).probability
    assert once + 0.2 < often


def test_coefficients_have_the_signs_of_their_names() -> None:
    assert all(HELD_OUT[k] > 0 for k in ("rise", "stays", "widens"))
    assert TRAIN_ONLY["once"] < 0 < min(TRAIN_ONLY["late"], TRAIN_ONLY["passes"])
    with pytest.raises(KeyError):
        probability(HELD_OUT, {"unheard_of": 1.0})


def test_no_stairs_in_smooth_curves() -> None:
    rng = np.random.default_rng(5)
    epoch = np.arange(1, 601) / 200
    for decay in (0.5, 1, 2, 4, 8):
        for _ in range(20):
            found = stairs(epoch, 1 + 2 * np.exp(-decay * epoch) + 0.05 * rng.standard_normal(600))
            assert found is not None
            assert not (found.z >= STANDARD_ERRORS and found.depth >= DEPTH)


@pytest.mark.parametrize("depth", [0.05, 0.1, 0.3])
def test_depth_of_stairs_is_measured(depth: float) -> None:
    rng = np.random.default_rng(6)
    epoch = np.arange(1, 2001) / 500
    value = 2 * (1 - depth) ** np.floor(epoch - 1e-9) + 0.03 * rng.standard_normal(2000)
    found = stairs(epoch, value)
    assert found is not None
    assert found.depth == pytest.approx(depth, abs=0.02)
    assert found.from_epoch == 1


def test_too_few_points_an_epoch_show_no_stairs() -> None:
    assert stairs(np.arange(1, 21) / 5, np.linspace(2, 1, 20)) is None


def test_a_rise_of_a_moment_is_doubted() -> None:
    t = np.linspace(0, 1, 200)
    falling = 1 + np.exp(-3 * t)
    late, early = falling + 8 * np.maximum(t - 0.98, 0), falling + 8 * np.maximum(t - 0.8, 0)
    assert p_of(late) < 0.5 < p_of(early)
