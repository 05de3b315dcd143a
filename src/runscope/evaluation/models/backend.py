"""What a task may ask of a model, whatever runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.labels import Reading
from runscope.evaluation.examples.scoring import Scoring
from runscope.evaluation.models.generation import Answer
from runscope.stats.arrays import Floats

Form = Literal["text", "answer", "choices", "words", "gaps", "media"]
"""What of an example a head is given: a text (or two), prompt and answer as one, each choice behind the prompt, words,
a text with gaps, a picture or sound."""


@runtime_checkable
class HeadOutputs(Protocol):
    """Models with a head that gives numbers."""

    def label(self, said: str, every: Sequence[str] = (), read: Reading = "auto") -> int:
        """The number of a label; ``every`` are all in order, where the rows tell, ``read`` how they are read."""

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


@dataclass(frozen=True)
class Draws:
    """How answers are drawn: so many for each example, by the probabilities at a temperature, from a seed."""

    count: int
    temperature: float
    seed: int


@runtime_checkable
class GivesDraws(Protocol):
    """Models whose answers can be drawn by chance."""

    def drawn(self, examples: Sequence[Example], max_new_tokens: int, draws: Draws) -> list[list[Answer]]:
        """Several answers to each prompt."""


@runtime_checkable
class AnswersWithNext(Protocol):
    """Models that say what they answer and how likely its first token was, in one go."""

    def answers_and_next(
        self, examples: Sequence[Example], max_new_tokens: int, count: int
    ) -> list[tuple[Answer, list[tuple[str, float]]]]:
        """What :meth:`Models.answers` and :meth:`Models.next_tokens` say; each prompt is read once."""


@dataclass(frozen=True)
class Continuation:
    """Tokens of a text, and what may come at their end.

    Attributes:
        ids: what the model reads: the last of them are those of the longest continuation but its last.
        targets: tokens of each continuation; all of them but the last are the last ``ids``.
    """

    ids: tuple[int, ...]
    targets: tuple[tuple[int, ...], ...]

    @property
    def longest(self) -> int:
        """Tokens of the longest continuation."""
        return max(map(len, self.targets))


@runtime_checkable
class Continues(Protocol):
    """Models that go on from tokens which somebody else made of a text.

    Attributes:
        tokenizer, model: of the one that is in use.
    """

    tokenizer: Any
    model: Any

    def continuations(self, rows: Sequence[Continuation]) -> list[list[tuple[float, bool]]]:
        """Log-likelihood of each continuation of a row, and whether greedy decoding would have written it."""

    def written(
        self, prompts: Sequence[Sequence[int]], most: int, stops: Callable[[int, int], Any]
    ) -> list[Answer]:
        """What the model says itself (greedy); ``stops`` makes what ends a batch of a width and so many rows."""


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
