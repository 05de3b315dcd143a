"""The training loss swings up and down with a period.

*What it sees.* Around its level the loss swings with one period that holds 40% of the scatter or more (65%
for fewer than 100 points), at least six swings, each more than a tenth of the level high. Where the learning
rate swings with the same period, or the period is an epoch, it says so.

*Why it matters.* A swing of two logged points is a rate at the edge of stability. A period of an epoch is data
that is not shuffled. A period of the rate is the schedule's own doing.

*Example.* 0.69, 0.92, 0.70, 0.95, … for the whole run.

*What to try.* A lower learning rate (half of it is often enough), more momentum or a larger batch; shuffle
the data in every epoch.

*Reference.* Cohen et al. 2021, «Gradient descent on neural networks typically occurs at the edge of stability».
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.history import Series
from runscope.rules.context import coarse, loss_tells
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.stats.arrays import Bools, Floats
from runscope.stats.levels.filters import running_mean
from runscope.stats.periodic import swing

CODE = "LOS007"
NAME = "oscillation"
SHARE, SWINGS = 0.4, 6
POINTS, SHARES = (27, 40, 60, 100), (0.86, 0.71, 0.58, 0.4)
"""Fisher's g: the largest share of the scatter that one frequency has. So large a share has white noise in one curve of
a thousand (12,000 simulated curves of each length, detrended as here); with more points the last one is kept."""
EDGE = 3.0
"""At the edge of stability a step overshoots and the next one corrects: a period of two logged points."""
ROUNDING = 20.0
"""A value of twenty units of its last digit is known to 2.5%; smaller ones swing by rounding alone."""
HEIGHT, HARMFUL = 0.1, 0.3
"""Swings under a tenth of the level are what batches differ by; from 30% on they cost as much as they gain."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the loss oscillates."""
    loss = coarse(view, "train_loss", points=30)
    loss_tells(view)
    part = slice(len(loss) // 10, None)  # the steep fall at the beginning is no swing
    value, steps = loss.value[part], loss.step[part]
    seen = value >= ROUNDING * _unit(loss.value)
    if not seen.all():
        whole = _longest(seen)  # points picked out by their height would swing by the picking
        value, steps = value[whole], steps[whole]
    if len(value) < 27:
        raise CouldNotLook("most losses are as small as what they were rounded to when logged")
    window = max(5, len(value) // 4) | 1
    if not bool(np.all(value > 0)):
        raise CouldNotLook("a loss that is not positive has no level to compare swings with")
    # By factors: a loss that still falls by orders of magnitude swings by a share of its level.
    logs = np.log(value)
    level = running_mean(logs, window)
    found = swing(logs - level)
    share = float(np.interp(len(value), POINTS, SHARES))
    if found is None or found.share < share or len(value) / found.period < SWINGS:
        return
    typical, height = float(np.exp(np.median(level))), 2 * found.amplitude
    # A staircase of falls D, one a period, swings by 2 D / π around its running mean: it falls, it does not swing.
    fall = float(level[0] - level[-1]) * found.period / len(level)
    if height < HEIGHT or fall > height:
        return
    period = found.period * float(np.median(np.diff(steps)))
    cause, fix = _cause(view, loss, found.period, period)
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning" if height > HARMFUL and found.period < EDGE else "info",
        probability=0.75,
        first_step=int(steps[0]),
        last_step=int(steps[-1]),
        message=(
            f"The training loss swings by {100 * height:.0f}% of its level about every "
            f"{period:,.0f} steps; {cause}."
        ),
        evidence={
            "period_steps": period,
            "height": height,
            "level": typical,
            "share_of_scatter": found.share,
        },
        fix=(fix,),
    )


def _longest(seen: Bools) -> slice:
    """The longest stretch of points without a break."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]]).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    if not len(starts):
        return slice(0, 0)
    place = int(np.argmax(ends - starts))
    return slice(int(starts[place]), int(ends[place]))


def _unit(value: Floats) -> float:
    """The power of ten that all values were rounded to when logged; 0 where they were not."""
    for digits in range(1, 7):
        scaled = value * 10.0**digits
        if float(np.max(np.abs(scaled - np.rint(scaled)))) < 1e-6 * max(1.0, float(np.max(scaled))):
            return float(10.0**-digits)
    return 0.0


def _cause(view: View, loss: Series, points: float, period: float) -> tuple[str, str]:
    rate = view.get("learning_rate")
    if rate is not None and len(rate.finite) >= 30:
        value = np.interp(loss.step, rate.finite.step, rate.finite.value)
        own = swing(value - running_mean(value, max(5, len(value) // 4) | 1))
        if own is not None and own.share > SHARE and 0.8 < own.period / points < 1.25:
            return "so does the learning rate: it is the schedule", "Nothing, if the cycles are wanted."
    epochs = view.timeline.epochs
    if epochs is not None and len(epochs) > 1 and epochs.value[-1] > epochs.value[0]:
        epoch = float((epochs.step[-1] - epochs.step[0]) / (epochs.value[-1] - epochs.value[0]))
        if points > 2.5 and 0.9 < period / epoch < 1.1:
            return "that is once an epoch: the data comes in the same order each time", "Shuffle every epoch."
    if points < EDGE:
        return (
            "the learning rate is at the edge of stability",
            "Halve the learning rate or use larger batches.",
        )
    return (
        "neither the rate nor the epochs have this period",
        "Look at the data that returns with this period.",
    )
