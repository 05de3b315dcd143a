"""The held-out loss got worse, but the task metric got better.

*What it sees.* A held-out accuracy, F1 or other score that is higher at the end than where the held-out loss
was lowest, by more than its noise.

*Why it matters.* The model is surer of itself, so its mistakes cost more loss, while it makes fewer of them.
Who uses its answers gains by training on; who uses its probabilities loses.

*Example.* Held-out loss 0.31 → 0.44 from epoch 3 to epoch 10, accuracy 0.88 → 0.91.

*What to try.* Decide which of the two you need and choose the checkpoint by it
(``metric_for_best_model``); calibrate the probabilities (temperature scaling) if you need both.

*Reference.* Guo et al. 2017, «On calibration of modern neural networks» (arXiv 1706.04599).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.finding import Finding, View
from runscope.rules.overfitting.eval_loss_rising import FROM, measure, when
from runscope.stats.curves import noise, smooth

CODE = "OVF005"
NAME = "metric-disagrees"


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where loss and metric disagree about what came after the loss's best point."""
    metric = view.need("eval_metric", points=4)
    seen, steps = measure(view)
    if seen.probability < FROM:
        return
    best = int(steps[seen.turn.best])
    level = smooth(metric.value, 0.0)
    then = float(level[min(int(np.searchsorted(metric.step, best)), len(level) - 1)])
    top = int(np.argmax(level))
    last = float(np.median(metric.value[-3:]))
    error = noise(metric.value) * float(np.sqrt(2))
    if metric.step[top] <= best or last - then <= max(2 * error, 0.005 * abs(then)):
        return
    name = view.timeline.roles.get("eval_metric", "the task metric")
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=0.9,
        first_step=best,
        last_step=int(metric.step[-1]),
        message=(
            f"{name} rose from {then:.4g} to {last:.4g} since the held-out loss was best: by that metric "
            f"{when(view, int(metric.step[top]))} is the best, and training on was right."
        ),
        evidence={
            "metric": name,
            "at_best_loss": round(then, 6),
            "last": round(last, 6),
            "best_metric_step": int(metric.step[top]),
        },
        fix=(
            f"If {name} is what you need, keep {when(view, int(metric.step[top]))} and select by it: "
            f"metric_for_best_model='{name}'.",
            "If you use the probabilities, keep the step of the lowest loss, or calibrate them.",
        ),
    )
