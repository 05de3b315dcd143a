"""The gradient norm grew out of hand and stayed there.

*What it sees.* One of two. Either the running median of the gradient norm (window of 9) exceeds twenty times
its level in the first fifth of the run and the loss rises after it. Or the norm is above 50 all along and the
loss ends no lower than it began: steps clipped to 1.0 then keep less than a fiftieth of their gradient.

*Why it matters.* Such steps throw the model far away from what it had learned. Single peaks are clipped and
harmless; a level that grows is not.

*Example.* A norm around 1 for 2,000 steps, then 60, then 4,000, and the loss from 1.8 to 7.

*What to try.* Go back to the checkpoint before it. Lower the learning rate, warm up longer, clip
(``max_grad_norm=1.0``), look at the batches of these steps.

*Reference.* Pascanu, Mikolov & Bengio 2013. A norm below 1.0, the customary clip, is never called exploded.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.history import Series
from runscope.rules.audience import calmer
from runscope.rules.context import coarse, harm
from runscope.rules.finding import CouldNotLook, Finding, Severity, View
from runscope.stats.levels.filters import running_median

CODE = "GRD003"
NAME = "exploding-gradients"
TIMES = 20.0
CLIP = 1.0
HIGH = 50.0
HARM, BAD_HARM = 0.25, 0.5
"""The loss gives back a quarter of what it had fallen: more than a spike leaves behind; half of it is critical."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the level of the norm explodes and the loss suffers."""
    norm = coarse(view, "grad_norm", points=10)
    level = running_median(norm.value, min(9, len(norm) | 1))
    early = float(np.median(norm.value[: max(5, len(norm) // 5)]))
    begun = max(2, len(norm) // 20)  # the first steps of a training are large and of no consequence
    high = level > max(TIMES * early, CLIP)
    high[:begun] = False
    if high.any():
        first = int(np.argmax(high))
        damage = harm(view, int(norm.step[first]))
        if damage is None:
            raise CouldNotLook("no training loss tells whether large gradients did harm")
        if damage >= HARM:
            yield _finding(view, norm, first, early, float(level.max()), damage)
    elif float(np.median(level)) > HIGH and _never_fell(view):
        yield _finding(view, norm, 0, early, float(level.max()), None)


def _never_fell(view: View) -> bool:
    loss = view.get("train_loss")
    if loss is None or len(loss.finite) < 10:
        return False
    value = loss.finite.value
    edge = max(3, len(value) // 10)
    return float(np.median(value[-edge:])) >= min(float(value[0]), float(np.median(value[:edge])))


def _finding(
    view: View, norm: Series, first: int, early: float, highest: float, damage: float | None
) -> Finding:
    step = int(norm.step[first])
    severity: Severity = "critical" if damage is None or damage >= BAD_HARM else "warning"
    message = (
        f"The gradients are far too large from the start: their norm is {early:.3g} and reaches {highest:.3g}, "
        "and the loss does not fall."
        if damage is None
        else f"The gradients explode at step {step:,}: their norm grows from {early:.3g} to {highest:.3g}, "
        "and the loss goes up with it."
    )
    evidence = {"early_norm": early, "highest_level": highest}
    if damage is not None and np.isfinite(damage):
        evidence["loss_given_back"] = round(damage, 3)
    return Finding(
        code=CODE,
        name=NAME,
        severity=severity,
        probability=0.9,
        first_step=step,
        last_step=int(norm.step[-1]),
        message=message,
        evidence=evidence,
        fix=(
            "Start again with a learning rate ten times lower."
            if damage is None
            else f"Go back to a checkpoint before step {step:,}.",
            calmer(view),
        ),
    )
