"""No warm-up, and trouble in the first steps.

*What it sees.* The first logged learning rate is at its peak already, and within the first 5% of the run the
loss climbs above its first value by half of it or more, or the gradient norm peaks at over ten times its
later median with a loss that climbs by a tenth.

*Why it matters.* Adam's estimate of the gradient's variance is poor in the first steps, so that full-sized
steps go astray; some runs never make it up.

*Example.* 2.1, 3.9, 5.2, 3.0, 2.4, … at a constant rate of 5e-4.

*What to try.* Warm up over 3% of the run (``warmup_ratio=0.03``), or some hundred steps; or a lower peak.

*Reference.* Liu et al. 2020 (RAdam), section 3; Gilmer et al. 2021 on warm-up and instability.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.audience import warm_up
from runscope.rules.context import loss_tells, not_preference
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.stats.curves import heavy_noise

CODE = "SCH004"
NAME = "no-warmup"
EARLY = 0.05
CLIMB, SMALL_CLIMB, NORM_TIMES = 0.5, 0.1, 10.0
LUCKY = 4.0
"""Noises, tails included, that a single first value may lie under the level of its run by luck."""
AS_USUAL = 0.5
"""A climb of which later jumps reach half is nothing that the start of the run did."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where a start at full rate went with a climb of the loss."""
    loss_tells(view)
    not_preference(view)
    rate = view.need("learning_rate", points=8)
    loss = view.need("train_loss", points=20)
    if (
        view.timeline.line[0].run.lineage is not None
        or view.timeline.line[0].first_step > 0.1 * loss.step[-1]
    ):
        raise CouldNotLook("the line begins with a resumed run")
    peak = float(np.max(rate.value))
    if peak <= 0 or rate.value[0] < 0.9 * peak:
        return
    count = max(3, round(EARLY * len(loss)))
    first, highest = float(loss.value[0]), float(np.max(loss.value[1 : 1 + count]))
    worst = int(np.argmax(loss.value[1 : 1 + count])) + 1
    climb = (highest - first) / max(abs(first), 1e-12)
    if climb <= SMALL_CLIMB:
        return
    norm_times = _norm_peak(view, int(loss.step[count]))
    if not (climb > CLIMB or (climb > SMALL_CLIMB and norm_times > NORM_TIMES)):
        return
    rest = loss.value[1 + count :]
    if float(np.quantile(rest, 0.95) - np.median(rest)) > AS_USUAL * (highest - first):
        return  # the loss jumps as far at any time
    last = loss.value[-max(3, len(loss) // 5) :]
    late = float(np.median(last))
    never_back = late > first
    if never_back and np.log(max(late, 1e-300) / max(first, 1e-300)) < LUCKY * heavy_noise(
        np.log(np.maximum(last, 1e-300))
    ):
        return  # the first value was a lucky one
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning" if never_back else "info",
        probability=0.8,
        first_step=int(loss.step[0]),
        last_step=int(loss.step[worst]),
        message=(
            f"The run starts at its full learning rate ({peak:.3g}) without warm-up, and the loss climbs from "
            f"{first:.3g} to {highest:.3g} by step {loss.step[worst]:,}"
            + (": it never came back." if never_back else " before it falls.")
        ),
        evidence={
            "first_loss": first,
            "highest": highest,
            "climb_share": climb,
            "norm_peak_times": norm_times,
        },
        fix=(warm_up(view),),
    )


def _norm_peak(view: View, until: int) -> float:
    norm = view.get("grad_norm")
    if norm is None or len(norm.finite) < 20:
        return 0.0
    finite = norm.finite
    early = finite.between(None, until).value
    typical = float(np.median(finite.value[len(finite) // 4 :]))
    return float(early.max() / typical) if len(early) and typical > 0 else 0.0
