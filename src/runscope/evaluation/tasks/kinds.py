"""Tasks: what a checkpoint is asked, and what is made of its answers.

A task has two halves. :meth:`Task.measure` asks the model and is paid for; its rows are kept for good.
:meth:`Task.scores` turns a row into metrics and is free, so another scorer or tolerance needs no model.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from runscope.errors import InputError, UsageError, nearest
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.scoring import COMPLETION
from runscope.evaluation.models.backend import AnswersWithNext, Draws, GivesDraws, Models
from runscope.evaluation.models.generation import Answer as Spoken
from runscope.evaluation.settings import HARNESS, EvaluateSettings
from runscope.evaluation.tasks import heads, multi_label, speech, vectors
from runscope.evaluation.tasks.harness.task import HarnessTask
from runscope.evaluation.tasks.memorising import min_k
from runscope.evaluation.tasks.passing import pass_at, passes_of
from runscope.evaluation.tasks.scorers import find_scorer, import_named, is_hit, read_number, target_number
from runscope.evaluation.tasks.task import CUT as CUT
from runscope.evaluation.tasks.task import UNENDED as UNENDED
from runscope.evaluation.tasks.task import Metric as Metric
from runscope.evaluation.tasks.task import Row as Row
from runscope.evaluation.tasks.task import Task as Task
from runscope.stats.arrays import Floats
from runscope.stats.overfitting.turn import MATTERS

TOLERANCE = 0.2
"""A number within 20% of the truth is a hit where no tolerance is given."""
NO_TOKENS: Row = {"loss": 0.0, "tokens": 0.0, "min_k": 0.0}
"""The row of an example of which nothing is left to score."""


class CompletionLoss(Task):
    """How surprised the model is by the completion; the prompt is masked."""

    name = "loss"
    metrics = (Metric("loss", True, "nats per token", 0.0, MATTERS, continuous=True),)

    @property
    def key(self) -> str:
        """What is scored counts too."""
        return f"loss/2/{self.settings.scoring}"

    def measure(self, models: Models, examples: Sequence[Example]) -> list[Row]:
        """Mean loss per token, tokens, and the mean loss of the fifth of them that is least expected.

        An example of which the training cut off all that is scored has no tokens, and no weight.
        """
        return [
            {"loss": float(t.mean()), "tokens": float(len(t)), "min_k": min_k(t)}
            if len(t)
            else dict(NO_TOKENS)
            for t in models.token_losses(examples)
        ]

    def scores(self, row: Row, example: Example) -> dict[str, float]:  # noqa: ARG002
        """The loss."""
        return {"loss": row["loss"]}

    def weight(self, row: Row) -> float:
        """Its tokens: the mean is over all tokens, as trainers log it."""
        return float(row["tokens"])

    def summary(self, scores: Mapping[str, Floats], weights: Floats) -> dict[str, float]:
        """With the perplexity."""
        found = super().summary(scores, weights)
        return found | {"perplexity": float(np.exp(found["loss"]))}


class Answer(Task):
    """What the model says by itself, by a scorer: the greedy answer, or several that are drawn."""

    name = "answer"

    def __init__(self, settings: EvaluateSettings) -> None:
        super().__init__(settings)
        self.scorer = find_scorer(settings)
        self.reads_rows = self.scorer.reads_row
        s = self.scorer
        self.metrics = (Metric(s.name, s.lower_is_better, s.unit or f"in {_words(s.name)}", s.min_effect),)
        self.passes = () if s.lower_is_better else passes_of(settings.samples)
        self.metrics += tuple(Metric(f"pass_at_{k}", False, f"in pass@{k}") for k in self.passes)

    @property
    def key(self) -> str:
        """Whatever scores them, answers are the same."""
        s = self.settings
        drawn = f"/{s.samples}/{s.temperature}/{s.seed}" if s.temperature else ""
        return f"answer/2/{s.longest_answer}{drawn}"

    def measure(self, models: Models, examples: Sequence[Example]) -> list[Row]:
        """The answers.

        Raises:
            InputError: answers are to be drawn, and these models are asked in another way.
        """
        s = self.settings
        if not s.temperature:
            return [_said(a) for a in models.answers(examples, s.longest_answer)]
        if not isinstance(models, GivesDraws):
            raise InputError(
                "answers are drawn from causal language models by transformers only",
                hint="leave out --temperature and --samples",
            )
        each = models.drawn(examples, s.longest_answer, Draws(s.samples, s.temperature, s.seed))
        return [
            {"answer": str(drawn[0]), "answers": list(map(str, drawn))}
            | ({} if all(a.ended for a in drawn) else {UNENDED: True})
            for drawn in each
        ]

    def scores(self, row: Row, example: Example) -> dict[str, float]:
        """The scorer's, of several answers their mean, and how often one of k would pass."""
        each = [
            self.scorer(extracted(said, self.settings), example.completion, example.row)
            for said in row.get("answers", [row["answer"]])
        ]
        right = sum(score >= 1 for score in each)
        found = {self.scorer.name: float(np.mean(each))}
        return found | {f"pass_at_{k}": pass_at(k, len(each), right) for k in self.passes}


