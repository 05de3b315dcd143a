"""The learning rate jumped where a run was resumed.

*What it sees.* At the join of two runs the rate differs by a third or more from what it was, either at once or
because a new warm-up starts. The line is compared with itself: last rate before the join, first and highest
rate soon after it.

*Why it matters.* The optimiser's state and schedule were not restored: the model gets large steps again after it
had settled, which undoes part of the training and repeats data at a high rate. Adapters overfit faster.

*Example.* The first run ended at 1.2e-5, the resumed one warms up to 2e-4 again.

*What to try.* Resume with ``trainer.train(resume_from_checkpoint=True)``, so that optimiser and schedule go on;
or start the new run at the rate where the old one ended.

*Reference.* Ibrahim et al. 2024 (arXiv 2403.08763): re-warming the rate raises the loss at first.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.history import Series
from runscope.rules.context import joins
from runscope.rules.finding import CouldNotLook, Finding, View

CODE = "SCH005"
NAME = "rate-jumped"
THIRD = 1.33
LARGE = 2.0
SOON = 0.25


def look(view: View) -> Iterable[Finding]:
    """Yield one finding a join at which the rate jumped."""
    cuts = joins(view)
    if not cuts:
        return  # a single run has no join
    rate = view.need("learning_rate", points=6)
    peak = float(np.max(rate.value))
    if peak <= 0:
        raise CouldNotLook("all learning rates are zero")
    ends = (*cuts[1:], None)
    for join, end in zip(cuts, ends, strict=True):
        before = rate.between(None, join - 1)
        after = rate.between(join, None if end is None else end - 1)
        if len(before) >= 2 and len(after) >= 1:
            yield from _at(view, join, before, after, peak)


def _at(view: View, join: int, before: Series, after: Series, peak: float) -> Iterable[Finding]:
    old, new = float(before.value[-1]), float(after.value[0])
    highest = float(np.max(after.value[: max(1, round(SOON * len(after)))]))
    floor = 0.01 * peak
    still_warming = old >= 0.999 * float(np.max(before.value)) and old < 0.999 * peak
    up = max(highest, floor) / max(old, floor)
    down = max(old, floor) / max(new, floor)
    # A schedule that goes on moves by about as much as it did between its last two logged rates.
    own = abs(old - float(before.value[-2])) * 3
    if up >= THIRD and highest - old > own and not still_warming:
        again = "warms up again to" if highest > 1.5 * new else "starts again at"
        loss = _loss_change(view, join)
        harmed = loss is not None and loss > 0.02
        yield Finding(
            code=CODE,
            name=NAME,
            severity="warning" if up >= LARGE and harmed else "info",
            probability=0.9,
            first_step=join,
            last_step=int(after.step[int(np.argmax(after.value))]),
            message=(
                f"Where the run was resumed (step {join:,}) the learning rate had been {old:.3g} and {again} "
                f"{highest:.3g}: {up:.1f} times as high. The schedule was started anew, not restored."
                + (
                    f" The training loss went up by {100 * loss:.0f}% after it."
                    if loss is not None and harmed
                    else ""
                )
            ),
            evidence={"rate_before": old, "rate_after": new, "highest_soon": highest, "loss_change": loss},
            fix=(
                "Resume with trainer.train(resume_from_checkpoint=True): optimiser and schedule then go on.",
                f"Or start the new run at about {old:.1g}, without warm-up.",
            ),
        )
    elif down >= LARGE and old - new > own and highest < old / THIRD:
        yield Finding(
            code=CODE,
            name=NAME,
            severity="info",
            probability=0.9,
            first_step=join,
            last_step=join,
            message=f"Where the run was resumed (step {join:,}) the learning rate fell from {old:.3g} to {new:.3g}.",
            evidence={"rate_before": old, "rate_after": new, "highest_soon": highest},
        )


def _loss_change(view: View, join: int) -> float | None:
    """Median training loss soon after a join against just before it, as a share; None where not known."""
    loss = view.get("train_loss")
    if loss is None:
        return None
    before, after = loss.finite.between(None, join - 1).value, loss.finite.between(join, None).value
    if len(before) < 3 or len(after) < 4:
        return None
    width = max(3, min(len(before), len(after)) // 10)
    old, new = float(np.median(before[-width:])), float(np.median(after[1 : 1 + width]))
    return (new - old) / max(abs(old), 1e-12)
