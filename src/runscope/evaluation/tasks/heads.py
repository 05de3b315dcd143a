"""Tasks for models with a head: what the head gives is kept, and every metric is made of that."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from runscope.errors import InputError
from runscope.evaluation.examples.choices import continued
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.labelled import labelled, shown, tagged
from runscope.evaluation.examples.labels import MISSING
from runscope.evaluation.models.backend import Form, HeadOutputs, Models
from runscope.evaluation.tasks.scorers import target_number
from runscope.evaluation.tasks.task import Metric, Row, Task
from runscope.stats.arrays import Floats
from runscope.stats.comparing.pooled import class_counts, macro_f1, r_squared
from runscope.stats.overfitting.turn import MATTERS

NATS = Metric("loss", True, "nats", 0.0, MATTERS, continuous=True)
UNCOUNTED = "-100"
"""A label that no loss counts, as torch has it."""
ACCURACY = Metric("accuracy", False, "in accuracy")
F1 = Metric("macro_f1", False, "in macro F1", pooled=True)


class Head(Task):
    """Base of the tasks that ask a head."""

    writes: ClassVar[bool] = False
    cuts: ClassVar[str] = "to fit, as its tokenizer does"
    no_label: ClassVar[tuple[str, ...]] = (UNCOUNTED, MISSING)
    """What a row has for no label."""

    @property
    def key(self) -> str:
        """With how labels are read, where that is not clear of each."""
        read = self.settings.labels
        return f"{self.name}/1" + (f"/{read}" if read != "auto" else "")

    @property
    def missing(self) -> tuple[str, ...]:
        """What stands for no label here: -1 may be a label's name."""
        return tuple(n for n in self.no_label if n != MISSING or self.settings.labels != "names")

    def measure(self, models: Models, examples: Sequence[Example]) -> list[Row]:
        """Ask the head of the model that is in use.

        Raises:
            InputError: the model is of another kind, or a label is not among its own.
        """
        if not isinstance(models, HeadOutputs):
            raise InputError(
                f"the task {self.name} asks a model with a head of its own, and these write text",
                hint="leave out --task, and the kind of model decides",
            )
        return self.ask(models, examples)

    def ask(self, models: HeadOutputs, examples: Sequence[Example]) -> list[Row]:
        """One row an example."""
        raise NotImplementedError


class Classify(Head):
    """Which of the labels a text (or two) has."""

    name = "classify"
    metrics = (NATS, ACCURACY, F1)
    pooled: ClassVar[Mapping[str, Any]] = {"macro_f1": macro_f1}
    form: ClassVar[Form] = "text"

    def example(self, row: Mapping[str, Any], columns: Mapping[str, str], where: str) -> Example | None:
        """Text and label."""
        return labelled(row, columns, where, self.missing)

    def ask(self, models: HeadOutputs, examples: Sequence[Example]) -> list[Row]:
        """The log-probability of every label, and the number of the right one."""
        right = [models.label(e.completion, e.choices, self.settings.labels) for e in examples]
        return [
            {"log_probabilities": _log_softmax(v).tolist(), "right": k, "said": models.name(int(v.argmax()))}
            for v, k in zip(models.outputs(examples, self.form), right, strict=True)
        ]

    def scores(self, row: Row, example: Example) -> dict[str, float]:  # noqa: ARG002
        """Cross-entropy, and right or wrong; of labels that are equally likely each counts its share."""
        chances, right = np.array(row["log_probabilities"]), int(row["right"])
        if not np.isfinite(chances[right]):
            return {"loss": float("nan"), "accuracy": float("nan")}
        most = chances == chances.max()
        return {"loss": -float(chances[right]), "accuracy": float(most[right] / most.sum())}

    def statistics(self, rows: Sequence[Row]) -> Floats:
        """Counts for F1."""
        classes = len(rows[0]["log_probabilities"])
        return np.array(
            [
                class_counts(
                    np.array([r["right"]]), np.array([int(np.argmax(r["log_probabilities"]))]), classes
                )
                for r in rows
            ],
            dtype=np.float64,
        )

    def said(self, row: Row, example: Example) -> str:  # noqa: ARG002
        """The likeliest label with its probability."""
        return f"{row['said']} ({np.exp(max(row['log_probabilities'])):.0%})"


class ClassifyImages(Classify):
    """Which of the labels a picture has."""

    name = "classify-images"
    form = "media"

    def example(self, row: Mapping[str, Any], columns: Mapping[str, str], where: str) -> Example | None:
        """Picture and label."""
        return shown(row, columns, where, "image", self.missing)


class ClassifySounds(Classify):
    """Which of the labels a sound has."""

    name = "classify-sounds"
    form = "media"

    def example(self, row: Mapping[str, Any], columns: Mapping[str, str], where: str) -> Example | None:
        """Sound and label."""
        return shown(row, columns, where, "audio", self.missing)


