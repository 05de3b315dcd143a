"""What is trained, how it is interrupted, and what goes wrong when it is resumed: plain values, no torch."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LIBRARIES = ("plain", "accelerate", "lightning", "trainer", "trl")
SIZES = ("small", "medium", "large")
TUNE, HOLDOUT = 1, 2
"""Seeds: the calibration is fitted on the first, and scored on the second: other data, rates, schedules, lengths."""

CAUSES = ("clean", "weights", "optimiser", "schedule", "data", "scale", "other_data")
FAULTS: Mapping[str, tuple[str, ...]] = {
    "clean": ("clean",),
    "fresh_weights": ("weights",),
    "lost_head": ("weights",),
    "lost_adapter": ("weights",),
    "lost_optimiser": ("optimiser",),
    "lost_both": ("schedule", "optimiser"),
    "schedule_anew": ("schedule",),
    "schedule_rescaled": ("schedule",),
    "from_weights_alone": ("schedule", "optimiser"),
    "data_replayed": ("data",),
    "other_order": ("data",),
    "loss_summed": ("scale",),
    "larger_batch": ("scale",),
    "other_window": ("scale",),  # the loss of the last step is logged, not the mean since the last row
    "other_data": ("other_data",),
}
"""Fault → causes, of which the first that is named must be one."""

KINDS: Mapping[str, tuple[str, ...]] = {
    "plain": (
        "clean", "fresh_weights", "lost_head", "lost_optimiser", "lost_both", "schedule_anew",
        "schedule_rescaled", "data_replayed", "other_order", "loss_summed", "larger_batch", "other_window",
        "other_data",
    ),
    "accelerate": (
        "clean", "fresh_weights", "lost_optimiser", "schedule_anew", "schedule_rescaled", "data_replayed",
        "loss_summed", "larger_batch", "other_data",
    ),
    "lightning": (
        "clean", "fresh_weights", "lost_head", "lost_optimiser", "schedule_anew", "schedule_rescaled",
        "from_weights_alone", "larger_batch", "other_data",
    ),
    "trainer": (
        "clean", "fresh_weights", "lost_optimiser", "lost_both", "schedule_rescaled", "from_weights_alone",
        "data_replayed", "other_order", "loss_summed", "larger_batch", "other_data",
    ),
    "trl": (
        "clean", "lost_adapter", "lost_both", "schedule_rescaled", "from_weights_alone", "data_replayed",
        "larger_batch", "other_data",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Setup:
    """One training that is interrupted.

    Attributes:
        total: optimiser steps that are planned.
        save_at: step of the state that every resume begins from.
        killed_at: last step of the first run: later than ``save_at``, the tail is lost.
        until: last step of a resumed run.
        epoch_steps: optimiser steps an epoch.
        log_every, eval_every: in steps.
    """

    library: str
    size: str
    seed: int
    width: int
    depth: int
    total: int
    save_at: int
    killed_at: int
    until: int
    epoch_steps: int
    batch: int
    log_every: int
    eval_every: int
    rate: float
    schedule: str
    warmup: int
    corpus: str
    other_corpus: str

    @property
    def name(self) -> str:
        """Of the training."""
        return f"{self.library}-{self.size}-{self.seed}"

    @property
    def split(self) -> str:
        """``tune`` or ``holdout``."""
        return "tune" if self.seed == TUNE else "holdout"


def setup(library: str, size: str, seed: int) -> Setup:
    """The training of a library, a size and a seed: lengths, rates and schedules are drawn from these three."""
    draw = random.Random(f"{library} {size} {seed}")
    every, points = {"small": (2, 60), "medium": (4, 65), "large": (4, 80)}[size]
    points = round(points * draw.uniform(0.85, 1.15))
    total = every * points
    epoch_steps = max(every * round(points * draw.choice((0.2, 0.25, 0.35, 1.2))), every)
    save_at = every * round(points * draw.uniform(0.45, 0.6))
    if library == "lightning":  # it goes on from the ends of epochs
        epoch_steps = every * round(points * draw.choice((0.17, 0.23, 0.27)))
        save_at = epoch_steps * max(1, round(0.5 * total / epoch_steps))
    else:
        while min(save_at % epoch_steps, -save_at % epoch_steps) < 0.15 * epoch_steps:
            save_at += every
    tail = every * round(points * 0.2)
    width, depth = {"small": (24, 1), "medium": (40, 2), "large": (56, 2)}[size]
    return Setup(
        library, size, seed, width, depth, total, save_at, save_at + tail,
        min(total, save_at + every * round(0.5 * points)), epoch_steps, 8, every, every * 6,
        rate=draw.choice((3e-3, 5e-3, 8e-3)) * (0.4 if library == "trl" else 1.0),
        schedule=draw.choice(("linear", "cosine", "linear", "constant")),
        warmup=every * 3, corpus="text" if seed == TUNE else "other",
        other_corpus="prose" if seed == TUNE else "digits",
    )  # fmt: skip


def share(step: float, total: float, warmup: int, schedule: str) -> float:
    """Learning rate at a step, as a share of its peak."""
    import math

    if step < warmup:
        return step / max(1, warmup)
    done = min(1.0, (step - warmup) / max(1.0, total - warmup))
    if schedule == "constant":
        return 1.0
    return 1 - done if schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))


@dataclass
class Log:
    """Rows as a script logs them, and what it was set to."""

    config: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, float]] = field(default_factory=list)

    def columns(self) -> dict[str, list[list[float]]]:
        """Name → steps and values."""
        found: dict[str, list[list[float]]] = {}
        for row in self.rows:
            for name in ("epoch", "loss", "grad_norm", "learning_rate", "eval_loss"):
                if name in row:
                    steps, values = found.setdefault(name, [[], []])
                    steps.append(int(row["step"]))
                    values.append(float(f"{row[name]:.5g}"))
        return found
