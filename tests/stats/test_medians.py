"""Medians that are quick are those of NumPy, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from runscope.stats.medians import SHORT, median, medians


@pytest.mark.parametrize("count", [1, 2, 3, 8, SHORT - 1, SHORT, SHORT + 1, 1000])
def test_a_median_is_that_of_numpy(count: int) -> None:
    rng = np.random.default_rng(count)
    for scale in (1e-300, 1.0, 1e300):
        value = scale * rng.standard_normal(count)
        assert median(value) == np.median(value)
        assert median(np.round(value / scale)) == np.median(np.round(value / scale))
        value[rng.integers(count)] = np.nan
        assert np.isnan(median(value))
    assert np.isnan(median(np.empty(0)))


def test_medians_of_stretches_are_those_of_each() -> None:
    rng = np.random.default_rng(0)
    value = rng.standard_normal(500)
    edges = np.unique(rng.integers(0, 500, 30))
    assert medians(value, edges).tolist() == [np.median(part) for part in np.split(value, edges)[1:-1]]
