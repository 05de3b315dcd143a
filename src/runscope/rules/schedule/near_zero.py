"""Many steps at a learning rate near zero.

*What it sees.* After its peak the learning rate stays under 1% of it for more than 15% of the run, to the end;
or it is zero from the first step to the last.

*Why it matters.* Such steps cost as much as the others and change next to nothing. (A cosine spends 6% of its
length under 1% of its peak, a line 1%: 15% is not the schedule's own end.)

*Example.* A schedule planned for 3 epochs in a run of 5: the rate is 0 for the last two.

*What to try.* Stop where the rate ends, or plan the schedule for the whole run (``max_steps``,
``num_train_epochs``, ``min_lr_rate``).

*Reference.* Hägele et al. 2024 (arXiv 2405.18392) on the length of cool-downs.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.context import coarse
from runscope.rules.finding import Finding, View
from runscope.stats.stretches import lasting_from

CODE = "SCH003"
NAME = "rate-near-zero"
NEAR, LONG, VERY_LONG = 0.01, 0.15, 0.35


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the tail of the run was spent at no rate."""
    rate = coarse(view, "learning_rate", points=10)
    peak = float(np.max(rate.value))
    if peak <= 0:
        yield _finding(rate.step[0], rate.step[-1], 1.0, peak)
        return
    begin = lasting_from(rate.value < NEAR * peak)
    span = int(rate.step[-1] - rate.step[0])
    if begin is None or begin <= int(np.argmax(rate.value)) or span <= 0:
        return
    share = float(rate.step[-1] - rate.step[begin]) / span
    if share > LONG:
        yield _finding(rate.step[begin], rate.step[-1], share, peak)


def _finding(first: np.int64, last: np.int64, share: float, peak: float) -> Finding:
    never = peak <= 0
    return Finding(
        code=CODE,
        name=NAME,
        severity="warning" if never or share > VERY_LONG else "info",
        probability=0.95,
        first_step=int(first),
        last_step=int(last),
        message=(
            "The learning rate is zero from the first step to the last: nothing can be learned."
            if never
            else f"The last {100 * share:.0f}% of the run, from step {first:,}, went by at a learning rate under 1% "
            f"of its peak ({peak:.3g}): these steps changed next to nothing."
        ),
        evidence={"share_of_run": share, "peak_rate": peak},
        fix=("Set a learning rate above zero; look at the scheduler.",)
        if never
        else (
            "Plan the schedule for all the steps that are run, or run only as many as it is planned for.",
            "Or give the rate a floor.",
        ),
    )
