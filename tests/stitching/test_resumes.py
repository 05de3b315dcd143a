"""Trainings that a real Trainer began, that were killed, and that were resumed in every common way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from runscope import load
from runscope.history import Timeline
from runscope.stitching import stitch
from tests.stitching.resumes import LOGS, PLAN

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def resumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All sessions, trained once in a process of their own."""
    folder = tmp_path_factory.mktemp("resumes")
    command = [sys.executable, "-m", "tests.stitching.resumes", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def line(folder: Path, *names: str) -> Timeline:
    return stitch([load(folder / f"{name}.wandb") for name in names])


@pytest.mark.parametrize(
    ("names", "starts", "offsets"),
    [
        (("pricer", "pricer-resumed"), [40], [0]),
        (("pricer-resumed-again", "pricer", "pricer-resumed"), [40, 60], [0, 0]),
        (("pricer", "pricer-adapter"), [40], [40]),
        (("pricer", "pricer-adapter-lr"), [40], [40]),
        (("pricer", "pricer-halved"), [40], [0]),
        (("pricer", "pricer-adapter-halved"), [40], [40]),
    ],
    ids=["resumed", "three-parts", "adapter", "adapter-other-rate", "halved", "adapter-halved"],
)
def test_a_resumed_training_is_joined_where_it_was_resumed(
    resumes: Path, names: tuple[str, ...], starts: list[int], offsets: list[int]
) -> None:
    found = line(resumes, *names)
    later = found.segments[1:]
    assert [s.continues for s in later] == [True] * len(starts)
    assert [s.start for s in later] == starts
    assert [s.offset for s in later] == offsets
    assert all(s.confidence > 0.8 for s in later)
    assert found.segments[0].last_step == 40
    assert found.segments[0].dropped_points > 0
    loss = found.role("train_loss")
    assert loss is not None
    assert set(np.diff(loss.step)) <= {LOGS, LOGS * later[0].scale}


def test_the_whole_plan_is_one_line(resumes: Path) -> None:
    assert line(resumes, "pricer", "pricer-adapter").last_step == PLAN


def test_half_the_batch_is_half_a_step(resumes: Path) -> None:
    found = line(resumes, "pricer", "pricer-adapter-halved")
    assert found.segments[1].scale == pytest.approx(0.5, rel=0.02)
    assert found.to_pandas(axis="samples")["samples"].max() == pytest.approx(8 * 80, rel=0.02)


def test_a_plain_loop_that_logs_only_a_loss_is_joined_by_its_curve(resumes: Path) -> None:
    """Nothing but the level tells: the state of step 100 is found to a few steps, and it says how sure that is."""
    second = line(resumes, "plain", "plain-2").segments[1]
    assert second.continues
    assert second.method == "curve"
    assert abs(second.offset - 100) <= 5
    assert second.confidence < 0.9
    assert second.alternatives


def test_a_trainer_state_that_carries_the_history_continues_from_the_state_it_was_resumed_from(
    resumes: Path,
) -> None:
    first, state = load(resumes / "pricer.wandb"), load(resumes / "out-b" / "checkpoint-60")
    for order in ([first, state], [state, first]):
        found = stitch(order)
        assert [s.continues for s in found.segments] == [True, True]
        assert (found.segments[1].start, found.segments[1].offset) == (40, 0)
        assert "same points" in found.segments[1].evidence[0]
        loss = found.role("train_loss")
        assert loss is not None
        np.testing.assert_array_equal(loss.step, np.arange(LOGS, 61, LOGS))
