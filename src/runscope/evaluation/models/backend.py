"""What a task may ask of a model, whatever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from runscope.evaluation.examples.reading import Example
from runscope.evaluation.settings import EvaluateSettings
from runscope.stats.arrays import Floats


class Models(Protocol):
    """Checkpoints of one training; one of them is in use."""

    def use(self, folder: Path) -> None:
        """Make the checkpoint in a folder the one that answers."""

    def cut(self, examples: Sequence[Example]) -> list[int]:
        """Tokens that each example loses in front, as it is longer than the model takes."""

    def token_losses(self, examples: Sequence[Example]) -> list[Floats]:
        """Negative log-likelihood of each completion token given all before it, in nats."""

    def answers(self, examples: Sequence[Example], max_new_tokens: int) -> list[str]:
        """What the model says itself (greedy) where the completion begins."""

    def next_tokens(self, examples: Sequence[Example], count: int) -> list[list[tuple[str, float]]]:
        """The likeliest first tokens of the completion with their probabilities, likeliest first."""


def open_models(settings: EvaluateSettings, base: str | Path | None) -> Models:
    """The backend that the settings name.

    Raises:
        MissingExtra: a package that it needs is not installed.
    """
    if settings.backend == "vllm":
        from runscope.evaluation.models.vllm import VllmModels

        return VllmModels(settings, base)
    from runscope.evaluation.models.local import LocalModels

    return LocalModels(settings, base)
