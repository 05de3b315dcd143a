"""The training loss is not a number.

*What it sees.* NaN or infinite values of the training or held-out loss.

*Why it matters.* Once the loss is NaN, so are the weights; nothing after it can be used.

*Example.* Loss 2.1, 2.4, 5.9, NaN, NaN, NaN.

*What to try.* Take the last checkpoint before it; lower the learning rate, warm up longer, clip gradients,
use bf16 instead of fp16.

*Reference.* Goodfellow, Bengio & Courville 2016, chapter 11.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.finding import CouldNotLook, Finding, View

CODE = "LOS001"
NAME = "loss-not-a-number"


def look(view: View) -> Iterable[Finding]:
    """Yield one finding a loss that has non-finite values."""
    seen = False
    for role in ("train_loss", "eval_loss"):
        loss = view.get(role)
        if loss is None or not len(loss):
            continue
        seen = True
        bad = ~np.isfinite(loss.value)
        if not bad.any():
            continue
        step = int(loss.step[np.argmax(bad)])
        lasting = bool(bad[-1]) or bad.mean() > 0.1
        yield Finding(
            code=CODE,
            name=NAME,
            severity="critical" if lasting else "warning",
            probability=0.99,
            first_step=step,
            last_step=int(loss.step[np.flatnonzero(bad)[-1]]),
            message=f"The {role.replace('_', ' ')} is not a number at step {step:,}"
            + (" and stays so: the model is broken from there on." if lasting else ", and recovers."),
            evidence={"non_finite_points": int(bad.sum()), "points": len(loss)},
            fix=(
                f"Take the last checkpoint before step {step:,}.",
                "Lower the learning rate, warm up longer, clip with max_grad_norm=1.0; bf16 instead of fp16.",
            ),
        )
    if not seen:
        raise CouldNotLook("no loss was logged")
