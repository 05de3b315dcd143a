"""How likely a curve goes on from another: against scipy's Student t, its covariance written out entry by entry."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from runscope.stats.levels.continuation import (
    ColouredLevel,
    Continuation,
    Noise,
    bends,
    fit,
    log_likelihood,
    log_t,
    log_t_anywhere,
)

Array = np.ndarray
WAYS = {
    "a shift and a drift": Continuation(shift=0.05, drift=1e-5, pace=0.0, freedom=5.0),
    "another pace": Continuation(shift=0.05, drift=1e-5, pace=0.3, freedom=4.0),
    "a shift that passes": Continuation(shift=0.02, drift=0.0, pace=0.1, freedom=4.0, passing=(0.2, 40.0)),
    "a bend": Continuation(shift=0.02, drift=1e-5, pace=0.1, freedom=8.0, bend=0.1, length=60.0),
}


def earlier() -> ColouredLevel:
    """The likeliest level of a random walk seen with white noise."""
    random = np.random.default_rng(7)
    value = 2.0 + np.cumsum(random.normal(0.0, 0.02, 80)) + random.normal(0.0, 0.1, 80)
    return fit(10.0 * np.arange(80), value)[0]


def spread_of(
    level: ColouredLevel, begin: float, own: Array, noise: Array, how: Continuation, memory: float
) -> Array:
    """Covariance of what a later run's blocks miss of the level; ``own`` on the earlier curve's axis."""
    at, end = begin + own, level.x[-1]
    stood, inside = np.interp(begin, level.x, level.mean), np.clip(at, level.x[0], end)
    moved = np.interp(inside, level.x, level.mean) - stood
    behind = stood - np.interp(begin - 2 * memory, level.x, level.mean)
    spread = noise.copy()
    for i in range(len(own)):
        for j in range(len(own)):
            errors = np.sqrt(np.interp(inside[[i, j]], level.x, level.variance))
            spread[i, j] += errors[0] * errors[1] * np.exp(-abs(inside[i] - inside[j]) / level.reach)
            spread[i, j] += level.walk * max(min(at[i], at[j]) - end, 0.0)
            spread[i, j] += how.drift * min(own[i], own[j]) + how.shift**2 + how.pace**2 * moved[i] * moved[j]
            spread[i, j] += how.passing[0] ** 2 * np.exp(-(own[i] + own[j]) / how.passing[1])
            spread[i, j] += how.bend**2 * bends(own / how.length)[i, j]
            if memory:
                spread[i, j] += behind**2 * np.exp(-(own[i] + own[j]) / memory)
    return spread


@pytest.mark.parametrize("memory", [0.0, 25.0])
@pytest.mark.parametrize("way", WAYS)
def test_the_likelihood_of_a_beginning_is_scipys_student_t(way: str, memory: float) -> None:
    level, how, scale = earlier(), WAYS[way], 2.0
    begin = np.array([level.x[10], level.x[30] + 3.0, level.x[-1] - 40.0, level.x[-1] + 100.0])
    own = np.array([5.0, 20.0, 45.0, 90.0])
    later = np.interp(begin[1] + scale * own, level.x, level.mean) + np.array([0.02, -0.1, 0.05, 0.0])
    noise = Noise(0.01, share=0.5, decay=0.02, each=0.1).covariance(own, 4.0)
    found = log_likelihood(level, begin, scale, own, later, noise, [how], memory)
    expected = []
    for start in begin:
        at = np.clip(start + scale * own, level.x[0], level.x[-1])
        t = scipy_stats.multivariate_t(
            shape=spread_of(level, start, scale * own, noise, how, memory), df=how.freedom
        )
        expected.append(t.logpdf(later - np.interp(at, level.x, level.mean)))
    assert found.shape == (1, len(begin))
    np.testing.assert_allclose(np.diff(found[0]), np.diff(expected), rtol=1e-7)


def test_a_shift_of_all_points_needs_no_root_of_its_own() -> None:
    random = np.random.default_rng(3)
    roots = random.normal(size=(4, 6, 6))
    spread = roots @ roots.swapaxes(1, 2) + 0.1 * np.eye(6)
    error, off, shift = random.normal(size=6), np.array([0.0, 0.7, -2.0]), np.array([2.2, 0.05, 0.0])
    found = log_t_anywhere(error, spread, 3.0, off, shift)
    for row, by, wide in zip(found, off, shift, strict=True):
        shifted = np.broadcast_to(error + by, (4, 6))
        np.testing.assert_allclose(row, log_t(shifted, spread + wide**2, 3.0), rtol=1e-8)


def test_bends_are_the_covariance_of_an_integrated_walk_around_a_slope() -> None:
    """Summed up from 4,000 small steps: Cov(∫W, ∫W) and the slope's x·y."""
    x = np.array([0.3, 0.8, 1.5])
    fine = (np.arange(4000) + 0.5) / 4000 * 1.5
    walked = np.minimum(fine[:, None], fine[None, :])
    within = (fine[None, :] < x[:, None]).astype(float) * 1.5 / 4000
    np.testing.assert_allclose(bends(x), np.outer(x, x) + within @ walked @ within.T, rtol=1e-3)
