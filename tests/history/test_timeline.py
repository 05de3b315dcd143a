"""A line of several runs: what is kept, what is a dead tail, and every axis of its table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runscope.errors import MissingMetric, UsageError
from runscope.history import Run, Segment, Series, Timeline
from runscope.history.axes import AXES


def _run(name: str, step: list[int], *, start: float, epochs: float | None = None, loss: str = "loss") -> Run:
    at = np.array(step)
    when = start + 3600 * np.arange(len(at)) / max(len(at) - 1, 1)
    series = {loss: Series.of(loss, at, 100.0 - at, when)}
    roles = {"train_loss": loss}
    if epochs is not None:
        series |= {
            "epoch": Series.of("epoch", at, epochs + at / 100, when),
            "tokens": Series.of("tokens", at, at * 8, when),
        }
        roles |= {"epoch": "epoch", "tokens": "tokens"}
    return Run(name, name, name, "table", series, roles, started_at=start)


@pytest.fixture
def line() -> Timeline:
    """Steps 10 to 100, resumed from 60: 70 to 100 are a dead tail. The second run calls its loss otherwise."""
    first = _run("a", list(range(10, 101, 10)), start=1.7e9, epochs=0.0)
    second = _run("b", list(range(10, 81, 10)), start=1.7e9 + 86400, epochs=0.0, loss="train/loss")
    return Timeline((Segment(first, cut=60), Segment(second, offset=60, method="checkpoint")))


def test_a_role_is_joined_whatever_each_run_calls_it(line: Timeline) -> None:
    loss = line.role("train_loss")
    assert loss is not None
    assert loss.step.tolist() == list(range(10, 141, 10))
    assert loss.value.tolist() == [
        *(100.0 - s for s in range(10, 61, 10)),
        *(100.0 - s for s in range(10, 81, 10)),
    ]
    assert (line.first_step, line.last_step) == (10, 140)


def test_the_dead_tail_is_apart(line: Timeline) -> None:
    first = line.segments[0]
    loss = first.run.role("train_loss")
    assert loss is not None
    assert first.dropped(loss).step.tolist() == [70, 80, 90, 100]
    assert loss.step[~first.kept_mask(loss)].tolist() == [70, 80, 90, 100]
    assert first.dropped_points == 12, "of three metrics"
    assert Timeline.of(line.runs[1]).segments[0].dropped_points == 0


def test_epochs_that_began_anew_count_on(line: Timeline) -> None:
    assert line.epoch_at([60, 70, 140]).tolist() == pytest.approx([0.6, 0.7, 1.4])


def test_what_continues_nothing_is_no_part_of_the_line(line: Timeline) -> None:
    other = Timeline((*line.segments, Segment(_run("c", [5], start=0), continues=False)))
    assert other.last_step == 140
    assert [r.name for r in other.runs] == ["a", "b"]
    table = other.to_pandas()
    assert not table[table.run == "c"].kept.any()


def test_the_table_keeps_every_logged_point(line: Timeline) -> None:
    table = line.to_pandas()
    assert len(table) == sum(run.points for run in line.runs)
    assert (~table.kept).sum() == 12
    assert table[(table.run == "b") & (table.metric == "train/loss")].run_step.tolist() == list(
        range(10, 81, 10)
    )


@pytest.mark.parametrize("axis", [a for a in AXES if a != "samples"])
def test_every_axis_grows_along_the_line(line: Timeline, axis: str) -> None:
    table = line.to_pandas(axis)
    assert table.columns[0] == axis if axis != "step" else "step" in table
    kept = table[table.kept & table.metric.isin(["loss", "train/loss"])].sort_values("step")
    values = kept[axis].to_numpy(np.float64)
    if axis == "tokens":  # the second run counts its own
        values = values[: len(values) // 2]
    assert np.isfinite(values).all()
    assert np.all(np.diff(values) > 0)


def test_hours_leave_out_the_pause_between_runs(line: Timeline) -> None:
    table = line.to_pandas("hours")
    assert table[table.run == "a"].hours.max() == pytest.approx(1.0)
    assert table[table.run == "b"].hours.max() == pytest.approx(2.0)


def test_an_axis_that_nobody_logged_or_that_there_is_not(line: Timeline) -> None:
    with pytest.raises(MissingMetric) as missing:
        line.to_pandas("samples")
    assert "--map" in missing.value.hint
    with pytest.raises(UsageError) as unknown:
        line.to_pandas("fortnights")
    assert "epoch" in unknown.value.hint


def test_computed_series_stand_in_the_table_as_runscope_s_own(line: Timeline) -> None:
    extra = Series.of("eval/qa/loss", [50, 100], [1.0, 2.0])
    more = line.with_extra({extra.name: extra})
    assert more.series("eval/qa/loss") is extra
    assert more.names[-1] == "eval/qa/loss"
    rows = more.to_pandas()
    assert rows[rows.run == "runscope"].step.tolist() == [50, 100]


def test_an_empty_line_has_an_empty_table() -> None:
    table = Timeline.of(Run("x", "x", "x", "table", {})).to_pandas()
    assert len(table) == 0
    assert isinstance(table, pd.DataFrame)
    assert {"step", "run", "metric", "value", "kept"} <= set(table.columns)


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=20, unique=True),
    st.lists(st.integers(1, 60), min_size=1, max_size=20, unique=True),
    st.integers(0, 80),
)
def test_a_joined_line_is_strictly_increasing_and_loses_nothing(
    a: list[int], b: list[int], join: int
) -> None:
    first, second = _run("a", a, start=0.0), _run("b", b, start=9e4)
    line = Timeline((Segment(first, cut=join), Segment(second, offset=join)))
    loss = line.role("train_loss")
    assert loss is not None
    assert np.all(np.diff(loss.step) > 0)
    tail = line.segments[0].dropped(first.series[first.roles["train_loss"]])
    assert len(loss) + len(tail) == len(a) + len(b)
