"""The local level against dense generalised least squares."""

from __future__ import annotations

import numpy as np
import pytest

from runscope.stats.levels.level import RATIOS, blocks, calm, fit_level, merged

Array = np.ndarray


def walk(seed: int, count: int, ratio: float, noise: float = 0.1) -> tuple[Array, Array]:
    """A random walk seen with noise, at uneven places."""
    random = np.random.default_rng(seed)
    gap = random.choice([10.0, 10.0, 10.0, 20.0, 40.0], count - 1)
    steps = random.normal(0.0, noise * np.sqrt(ratio * gap / 10.0))
    level = 2.0 + np.concatenate(([0.0], np.cumsum(steps)))
    return np.concatenate(([0.0], np.cumsum(gap))), level + random.normal(0.0, noise, count)


def covariance(x: Array, ratio: float) -> tuple[Array, Array]:
    """Of the levels at (n,) places around the first one, and of what is seen; in units of the noise's variance."""
    since = (x - x[0]) / np.median(np.diff(x))
    level = ratio * np.minimum(since[:, None], since[None, :])
    return level, level + np.eye(len(x))


def restricted_likelihood(x: Array, seen: Array, ratio: float) -> tuple[float, float]:
    """Restricted log-likelihood of a ratio, and the variance of the noise that goes with it.

    Patterson & Thompson 1971: the mean is unknown, so that n - 1 contrasts carry the likelihood.
    """
    _, total = covariance(x, ratio)
    inverse, ones = np.linalg.inv(total), np.ones(len(x))
    weight = ones @ inverse @ ones
    rest = seen - (ones @ inverse @ seen) / weight
    noise = (rest @ inverse @ rest) / (len(x) - 1)
    logs = np.linalg.slogdet(total)[1] + np.log(weight)
    return float(-0.5 * ((len(x) - 1) * np.log(noise) + logs)), float(noise)


def kriged(x: Array, seen: Array, ratio: float) -> tuple[Array, Array]:
    """Best linear unbiased prediction of the level at every place, and its variance in units of the noise."""
    level, total = covariance(x, ratio)
    inverse, ones = np.linalg.inv(total), np.ones(len(x))
    weight = ones @ inverse @ ones
    mean = (ones @ inverse @ seen) / weight
    from_seen = level @ inverse
    missed = ones - from_seen @ ones
    spread = np.diag(level - from_seen @ level) + missed**2 / weight
    return mean + from_seen @ (seen - mean), spread


@pytest.mark.parametrize(
    ("seed", "count", "ratio"), [(1, 7, 0.5), (2, 30, 0.01), (3, 39, 3.0), (4, 39, 1e-4)]
)
def test_the_level_is_that_of_dense_least_squares(seed: int, count: int, ratio: float) -> None:
    x, value = walk(seed, count, ratio)
    found = fit_level(x, value)
    assert found is not None
    seen = calm(value)
    likely = [restricted_likelihood(x, seen, r)[0] for r in RATIOS]
    best = float(RATIOS[int(np.argmax(likely))])
    _, noise = restricted_likelihood(x, seen, best)
    mean, spread = kriged(x, seen, best)
    assert found.noise == pytest.approx(noise, rel=1e-9)
    assert found.walk * np.median(np.diff(x)) == pytest.approx(best * noise, rel=1e-9)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-9)
    np.testing.assert_allclose(found.variance, spread * noise, rtol=1e-7)


def test_of_a_long_curve_the_last_three_quarters_tell_how_it_walks() -> None:
    x, value = walk(5, 80, 0.05)
    found = fit_level(x, value + 3 * np.exp(-x / 50))
    x, seen = merged(x, calm(value + 3 * np.exp(-x / 50)))
    late = len(x) // 4
    assert found is not None
    assert np.median(np.diff(x[late:])) == np.median(np.diff(x)), "else the two would count in other units"
    likely = [restricted_likelihood(x[late:], seen[late:], r)[0] for r in RATIOS]
    best = float(RATIOS[int(np.argmax(likely))])
    _, noise = restricted_likelihood(x[late:], seen[late:], best)
    assert found.noise == pytest.approx(noise, rel=1e-9)
    np.testing.assert_allclose(found.mean, kriged(x, seen, best)[0], rtol=1e-9)


def test_the_truth_lies_within_the_stated_error() -> None:
    """Of 150 curves made by the model itself, the level at the end is within 1.96 errors about 95 times in 100."""
    hits = 0
    for seed in range(150):
        random = np.random.default_rng(seed)
        level = 1.0 + np.cumsum(random.normal(0.0, 0.03, 60))
        found = fit_level(np.arange(60.0), level + random.normal(0.0, 0.1, 60))
        assert found is not None
        hits += abs(found.mean[-1] - level[-1]) < 1.96 * np.sqrt(found.variance[-1])
    assert 0.88 <= hits / 150 <= 0.99


def test_values_written_again_are_seen_once_and_five_are_too_few() -> None:
    x, value = np.arange(10.0), np.array([1, 1, 2, 2, 2, 3, 1, 1, 4, 4.0])
    place, seen = merged(x, value)
    assert (place.tolist(), seen.tolist()) == ([0, 2, 5, 6, 8], [1, 2, 3, 1, 4])
    assert fit_level(x, value) is None


def test_single_outliers_are_drawn_in_and_the_rest_is_left_alone() -> None:
    random = np.random.default_rng(0)
    value = 1.0 + random.normal(0.0, 0.1, 200)
    value[50] = 90.0
    drawn = calm(value)
    assert drawn[50] < 2.0
    assert np.isclose(drawn, value, rtol=1e-12).mean() > 0.95
    short = np.array([1.0, 99.0, 1.0])
    assert calm(short) is short


@pytest.mark.parametrize(("count", "most"), [(9, 10), (10, 10), (11, 10), (1000, 7), (401, 400)])
def test_blocks_are_means_of_neighbours(count: int, most: int) -> None:
    random = np.random.default_rng(count)
    x, value = np.sort(random.uniform(0, 9, count)), random.normal(size=count)
    place, mean, size = blocks(x, value, most)
    pieces = [slice(i, i + int(size)) for i in range(0, count, int(size))]
    assert len(mean) == len(pieces) <= most
    np.testing.assert_allclose(place, [x[p].mean() for p in pieces])
    np.testing.assert_allclose(mean, [value[p].mean() for p in pieces])
