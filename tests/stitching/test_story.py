"""The story that stitching exists for: four epochs are planned, the run is killed in the fourth and its last rows are
lost, and a second run with fresh counters goes on from the newest pushed adapter."""

from __future__ import annotations

import numpy as np
import pytest

from runscope.history import Run, Series
from runscope.history.checkpoint import Checkpoint
from runscope.stitching import stitch

EVERY = 20
EPOCH = 1500
SAVES = 500
PLANNED, KILLED, LOST = 4 * EPOCH, 5310, 16
"""The newest state is that of step 5,000; the last row that reached the disk is that of step 4,980."""
DAY = 86400.0


def level(step: np.ndarray) -> np.ndarray:
    """Falls within epochs, and by a stair where data returns."""
    return (0.9 + 1.6 * np.exp(-step / 400)) * np.exp(-0.05 * step / EPOCH) * 0.85 ** np.floor(step / EPOCH)


def rates(step: np.ndarray, planned: int) -> np.ndarray:
    """A cosine with a short warm-up."""
    warm = 0.03 * planned
    falling = 0.5 * (1 + np.cos(np.pi * np.clip((step - warm) / (planned - warm), 0, 1)))
    return np.asarray(1e-4 * np.minimum(step / warm, 1.0) * falling)


def part(name: str, begins: int, steps: int, epochs: int, at: float, seed: int, lost: int = 0) -> Run:
    """One run of the story, its counters at zero when it began."""
    own = np.arange(EVERY, steps + 1, EVERY)
    seen = own[: len(own) - lost]
    noise = 1 + 0.05 * np.random.default_rng(seed).normal(size=len(seen))
    time = at + 1.5 * seen
    values = {
        "train/loss": level(begins + seen) * noise,
        "train/learning_rate": rates(seen, epochs * EPOCH),
        "train/epoch": seen / EPOCH,
    }
    roles = {"train_loss": "train/loss", "learning_rate": "train/learning_rate", "epoch": "train/epoch"}
    config = {
        "save_steps": SAVES, "logging_steps": EVERY, "num_train_epochs": epochs, "learning_rate": 1e-4,
        "per_device_train_batch_size": 4, "model_name_or_path": "tiny/llama", "hub_model_id": "me/pricer",
    }  # fmt: skip
    return Run(
        name, name, f"pricer-{name}", "wandb-file", {n: Series.of(n, seen, v, time) for n, v in values.items()}, roles,
        "train/global_step", config, at, at + 1.5 * steps, "killed",
    )  # fmt: skip


def pushes(at: float) -> list[Checkpoint]:
    """Commits of the first run, one with each save."""
    return [
        Checkpoint("me/pricer", f"{step:040x}", f"Training in progress, step {step}", step, saved_at=at + 1.5 * step)
        for step in range(SAVES, KILLED, SAVES)
    ]  # fmt: skip


@pytest.mark.parametrize("hub", [True, False], ids=["hub", "no-hub"])
@pytest.mark.parametrize("epochs", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_the_resumed_run_is_joined_at_the_newest_push(seed: int, epochs: int, hub: bool) -> None:
    first = part("2024-09-13_13.04.39", 0, KILLED, 4, DAY, 2 * seed, lost=LOST)
    second = part("2024-09-13_18.40.11", 5000, int(0.8 * epochs * EPOCH), epochs, DAY + 9000, 2 * seed + 1)
    found = stitch([second, first], checkpoints=pushes(DAY) if hub else ())
    one, two = found.segments
    assert (one.run.id, two.run.id) == (first.id, second.id)
    assert (two.continues, two.offset, two.start) == (True, 5000, 5000)
    assert two.confidence > 0.5
    assert one.last_step == 4980, "no row of the first run is lost that the newest state had seen"
    assert not found.gaps
    if hub:
        assert "the newest of the checkpoints that the repository holds" in two.evidence[0]


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_plan_of_whole_epochs_does_not_outweigh_another_model(epochs: int) -> None:
    first = part("2024-09-13_13.04.39", 0, KILLED, 4, DAY, 0)
    second = part("2024-09-13_18.40.11", 0, int(0.8 * epochs * EPOCH), epochs, DAY + 9000, 1)
    second = Run(**{**second.__dict__, "config": {**second.config, "model_name_or_path": "tiny/qwen"}})
    assert not stitch([first, second]).segments[1].continues