class Number(Task):
    """A number that the model is to say, by how far off it is.

    The guess is read from the greedy answer, or is the mean of the likeliest next tokens that are numbers,
    weighted by their probability (``weighted_…``). An answer without a number counts as a guess of 0.
    """

    name = "number"

    def __init__(self, settings: EvaluateSettings) -> None:
        super().__init__(settings)
        if settings.tolerance is None and settings.relative_tolerance is None:
            self.settings = replace(settings, relative_tolerance=TOLERANCE)
        self.metrics = tuple(
            Metric(
                prefix + name,
                lower,
                f"in {words}",
                effect,
                continuous=prefix != "" and name != "hit_rate",
            )
            for prefix in ("", "weighted_")
            for name, lower, words, effect in (
                ("absolute_error", True, "absolute error", 0.01),
                ("squared_log_error", True, "squared log error", 0.01),
                ("hit_rate", False, "hit rate", 0.02),
            )
        )

    @property
    def key(self) -> str:
        """The number of likeliest tokens counts too."""
        return f"number/3/{self.settings.longest_answer}/{self.settings.top_tokens}"

    def effect_that_matters(self, examples: Sequence[Example]) -> float:
        """Of the absolute error: 1% of the mean size of the targets."""
        if self.settings.min_effect is None and self.metric.name.endswith("absolute_error"):
            return self.metric.min_effect * float(
                np.mean([abs(target_number(e.completion)) for e in examples])
            )
        return super().effect_that_matters(examples)

    def measure(self, models: Models, examples: Sequence[Example]) -> list[Row]:
        """The answer, and the likeliest next tokens with their probabilities."""
        longest, count = self.settings.longest_answer, self.settings.top_tokens
        if isinstance(models, AnswersWithNext):
            both = models.answers_and_next(examples, longest, count)
        else:
            said, likely = models.answers(examples, longest), models.next_tokens(examples, count)
            both = list(zip(said, likely, strict=True))
        return [_said(answer) | {"top": [list(t) for t in top]} for answer, top in both]

    def scores(self, row: Row, example: Example) -> dict[str, float]:
        """Errors of the greedy guess and of the weighted one."""
        truth = target_number(example.completion)
        greedy = read_number(extracted(row["answer"], self.settings))
        found = {"target": truth, "no_number": float(greedy is None)}
        for prefix, guess in (("", greedy), ("weighted_", weighted_number(row["top"]))):
            said = guess if guess is not None and np.isfinite(guess) else 0.0
            found |= {
                f"{prefix}absolute_error": abs(said - truth),
                f"{prefix}squared_log_error": (np.log1p(max(said, 0.0)) - np.log1p(max(truth, 0.0))) ** 2,
                f"{prefix}hit_rate": float(guess is not None and self._hit(guess, truth)),
            }
        return found

    def _hit(self, guess: float, truth: float) -> bool:
        return is_hit(guess, truth, self.settings.tolerance, self.settings.relative_tolerance)

    def summary(self, scores: Mapping[str, Floats], weights: Floats) -> dict[str, float]:
        """With RMSLE and R²."""
        found = super().summary(scores, weights)
        target = scores["target"]
        spread = float(np.sum((target - target.mean()) ** 2))
        for prefix in ("", "weighted_"):
            found[f"{prefix}rmsle"] = float(np.sqrt(found[f"{prefix}squared_log_error"]))
            if spread > 0:
                found[f"{prefix}r2"] = 1 - float(np.sum(scores[f"{prefix}absolute_error"] ** 2)) / spread
        del found["target"]
        return found


class Choice(Task):
    """The likeliest of several continuations."""

    name = "choice"
    metrics = (
        Metric("accuracy", False, "in accuracy"),
        Metric("accuracy_by_byte", False, "in accuracy"),
        Metric("loss", True, "nats", continuous=True),
    )
    needs = "an example has no choices", "the task choice needs the columns choices and answer"

    @property
    def key(self) -> str:
        """Only the choice is scored, whatever the training scored."""
        return f"{self.name}/2"

    def measure(self, models: Models, examples: Sequence[Example]) -> list[Row]:
        """Loss of each choice, summed over its tokens."""
        if not all(e.choices for e in examples):
            raise InputError(self.needs[0], hint=self.needs[1])
        every = [one for e in examples for one in e.with_each_choice()]
        sums = iter([float(t.sum()) for t in models.token_losses(every, COMPLETION)])
        return [{"losses": [next(sums) for _ in e.choices]} for e in examples]

    def scores(self, row: Row, example: Example) -> dict[str, float]:
        """Right or wrong, by the sum and by the loss a byte (longer choices are never likelier).

        Equally likely choices are as often wrong as right: no choice is right by where it stands.
        """
        losses = np.array(row["losses"])
        if not np.isfinite(losses).all():  # the first one would look like the likeliest
            return dict.fromkeys(("accuracy", "accuracy_by_byte", "loss"), float("nan"))
        right = example.choices.index(example.completion)
        size = np.array([max(len(c.encode()), 1) for c in example.choices])
        return {
            "accuracy": _likeliest(losses, right),
            "accuracy_by_byte": _likeliest(losses / size, right),
            "loss": float(losses[right]),
        }


