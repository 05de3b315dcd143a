"""The trainings of the zoo: each with one fault, or with none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Fault = Literal[
    "none", "overfit", "divergence", "vanishing", "exploding", "nan", "never_learned", "spikes",
    "schedule_cut", "constant_rate", "masked_labels",
]  # fmt: skip

NAMED_BY: dict[str, tuple[str, ...]] = {
    "divergence": ("LOS001", "LOS002", "LOS005", "GRD003", "GRD004"),
    "vanishing": ("GRD001", "GRD002", "LOS005"),
    "exploding": ("GRD003", "GRD004", "GRD007", "LOS001", "LOS002"),
    "nan": ("LOS001", "GRD004"),
    "never_learned": ("LOS005", "GRD001"),
    "spikes": ("LOS003",),
    "schedule_cut": ("SCH002",),
    "constant_rate": ("SCH001",),
    "masked_labels": ("LOS006",),
}
"""Codes any of which names the fault; overfitting is named by the verdict."""


@dataclass(frozen=True)
class Recipe:
    """One training. ``stop_at`` ends it early, ``spike_every`` feeds bad batches, ``gain`` scales the start."""

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
    optimiser: str = "adam"
    schedule: str = "cosine"
    clip: float = 1.0
    weight_decay: float = 0.0
    wrong_labels: float = 0.0
    stop_at: float = 1.0
    spike_every: int = 0
    masked: bool = False
    nan_from: int = 0


_MLP = Recipe("", "none", "digits", "mlp", 1000, 600, 1e-3)
_CNN = replace(_MLP, model="cnn", width=12, rate=3e-3, steps=400)
_CANCER = replace(_MLP, task="cancer", train_size=300, steps=200, width=16, rate=1e-3)
_RNN = replace(_MLP, task="text", model="rnn", train_size=8000, steps=400, width=48, depth=1, rate=3e-3)
_GPT = replace(_RNN, model="transformer", width=48, depth=2, steps=400)


def recipes() -> list[Recipe]:
    """All trainings."""
    made = [*_healthy(), *_overfitted(), *_broken()]
    assert len({r.name for r in made}) == len(made)
    return made


def _many(name: str, base: Recipe, count: int, **changes: object) -> list[Recipe]:
    return [
        replace(base, name=f"{name}-{seed}", seed=seed, **changes)  # type: ignore[arg-type]
        for seed in range(1, count + 1)
    ]


def _healthy() -> list[Recipe]:
    """Nothing wrong: enough data or few passes, a rate that fits, a schedule that ended."""
    return [
        *_many("mlp", _MLP, 4, steps=250),
        *_many("cnn", _CNN, 4),
        *_many("cancer", _CANCER, 3, weight_decay=0.05),
        *_many("rnn", _RNN, 4),
        *_many("gpt", _GPT, 4),
        *_many("gpt-once", _GPT, 2, steps=250),
        *_many("rnn-linear", _RNN, 2, schedule="linear"),
        *_many("mlp-sgd", _MLP, 2, optimiser="sgd", rate=0.03, steps=200),
    ]


def _overfitted() -> list[Recipe]:
    """Few examples or wrong labels, many passes, no brake."""
    return [
        *_many(
            "mlp-noisy", _MLP, 4, fault="overfit", wrong_labels=0.3, train_size=300, width=128, steps=1200
        ),
        *_many("cnn-noisy", _CNN, 3, fault="overfit", wrong_labels=0.3, train_size=300, steps=1000),
        *_many("rnn-few", _RNN, 4, fault="overfit", train_size=200, width=96, steps=900),
        *_many("gpt-few", _GPT, 4, fault="overfit", train_size=200, width=64, steps=600),
        *_many(
            "cancer-few", _CANCER, 2, fault="overfit", train_size=60, wrong_labels=0.2, width=64, steps=1000
        ),
    ]


def _broken() -> list[Recipe]:
    return [
        *_many(
            "mlp-fast", _MLP, 2, fault="divergence", optimiser="sgd", rate=40.0, clip=0.0, schedule="warmup"
        ),
        *_many("rnn-fast", _RNN, 2, fault="divergence", rate=1.0, clip=0.0, schedule="warmup"),
        *_many(
            "sigmoid-deep", _MLP, 3, fault="vanishing", model="sigmoid", depth=12, optimiser="sgd", rate=0.05
        ),
        *_many(
            "mlp-loud", _MLP, 3, fault="exploding", gain=6.0, depth=10, optimiser="sgd", rate=1e-3, clip=0.0
        ),
        *_many("mlp-nan", _MLP, 2, fault="nan", nan_from=300),
        *_many("gpt-nan", _GPT, 2, fault="nan", nan_from=200),
        *_many("mlp-still", _MLP, 2, fault="never_learned", rate=1e-7),
        *_many("gpt-still", _GPT, 2, fault="never_learned", rate=1e-7),
        *_many("mlp-spikes", _MLP, 2, fault="spikes", spike_every=97),
        *_many("gpt-spikes", _GPT, 2, fault="spikes", spike_every=83),
        *_many("gpt-cut", _GPT, 3, fault="schedule_cut", stop_at=0.65),
        *_many("rnn-cut", _RNN, 2, fault="schedule_cut", stop_at=0.7),
        *_many("gpt-constant", _GPT, 2, fault="constant_rate", schedule="constant", rate=1e-3),
        *_many("rnn-constant", _RNN, 2, fault="constant_rate", schedule="constant", rate=1e-3),
        *_many("gpt-masked", _GPT, 2, fault="masked_labels", masked=True, steps=200),
    ]
