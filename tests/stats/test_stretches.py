"""Stretches of true values against ``itertools.groupby``, thinned curves against a loop over blocks."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from runscope.stats.stretches import blocks, lasting_from, longest, stretches

MASKS = st.lists(st.booleans(), max_size=80)


def grouped(mask: list[bool]) -> list[tuple[int, int]]:
    groups = [list(g) for true, g in groupby(enumerate(mask), key=lambda pair: pair[1]) if true]
    return [(g[0][0], g[-1][0]) for g in groups]


@settings(max_examples=300, deadline=None)
@given(MASKS)
def test_stretches_are_those_of_groupby(mask: list[bool]) -> None:
    seen = np.array(mask, dtype=bool)
    expected = grouped(mask)
    assert stretches(seen) == expected
    assert longest(seen) == max((b - a + 1 for a, b in expected), default=0)
    lasts = expected[-1][0] if expected and expected[-1][1] == len(mask) - 1 else None
    assert lasting_from(seen) == lasts


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 300), st.integers(1, 40))
def test_a_thinned_curve_has_the_medians_of_its_blocks(length: int, count: int) -> None:
    step = np.arange(10, 10 + length)
    value = np.random.default_rng(length).normal(size=length)
    thin, middle = blocks(step, value, count)
    size = length // count
    if size < 2:
        assert (thin is step, middle is value) == (True, True)
        return
    starts = range(0, length - size + 1, size)
    np.testing.assert_array_equal(thin, [step[s + size - 1] for s in starts])
    np.testing.assert_allclose(middle, [np.median(value[s : s + size]) for s in starts])
    assert count <= len(middle) < 2 * count
