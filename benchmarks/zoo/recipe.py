"""What one training of the zoo is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

Fault = Literal[
    "none", "overfit", "divergence", "vanishing", "exploding", "nan", "hidden_nan", "never_learned", "spikes",
    "schedule_cut", "constant_rate", "rate_ends_early", "masked_labels", "summed_loss", "saturated_margins",
    "no_reward_variance",
]  # fmt: skip

NAMED_BY: dict[str, tuple[str, ...]] = {
    "divergence": ("LOS001", "LOS002", "LOS005", "GRD003", "GRD004"),
    "vanishing": ("GRD001", "GRD002", "LOS005"),
    "exploding": ("GRD003", "GRD004", "GRD007", "LOS001", "LOS002"),
    "nan": ("LOS001", "GRD004"),
    "hidden_nan": ("GRD004",),
    "never_learned": ("LOS005", "GRD001"),
    "spikes": ("LOS003",),
    "schedule_cut": ("SCH002",),
    "constant_rate": ("SCH001",),
    "rate_ends_early": ("SCH003",),
    "masked_labels": ("LOS006",),
    "summed_loss": ("LOS008",),
    "saturated_margins": ("RWD001",),
    "no_reward_variance": ("RWD002",),
}
"""Codes any of which names the fault; overfitting is named by the verdict."""


@dataclass(frozen=True)
class Recipe:
    """One training.

    Attributes:
        model, width, depth, gain, dropout: see ``models.build``.
        schedule: ``cosine``, ``linear``, ``constant``, ``warmup`` (rises through the first half), ``early`` (ends
            after half of the steps).
        stop_at: share of the planned steps after which it is stopped.
        spike_every: steps between bad batches.
        masked: all labels are masked.
        nan_from: step from which the loss is NaN; ``hide_nan`` logs it as the Trainer does, as 0.
        log_every: steps between logged losses.
        summed: losses of so many parts of a batch are summed where they should be averaged (gradient accumulation).
        half: train with the loss scaler of fp16, which skips steps whose scaled gradients overflow.
        spread: examples count in the loss by factors that are log-normal with this spread: heavy tails.
        scored: log a task metric as well: accuracy of classes, character error rate of text.
    """

    name: str
    fault: Fault
    task: str
    model: str
    train_size: int
    steps: int
    rate: float
    seed: int = 0
    width: int = 48
    depth: int = 2
    batch: int = 32
    gain: float = 1.0
    dropout: float = 0.0
    optimiser: str = "adam"
    schedule: str = "cosine"
    clip: float = 1.0
    weight_decay: float = 0.0
    wrong_labels: float = 0.0
    stop_at: float = 1.0
    spike_every: int = 0
    masked: bool = False
    nan_from: int = 0
    hide_nan: bool = False
    log_every: int = 4
    summed: int = 1
    half: bool = False
    spread: float = 0.0
    scored: bool = False


def many(name: str, base: Recipe, seeds: range, **changes: Any) -> list[Recipe]:
    """The same recipe with several seeds."""
    return [replace(base, name=f"{name}-{seed}", seed=seed, **changes) for seed in seeds]
