"""The examples that checkpoints are compared on: held out, in random order, none of them trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from runscope.errors import InputError, UsageError
from runscope.evaluation.examples.example import Example, shuffled
from runscope.evaluation.examples.reading import Form, read_examples
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.tasks.kinds import Task, find_task


def require_examples(task: Task, data: str | Path | None, train_data: str | Path | None) -> None:
    """Refuse a task that brings its examples together with others, and another one without any.

    Raises:
        UsageError: they do not go together.
    """
    if task.brings_examples and (data is not None or train_data is not None):
        raise UsageError(
            f"{task.settings.task} brings its own examples",
            hint=f"leave out {'--data' if data is not None else '--train-data'}",
        )
    if data is None and not task.brings_examples:
        raise UsageError("there are no examples to evaluate on", hint="name them: --data heldout.jsonl")


def held_out_examples(
    data: str | Path | None,
    train: Sequence[Example],
    settings: EvaluateSettings,
    notes: list[str] | None = None,
    form: Form | None = None,
) -> tuple[tuple[Example, ...], int]:
    """Held-out examples in random order without those that were trained on, and how many those were.

    Without data they are the task's own.
    """
    known = {e.content for e in train}
    tasks = [find_task(replace(settings, task=t, metric=None)) for t in (settings.task, settings.beside) if t]
    whole_rows = any(task.reads_rows for task in tasks)
    every = (
        read_examples(
            data, settings.columns, settings.scoring.text, notes, settings.cluster, form, whole_rows
        )
        if data is not None
        else find_task(settings).own_examples()
    )
    fresh = [e for e in every if e.content not in known]
    if len(fresh) < 2:
        count = "1 example" if len(fresh) == 1 else f"{len(fresh)} examples"
        which = "not trained on" if train else "in all, of which equal ones count once"
        raise InputError(
            f"{data or settings.task} holds {count} {which}",
            hint="a comparison needs two at least, and a few hundred to be sure of anything",
        )
    return shuffled(fresh, settings.seed, settings.max_examples), len(every) - len(fresh)
