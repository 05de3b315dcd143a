"""Sessions and writers of one log, told by the order of its steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runscope.history import Run, Series
from runscope.history.parts import order_of, side_by_side, taken_apart


@given(
    length=st.integers(40, 120), interval=st.integers(1, 50), starts=st.lists(st.floats(0.0, 0.8), max_size=6)
)
@settings(deadline=None)
def test_sessions_are_told_apart_wherever_they_begin(length: int, interval: int, starts: list[float]) -> None:
    steps = [np.arange(1, length + 1) * interval]
    for start in starts:
        begun = int(start * length)
        steps.append(np.arange(begun + 1, length + 1) * interval)
    order = order_of(np.concatenate(steps))
    assert order.writers == 1
    assert order.count == 1 + len(starts)
    assert np.bincount(order.sessions).tolist() == [len(part) for part in steps]


@given(writers=st.integers(2, 8), block=st.integers(1, 30), seed=st.integers(0, 1000))
@settings(deadline=None)
def test_processes_that_write_at_once_are_no_sessions(writers: int, block: int, seed: int) -> None:
    """However they take turns: row by row, or in blocks as their buffers fill."""
    rng = np.random.default_rng(seed)
    left = [list(range(10, 3010, 10)) for _ in range(writers)]
    rows: list[int] = []
    while any(left):
        queue = left[rng.choice([n for n, queue in enumerate(left) if queue])]
        taken = int(rng.integers(1, block + 1))
        rows += queue[:taken]
        del queue[:taken]
    order = order_of(np.array(rows))
    assert order.writers == writers
    assert order.count == 1


def test_rows_of_two_ranks_are_told_as_duplicates() -> None:
    step = np.array([10, 20, 10, 30, 20, 40, 30, 50, 40, 50])
    series = {"loss": Series.of("loss", step, 1 / step), "lr": Series.of("lr", step, step)}
    run = side_by_side(Run("r", "r", "r", "table", series, roles={"train_loss": "loss"}))
    assert run.series["loss"].sorted().step.tolist() == [10, 20, 30, 40, 50]
    assert run.series["lr"].value.tolist() == sorted(step.tolist())
    assert "2 processes wrote this log at once: 5 rows of loss are duplicates" in run.notes[0]
    assert taken_apart(run) == [run]


@pytest.mark.parametrize("timed", [True, False])
def test_parts_are_numbered_and_keep_the_id(timed: bool) -> None:
    step = np.array([10, 20, 30, 40, 30, 40, 50])
    when = np.arange(7.0) + 1e9 if timed else None
    run = Run(
        "r",
        "r",
        "r",
        "table",
        {"loss": Series.of("loss", step, 1 / step, when)},
        roles={"train_loss": "loss"},
    )
    parts = taken_apart(run)
    assert [part.series["loss"].step.tolist() for part in parts] == [[10, 20, 30, 40], [30, 40, 50]]
    assert [part.key for part in parts] == ["r#1", "r#2"]
    assert [part.id for part in parts] == ["r", "r"]
    assert [part.state for part in parts] == ["killed", "unknown"]
