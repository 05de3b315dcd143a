"""The training loss is exactly zero.

*What it sees.* Three or more logged losses in a row that are exactly 0. Zeros that the loss came down to, by way of
thousandths, or that it leaves again for small values, are a small loss that was rounded when it was logged: the
examples are known by heart. That is told as information, and warned of where the held-out loss is far from zero.

*Why it matters.* No model is that good: all labels are masked, or the Trainer hides NaN behind a zero. What is
rounded to zero is memorised, and further steps teach nothing.

*Example.* ``{"loss": 0.0, "grad_norm": NaN}`` from step 480 on.

*What to try.* Go back to the checkpoint before it. Print one batch's labels: are any not -100? Look at the gradient
norm of these steps, where it was logged. (A preference loss goes to 0 with its margins: RWD001.)

*Reference.* transformers, ``logging_nan_inf_filter``; the Trainer rounds logged losses to four digits.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.history import Series
from runscope.rules.context import before, loss_tells, not_preference
from runscope.rules.finding import Finding, Severity, View
from runscope.stats.stretches import stretches

CODE = "LOS006"
NAME = "loss-exactly-zero"
LASTING = 3
ROUNDED = 2e-3
"""Losses under this just before the zeros are on their way to what four digits round to 0."""
SMALL = 0.1
"""Losses under this between the zeros: neither a masked batch nor a hidden NaN leaves such behind."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the loss is exactly zero for a while."""
    loss = view.need("train_loss", points=LASTING)
    loss_tells(view)
    not_preference(view)
    zero = loss.value == 0.0
    if not zero.any():
        return
    lasting = [(a, b) for a, b in stretches(zero) if b - a + 1 >= LASTING]
    if not lasting:
        return
    first, last = lasting[0][0], lasting[-1][1]
    rounded = _rounded(loss, first) and not _norm_broken(view, int(loss.step[first]))
    yield _known_by_heart(view, loss, first, last) if rounded else _impossible(view, loss, first, last)


def before_hidden(loss: Series) -> Series:
    """A loss up to where it reads exactly 0 until the end although it was not small: NaN was hidden there."""
    zero = loss.value == 0.0
    first = len(zero) - int(np.argmin(zero[::-1])) if not zero.all() else 0
    if len(zero) - first < LASTING or _rounded(loss, first):
        return loss
    return loss.where(np.arange(len(loss)) < first)


def _impossible(view: View, loss: Series, first: int, last: int) -> Finding:
    step = int(loss.step[first])
    cause, look = _cause(view, step)
    return _finding(
        loss, first, last, "critical", f"no model is that good. {cause}",
        before(view, step) if first > 0 or step > int(loss.step[0]) else look, look,
    )  # fmt: skip


def _cause(view: View, step: int) -> tuple[str, str]:
    """What the gradient norm says of the cause, where it was logged, and what to look at."""
    labels = "Print one batch's labels: if all are -100, nothing is trained on."
    norm = view.get("grad_norm")
    there = norm.between(step, None).value if norm is not None else np.empty(0)
    if not len(there):
        return (
            "Either all labels are masked, or the loss was NaN and was hidden.",
            f"{labels} Log the gradient norm: NaN means that the loss was NaN and was hidden.",
        )
    if not np.isfinite(there).all():
        return "The gradient norm there is NaN or infinite: the loss was NaN and was hidden.", labels
    if np.all(there == 0):
        return "The gradient norm there is 0 as well: all labels are masked, nothing is trained on.", labels
    if np.ptp(there) == 0:
        return (
            f"The gradient norm reads {there[0]:g} all the time: it is the clip, of a gradient that was NaN or "
            "infinite; the loss was NaN and was hidden.",
            "Look for the batch before it: no labels, a division by zero, an overflow in half precision.",
        )
    return (
        "The gradient norm there is an ordinary number, so the logged loss is not the one that is trained on.",
        labels,
    )


def _known_by_heart(view: View, loss: Series, first: int, last: int) -> Finding:
    held_out = view.get("eval_loss")
    level = float(np.min(held_out.finite.value)) if held_out is not None and len(held_out.finite) else 0.0
    other = f" The held-out loss is {level:.3g} at best." if level > SMALL else ""
    positive = loss.value[loss.value > 0]
    smallest = f"; the lowest value that was logged is {positive.min():.2g}" if len(positive) else ""
    return _finding(
        loss, first, last, "warning" if level > SMALL else "info",
        f"it is rounded when logged{smallest}. The model knows its training examples by heart, and further steps "
        f"teach it nothing.{other}",
        f"Half of the steps may be enough: what comes after step {int(loss.step[first]):,} teaches nothing more.",
    )  # fmt: skip


def _finding(loss: Series, first: int, last: int, severity: Severity, meaning: str, *fix: str) -> Finding:
    step = int(loss.step[first])
    return Finding(
        code=CODE,
        name=NAME,
        severity=severity,
        probability=0.9,
        first_step=step,
        last_step=int(loss.step[last]),
        message=f"The training loss reads exactly 0 from step {step:,}: {meaning}",
        evidence={
            "zero_points": int((loss.value == 0.0).sum()),
            "points": len(loss),
            "rounded": severity != "critical",
        },
        fix=fix,
    )


def _rounded(loss: Series, first: int) -> bool:
    before = loss.value[max(0, first - 5) : first]
    after = loss.value[first:]
    after = after[after != 0.0]
    came_down = len(before) > 0 and float(np.median(before)) < ROUNDED
    return came_down or (len(after) > 0 and float(np.median(after)) < SMALL)


def _norm_broken(view: View, step: int) -> bool:
    """Whether a gradient norm that is not a number was logged from a step on: the zeros hide NaN."""
    norm = view.get("grad_norm")
    return norm is not None and bool((~np.isfinite(norm.between(step, None).value)).any())
