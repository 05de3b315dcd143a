"""Which task checkpoints are asked, where the user does not say: what their kind of model is made for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from runscope.errors import UsageError
from runscope.evaluation.examples.columns import by_plain_name, list_in, parse_columns
from runscope.evaluation.examples.hub_data import class_names
from runscope.evaluation.examples.labelled import LABELS
from runscope.evaluation.examples.labels import (
    MISSING,
    Reading,
    doubtful,
    reading_of,
    reading_of_lists,
    refuse_other_order,
)
from runscope.evaluation.examples.pairs import task_of
from runscope.evaluation.examples.reading import read_examples, rows_of
from runscope.evaluation.models.adapters.trained_as import (
    kind_in,
    label_names,
    model_type,
    problem_type,
    refuse_in,
)
from runscope.evaluation.models.saved.kinds import EMBEDDINGS, Kind, is_causal
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.tasks.heads import UNCOUNTED
from runscope.evaluation.tasks.kinds import AUTO, find_task

OF_ONE_NUMBER = ("regression", "reward")
"""What a head with a single number may be: the rows tell."""


ONE_LABEL = "single_label_classification"
"""The problem of a model that gives one label of several."""
LABELLED = ("classify", "multi-label", "tags")
"""Tasks whose rows have labels by name or number."""
OF_VECTORS = ("embed", "similarity", "triplets", "retrieval")
"""What vectors are asked: the rows tell."""


def proposed(settings: EvaluateSettings, folder: Path, data: str | Path | None) -> EvaluateSettings:
    """The settings with the task named.

    Args:
        settings: as the user gave them.
        folder: of a checkpoint.
        data: the examples; of a head that gives one number their first row tells whether it is a reward. None where
            the task brings them.

    Raises:
        InputError: this kind of model is not evaluated.
        UsageError: a task is named that this kind of model cannot be asked.
    """
    refuse_in(folder)
    kind = kind_in(folder)
    task = kind.task
    if find_task(settings).brings_examples or data is None:
        if kind.auto and not is_causal(kind):
            raise UsageError(f"{settings.task} is asked of causal language models, and this is {kind.name}",
                             hint=f"--data FILE and --task {task}")  # fmt: skip
        return settings
    if kind.task in OF_ONE_NUMBER:
        task = "reward" if _are_preferences(settings, data) else "regression"
    if (
        kind.task == "classify"
        and problem_type(folder) != ONE_LABEL
        and _has_lists(data, parse_columns(settings.columns))
    ):
        task = "multi-label"  # nothing else is trained on them, whatever the configuration forgot to say
    if kind is EMBEDDINGS:
        task = task_of(_first(data), parse_columns(settings.columns))
    if settings.task == AUTO or task.startswith(f"{settings.task}-"):  # classify, of pictures
        settings = replace(settings, task=task)
    _require_fit(settings, kind, task)
    return replace(settings, labels=_labels_read(settings, folder, data))


def _labels_read(settings: EvaluateSettings, folder: Path, data: str | Path) -> Reading:
    """How the labels are read; where each is clear by itself, the file is not looked through for that.

    Raises:
        InputError: they may be read in two ways.
    """
    if not settings.task.startswith(LABELLED):
        return "auto"
    names, lists = label_names(folder), settings.task.startswith("multi-label")
    if not Path(data).expanduser().is_file():
        refuse_other_order(class_names(str(data)), names)
    odd = doubtful(names)
    if not odd and not (lists and len(names) <= 2):
        return "auto"
    form = find_task(replace(settings, labels="names") if MISSING in odd else settings).example
    rows = read_examples(data, settings.columns, form=form)
    if lists:
        return reading_of_lists([e.completion for e in rows], names)
    said = {t for e in rows for t in (e.parts[1] if settings.task == "tags" else (e.completion,))}
    return reading_of(said - {"", UNCOUNTED}, names)


def pooled(folder: Path) -> list[str]:
    """A note where nothing says how an encoder's vectors are made one."""
    if kind_in(folder) is not EMBEDDINGS or model_type(folder):
        return []
    return [
        "no pooling is saved with the model (modules.json): texts were pooled by the mean over their tokens, as "
        "sentence-transformers does"
    ]


def _are_preferences(settings: EvaluateSettings, data: str | Path) -> bool:
    named = parse_columns(settings.columns)
    return {"chosen", "rejected"} <= (set(named) or set(by_plain_name(_first(data))))


def _has_lists(data: str | Path, named: Mapping[str, str]) -> bool:
    """Whether a row has a list of labels, which is not a single one in brackets."""
    columns = [named["completion"]] if "completion" in named else LABELS
    told = (list_in(by_plain_name(row).get(c)) for row in rows_of(data) for c in columns)
    return any(isinstance(value, list) and len(value) != 1 for value in told)


def _first(data: str | Path) -> Mapping[str, Any]:
    return next(islice(rows_of(data), 1), {})


def _require_fit(settings: EvaluateSettings, kind: Kind, task: str) -> None:
    writes = find_task(settings).writes
    fits = settings.task == task or any(
        kind.task in many and settings.task in many for many in (OF_ONE_NUMBER, OF_VECTORS)
    )
    fits |= (kind.task, settings.task) == ("classify", "multi-label")  # which its configuration may not say
    if kind.auto and (
        (writes and not find_task(replace(settings, task=task)).writes) or (not writes and not fits)
    ):
        article = "an" if kind.name[0] in "aeiou" else "a"
        raise UsageError(
            f"the task {settings.task} cannot be asked of {article} {kind.name}: it is made for the task {task}",
            hint=f"--task {task}, or leave out --task",
        )
