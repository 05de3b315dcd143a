"""How often the data has been seen at a step: the logged epoch, else what the configuration says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from runscope.rules.finding import View
from runscope.stats.arrays import Floats

ROUNDED = 0.02
"""Logged epochs are rounded to two digits: a run that is so little past a whole epoch began on it."""


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


def shuffled_passes_at(view: View, steps: npt.ArrayLike) -> Floats:
    """Epochs at continuous steps, counted so that every run begins its passes at whole numbers.

    A run that was restarted half-way through an epoch shuffles its data anew: its passes end one epoch after it
    began, not where the interrupted pass would have ended. The pass that was cut short stays unfinished.
    """
    at = np.asarray(steps, dtype=np.float64)
    epochs = np.array(epochs_at(view, at))
    segments = view.timeline.line
    if len(segments) == 1:
        return epochs
    begun = [float(s.joined_at if s.resumed_step is None else s.resumed_step) for s in segments[1:]]
    number = np.searchsorted(begun, at, side="right")
    shift = 0.0
    for position, segment in enumerate(segments[1:], 1):
        own = segment.run.role("epoch")
        if own is None or not len(own.finite):
            continue
        placed = segment.place(own.finite)
        ahead = float(np.median(epochs_at(view, placed.step) - placed.value)) + shift
        if np.isfinite(ahead):
            shift += np.ceil(ahead - ROUNDED) - ahead if ahead > ROUNDED else 0.0
        epochs[number == position] += shift
    return epochs


def passes(view: View, steps: npt.ArrayLike) -> float:
    """Epochs done at the last of the steps, NaN where unknown."""
    epochs = epochs_at(view, steps)
    known = epochs[np.isfinite(epochs)]
    return float(known[-1]) if len(known) else float("nan")


def _steps_per_epoch(view: View) -> float | None:
    direct = view.setting("steps_per_epoch", "num_update_steps_per_epoch")
    if direct:
        return direct
    epochs = view.setting("num_train_epochs", "num_epochs", "max_epochs", "epochs")
    if not epochs:
        return None
    total = view.setting("max_steps", "total_steps", "num_training_steps")
    if total is None and view.runs and view.runs[-1].state == "finished":
        total = float(view.timeline.last_step)
    return total / epochs if total else None
