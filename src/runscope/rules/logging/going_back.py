"""Steps that go back within one run.

*What it sees.* In the order in which a run logged its training loss, the step falls back at one point or more.
The run was resumed under its own id from an earlier checkpoint, or its counter was started again.

*Why it matters.* Two values lie on one step, of which only the later one belongs to the model you have. runscope
keeps the later; W&B's own chart draws a zig-zag.

*Example.* Steps 10, 20, …, 480, then 410, 420: a crash at 480, and a resume from checkpoint 400.

*What to try.* Nothing, if a resume explains it. Otherwise log with one counter that never restarts
(``define_metric`` with ``train/global_step``).

*Reference.* wandb issues 1395, 1040 and 6728: overlapping histories after a resume.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.context import plural
from runscope.rules.finding import CouldNotLook, Finding, View

CODE = "LOG001"
NAME = "steps-going-back"


def look(view: View) -> Iterable[Finding]:
    """Yield one finding a run whose steps go back."""
    looked = False
    for segment in view.timeline.line:
        loss = segment.run.role("train_loss")
        if loss is None or len(loss) < 2:
            continue
        looked = True
        back = np.flatnonzero(np.diff(loss.step) < 0)
        if not len(back):
            continue
        placed = segment.place(loss)
        repeated = int(len(loss) - len(np.unique(loss.step)))
        first = int(back[0])
        yield Finding(
            code=CODE,
            name=NAME,
            severity="info",
            probability=1.0,
            first_step=int(placed.step[first + 1]),
            last_step=int(placed.step[first]),
            message=(
                f"The steps of {segment.run.name} go back {plural(len(back), 'time')}, first "
                f"from {placed.step[first]:,} to {placed.step[first + 1]:,}: it was resumed under its own id, or its "
                f"counter restarted. Of {plural(repeated, 'repeated value')} the later one is used."
            ),
            evidence={"times": len(back), "repeated_values": repeated, "run": segment.run.name},
        )
    if not looked:
        raise CouldNotLook("no training loss was logged")
