"""The training loss is exactly zero.

*What it sees.* Three or more logged losses in a row that are exactly 0. A zero that the loss came down to, by
way of thousandths, is a small loss that was rounded when it was logged; that is told as information.

*Why it matters.* No model is that good: all labels are masked, or the Trainer hides NaN behind a zero. What is
rounded to zero is memorised, and further steps teach nothing.

*Example.* ``{"loss": 0.0, "grad_norm": NaN}`` from step 480 on.

*What to try.* Print one batch's labels: are any not -100? Look at the gradient norm of these steps.

*Reference.* transformers, ``logging_nan_inf_filter``; the Trainer rounds logged losses to four digits.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.history import Series
from runscope.rules.context import not_reinforcement
from runscope.rules.finding import Finding, View
from runscope.stats.stretches import stretches

CODE = "LOS006"
NAME = "loss-exactly-zero"
LASTING = 3
ROUNDED = 2e-3
"""Losses under this just before the zeros are on their way to what four digits round to 0."""
SMALL = 0.1


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the loss is exactly zero for a while."""
    loss = view.need("train_loss", points=LASTING)
    not_reinforcement(view)
    zero = loss.value == 0.0
    if not zero.any():
        return
    lasting = [(a, b) for a, b in stretches(zero) if b - a + 1 >= LASTING]
    if not lasting:
        return
    first, last = lasting[0][0], lasting[-1][1]
    rounded = _was_small(loss, first) and _held_out_small(view)
    step = int(loss.step[first])
    message = (
        f"The training loss reads exactly 0 from step {step:,}: it had come down to thousandths and is rounded "
        "when logged. The model has memorised its examples; further steps teach it nothing."
        if rounded
        else f"The training loss is exactly zero from step {step:,}: no model is that good. Either all labels "
        "are masked, or the loss was NaN and was hidden."
    )
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info" if rounded else "critical",
        probability=0.9,
        first_step=step,
        last_step=int(loss.step[last]),
        message=message,
        evidence={"zero_points": int(zero.sum()), "points": len(loss), "rounded": rounded},
        fix=(f"Stop before step {step:,} next time, and log a held-out loss.",)
        if rounded
        else (
            "Print one batch's labels: if all are -100, nothing is trained on.",
            "Look at the gradient norm there: NaN means that the loss was NaN and was hidden.",
        ),
    )


def _was_small(loss: Series, first: int) -> bool:
    before = loss.value[max(0, first - 5) : first]
    return len(before) > 0 and float(np.median(before)) < ROUNDED


def _held_out_small(view: View) -> bool:
    """True without a held-out loss, too."""
    held_out = view.get("eval_loss")
    if held_out is None or not len(held_out.finite):
        return held_out is None or not len(held_out)
    return float(np.min(held_out.finite.value)) < SMALL
