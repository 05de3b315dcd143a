"""The evaluation follows the training: what of an example was scored, and what was cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.reading import Form, read_examples
from runscope.evaluation.examples.scoring import in_words, scoring_of
from runscope.evaluation.models.saved import weights
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.tasks.kinds import find_task
from runscope.history.checkpoint import Checkpoint
from runscope.hub import training_args


def as_trained(
    settings: EvaluateSettings, checkpoints: Sequence[Checkpoint], training: Mapping[str, Any] | None = None
) -> tuple[EvaluateSettings, list[str]]:
    """The settings with what is scored, and what a reader has to know of it.

    Args:
        settings: as the user gave them.
        checkpoints: of the training, in order; the last one says most surely how it was trained.
        training: the run's configuration, where a run was named.
    """
    if find_task(settings).brings_examples:  # which says itself what is scored
        return settings, []
    told = training_args(checkpoints[-1]) if checkpoints else {}
    if "completion_only_loss" not in told:
        told = dict(training or {})
    scoring = scoring_of(settings.score, told)
    return replace(settings, scoring=scoring), [
        in_words(scoring, told, settings.score)
    ] if scoring.end_token else []


def training_examples(
    train_data: str | Path | None, settings: EvaluateSettings, form: Form | None = None
) -> tuple[Example, ...]:
    """The training examples, read as the held-out ones are; none where none are named."""
    if train_data is None:
        return ()
    return read_examples(train_data, settings.columns, settings.scoring.text, form=form)


def renamed(folder: Path) -> list[str]:
    """A note where the names of a checkpoint's weights hold what a wrapper put there."""
    found = weights.wrappers(weights.names_of(folder))
    return [weights.in_words(found)] if found else []
