"""Counters of resumed trainings: whether they go on or restart is told from the whole counter against the step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runscope.history import Run, Segment, Series, Timeline
from runscope.history.counters import passes_at


def _run(name: str, step: np.ndarray, epoch: np.ndarray) -> Run:
    series = {"loss": Series.of("loss", step, 2.0 - step / 1e6), "epoch": Series.of("epoch", step, epoch)}
    return Run(name, name, name, "table", series, roles={"train_loss": "loss", "epoch": "epoch"})


def _joined(first: Run, second: Run, at: int, offset: int) -> Timeline:
    kept = Segment(first, cut=at)
    return Timeline((kept, Segment(second, offset=offset, start=at, parent=first.id, method="given")))


@given(
    per_epoch=st.integers(20, 2000),
    every=st.integers(1, 10),
    ended=st.integers(3, 40),
    share=st.floats(0.1, 1.0),
    restarts=st.booleans(),
    kept_step=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_a_counter_that_restarts_is_counted_on_and_one_that_goes_on_is_not(
    per_epoch: int, every: int, ended: int, share: float, restarts: bool, kept_step: bool
) -> None:
    """Whatever its first value is: with few logs an epoch a restarted counter begins above half of the last one."""
    interval = every * max(per_epoch // 10, 1)
    first = np.arange(1, ended + 1) * interval
    at = interval * max(1, round(share * ended))
    own = np.arange(1, ended + 1) * interval
    told = own if restarts else own + at
    offset = 0 if kept_step else at
    second = _run("b", own + at if kept_step else own, told / per_epoch)
    line = _joined(_run("a", first, first / per_epoch), second, at, offset)
    epochs = line.epochs
    assert epochs is not None
    assert epochs.value == pytest.approx(epochs.step / per_epoch)


def test_few_logs_and_saves_of_another_interval() -> None:
    """Logged every 500 steps, half an epoch; killed at 1,400, resumed from 1,000."""
    first = _run("a", np.array([500, 1000]), np.array([0.5, 1.0]))
    second = _run("b", np.array([500, 1000, 1500]), np.array([0.5, 1.0, 1.5]))
    epochs = _joined(first, second, 1000, 1000).epochs
    assert epochs is not None
    assert epochs.value.tolist() == [0.5, 1.0, 1.5, 2.0, 2.5]


def test_a_state_that_carries_the_history_adds_nothing() -> None:
    step = np.arange(10, 1001, 10)
    first = _run("a", step[:40], step[:40] / 500)
    whole = _run("b", step, step / 500)
    epochs = _joined(first, whole, 400, 0).epochs
    assert epochs is not None
    assert epochs.value[-1] == pytest.approx(2.0)


def test_whole_epochs_from_zero_are_counted_on_by_what_was_done() -> None:
    first = _run("a", np.arange(20), np.arange(20.0))
    epochs = _joined(first, _run("b", np.arange(20), np.arange(20.0)), 19, 20).epochs
    assert epochs is not None
    assert epochs.value.tolist() == list(range(40))


@pytest.mark.parametrize(
    ("epochs", "at", "done"),
    [
        ([0, 1, 2, 3], [1, 3], [2, 4]),  # Keras: logged when it is over
        ([1, 2, 3, 4], [1, 3], [2, 4]),
        ([0, 0, 1, 1], [0, 1, 3], [0.5, 1, 2]),  # Lightning: logged while it goes on
        ([1, 1, 2, 2], [0, 1, 3], [0.5, 1, 2]),
        ([0.25, 0.5, 0.75, 1.0], [1, 3], [0.5, 1.0]),
    ],
)
def test_passes_that_are_done(epochs: list[float], at: list[int], done: list[float]) -> None:
    series = Series.of("epoch", range(len(epochs)), epochs)
    assert passes_at(series, at).tolist() == pytest.approx(done)
    assert np.isnan(passes_at(series, [-1])[0])
