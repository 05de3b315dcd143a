"""Which labels an example has, where it may have several: each is asked for itself, yes or no."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from runscope.errors import InputError
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.labelled import labelled, shown
from runscope.evaluation.examples.labels import Reading, are_marks, plain_label
from runscope.evaluation.models.backend import Form, HeadOutputs
from runscope.evaluation.tasks.heads import ACCURACY, F1, NATS, Head
from runscope.evaluation.tasks.task import Metric, Row, Task
from runscope.stats.arrays import Floats
from runscope.stats.comparing.pooled import macro_f1_of_labels, micro_f1


class MultiLabel(Head):
    """Which of the labels a text has, of which it may have several or none."""

    name = "multi-label"
    metrics = (NATS, Metric("micro_f1", False, "in micro F1", pooled=True), F1, ACCURACY)
    pooled: ClassVar[Mapping[str, Any]] = {"micro_f1": micro_f1, "macro_f1": macro_f1_of_labels}
    form: ClassVar[Form] = "text"

    def example(self, row: Mapping[str, Any], columns: Mapping[str, str], where: str) -> Example | None:
        """Text and labels."""
        return labelled(row, columns, where, self.missing, several=True)

    def ask(self, models: HeadOutputs, examples: Sequence[Example]) -> list[Row]:
        """The logit of every label, and which are right."""
        found: list[Row] = []
        for v, e in zip(models.outputs(examples, self.form), examples, strict=True):
            read = self.settings.labels
            right = hot_labels(e.completion, len(v), lambda said: models.label(said, (), read), read)  # noqa: B023
            said = [models.name(int(k)) for k in np.flatnonzero(v > 0)]
            found.append({"logits": v.tolist(), "right": right, "said": ", ".join(said) or "none"})
        return found

    def scores(self, row: Row, example: Example) -> dict[str, float]:  # noqa: ARG002
        """Mean cross-entropy of all labels, each yes or no, and whether all are right."""
        logits, right = np.array(row["logits"], dtype=np.float64), np.array(row["right"])
        if not np.isfinite(logits).all():
            return {"loss": float("nan"), "accuracy": float("nan")}
        loss = np.logaddexp(0.0, logits) - right * logits
        return {"loss": float(loss.mean()), "accuracy": float(((logits > 0) == right).all())}

    def statistics(self, rows: Sequence[Row]) -> Floats:
        """Counts for F1; a label is given where it is likelier than not."""
        said, right = np.array([r["logits"] for r in rows]) > 0, np.array([r["right"] for r in rows]) > 0
        return np.concatenate([said & right, said, right], axis=1).astype(np.float64)

    def said(self, row: Row, example: Example) -> str:  # noqa: ARG002
        """The labels that are likelier than not."""
        return str(row["said"])


class MultiLabelImages(MultiLabel):
    """Which of the labels a picture has, of which it may have several or none."""

    name = "multi-label-images"
    form = "media"

    def example(self, row: Mapping[str, Any], columns: Mapping[str, str], where: str) -> Example | None:
        """Picture and labels."""
        return shown(row, columns, where, "image", self.missing, several=True)


def hot_labels(said: str, count: int, number: Callable[[str], int], read: Reading = "auto") -> list[int]:
    """0 or 1 for each label, of what a row says.

    Args:
        said: a label, or as JSON a list of labels, a 0 or 1 for each in order, or a mapping from labels to these.
        count: of labels.
        number: of a label by its name.
        read: how the labels of the file are read: ``[0, 1]`` of two labels may be either.

    Raises:
        InputError: the model has no such label.
    """
    try:
        told = json.loads(said)
    except ValueError:
        told = said
    if isinstance(told, Mapping):
        marks = _marks(told, count, number)
        return [int(marks.get(k, False)) for k in range(count)]
    every = told if isinstance(told, list) else [said]
    if read in ("auto", "marks") and are_marks(every, count):
        return [int(v) for v in every]
    given = {number(plain_label(v)) for v in every}
    return [int(k in given) for k in range(count)]


def _marks(told: Mapping[str, Any], count: int, number: Callable[[str], int]) -> dict[int, bool]:
    """Marks by label; other columns that hold 0 or 1 are none, where all labels have theirs."""
    marks: dict[int, bool] = {}
    unknown: InputError | None = None
    for name, mark in told.items():
        try:
            marks[number(str(name))] = bool(mark)
        except InputError as error:
            unknown = error
    if unknown is not None and len(marks) < count:
        raise unknown
    return marks


TASKS: tuple[type[Task], ...] = (MultiLabel, MultiLabelImages)
