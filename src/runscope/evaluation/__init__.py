"""Checkpoints evaluated on held-out examples. Torch, transformers and peft are loaded only when one is.

The names below are fetched when they are first used: whoever needs one class of a module loads no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runscope.lazy import fetched

if TYPE_CHECKING:
    from runscope.evaluation.run import evaluate
    from runscope.evaluation.series import as_series
    from runscope.evaluation.settings import EvaluateSettings
    from runscope.evaluation.study import CheckpointScore, Evaluation, Study
    from runscope.evaluation.tasks.kinds import Metric, Task
    from runscope.evaluation.tasks.scorers import Scorer, scorer

_HOMES = {
    "CheckpointScore": "study",
    "EvaluateSettings": "settings",
    "Evaluation": "study",
    "Metric": "tasks.kinds",
    "Scorer": "tasks.scorers",
    "Study": "study",
    "Task": "tasks.kinds",
    "as_series": "series",
    "evaluate": "run",
    "scorer": "tasks.scorers",
}

__all__ = [
    "CheckpointScore",
    "EvaluateSettings",
    "Evaluation",
    "Metric",
    "Scorer",
    "Study",
    "Task",
    "as_series",
    "evaluate",
    "scorer",
]

__getattr__ = fetched(__name__, _HOMES)
