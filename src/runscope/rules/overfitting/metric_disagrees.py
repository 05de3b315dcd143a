"""The held-out loss got worse, but the task metric got better.

*What it sees.* A held-out metric (accuracy, F1, word error rate: each with its own direction) whose best value comes
after the step at which the held-out loss was lowest, and is better than it was there by more than its noise.

*Why it matters.* The model is surer of itself, so its mistakes cost more loss, while it makes fewer of them: less well
calibrated, not worse at the task. Who uses its answers gains by training on; who uses its probabilities loses.

*Example.* Held-out loss 0.31 → 0.44 from epoch 3 to epoch 10, accuracy 0.88 → 0.91.

*What to try.* Decide which of the two you need and choose the checkpoint by it (``--metric NAME``; in the Trainer
``metric_for_best_model`` and ``greater_is_better``); calibrate the probabilities (temperature scaling) if you need
both.

*Reference.* Guo et al. 2017, «On calibration of modern neural networks» (arXiv 1706.04599).
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.overfitting.eval_loss_rising import FROM, measure, when
from runscope.rules.selection import Deciding, deciding, second_opinion

CODE = "OVF005"
NAME = "metric-disagrees"


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where loss and metric disagree about what came after the loss's lowest value."""
    seen, steps = measure(view)
    metric = deciding(view) or second_opinion(view)
    if metric is None:
        raise CouldNotLook("no held-out metric beside the loss was logged")
    best = int(steps[seen.turn.best])
    if seen.probability < FROM or metric.gained_since(best) <= 0:
        return
    last = float(metric.series.value[-1])
    then = (
        f"went on getting better, from {metric.at(best):.4g} to {metric.at(metric.best):.4g} at "
        f"{when(view, metric.best)}: the model is {metric.contrast}."
        if not metric.ended_worse_than(best)
        else f"was best later: {metric.at(metric.best):.4g} at {when(view, metric.best)}, against "
        f"{metric.at(best):.4g} where the loss was lowest. It ended at {last:.4g}: by the end the model was "
        "worse at the task as well."
    )
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=0.9,
        first_step=best,
        last_step=int(metric.series.step[-1]),
        message=f"The held-out loss rose after {when(view, best)}, but {metric.name} {then}",
        evidence={
            "metric": metric.name,
            "better": metric.better,
            "at_best_loss": round(metric.at(best), 6),
            "best": round(metric.at(metric.best), 6),
            "last": round(float(metric.series.value[-1]), 6),
            "best_metric_step": metric.best,
        },
        fix=_choose(view, metric, best),
    )


def _choose(view: View, metric: Deciding, best: int) -> tuple[str, ...]:
    if metric.how in ("given", "selected"):
        return (f"You select by {metric.name}: keep {when(view, metric.best)}.",)
    if metric.how == "usual" and deciding(view) is not None:
        return (f"Keep {when(view, metric.best)}: such models are judged by {metric.name}.",)
    return (
        f"If you go by {'the answers' if metric.of_answers else metric.name}, keep {when(view, metric.best)}, best by "
        f"{metric.name}.",
        f"If you use the probabilities, keep {when(view, best)}, lowest in loss, or calibrate them."
        if metric.of_answers
        else f"If you go by the loss, keep {when(view, best)}, where it is lowest.",
    )
