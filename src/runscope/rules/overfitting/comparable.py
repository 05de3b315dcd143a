"""Whether training and held-out loss lie on one scale. No rule; LOS008 and OVF002 share it."""

from __future__ import annotations

import numpy as np

from runscope.rules.context import coarse
from runscope.rules.finding import CouldNotLook, View
from runscope.stats.levels.filters import running_median

APART = 2.5
"""A held-out loss so many times the training loss, or a training loss so many times the held-out one, from the first
evaluation on: generalisation alone does not begin there. Dropout makes the training loss larger by half or so."""
STEADY = 0.25
"""Memorising widens the ratio all along; another scale keeps it within a quarter."""
BEGUN = 0.35
"""The first evaluation has to lie in the first third of the run: later the model may have memorised already."""
FEWEST = 2


def off_from_the_start(view: View) -> float | None:
    """Training loss divided by held-out loss, where that is far from 1 from the first evaluation on; else None."""
    return view.remember("losses apart", lambda: _off(view))


def _off(view: View) -> float | None:
    try:
        loss, curve = coarse(view, "train_loss", points=4), coarse(view, "eval_loss", points=FEWEST)
    except CouldNotLook:
        return None
    if np.min(curve.value) <= 0 or np.min(loss.value) <= 0:
        return None
    span = max(int(loss.step[-1]) - int(loss.step[0]), 1)
    if (int(curve.step[0]) - int(loss.step[0])) / span > BEGUN and len(curve) > FEWEST:
        return None
    level = running_median(loss.value, 5) if len(loss) >= 5 else loss.value
    place = np.clip(np.searchsorted(loss.step, curve.step) - 1, 0, len(level) - 1)
    ratios = level[place] / curve.value
    middle, first = float(np.median(ratios)), float(np.median(ratios[: max(1, len(ratios) // 4)]))
    last = float(np.median(ratios[-max(1, len(ratios) // 4) :]))
    steady = abs(float(np.log(first / last)))
    far = min(first, middle) > APART or max(first, middle) < 1 / APART
    return middle if far and steady < STEADY * abs(np.log(middle)) + STEADY / 2 else None
