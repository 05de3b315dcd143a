"""The metric that decides got worse after its best value.

*What it sees.* The metric that the checkpoint is chosen by (``--metric``, the author's ``metric_for_best_model``, the
value that the Trainer's state recorded as best, or what such tasks are judged by: word error rate, average precision,
BLEU) ends worse than its best value by more than its noise and by more than matters: 0.02 of a score, 3% of others.

*Why it matters.* The model that the training ends with is worse at its task than one that was already there.

*Example.* Word error rate 20.7 at step 3,000, 24.1 at step 5,000, while the held-out loss stood still.

*What to try.* Keep the checkpoint at the best value; next time stop early on this metric.

*Reference.* Dodge et al. 2020 (arXiv 2002.06305) on choosing a checkpoint by the metric of the task.
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.rules.audience import stop_early
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.overfitting.eval_loss_rising import FROM, measure, when
from runscope.rules.selection import Deciding, deciding
from runscope.stats.overfitting.overfit import by_metric
from runscope.stats.overfitting.turn import END

CODE = "OVF009"
NAME = "metric-got-worse"


def probability_of(metric: Deciding) -> float:
    """That the metric ends worse than its best in a way that matters."""
    turned = metric.turned
    return 0.0 if turned is None else by_metric(turned, metric.matters, len(metric.series))


def _came_apart(view: View) -> bool:
    """Whether the training loss rose as well: that is divergence, which LOS002 names."""
    try:
        return measure(view)[0].train_rose
    except CouldNotLook:
        return False


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the metric that decides turned for the worse."""
    metric = deciding(view)
    if metric is None:
        raise CouldNotLook("no metric but the loss decides")
    chance = probability_of(metric)
    turned = metric.turned
    if turned is None or chance < FROM or _came_apart(view):
        return
    steps = metric.series.step
    best, last = float(metric.at(metric.best)), abs(turned.last)
    ended = "lay around" if len(steps) >= 2 * END else "was"
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning",
        probability=round(chance, 3),
        first_step=int(steps[turned.onset]),
        last_step=int(steps[-1]),
        message=(
            f"{metric.name} was best at {when(view, metric.best)} ({best:.4g}) and {ended} {last:.4g} at the end: the "
            "model became worse at its task."
        ),
        evidence={
            "metric": metric.name,
            "better": metric.better,
            "best_step": metric.best,
            "best": best,
            "last": last,
        },
        fix=(f"Keep {when(view, metric.best)}.", stop_early(view, metric.name)),
    )