class Preference(Choice):
    """Whether the chosen answer is likelier than the rejected one."""

    name = "preference"
    needs = (
        "an example has no chosen and rejected answer",
        "the task preference needs the columns chosen and rejected",
    )


def _likeliest(losses: Floats, right: int) -> float:
    """1 where the right one is likeliest, 0 where another is, its share where several are."""
    least = losses == losses.min()
    return float(least[right] / least.sum())


def _said(answer: Spoken) -> dict[str, Any]:
    """An answer as a row."""
    return {"answer": str(answer)} | ({} if answer.ended else {UNENDED: True})


TASKS: Mapping[str, type[Task]] = {
    "loss": CompletionLoss,
    "answer": Answer,
    "number": Number,
    "choice": Choice,
    "preference": Preference,
    "transcribe": speech.Transcribe,
    **{task.name: task for task in (*heads.TASKS, *multi_label.TASKS, *vectors.TASKS)},
}
INSPECT = "inspect:"
"""How a task of Inspect would be named."""
AUTO = "auto"
"""The task that fits the kind of model; where nothing is known of it, the loss of a language model."""


def find_task(settings: EvaluateSettings) -> Task:
    """The task that the settings name.

    Raises:
        UsageError: nothing has that name.
    """
    name = settings.task
    if name == AUTO:
        name = CompletionLoss.name
    if name in TASKS:
        return TASKS[name](settings)
    if name.startswith(HARNESS):
        return HarnessTask(settings)
    if name.startswith(INSPECT):
        raise UsageError(
            f"{name} is not run: tasks of Inspect are programs, with solvers and tools of their own",
            hint=f"for each checkpoint: inspect eval {name.removeprefix(INSPECT) or 'FILE'} --model hf/local -M "
            "model_path=./output/checkpoint-500 --log-dir logs/checkpoint-500; then runscope evaluate --scores logs",
        )
    if ":" not in name:
        close = nearest(name, TASKS)
        raise UsageError(
            f"there is no task {name!r}",
            hint=f"did you mean {close!r}?"
            if close
            else f"{', '.join(TASKS)}, {HARNESS}NAME, or module:Name",
        )
    found = import_named(name)
    if not (isinstance(found, type) and issubclass(found, Task)):
        raise UsageError(f"{name} is no task", hint="a task is a class derived from runscope.evaluation.Task")
    return found(settings)


def identity(task: Task) -> str:
    """What rows of a task depend on: its key and, of a user's own, what it is called, how it may ask, and its source.

    A class derived from one of the tasks here shares its name, but not its rows.
    """
    kind = type(task)
    if kind in TASKS.values() or kind is HarnessTask:
        return task.key
    try:
        source = inspect.getsource(inspect.getmodule(kind) or kind)
    except (OSError, TypeError):  # typed in by hand, in a notebook perhaps
        source = ""
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    asked = (task.settings.longest_answer, task.settings.top_tokens, task.settings.scoring)
    return f"{kind.__module__}:{kind.__qualname__}/{digest}/{asked}/{task.key}"


def extracted(answer: str, settings: EvaluateSettings) -> str:
    """What ``--extract`` takes out of an answer: its first group, or all of what it matches; "" where nothing.

    Raises:
        UsageError: it is no regular expression.
    """
    if settings.extract is None:
        return answer
    try:
        found = re.search(settings.extract, answer, re.DOTALL)
    except re.error as error:
        raise UsageError(
            f"--extract is no regular expression: {error}", hint=r"for example '#### (.*)'"
        ) from None
    return (found[1] if found.re.groups else found[0]) or "" if found else ""


def weighted_number(top: Sequence[Sequence[Any]]) -> float | None:
    """Mean of the tokens that are numbers, weighted by their probability; None where none is."""
    numbers = [(n, float(p)) for text, p in top if (n := read_number(str(text))) is not None]
    total = sum(p for _, p in numbers)
    return sum(n * p for n, p in numbers) / total if total > 0 else None


def _words(name: str) -> str:
    return name.replace("_", " ")
