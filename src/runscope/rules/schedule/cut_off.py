"""The learning-rate schedule did not end.

*What it sees.* A decaying schedule whose last rate is well above its end, because the run stopped before
``max_steps``.

*Why it matters.* The last, small rates are where a model settles; a schedule cut off at half its height
leaves a noisier model than the same number of steps planned from the start.

*Example.* A cosine planned for 20,000 steps that stopped at 17,400: 87% of it.

*What to try.* Resume from the last checkpoint, or plan a shorter schedule and start again from an early one.

*Reference.* Hoffmann et al. 2022 (Chinchilla), section 3.1: the schedule's length should match the training's.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.finding import CouldNotLook, Finding, View

CODE = "SCH002"
NAME = "schedule-cut-off"
LEFT = 0.1
"""A schedule that still has more than this share of its peak is not over."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the rate was still falling, and high, when the run stopped."""
    rate = view.need("learning_rate", points=10)
    if view.timeline.line[-1].run.state == "running":
        raise CouldNotLook("the run still goes on")
    peak = int(np.argmax(rate.value))
    left = float(rate.value[-1] / rate.value[peak]) if rate.value[peak] > 0 else 0.0
    falling = rate.value[-1] < rate.value[-max(2, len(rate) // 20)] < rate.value[peak] * 0.999
    if not falling or left < LEFT:
        return
    planned = view.config("max_steps")
    whole = isinstance(planned, int | float) and planned > 0
    own_last = view.timeline.line[-1].run.last_step
    if whole and own_last >= 0.995 * float(planned):
        return
    share = (
        f"at {100 * own_last / float(planned):.0f}% of its planned {int(planned):,} steps"
        if whole
        else "early"
    )
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=0.9,
        first_step=int(rate.step[-1]),
        last_step=int(rate.step[-1]),
        message=f"The learning-rate schedule stopped {share}, with {100 * left:.0f}% of its peak rate left.",
        evidence={
            "rate_left": left,
            "last_rate": float(rate.value[-1]),
            "peak_rate": float(rate.value[peak]),
        },
        fix=("Resume from the last checkpoint, or plan the schedule for the steps you can afford.",),
    )
