"""What a task may ask of a model, whatever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.scoring import Scoring
from runscope.evaluation.models.generation import Answer
from runscope.evaluation.settings import EvaluateSettings
from runscope.stats.arrays import Floats


class Models(Protocol):
    """Checkpoints of one training; one of them is in use."""

    def use(self, folder: Path) -> None:
        """Make the checkpoint in a folder the one that answers."""

    def use_base(self, folder: Path) -> None:
        """Make the base that a checkpoint began from the one that answers, to the checkpoint's own tokens."""

    def cut(self, examples: Sequence[Example]) -> list[int]:
        """Tokens that each example loses, as it is longer than the model takes or the training took."""

    def token_losses(self, examples: Sequence[Example], scoring: Scoring | None = None) -> list[Floats]:
        """Negative log-likelihood of each scored token given all before it, in nats.

        What is scored is what the settings say, unless a task asks for another part.
        """

    def answers(self, examples: Sequence[Example], max_new_tokens: int) -> list[Answer]:
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
