"""The training loss is exactly zero.

*What it sees.* A stretch of three or more logged losses that are exactly 0.

*Why it matters.* No model is that good: all labels are masked, or the Trainer hides NaN behind a zero.

*Example.* ``{"loss": 0.0, "grad_norm": NaN}`` from step 480 on.

*What to try.* Print one batch's labels: are any not -100? Look at the gradient norm of these steps.

*Reference.* transformers, ``logging_nan_inf_filter``.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.finding import Finding, View

CODE = "LOS006"
NAME = "loss-exactly-zero"


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the loss is exactly zero for a while."""
    loss = view.need("train_loss", points=3)
    zero = loss.value == 0.0
    run = np.convolve(zero, np.ones(3), mode="valid") == 3
    if not run.any() or view.get("reward") is not None:
        return
    first = int(np.argmax(run))
    yield Finding(
        code=CODE,
        name=NAME,
        severity="critical",
        probability=0.95,
        first_step=int(loss.step[first]),
        last_step=int(loss.step[np.flatnonzero(zero)[-1]]),
        message=f"The training loss is exactly zero from step {loss.step[first]:,}: no model is that good.",
        evidence={"zero_points": int(zero.sum()), "points": len(loss)},
        fix=(
            "Print one batch's labels: if all are -100, nothing is trained on.",
            "Look at the gradient norm there: NaN means that the loss was NaN and was hidden.",
        ),
    )
