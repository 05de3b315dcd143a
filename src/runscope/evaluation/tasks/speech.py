"""What is said in a sound, by the words and letters that are wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from runscope.errors import InputError, MissingExtra
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.labelled import spoken
from runscope.evaluation.models.backend import Hears, Models
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.tasks.task import UNENDED, Metric, Row, Task
from runscope.stats.arrays import Floats
from runscope.stats.overfitting.turn import MATTERS

COUNTS: Mapping[str, str] = {"wer": "words", "cer": "characters", "loss": "tokens"}
"""What each metric is a mean over: the error rate of a set is that of all its words."""
LOST = "seconds_lost"
"""In a row: seconds of its sound that the model did not hear."""


class Transcribe(Task):
    """The word error rate (WER): words put in, left out or replaced, of the words that were said.

    Transcripts are compared as they are, capitals and points too, by jiwer.
    """

    name = "transcribe"
    writes: ClassVar[bool] = False
    metrics = (
        Metric("wer", True, "in word error rate"),
        Metric("cer", True, "in character error rate"),
        Metric("loss", True, "nats per token", 0.0, MATTERS, continuous=True),
    )

    def __init__(self, settings: EvaluateSettings) -> None:
        super().__init__(settings)
        try:
            import jiwer
        except ImportError as error:
            raise MissingExtra("jiwer", extra="speech", needed_for="word error rates") from error
        self._words, self._characters = jiwer.process_words, jiwer.process_characters

    @property
    def key(self) -> str:
        """How long a transcript may become counts too."""
        return f"{self.name}/1/{self.settings.max_new_tokens}"

    def example(self, row: Mapping[str, Any], columns: Mapping[str, str], where: str) -> Example | None:
        """Sound and transcript."""
        return spoken(row, columns, where)

    def measure(self, models: Models, examples: Sequence[Example]) -> list[Row]:
        """The transcripts, and the loss of the right ones.

        Raises:
            InputError: the model hears nothing.
        """
        if not isinstance(models, Hears):
            raise InputError(
                f"the task {self.name} asks a model that writes down speech, and these read text",
                hint="leave out --task, and the kind of model decides",
            )
        said = models.answers(examples, self.settings.max_new_tokens or 0)
        losses, lost = models.token_losses(examples), models.seconds_lost(examples)
        return [
            {
                "answer": str(answer), "loss": _mean(own), "tokens": float(len(own)),
                "words": _asked(self._words(e.completion, "")),
                "characters": _asked(self._characters(e.completion, "")),
                **({} if answer.ended else {UNENDED: True}), **({LOST: cut} if cut else {}),
            }
            for answer, own, cut, e in zip(said, losses, lost, examples, strict=True)
        ]  # fmt: skip

    def scores(self, row: Row, example: Example) -> dict[str, float]:
        """Error rates of one transcript, and what they are a mean over."""
        words = self._words(example.completion, row["answer"])
        letters = self._characters(example.completion, row["answer"])
        loss = float("nan") if row["loss"] is None else row["loss"]
        return {"wer": words.wer, "cer": letters.cer, "loss": loss} | {c: row[c] for c in COUNTS.values()}

    def weight(self, row: Row) -> float:
        """Its words, letters or tokens, whatever the deciding metric is a mean over."""
        return float(row[COUNTS[self.metric.name]])

    def summary(self, scores: Mapping[str, Floats], weights: Floats) -> dict[str, float]:  # noqa: ARG002
        """Each metric over what it is a mean of."""
        return {
            name: float(np.average(scores[name], weights=scores[count])) for name, count in COUNTS.items()
        }

    def said(self, row: Row, example: Example) -> str:  # noqa: ARG002
        """The transcript."""
        return str(row["answer"])


def _asked(nothing_said: Any) -> float:
    """How many words or characters were said, as jiwer counts them: all of them are missing."""
    return float(nothing_said.deletions)


def _mean(losses: Floats) -> float | None:
    """None where it is infinite: CTC cannot write more letters than there are moments."""
    return float(losses.mean()) if len(losses) and np.isfinite(losses).all() else None
