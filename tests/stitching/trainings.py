"""Made-up trainings that were cut and resumed: a falling loss with noise, logged as the common tools log it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from runscope.history import Lineage, Run, Series

EVERY = 10
SAVES = 200
CONFIG = {
    "save_steps": SAVES,
    "logging_steps": EVERY,
    "model_name_or_path": "tiny/model",
    "output_dir": "out",
}


def level(step: np.ndarray) -> np.ndarray:
    """The loss that the training would have without noise."""
    return 0.5 + 2.0 * np.exp(-step / 700)


def session(
    name: str,
    *,
    begins: int,
    ends: int,
    at: float,
    counts_on: int | None = None,
    every: int = EVERY,
    pace: float = 1.0,
    noise: float = 0.03,
    seed: int = 0,
    drop: tuple[str, ...] = (),
    config: Mapping[str, Any] = CONFIG,
    lineage: Lineage | None = None,
    **facts: Any,
) -> Run:
    """One run of a training.

    Args:
        name: its name and id.
        begins, ends: continuous steps of the state that it starts from and of its last log.
        at: when it starts, Unix seconds; a step takes a second.
        counts_on: where its own counters go on; None begins them at 0.
        every: logging interval, in its own steps.
        pace: continuous steps per own step.
        noise: standard deviation of a logged loss.
        seed: of that noise.
        drop: metrics that it does not log.
    """
    own = np.arange(every, int((ends - begins) / pace) + 1, every)
    place = begins + pace * own
    counted = own + (counts_on or 0)
    rng = np.random.default_rng(seed)
    time = at + own.astype(np.float64)
    values = {
        "train/loss": level(place) + noise * rng.normal(size=len(own)),
        "train/grad_norm": np.exp(0.3 * level(place) + 0.1 * rng.normal(size=len(own))),
        "train/epoch": ((counts_on or 0) + own * pace) / 500,
        "train/global_step": counted.astype(np.float64),
    }
    series = {n: Series.of(n, counted, v, time) for n, v in values.items() if n not in drop}
    roles = {"train_loss": "train/loss", "grad_norm": "train/grad_norm", "epoch": "train/epoch"}
    return Run(
        reference=name,
        id=name,
        name=name,
        source="wandb",
        series=series,
        roles={r: n for r, n in roles.items() if n in series},
        step_key="train/global_step",
        config=dict(config),
        started_at=at,
        ended_at=float(time[-1]) if len(time) else at,
        state="killed",
        lineage=lineage,
        **facts,
    )
