"""What a task is: it asks a model, and makes metrics of what that said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from runscope.errors import UsageError, nearest
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.reading import example_of
from runscope.evaluation.models.backend import Models
from runscope.evaluation.settings import EvaluateSettings
from runscope.stats.arrays import Floats
from runscope.stats.comparing.pooled import jackknife

Row = Mapping[str, Any]
"""What a model said to one example: JSON."""
UNENDED = "unended"
"""In a row: the answer was cut off at the longest that was allowed."""
CUT = "cut"
"""In a row: tokens that its example lost, in front or at the end."""


@dataclass(frozen=True)
class Metric:
    """One number an example.

    Attributes:
        unit: follows a difference in a sentence: "worse by 0.04 nats per token".
        min_effect: smallest difference that matters.
        pooled: it is one number of all examples together, as F1 is, and no mean of theirs.
        min_share: the same as a share of the best checkpoint's mean: of a loss, what matters to its curve as well.
        continuous: it moves with every change of the weights, so that models that agree on all examples are the
            same; what is read from an answer or a choice does not.
    """

    name: str
    lower_is_better: bool
    unit: str
    min_effect: float = 0.02
    min_share: float = 0.0
    pooled: bool = False
    continuous: bool = False


class Task:
    """Base of all tasks.

    Attributes:
        name: as ``--task`` has it.
        metrics: what it can be judged by; the first one unless another is asked for.
    """

    name: ClassVar[str]
    metrics: tuple[Metric, ...]
    writes: ClassVar[bool] = True
    """Whether it asks a model that writes text."""
    cuts: ClassVar[str] = "in front"
    """Where texts are cut that are longer than the model takes."""
    brings_examples: ClassVar[bool] = False
    """Whether it has examples of its own, and takes no file of them."""
    reads_rows: bool = False
    """Whether its scores depend on what else is in an example's row: rows that differ by that alone are two then."""
    pooled: ClassVar[Mapping[str, Callable[[Floats], Floats]]] = {}
    """Metrics of all examples together, by name, from sums of :meth:`statistics`."""

    def __init__(self, settings: EvaluateSettings) -> None:
        self.settings = settings

    @property
    def key(self) -> str:
        """What its rows depend on besides the model and the example; another number where that changes."""
        return f"{self.name}/1"

    @property
    def metric(self) -> Metric:
        """The metric that decides.

        Raises:
            UsageError: the task has no such metric.
        """
        wanted = self.settings.metric
        for metric in self.metrics:
            if wanted in (None, metric.name):
                return metric
        close = nearest(str(wanted), [m.name for m in self.metrics])
        raise UsageError(
            f"the task {self.name} has no metric {wanted!r}",
            hint=(f"did you mean {close!r}? " if close else "")
            + f"it has {', '.join(m.name for m in self.metrics)}",
        )

    def effect_that_matters(self, examples: Sequence[Example]) -> float:  # noqa: ARG002
        """Smallest difference of the deciding metric that matters: the user's, else the metric's own."""
        given = self.settings.min_effect
        return self.metric.min_effect if given is None else given

    def measure(self, models: Models, examples: Sequence[Example]) -> list[Row]:
        """Ask the model that is in use; one row an example."""
        raise NotImplementedError

    def scores(self, row: Row, example: Example) -> dict[str, float]:
        """All metrics of one answer, and whatever :meth:`summary` needs."""
        raise NotImplementedError

    def weight(self, row: Row) -> float:  # noqa: ARG002
        """How much an example counts in the means."""
        return 1.0

    def summary(self, scores: Mapping[str, Floats], weights: Floats) -> dict[str, float]:
        """A checkpoint's scores over its examples, each (n,)."""
        return {name: float(np.average(values, weights=weights)) for name, values in scores.items()}

    def example(self, row: Mapping[str, Any], columns: Mapping[str, str], where: str) -> Example | None:
        """The example that a row of the user's file holds; None where it says nothing to score.

        Raises:
            InputError: it is no row for this task.
        """
        return example_of(row, columns, where)

    def own_examples(self) -> tuple[Example, ...]:
        """The examples that a task brings."""
        raise NotImplementedError

    def cut(self, models: Models, examples: Sequence[Example]) -> list[int]:
        """Tokens that each example loses before the model in use reads it."""
        return models.cut(examples)

    def statistics(self, rows: Sequence[Row]) -> Floats:
        """(n, d) of each example, whose sums the pooled metrics are made of."""
        raise NotImplementedError

    def values(self, rows: Sequence[Row], examples: Sequence[Example]) -> Floats:
        """(n,) the deciding metric; of a pooled one what each example adds to it, which has it as its mean."""
        name = self.metric.name
        if self.metric.pooled:
            return jackknife(self.statistics(rows), self.pooled[name])
        each = [self.scores(row, e)[name] for row, e in zip(rows, examples, strict=True)]
        return np.array(each, dtype=np.float64)

    def overall(self, rows: Sequence[Row]) -> dict[str, float]:
        """The pooled metrics of a checkpoint."""
        if not self.pooled or not rows:
            return {}
        sums = self.statistics(rows).sum(axis=0)
        return {name: float(value(sums)) for name, value in self.pooled.items()}

    def said(self, row: Row, example: Example) -> str:  # noqa: ARG002
        """What the model answered, for people; of a model that writes it is asked for."""
        return ""
