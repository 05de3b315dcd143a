"""Checkpoints evaluated on held-out examples. Torch, transformers and peft are loaded only when one is.

The names below are fetched when they are first used: whoever needs one class of a module loads no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runscope.lazy import fetched

if TYPE_CHECKING:
    from runscope.evaluation.run import evaluate as evaluate
    from runscope.evaluation.series import as_series as as_series
    from runscope.evaluation.settings import EvaluateSettings as EvaluateSettings
    from runscope.evaluation.study import CheckpointScore as CheckpointScore
    from runscope.evaluation.study import Evaluation as Evaluation
    from runscope.evaluation.study import Study as Study
    from runscope.evaluation.tasks.scorers import Scorer as Scorer
    from runscope.evaluation.tasks.scorers import scorer as scorer
    from runscope.evaluation.tasks.task import Metric as Metric
    from runscope.evaluation.tasks.task import Task as Task

__getattr__, __dir__, __all__ = fetched(__name__)