class Regression(Head):
    """A number that a text has, or several."""

    name = "regression"
    metrics = (
        Metric("squared_error", True, "in squared error", 0.0, MATTERS, continuous=True),
        Metric("absolute_error", True, "in absolute error", 0.0, MATTERS, continuous=True),
        Metric("r2", False, "in R²", pooled=True),
    )
    pooled: ClassVar[Mapping[str, Any]] = {"r2": r_squared}
    no_label: ClassVar[tuple[str, ...]] = ()  # any number is a target

    def example(self, row: Mapping[str, Any], columns: Mapping[str, str], where: str) -> Example | None:
        """Text and number, or a list of them."""
        found = labelled(row, columns, where, self.missing, several=True)
        if found is not None:
            _targets(found)  # says what is no number
        return found

    def ask(self, models: HeadOutputs, examples: Sequence[Example]) -> list[Row]:
        """The numbers that the head gives, and the targets.

        Raises:
            InputError: they are not as many.
        """
        found: list[Row] = []
        for v, e in zip(models.outputs(examples, "text"), examples, strict=True):
            targets = _targets(e)
            if len(v) != len(targets):
                raise InputError(
                    f"the model gives {len(v):,} numbers for a text, and a row has {len(targets):,}",
                    hint="a list of as many numbers as label" if len(v) > 1 else "one number as label",
                )
            alone = len(v) == 1
            found.append(
                {"said": float(v[0]) if alone else v.tolist(), "target": targets[0] if alone else targets}
            )
        return found

    def scores(self, row: Row, example: Example) -> dict[str, float]:  # noqa: ARG002
        """How far off it is; of several numbers the mean."""
        off = np.atleast_1d(row["said"]) - np.atleast_1d(row["target"])
        return {"squared_error": float((off**2).mean()), "absolute_error": float(np.abs(off).mean())}

    def statistics(self, rows: Sequence[Row]) -> Floats:
        """Sums for R²."""
        said, target = (
            np.array([np.atleast_1d(r[n]) for r in rows], dtype=np.float64) for n in ("said", "target")
        )
        each = np.stack([np.ones_like(target), target, target**2, (said - target) ** 2], axis=2)
        return each.reshape(len(rows), -1)

    def summary(self, scores: Mapping[str, Floats], weights: Floats) -> dict[str, float]:
        """With the root of the mean squared error."""
        found = super().summary(scores, weights)
        return found | {"rmse": float(np.sqrt(found["squared_error"]))}

    def said(self, row: Row, example: Example) -> str:  # noqa: ARG002
        """The numbers."""
        return ", ".join(f"{v:.4g}" for v in np.atleast_1d(row["said"]))


def _targets(example: Example) -> list[float]:
    """The number that a row has as its label, or the list of them.

    Raises:
        InputError: one is no number.
    """
    if example.completion.startswith("["):
        return [target_number(str(v)) for v in json.loads(example.completion)]
    return [target_number(example.completion)]


class Reward(Head):
    """Whether the chosen answer is worth more to a reward model than the rejected one."""

    name = "reward"
    cuts = "in front"
    metrics = (
        ACCURACY,
        Metric("loss", True, "nats", 0.0, MATTERS, continuous=True),
        Metric("margin", False, "in reward", 0.0, MATTERS, continuous=True),
    )

    def ask(self, models: HeadOutputs, examples: Sequence[Example]) -> list[Row]:
        """The reward of each answer.

        Raises:
            InputError: an example has no chosen and rejected answer.
        """
        if any(len(e.choices) != 2 or e.completion != e.choices[0] for e in examples):
            raise InputError(
                "an example has no chosen and rejected answer",
                hint="the task reward needs chosen and rejected",
            )
        each = iter(models.outputs([one for e in examples for one in _answers(e)], "answer"))
        return [{"chosen": float(next(each)[0]), "rejected": float(next(each)[0])} for _ in examples]

    def scores(self, row: Row, example: Example) -> dict[str, float]:  # noqa: ARG002
        """Right or wrong (a tie is half), Bradley-Terry loss, margin."""
        margin = row["chosen"] - row["rejected"]
        if not np.isfinite(margin):
            return dict.fromkeys(("accuracy", "loss", "margin"), float("nan"))
        return {
            "accuracy": 1.0 if margin > 0 else 0.5 if margin == 0 else 0.0,
            "loss": float(np.logaddexp(0.0, -margin)), "margin": margin,
        }  # fmt: skip

    def said(self, row: Row, example: Example) -> str:  # noqa: ARG002
        """Both rewards."""
        return f"chosen {row['chosen']:.3g}, rejected {row['rejected']:.3g}"


def _answers(example: Example) -> list[Example]:
    """The prompt with either answer."""
    return [Example(example.prompt, choice, example.cluster) for choice in example.choices]


