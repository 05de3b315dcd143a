"""Several different losses on one step.

*What it sees.* One run logged two or more different training losses on the same step, one right after the other,
on more than a tenth of its steps. (Steps that repeat because the run went back are LOG001's.)

*Why it matters.* Two processes that log into one run, or losses of several kinds under one name: the curve is then
a mixture, and what is said of it is about the mixture.

*Example.* Each of 4 GPUs logs ``loss`` at step 100: 2.31, 2.28, 2.40, 2.33.

*What to try.* Log on the main process only, or give each process its own name or its own run in a group.

*Reference.* W&B documentation, «Log distributed training experiments».
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.finding import CouldNotLook, Finding, View

CODE = "LOG002"
NAME = "duplicate-steps"
SHARE = 0.1


def look(view: View) -> Iterable[Finding]:
    """Yield one finding a run with different losses on the same steps."""
    looked = False
    for segment in view.timeline.line:
        loss = segment.run.role("train_loss")
        if loss is None or len(loss) < 2:
            continue
        looked, loss = True, loss.finite
        same = (np.diff(loss.step) == 0) & (np.diff(loss.value) != 0)
        if not same.any():
            continue
        steps = np.unique(loss.step[1:][same])
        total = int(np.count_nonzero(np.diff(loss.step))) + 1
        if len(steps) <= SHARE * total or total < 2:
            continue
        placed = segment.place(loss)
        spread = np.abs(np.diff(loss.value)[same])
        yield Finding(
            code=CODE,
            name=NAME,
            severity="info",
            probability=0.95,
            first_step=int(placed.step[1:][same][0]),
            last_step=int(placed.step[1:][same][-1]),
            message=(
                f"{segment.run.name} logged several different training losses on {len(steps):,} of {total:,} steps "
                f"(they differ by {np.median(spread):.2g}): perhaps several processes log into one run. "
                "The last one of each step is used."
            ),
            evidence={"steps": len(steps), "of_steps": total, "median_difference": float(np.median(spread))},
            fix=("Log on the main process only, or give each process its own name.",),
        )
    if not looked:
        raise CouldNotLook("no training loss was logged")
