"""The best learning rate, from a range test.

*What it sees.* A rate that rises by factors through the whole run, ten times or more: a range test. The loss
falls fastest at one rate and turns up at a higher one.

*Why it matters.* A range test costs some hundred steps and tells the rate to train at. Any other run visits its
rates at different stages of learning, so that its rates cannot be compared; the rule then stays silent.

*Example.* «The loss falls fastest near 3e-4 and turns up at 4e-3: train with a peak of about 4e-4.»

*What to try.* Use a tenth of the rate at which the loss is lowest, or the rate of the steepest fall, as the peak.

*Reference.* Smith 2017, «Cyclical learning rates for training neural networks», section 3.3.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.context import coarse
from runscope.rules.finding import Finding, View
from runscope.rules.schedule.which import fitted
from runscope.stats.curves import noise, smooth

CODE = "SCH006"
NAME = "range-test"
TIMES = 10.0


def look(view: View) -> Iterable[Finding]:
    """Yield one finding with a range of rates, for a range test."""
    schedule = fitted(view)
    loss = coarse(view, "train_loss", points=20)
    if schedule.kind != "rising":
        return
    rate = view.need("learning_rate")
    rate = rate.where(rate.value > 0)
    if _linear(rate.value):
        return  # a warm-up
    if len(rate) < 8 or rate.value[-1] < TIMES * rate.value[0]:
        return
    at = np.interp(loss.step, rate.step, np.log(rate.value))
    level = smooth(loss.value, 0.03 * len(loss))
    lowest = int(np.argmin(level))
    fallen, risen = float(level[0] - level[lowest]), float(level[-1] - level[lowest])
    if fallen < 3 * noise(loss.value) or lowest < 3 or risen < 0.1 * fallen:
        return  # without a turn upwards the best rate lies beyond the test
    fall = np.gradient(level[: lowest + 1], at[: lowest + 1] + 1e-9 * np.arange(lowest + 1))
    steepest = float(np.exp(at[int(np.argmin(fall))]))
    tenth = float(np.exp(at[lowest])) / 10
    low, high = sorted((steepest, tenth))
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=0.7,
        first_step=int(loss.step[0]),
        last_step=int(loss.step[-1]),
        message=(
            f"This is a range test: the loss falls fastest at a learning rate of about {steepest:.2g} and is lowest at "
            f"{np.exp(at[lowest]):.2g}. A good peak learning rate lies between {low:.2g} and {high:.2g}."
        ),
        evidence={
            "steepest_rate": steepest,
            "lowest_rate": float(np.exp(at[lowest])),
            "low": low,
            "high": high,
        },
        fix=(f"Train with a peak learning rate of about {np.sqrt(low * high):.1g}.",),
    )


def _linear(rate: np.ndarray) -> bool:
    """Whether equal steps add equal amounts rather than equal factors."""
    steps, factors = np.diff(rate), np.diff(np.log(rate))
    spread_steps = float(np.std(steps) / max(abs(float(np.mean(steps))), 1e-30))
    spread_factors = float(np.std(factors) / max(abs(float(np.mean(factors))), 1e-30))
    return spread_steps < spread_factors
