"""What holds for every line, whatever runs it is made of."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from runscope.history import Run, Series, Timeline
from runscope.stitching import stitch
from tests.stitching.trainings import SAVES, session

Parts = st.tuples(
    st.integers(1, 4),  # parts
    st.lists(st.integers(1, 3), min_size=3, max_size=3),  # saves that each later part is trained for
    st.lists(st.integers(0, 19), min_size=4, max_size=4),  # logs in each dead tail
    st.lists(st.booleans(), min_size=3, max_size=3),  # whether counters go on
    st.integers(0, 999),  # seed
    st.booleans(),  # damaged
)


def training(drawn: tuple[int, list[int], list[int], list[bool], int, bool]) -> list[Run]:
    """A training in up to four parts, each from the last saved state of the one before."""
    parts, saves, tails, goes_on, seed, damaged = drawn
    runs, begins, own = [], 0, 0
    for number in range(parts):
        saved = begins + SAVES * (4 if number == 0 else saves[number - 1])
        counts_on = own if number and goes_on[number - 1] else None
        run = session(
            f"p-{number}", begins=begins, ends=saved + 10 * tails[number], at=5000.0 * number, seed=seed + number,
            counts_on=counts_on,
        )  # fmt: skip
        runs.append(broken(run, seed + number) if damaged else run)
        own = (counts_on or 0) + saved - begins
        begins = saved
    return runs


def broken(run: Run, seed: int) -> Run:
    """The same run with values that are no numbers, and steps that were logged twice."""
    rng = np.random.default_rng(seed)
    series = dict(run.series)
    loss = series["train/loss"]
    value = loss.value.copy()
    value[rng.integers(len(value), size=3)] = [np.nan, np.inf, -np.inf]
    again = int(rng.integers(len(loss)))
    fields = ((loss.step, loss.step[again]), (value, value[again] + 1), (loss.time, loss.time[again]))
    series["train/loss"] = Series("train/loss", *(np.insert(a, again + 1, v) for a, v in fields))
    return replace(run, series=series)


def shape(line: Timeline) -> list[object]:
    return [(s.run.id, s.offset, s.scale, s.cut, s.continues, s.parent, s.confidence) for s in line.segments]


@settings(max_examples=40, deadline=None)
@given(Parts)
def test_the_line_is_the_same_whatever_order_the_runs_are_given_in(
    drawn: tuple[int, list[int], list[int], list[bool], int, bool],
) -> None:
    runs = training(drawn)
    expected = shape(stitch(runs))
    assert len(expected) == len(runs)
    for order in itertools.permutations(runs):
        assert shape(stitch(order)) == expected


@settings(max_examples=60, deadline=None)
@given(Parts)
def test_steps_strictly_increase_and_every_point_is_kept_or_dropped(
    drawn: tuple[int, list[int], list[int], list[bool], int, bool],
) -> None:
    runs = training(drawn)
    line = stitch(runs)
    for name in line.names:
        series = line.series(name)
        assert series is not None
        assert np.all(np.diff(series.step) > 0)
    for segment in line.segments:
        for series in segment.run.series.values():
            kept, dropped = segment.kept(series), segment.dropped(series)
            assert len(kept) + len(dropped) == len(series)
            assert not set(kept.step) & set(dropped.step)
    table = line.to_pandas()
    assert len(table) == sum(run.points for run in runs)
    assert int((~table["kept"]).sum()) == sum(s.dropped_points for s in line.segments)


@settings(max_examples=60, deadline=None)
@given(Parts)
def test_stitching_a_stitched_line_changes_nothing(
    drawn: tuple[int, list[int], list[int], list[bool], int, bool],
) -> None:
    line = stitch(training(drawn))
    again = stitch([line.to_run()])
    assert len(again.segments) == 1
    for name in line.names:
        before, after = line.series(name), again.series(name)
        assert before is not None
        assert after is not None
        np.testing.assert_array_equal(before.step, after.step)
        if name == "train/loss":
            np.testing.assert_array_equal(before.value, after.value)
    assert shape(stitch([s.run for s in line.segments])) == shape(line)


@settings(max_examples=60, deadline=None)
@given(Parts)
def test_points_that_are_no_numbers_survive(
    drawn: tuple[int, list[int], list[int], list[bool], int, bool],
) -> None:
    runs = training((*drawn[:5], True))
    table = stitch(runs).to_pandas()
    logged = sum(int(np.sum(~np.isfinite(r.series["train/loss"].value))) for r in runs)
    assert logged > 0
    assert int(np.sum(~np.isfinite(table["value"].to_numpy()))) == logged
