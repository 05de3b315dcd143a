"""The gradient norm grew steadily before the training broke.

*What it sees.* Up to the point where the loss turned for good (or was no number any more), the gradient norm
grew with hardly a step back: rank correlation with the step above 0.7, five times its earlier level or
more, over at least 20 logged norms. Without harm to the loss only a growth of thirty times is told.

*Why it matters.* Growth of the norm comes before most divergences: there was notice, and there will be
next time. Stop at this sign and nothing is lost.

*Example.* The norm climbs from 0.9 to 14 over 3,000 steps; at step 5,200 the loss leaps to 6.

*What to try.* Lower the peak rate or the second beta of Adam (0.95), clip, add weight decay or QK
normalisation; stop a run when its norm has grown five times.

*Reference.* Wortsman et al. 2023, «Small-scale proxies for large-scale Transformer training instabilities»;
Molybog et al. 2023, «A theory on Adam instability in large-scale machine learning».
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.context import coarse, harm
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.stats.curves import smooth
from runscope.stats.trend import rank_trend

CODE = "GRD007"
NAME = "growing-gradients"
STEADY = 0.7
GROWTH, HARMLESS_GROWTH = 5.0, 30.0
HARM = 0.5


def look(view: View) -> Iterable[Finding]:
    """Yield one finding: a warning where the loss broke afterwards."""
    norm = coarse(view, "grad_norm", points=20)
    broke = _broke(view)
    before = norm if broke is None else norm.between(None, broke)
    if len(before) < 20:
        raise CouldNotLook("fewer than 20 gradient norms before the loss broke")
    value = np.log(np.maximum(before.value, 1e-30))
    # The norm of a healthy run falls first: measure from its lowest level.
    calm = smooth(value, 0.03 * len(value))
    low = int(np.argmin(calm[: max(1, len(calm) - 10)]))
    rho, z = rank_trend(value[low:])
    growth = float(np.exp(np.median(value[-max(3, len(value) // 20) :]) - calm[low]))
    bar = GROWTH if broke is not None else HARMLESS_GROWTH
    if len(value) - low < 20 or rho < STEADY or z < 3 or growth < bar or before.value[-1] < 1e-3:
        return
    first, last = int(before.step[low]), int(before.step[-1])
    after = f", and then the loss broke at step {broke:,}" if broke is not None else ""
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning" if broke is not None else "info",
        probability=0.85 if broke is not None else 0.7,
        first_step=first,
        last_step=last,
        message=(
            f"The gradient norm grew {growth:.0f} times, steadily, from step {first:,} to step {last:,}{after}."
        ),
        evidence={"growth": growth, "rank_correlation": round(rho, 3)},
        fix=(
            "Lower the peak learning rate, clip the gradient norm to 1.0, or set Adam's beta2 to 0.95.",
            f"Next time stop and look when the norm has grown {GROWTH:g} times.",
        ),
    )


def _broke(view: View) -> int | None:
    """Step at which the loss stopped being a number, or turned up for good."""
    loss = view.get("train_loss")
    if loss is None or len(loss) < 12:
        return None
    bad = ~np.isfinite(loss.value)
    if bad.any():
        return int(loss.step[np.argmax(bad)])
    level = coarse(view, "train_loss")
    calm = smooth(level.value, 0.02 * len(level))
    best = int(np.argmin(calm))
    tail = calm[-max(1, len(calm) // 10) :]
    damage = harm(view, int(level.step[best]))
    stays = float(np.mean(tail)) - calm[best] > 0.5 * (float(np.max(calm)) - calm[best])
    return int(level.step[best]) if damage is not None and damage > HARM and stays else None
