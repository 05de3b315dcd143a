"""The training loss stopped falling long before the run ended.

*What it sees.* The level of the training loss has not fallen for half of the run or longer: over that
stretch the fall is under 2% of all that was learned, or under its noise, and its ranks show no trend. Time at
a learning rate under 1% of the peak does not count, nor does a loss that was learned (under 5% of its start). What was
measured on held-out data refutes it: a held-out loss that fell all along, a metric that got better, or an evaluated
checkpoint that is best after the plateau began. It is a warning only where hardly anything was learned before it.

*Why it matters.* The steps of a plateau cost as much as the others. Either the model has what it can take
from this data at this rate, or it is stuck.

*Example.* 3.1 → 2.2 in the first 1,000 steps, 2.2 until step 10,000.

*What to try.* A stop at the beginning of the plateau next time; a rate that decays; a higher rate or a larger
model where the level is far from what others reach.

*Reference.* The rule *LossNotDecreasing* of SageMaker Debugger; Smith 2018 (arXiv 1803.09820) on plateaus and rates.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.history import Series
from runscope.rules.context import coarse, loss_tells, not_preference
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.loss.measured import went_on
from runscope.stats.curves import noise, smooth
from runscope.stats.medians import median
from runscope.stats.trend import rank_trend

CODE = "LOS004"
NAME = "plateau"
HALF, MOST = 0.5, 0.8
OF_FALL = 0.02
LEARNED = 0.05
STUCK = 0.85
"""Flat for four fifths of the run with less than 15% of the first loss learned: stuck rather than done. A fine-tune of
a good base often loses a fifth or a third in its first steps and little after."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the loss was flat for half of the run."""
    loss = _at_work(view, coarse(view, "train_loss", points=20))
    loss_tells(view)
    not_preference(view)
    level = smooth(loss.value, 0.02 * len(loss))
    start = float(np.max(level[: max(2, len(level) // 20)]))
    fall = start - float(np.min(level))
    sigma = noise(loss.value)
    # A loss that never fell is LOS005's.
    if fall <= 0.05 * abs(start) or fall <= 3 * sigma or (start > 0 and float(level[-1]) < LEARNED * start):
        return
    begin = _flat_from(loss, level, fall, sigma)
    if begin is None:
        return
    share = float((loss.step[-1] - loss.step[begin]) / max(loss.step[-1] - loss.step[0], 1))
    if share < HALF:
        return
    if went_on(view, int(loss.step[begin])):
        return
    flat = median(loss.value[begin:])
    stuck = share >= MOST and flat > STUCK * start
    step = int(loss.step[begin])
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning" if stuck else "info",
        probability=0.8,
        first_step=step,
        last_step=int(loss.step[-1]),
        message=(
            f"The training loss has been flat at {flat:.3g} since step {step:,}: "
            f"{100 * share:.0f}% of the run brought it no further."
        ),
        evidence={"share_of_run": round(share, 3), "level": flat, "first": start},
        fix=(
            f"If this is as low as it should be, fewer steps are enough: the loss is flat from step {step:,} on. (What "
            "is sampled or generated may go on getting better all the same: look at it.)",
            "If others reach a lower loss: raise the learning rate, check the data, take a larger model.",
        ),
    )


def _at_work(view: View, loss: Series) -> Series:
    """The stretch of the loss at which the rate was above 1% of its peak."""
    rate = view.get("learning_rate")
    if rate is None or len(rate.finite) < 4:
        return loss
    rate = rate.finite
    at = np.flatnonzero(rate.value > 0.01 * float(rate.value.max()))
    kept = loss.between(None, int(rate.step[at[-1]])) if len(at) else loss
    if len(kept) < 20:
        raise CouldNotLook("fewer than 20 training losses at a rate that moves anything")
    return kept


def _flat_from(loss: Series, level: np.ndarray, fall: float, sigma: float) -> int | None:
    """First index from which on the loss has no trend and falls by next to nothing."""
    count = len(level)
    for begin in (int(f * count) for f in np.arange(0.05, 0.51, 0.05)):
        part, width = loss.value[begin:], max(3, (count - begin) // 5)
        rho, z = rank_trend(part)
        if rho > 0.3 and z > 3:
            return None  # it rises: no plateau
        if not (rho > -0.2 or z > -2):
            continue  # it falls
        fallen = median(part[:width]) - median(part[-width:])
        if fallen < max(OF_FALL * fall, sigma * np.sqrt(2 / width)):
            return begin
    return None
