"""The best point is long past: what was computed since brought nothing.

*What it sees.* The held-out loss was as good as it ever became, within what cannot be told from its lowest value, in
the first 70% of the run, and no metric got better since.

*Why it matters.* The rest of the run was paid for and made nothing better.

*Example.* Best at step 4,000 of 20,000: 80% of the compute went into steps that nobody will use.

*What to try.* Early stopping with a patience of a few evaluations, fewer epochs, or a schedule that ends
where the held-out loss stops falling.

*Reference.* Prechelt 1998, «Early stopping – but when?».
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.audience import stop_early
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.overfitting.eval_loss_rising import gained_by_metric, measure, when
from runscope.rules.selection import got_better

CODE = "OVF006"
NAME = "best-long-past"
SPENT = 0.3
"""Less than a third of the run is the patience that early stopping would have spent anyway."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where a good part of the run came after the last point as good as the best."""
    seen, steps = measure(view)
    if len(steps) < 6:
        raise CouldNotLook(f"evaluations of the held-out loss: {len(steps)}; 6 are needed")
    first, last = int(steps[0]), int(steps[-1])
    until = int(steps[seen.turn.as_good[1]])
    span = max(last - min(first, view.timeline.first_step), 1)
    share = (last - until) / span
    best = int(steps[seen.turn.best])
    gained = gained_by_metric(view, seen, steps) or got_better(view, best) is not None
    if share < SPENT or seen.turn.rise <= 0 or gained:
        return
    hours = _hours(view, until)
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=round(float(min(0.95, 0.5 + 0.5 * seen.turn.stays)), 3),
        first_step=until,
        last_step=last,
        message=(
            f"The last {100 * share:.0f}% of the run ({last - until:,} steps"
            + (f", {hours:.1f} hours" if hours >= 0.1 else "")
            + f") made the held-out loss no better than at {when(view, best)}."
        ),
        evidence={"best_step": best, "share_spent": round(share, 3), "hours": round(hours, 3)},
        fix=(
            stop_early(view),
            "Let the learning-rate schedule end where the held-out loss stops falling.",
        ),
    )


def _hours(view: View, since: int) -> float:
    """Hours of the run's clock after a step; 0 where no time was logged."""
    curve = view.need("eval_loss")
    time = curve.time[curve.step >= since]
    time = time[np.isfinite(time)]
    return float(time[-1] - time[0]) / 3600 if len(time) > 1 else 0.0
