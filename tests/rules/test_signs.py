"""A log that was interrupted though its steps go on: what jumps where its clock stood still is said, no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runscope.history import Run, Series, Timeline
from runscope.rules import Finding, View, look
from tests.stitching.trainings import EVERY, session

ROW = 60
HOURS = 3600.0


def log(seed: int, *, rest: float = 0.0, evaluations: bool = False) -> Run:
    """One training whose clock rests at a row, and at every twentieth for its evaluations."""
    run = session("pricer", begins=0, ends=1500, at=0, seed=seed)
    series = {}
    for name, logged in run.series.items():
        time = logged.time + rest * (logged.step > ROW * EVERY)
        if evaluations:
            time = time + 900.0 * (logged.step // (20 * EVERY))
        series[name] = replace(logged, time=time)
    return replace(run, series=series)


def with_loss(run: Run, factor: float) -> Run:
    """The run with another level of loss from the row on."""
    loss = run.series["train/loss"]
    return replace(
        run,
        series={
            **run.series,
            "train/loss": replace(
                loss, value=np.where(loss.step > ROW * EVERY, factor * loss.value, loss.value)
            ),
        },
    )


def said(run: Run) -> list[Finding]:
    return [f for f in look(View(Timeline.of(run))).findings if f.code.startswith("RES")]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("factor", [4.0, 0.25])
def test_what_jumps_where_the_clock_stood_still_is_said(seed: int, factor: float) -> None:
    run = with_loss(log(seed, rest=5 * HOURS, evaluations=True), factor)
    (found,) = said(run)
    assert found.first_step == (ROW + 1) * EVERY
    assert found.message.startswith("Where the clock stood still for 5 hours (step 600)")


@pytest.mark.parametrize("seed", range(4))
def test_a_machine_that_slept_is_no_finding(seed: int) -> None:
    assert said(log(seed, rest=5 * HOURS)) == []


@pytest.mark.parametrize("seed", range(4))
def test_a_clock_that_rests_at_every_evaluation_shows_nothing(seed: int) -> None:
    assert said(log(seed, evaluations=True)) == []


@pytest.mark.parametrize("seed", range(4))
def test_a_clock_that_rests_for_the_one_evaluation_at_a_step_down_shows_nothing(seed: int) -> None:
    run = with_loss(log(seed, rest=HOURS), 0.7)
    held_out = Series.of("eval/loss", [ROW * EVERY, 1500], [1.3, 0.9])
    series = {**run.series, "eval/loss": held_out}
    assert said(replace(run, series=series, roles={**run.roles, "eval_loss": "eval/loss"})) == []


@pytest.mark.parametrize("seed", range(4))
def test_what_jumps_where_the_epoch_went_back_is_said(seed: int) -> None:
    run = with_loss(log(seed), 3.0)
    epoch = run.series["train/epoch"]
    back = Series.of(epoch.name, epoch.step, epoch.value - 1.2 * (epoch.step > ROW * EVERY), epoch.time)
    run = replace(run, series={**run.series, epoch.name: back})
    (found,) = said(run)
    assert found.message.startswith("Where the epoch went back from 1.2 to 0.02 (step 600)")
