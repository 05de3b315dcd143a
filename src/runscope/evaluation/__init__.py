"""Checkpoints evaluated on held-out examples. Torch, transformers and peft are loaded only when one is."""

from runscope.evaluation.run import evaluate
from runscope.evaluation.scorers import Scorer, scorer
from runscope.evaluation.series import as_series
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.study import CheckpointScore, Evaluation, Study
from runscope.evaluation.tasks import Metric, Task

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
