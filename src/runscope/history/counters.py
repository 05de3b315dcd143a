"""Counters of a training (epochs, tokens, samples): whether a resumed run's goes on, and how many passes are done."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from runscope.history.series import Series
from runscope.stats.arrays import Floats

COUNTERS = ("epoch", "tokens", "samples")
"""Roles that only ever grow in a training, and begin at 0 again in a run that does not know of the one before."""
ROUNDED = 0.02
"""Logged epochs are rounded to two digits: a run that is so little short of a whole epoch has done it."""


def counted_on(before: Series, after: Series, joined_at: int) -> Series:
    """A later run's counter so that it goes on from the run before: shifted where it began at 0 again.

    Args:
        before, after: finite, strictly increasing in step, on the continuous axis.
        joined_at: continuous step from which the later run began.
    """
    at_join = _extended(before, joined_at, _rate(before) or _rate(after))
    begun = _extended(after, joined_at, _rate(after) or _rate(before))
    if abs(begun - at_join) <= abs(begun):
        return after
    if _counts_whole(before) and _counts_whole(
        after
    ):  # epochs: the passes that are done, not the last one's label
        at_join = float(np.floor(passes_at(before, [joined_at])[0] + ROUNDED))
    return replace(after, value=after.value + at_join)


def passes_at(epochs: Series, step: npt.ArrayLike) -> Floats:
    """Passes over the data that are done at the given steps; NaN before the first logged epoch.

    A fractional epoch is that number already. Whole epochs are labels: Keras and Lightning count from 0, others from
    1, and an epoch is done at the last step that bears its label.

    Args:
        epochs: the counter, finite, strictly increasing in step.
        step: continuous steps.
    """
    wanted = np.asarray(step, dtype=np.float64)
    if not len(epochs):
        return np.full(wanted.shape, np.nan)
    if not _counts_whole(epochs):
        return np.asarray(np.interp(wanted, epochs.step, epochs.value, left=np.nan, right=np.nan))
    ends = np.append(np.diff(epochs.value) != 0, True)
    done = epochs.value[ends] + (1.0 if epochs.value[0] == 0 else 0.0)
    at = epochs.step[ends].astype(np.float64)
    begun = float(epochs.step[0]) - (float(np.median(np.diff(epochs.step))) if len(epochs) > 1 else 1.0)
    at, done = np.append(begun, at), np.append(done[0] - 1.0, done)
    found: Floats = np.asarray(np.interp(wanted, at, done, left=np.nan, right=np.nan))
    found[wanted < epochs.step[0]] = np.nan
    return found


def _counts_whole(series: Series) -> bool:
    return bool((series.value == np.rint(series.value)).all())


def _rate(series: Series) -> float:
    """Value per step; 0 where one point does not tell."""
    span = float(series.step[-1] - series.step[0])
    return float(series.value[-1] - series.value[0]) / span if span > 0 else 0.0


def _extended(series: Series, step: int, rate: float) -> float:
    """The counter at a step; outside what was logged it goes on at its mean rate."""
    first, last = series.step[0], series.step[-1]
    if step < first:
        return float(series.value[0] - rate * (first - step))
    if step > last:
        return float(series.value[-1] + rate * (step - last))
    return float(np.interp(step, series.step, series.value))
