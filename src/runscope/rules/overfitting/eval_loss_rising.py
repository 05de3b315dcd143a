"""The held-out loss turned up after its lowest value.

*What it sees.* The held-out loss has a lowest value; after it its level rises by more than luck explains and stays
up. Taken into account: its noise (by factors, so that tiny and heavy-tailed losses are judged as others are), how many
evaluations there are (fewer than six make it hesitant), spikes, a rise that was transient (a restart of the learning
rate, double descent: what counts is where it ends), and the training loss. A rise of both is divergence and left to
LOS002. The lowest value is named as it was logged, and beside it the steps that cannot be told from it.

It is critical from a rise of 10% on, a warning from 3% on, and information below; also where the metric that the
checkpoint is chosen by went on getting better (OVF005). Where another metric, an accuracy say, got better and not
worse, it is a warning at most: the model is less well calibrated, not worse at its task.

*Why it matters.* From the minimum on, training makes the model worse on anything it has not seen.

*Example.* Held-out loss 1.45 at step 15,000, 1.63 at step 30,000; training loss 0.9 and still falling.

*What to try.* Keep the checkpoint at the minimum. Next time: fewer epochs, early stopping on the held-out
loss, a lower learning rate or rank, more data.

*Reference.* Prechelt 1998, «Early stopping – but when?»; Nakkiran et al. 2020, «Deep double descent»
(arXiv 1912.02292). The probability is calibrated: ``runscope.stats.overfitting.calibration``, ``benchmarks/zoo``.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.history import Series
from runscope.rules.audience import select_by, stop_early
from runscope.rules.context import coarse, loss_tells
from runscope.rules.finding import CouldNotLook, Finding, Severity, View
from runscope.rules.selection import deciding, got_better
from runscope.stats.arrays import Ints
from runscope.stats.curves import noise
from runscope.stats.overfitting.overfit import HeldOut, held_out
from runscope.stats.overfitting.turn import END, MATTERS

CODE = "OVF001"
NAME = "eval-loss-rising"
FROM = 0.5
CLEARLY = 3.0
"""Noises of a single evaluation."""
MUCH, SOME = 10.0, 100 * MATTERS
"""Percent of the lowest held-out loss. From 10% on an earlier checkpoint is plainly better."""


def measure(view: View) -> tuple[HeldOut, Ints]:
    """What the held-out curve says, and its steps; raises CouldNotLook without one of 3 points."""
    return view.remember("held-out curve", lambda: _measure(view))


def _measure(view: View) -> tuple[HeldOut, Ints]:
    loss_tells(view)
    curve = coarse(view, "eval_loss", points=3)
    try:
        train = coarse(view, "train_loss")
    except CouldNotLook:
        train = Series.of("none", [], [])
    seen = held_out(curve.step.astype(np.float64), curve.value, train.step.astype(np.float64), train.value)
    return seen, curve.step


def too_few(view: View) -> str:
    """Why no held-out loss decides: none was logged, or one or two values, which are told."""
    curve = view.get("eval_loss")
    value = curve.finite.value if curve is not None else np.empty(0)
    if not len(value):
        return "no held-out loss was logged"
    often = "once" if len(value) == 1 else "twice"
    return f"the held-out loss was logged {often} only ({', then '.join(f'{v:.4g}' for v in value[:2])})"


def when(view: View, step: int) -> str:
    """A step for people, with its epoch where known."""
    epoch = float(view.timeline.epoch_at([step])[0])
    return f"step {step:,}" + (f" (epoch {round(epoch, 2):g})" if np.isfinite(epoch) else "")


def base_better(view: View) -> tuple[float, float] | None:
    """The held-out loss before the first step and the lowest after it, where all that came later is clearly worse.

    The level of a curve draws a single value in; one of the model that the training began with is no outlier.
    """
    curve, train = view.get("eval_loss"), view.get("train_loss")
    if curve is None or train is None or deciding(view) is not None or not len(train):
        return None
    curve = curve.finite
    if len(curve) < 4 or curve.step[0] > 0 or train.step[0] <= curve.step[0]:
        return None
    first, later = float(curve.value[0]), curve.value[1:]
    lowest = float(np.min(later))
    clear = lowest - first > max(MATTERS * abs(first), CLEARLY * noise(later))
    return (first, lowest) if clear else None


def risen(view: View, seen: HeldOut, steps: Ints) -> str:
    """The lowest logged value, and how far above it the curve ends, as logged."""
    turn = seen.turn
    ended = "its last three values lie around" if len(steps) >= 2 * END else "it ended at"
    return (
        f"lowest at {when(view, int(steps[turn.best]))} ({turn.lowest:.4g}); {ended} {turn.last:.4g}, "
        f"{100 * turn.rise_share:.3g}% higher"
    )


def gained_by_metric(view: View, seen: HeldOut, steps: Ints) -> bool:
    """Whether the metric that decides was best later than the loss, and better than it had been there."""
    metric = deciding(view)
    return metric is not None and metric.gained_since(int(steps[seen.turn.best])) > 0


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where overfitting is likelier than not."""
    seen, steps = measure(view)
    turn = seen.turn
    if seen.probability < FROM:
        return
    percent = 100 * turn.rise
    best = int(steps[turn.first_best])
    other = got_better(view, int(steps[turn.best]))
    but = "" if other is None else f", but {other.name} got better"
    yield Finding(
        code=CODE,
        name=NAME,
        severity=_severity(percent, gained_by_metric(view, seen, steps), other is not None),
        probability=round(seen.probability, 3),
        first_step=int(steps[turn.onset]),
        last_step=int(steps[-1]),
        message=f"The held-out loss was {risen(view, seen, steps)}{but}.",
        evidence={
            "best_step": best,
            "lowest_step": int(steps[turn.best]),
            "lowest": turn.lowest,
            "last": turn.last,
            "as_good": [int(steps[turn.as_good[0]]), int(steps[turn.as_good[1]])],
            "rise_pct": round(min(100 * turn.rise_share, 1e9), 3),
            "rise_of_level_pct": round(percent, 3),
            "times_luck": round(min(turn.z, 999.0), 2),
            "stays_up": round(turn.stays, 3),
            "train_fall_since_best": round(seen.train_fall, 6),
            "evaluations": len(steps),
        },
        fix=(
            f"Keep the checkpoint nearest step {best:,}.",
            stop_early(view),
            "Fewer epochs, a lower learning rate or more data postpone the turn.",
        )
        if other is None
        else (
            f"By the loss keep the checkpoint nearest step {best:,}, by {other.name} {when(view, other.best)}.",
            select_by(view, other.name, other.better),
        ),
    )


def _severity(percent: float, decided: bool, opposed: bool) -> Severity:
    """By how far the loss rose, and whether a metric that decides, or another, got better meanwhile."""
    if decided or percent < SOME:
        return "info"
    return "critical" if percent >= MUCH and not opposed else "warning"
