"""Evaluated checkpoints as ordinary series."""

from __future__ import annotations

import numpy as np

from runscope.evaluation.study import Study
from runscope.history import Series


def as_series(study: Study) -> dict[str, Series]:
    """The scores of a study on the continuous axis: ``eval/<task>/loss``, with ``/low`` and ``/high``.

    Checkpoints without a step are left out; the training examples' score is ``eval/<task>/train_loss``.
    """
    placed = sorted(
        (s for s in study.scores if s.mean is not None and s.checkpoint.step is not None),
        key=lambda s: s.checkpoint.step or 0,
    )
    name = f"eval/{study.task}/{study.metric}"
    columns = {name: "mean", f"{name}/low": "low", f"{name}/high": "high"}
    columns[f"eval/{study.task}/train_{study.metric}"] = "train_mean"
    found = {}
    for column, attribute in columns.items():
        rows = [
            (s.checkpoint.step, getattr(s, attribute)) for s in placed if getattr(s, attribute) is not None
        ]
        if rows:
            steps, values = zip(*rows, strict=True)
            times = [s.checkpoint.saved_at or np.nan for s in placed if getattr(s, attribute) is not None]
            found[column] = Series.of(column, np.array(steps), np.array(values), np.array(times))
    return found
