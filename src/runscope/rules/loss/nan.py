"""The loss is not a number.

*What it sees.* NaN or infinite values of the training or held-out loss: lasting ones (three in a row, or to
the end), or single ones that the run recovered from.

*Why it matters.* Once the loss stays NaN, so are the weights; nothing after it can be used. A single one that
heals cost one step, but says that something is near its limit.

*Example.* Loss 2.1, 2.4, 5.9, NaN, NaN, NaN.

*What to try.* Take the last checkpoint before it; lower the learning rate, warm up longer, clip gradients,
use bf16 instead of fp16. A held-out loss that is NaN from its first value is often an empty batch.

*Reference.* Goodfellow, Bengio & Courville 2016, chapter 11.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.history import Series
from runscope.rules.audience import calmer
from runscope.rules.context import before, plural
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.stats.stretches import lasting_from, longest

CODE = "LOS001"
NAME = "loss-not-a-number"
LASTING = 3


def look(view: View) -> Iterable[Finding]:
    """Yield one finding a loss that has non-finite values."""
    seen = False
    for role, label in (("train_loss", "training"), ("eval_loss", "held-out")):
        series = view.get(role)
        if series is None or not len(series):
            continue
        seen = True
        bad = ~np.isfinite(series.value)
        if bad.any():
            yield _finding(view, series, bad, label)
    if not seen:
        raise CouldNotLook("no loss was logged")


def _finding(view: View, series: Series, bad: np.ndarray, label: str) -> Finding:
    last_bad = int(np.flatnonzero(bad)[-1])
    lasting = lasting_from(bad)
    broken = lasting is not None or longest(bad) >= LASTING
    first = int(np.argmax(bad)) if lasting is None else lasting
    step = int(series.step[first])
    count = int(bad.sum())
    until = "to the end" if lasting is not None else f"until step {series.step[last_bad]:,}"
    message = (
        f"The {label} loss is NaN or infinite from step {step:,} {until}: nothing trained there can be used."
        if broken
        else f"The {label} loss was NaN or infinite at {plural(count, 'single step')}, the first at {step:,}; "
        "the run recovered."
    )
    return Finding(
        code=CODE,
        name=NAME,
        severity="critical" if broken and label == "training" else "warning",
        probability=0.99,
        first_step=step,
        last_step=int(series.step[last_bad]),
        message=message,
        evidence={"non_finite_points": count, "points": len(series), "loss": label},
        fix=(
            before(view, step)
            if broken and label == "training"
            else "Look at the batch of that step: empty labels, a division by zero.",
            f"{calmer(view)} If it ran in fp16, use bf16.",
        ),
    )
