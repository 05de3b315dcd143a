"""The held-out loss turned up after its best point.

*What it sees.* The held-out loss, smoothed, has a minimum; after it the loss rises by more than its noise
and stays up, while the training loss goes on falling. A rise of both is divergence and left to LOS002.

*Why it matters.* From the minimum on, training makes the model worse on anything it has not seen.

*Example.* Held-out loss 1.45 at step 15,000, 1.63 at step 30,000; training loss 0.9 and still falling.

*What to try.* Keep the checkpoint at the minimum. Next time: fewer epochs, early stopping on the held-out
loss, a lower learning rate or rank, more data.

*Reference.* Prechelt 1998, «Early stopping – but when?»; the probability is calibrated, see
``runscope.stats.overfit``.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.finding import Finding, View
from runscope.stats.overfit import HeldOut, held_out

CODE = "OVF001"
NAME = "eval-loss-rising"
FROM = 0.5


def measure(view: View) -> tuple[HeldOut, np.ndarray]:
    """The held-out curve's verdict and its steps; raises CouldNotLook without one of 3 points."""
    curve = view.need("eval_loss", points=3)
    train = view.get("train_loss")
    steps, values = (
        (train.finite.step, train.finite.value) if train is not None else (np.empty(0), np.empty(0))
    )
    return held_out(curve.step.astype(float), curve.value, steps.astype(float), values), curve.step


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where overfitting is likelier than not."""
    seen, steps = measure(view)
    turn = seen.turn
    if seen.probability < FROM:
        return
    percent = 100 * turn.rise_share
    epoch = view.timeline.epoch_at([steps[turn.best]])[0]
    when = f"step {steps[turn.best]:,}" + (f" (epoch {epoch:.2g})" if np.isfinite(epoch) else "")
    yield Finding(
        code=CODE,
        name=NAME,
        severity="critical" if percent >= 10 else "warning",
        probability=round(seen.probability, 3),
        first_step=int(steps[turn.onset]),
        last_step=int(steps[-1]),
        message=f"The held-out loss was best at {when} and has risen by {percent:.1f}% since.",
        evidence={
            "best_step": int(steps[turn.best]),
            "rise_pct": round(percent, 3),
            "standard_errors": round(min(turn.z, 999.0), 2),
            "share_of_run_since_best": round(turn.after, 3),
        },
        fix=(
            f"Keep the checkpoint nearest step {steps[turn.best]:,}.",
            "Next time stop there: load_best_model_at_end=True with metric_for_best_model='eval_loss', "
            "or an EarlyStoppingCallback.",
            "Fewer epochs, a lower learning rate or rank, or more data postpone the turn.",
        ),
    )