class MultipleChoice(Head):
    """Which of several choices a head for multiple choice gives most."""

    name = "multiple-choice"
    metrics = (NATS, ACCURACY)

    def example(self, row: Mapping[str, Any], columns: Mapping[str, str], where: str) -> Example | None:
        """A question and its choices; of SWAG what happens first, and each sentence that may follow."""
        return super().example(row if columns else continued(row), columns, where)

    def ask(self, models: HeadOutputs, examples: Sequence[Example]) -> list[Row]:
        """The log-probability of every choice.

        Raises:
            InputError: an example has no choices.
        """
        if not all(e.choices for e in examples):
            raise InputError(
                "an example has no choices", hint="the task needs the columns choices and answer"
            )
        return [
            {"log_probabilities": _log_softmax(v).tolist(), "right": e.choices.index(e.completion)}
            for v, e in zip(models.outputs(examples, "choices"), examples, strict=True)
        ]

    def scores(self, row: Row, example: Example) -> dict[str, float]:
        """As of labels."""
        return Classify.scores(self, row, example)  # type: ignore[arg-type]

    def said(self, row: Row, example: Example) -> str:
        """The likeliest choice."""
        return example.choices[int(np.argmax(row["log_probabilities"]))]


class Tags(Head):
    """A tag for each word; of its tokens the first one counts, as in the Trainer's examples."""

    name = "tags"
    metrics = (Metric("loss", True, "nats per word", 0.0, MATTERS, continuous=True), ACCURACY, F1)
    pooled: ClassVar[Mapping[str, Any]] = {"macro_f1": macro_f1}

    def example(self, row: Mapping[str, Any], columns: Mapping[str, str], where: str) -> Example | None:
        """Words and tags."""
        return tagged(row, columns, where)

    def ask(self, models: HeadOutputs, examples: Sequence[Example]) -> list[Row]:
        """Mean loss a word, and of each word the right and the likeliest tag."""
        found: list[Row] = []
        for v, e in zip(models.outputs(examples, "words"), examples, strict=True):
            told = [(i, t) for i, t in enumerate(e.parts[1]) if t not in ("", UNCOUNTED)]
            right = [(i, models.label(t, (), self.settings.labels)) for i, t in told]
            kept = [(i, k) for i, k in right if i < len(v) and not np.isnan(v[i]).all()]
            chances = [_log_softmax(v[i]) for i, _ in kept]
            losses = [-float(c[k]) for c, (_, k) in zip(chances, kept, strict=True)]
            found.append(
                {
                    "loss": float(np.mean(losses)) if kept else 0.0, "tokens": float(len(kept)),
                    "right": [k for _, k in kept], "said": [int(c.argmax()) for c in chances],
                    "classes": int(v.shape[1]),
                }
            )  # fmt: skip
        return found

    def scores(self, row: Row, example: Example) -> dict[str, float]:  # noqa: ARG002
        """Loss and share of right words."""
        hits = [a == b for a, b in zip(row["right"], row["said"], strict=True)]
        return {"loss": row["loss"], "accuracy": float(np.mean(hits)) if hits else 0.0}

    def weight(self, row: Row) -> float:
        """Its words; of a pooled metric each example counts once."""
        return 1.0 if self.metric.pooled else float(row["tokens"])

    def statistics(self, rows: Sequence[Row]) -> Floats:
        """Counts for F1."""
        return np.array(
            [class_counts(np.array(r["right"]), np.array(r["said"]), int(r["classes"])) for r in rows],
            dtype=np.float64,
        )


class Masked(Head):
    """How surprised a masked language model is by words that are hidden from it: 15%, the same for every checkpoint."""

    name = "masked"
    metrics = (Metric("loss", True, "nats per hidden token", 0.0, MATTERS, continuous=True), ACCURACY)

    def ask(self, models: HeadOutputs, examples: Sequence[Example]) -> list[Row]:
        """Mean loss a hidden token, how many there are, and the share that is guessed."""
        return [
            {"loss": float(v[:, 0].mean()), "tokens": float(len(v)), "accuracy": float(v[:, 1].mean())}
            if len(v)
            else {"loss": 0.0, "tokens": 0.0, "accuracy": 0.0}
            for v in models.outputs(examples, "gaps")
        ]

    def scores(self, row: Row, example: Example) -> dict[str, float]:  # noqa: ARG002
        """Loss and share of right guesses."""
        return {"loss": row["loss"], "accuracy": row["accuracy"]}

    def weight(self, row: Row) -> float:
        """Its hidden tokens."""
        return float(row["tokens"])


def _log_softmax(values: Floats) -> Floats:
    found: Floats = values - np.logaddexp.reduce(values)
    return found


TASKS: tuple[type[Task], ...] = (
    Classify, ClassifyImages, ClassifySounds, Regression, Reward, MultipleChoice, Tags, Masked,
)  # fmt: skip
