"""Series: as logged, in order, shifted, joined; what holds for every series."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runscope.history import Series, concat

points = st.lists(st.tuples(st.integers(-50, 50), st.floats(width=32)), max_size=40)


def _series(rows: list[tuple[int, float]]) -> Series:
    return Series.of("loss", [r[0] for r in rows], [r[1] for r in rows], range(len(rows)))


@given(points)
def test_sorted_is_strictly_increasing_and_keeps_what_was_logged_last(rows: list[tuple[int, float]]) -> None:
    last = {step: (value, place) for place, (step, value) in enumerate(rows)}
    series = _series(rows).sorted()
    assert series.step.tolist() == sorted(last)
    assert series.time.tolist() == [last[s][1] for s in sorted(last)]
    np.testing.assert_array_equal(series.value, [last[s][0] for s in sorted(last)])
    assert series.sorted() is series


@given(points)
def test_finite_and_the_rest_are_the_whole(rows: list[tuple[int, float]]) -> None:
    series = _series(rows)
    assert len(series.finite) + int((~np.isfinite(series.value)).sum()) == len(series)
    assert np.isfinite(series.finite.value).all()


@given(points, st.integers(-60, 60), st.integers(-60, 60))
def test_between_takes_both_ends(rows: list[tuple[int, float]], first: int, last: int) -> None:
    series = _series(rows)
    assert series.between(first, last).step.tolist() == [s for s, _ in rows if first <= s <= last]
    assert len(series.between()) == len(series)


@given(points, st.integers(-1000, 1000))
def test_a_shift_is_undone_by_its_opposite(rows: list[tuple[int, float]], offset: int) -> None:
    series = _series(rows)
    back = series.shifted(offset).shifted(-offset)
    np.testing.assert_array_equal(back.step, series.step)
    np.testing.assert_array_equal(back.value, series.value)


@given(points, points)
def test_concat_keeps_every_point_in_order(a: list[tuple[int, float]], b: list[tuple[int, float]]) -> None:
    joined = concat("all", [_series(a), _series(b)])
    assert joined.name == "all"
    assert joined.step.tolist() == [s for s, _ in a + b]


def test_concat_of_nothing_is_an_empty_series() -> None:
    assert len(concat("none", [])) == 0


def test_a_scale_rounds_to_whole_steps() -> None:
    assert Series.of("x", [1, 2, 3], [0, 0, 0]).shifted(10, 2.5).step.tolist() == [12, 15, 18]


def test_at_interpolates_between_finite_points_and_knows_nothing_outside() -> None:
    series = Series.of("x", [30, 10, 20], [3.0, 1.0, np.nan])
    np.testing.assert_array_equal(series.at([5, 10, 20, 30, 31]), [np.nan, 1, 2, 3, np.nan])
    assert np.isnan(Series.of("x", [], []).at([1])).all()


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="loss: step, value and time differ in length"):
        Series("loss", np.arange(2), np.zeros(3), np.zeros(2))
