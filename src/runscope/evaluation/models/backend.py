"""What a task may ask of a model, whatever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.scoring import Scoring
from runscope.evaluation.models.generation import Answer
from runscope.stats.arrays import Floats

Form = Literal["text", "answer", "choices", "words", "gaps", "media"]
"""What of an example a head is given: a text (or two), prompt and answer as one, each choice behind the prompt, words,
a text with gaps, a picture or sound."""


@runtime_checkable
class HeadOutputs(Protocol):
    """Models with a head that gives numbers."""

    def label(self, said: str, every: Sequence[str] = ()) -> int:
        """The number of a label; ``every`` are all of them in order, where the rows tell."""

    def name(self, label: int) -> str:
        """What a label is called."""

    def outputs(self, examples: Sequence[Example], form: Form) -> list[Floats]:
        """What the head gives for each example."""


Role = Literal["text", "query", "document"]
"""What a text is to a model of embeddings: one of two alike, what is asked, or what is found."""


@runtime_checkable
class Embeds(Protocol):
    """Models that give a vector for a text."""

    @property
    def likeness(self) -> str:
        """How two vectors are compared: cosine, dot, euclidean or manhattan."""

    def vectors(self, texts: Sequence[str], role: Role) -> Floats:
        """(texts, width) vectors."""


@runtime_checkable
class Hears(Protocol):
    """Models that write down what is said in a sound: its losses and answers are those of the transcript."""

    def seconds_lost(self, examples: Sequence[Example]) -> list[float]:
        """What of each sound is longer than the model takes."""


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
