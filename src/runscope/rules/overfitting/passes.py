"""How often the data has been seen at a step: the logged epoch, else what the configuration says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from runscope.rules.finding import View
from runscope.stats.arrays import Floats


def epochs_at(view: View, steps: npt.ArrayLike) -> Floats:
    """Epochs at continuous steps; NaN where neither the logs nor the configuration tell.

    Without a logged epoch the configuration's number of epochs is spread over its number of steps, or over
    the steps of a run that finished; one that was cut short would be stretched.
    """
    at = np.asarray(steps, dtype=np.float64)
    logged = view.timeline.epoch_at(steps)
    if np.isfinite(logged).any():
        return logged
    each = _steps_per_epoch(view)
    return at / each if each else np.full(at.shape, np.nan)


def passes(view: View, steps: npt.ArrayLike) -> float:
    """Epochs done at the last of the steps, NaN where unknown."""
    epochs = epochs_at(view, steps)
    known = epochs[np.isfinite(epochs)]
    return float(known[-1]) if len(known) else float("nan")


def _steps_per_epoch(view: View) -> float | None:
    direct = _number(view.config("steps_per_epoch", "num_update_steps_per_epoch"))
    if direct:
        return direct
    epochs = _number(view.config("num_train_epochs", "num_epochs", "max_epochs", "epochs"))
    if not epochs:
        return None
    total = _number(view.config("max_steps", "total_steps", "num_training_steps"))
    if total is None and view.runs and view.runs[-1].state == "finished":
        total = float(view.timeline.last_step)
    return total / epochs if total else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if value > 0 and np.isfinite(value) else None
