"""A run that died before it had saved anything, and the same training from scratch: nothing is joined."""

from __future__ import annotations

import numpy as np
import pytest

from runscope.history import Run, Series
from runscope.stitching import find, stitch


def training(name: str, steps: range, *, seed: int, above: float = 0.0) -> Run:
    """A plain log of a loss that falls, of a program that records neither its plan nor its states."""
    step = np.array(steps)
    noise = np.random.default_rng(seed).normal(0, 0.03, len(step))
    value = 2 * np.exp(-(step + above) / 300) + 1.5 + noise
    return Run(
        reference=name, id=name, name="pricer", source="table", state="finished",
        series={"loss": Series.of("loss", step, value)}, roles={"train_loss": "loss"},
    )  # fmt: skip


@pytest.mark.parametrize("every", [1, 5, 50, 100])
@pytest.mark.parametrize("whole_first", [True, False])
def test_one_logged_row_is_no_counter_that_goes_on(every: int, whole_first: bool) -> None:
    died = training("died", range(every, every + 1, every), seed=0)
    whole = training("whole", range(every, 60 * every + 1, every), seed=1)
    line = stitch([whole, died] if whole_first else [died, whole])
    assert not line.segments[1].continues
    assert len(find([died, whole])) == 2


@pytest.mark.parametrize("rows", [2, 3, 4])
def test_a_run_that_died_at_once_left_no_state_to_resume_from(rows: int) -> None:
    died = training("died", range(10, 10 * rows + 1, 10), seed=0)
    whole = training("whole", range(10, 1001, 10), seed=1)
    answer = stitch([died, whole]).segments[1]
    assert not answer.continues
    assert f"ended at step {10 * rows}, probably before it had saved a checkpoint" in answer.evidence[0]


def test_a_run_that_lived_long_enough_is_continued_all_the_same() -> None:
    died = training("died", range(10, 401, 10), seed=0)
    rest = training("rest", range(10, 1001, 10), seed=1, above=400)
    assert stitch([died, rest]).segments[1].continues
    once = training("once", range(410, 411, 10), seed=2)
    after = stitch([died, once]).segments[1]
    assert (after.continues, after.start) == (True, 400)
