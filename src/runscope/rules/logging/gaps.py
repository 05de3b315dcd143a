"""Steps that nobody logged.

*What it sees.* Gaps between the runs of a line, and stretches of the training loss that are more than five times
as long as the usual logging interval and longer than 2% of the run.

*Why it matters.* What happened there is not known: the loss may have turned, spiked or been NaN in between. A run
is missing, or the end of a killed run was never written.

*Example.* Losses at 100, 110, …, 4,000, and then at 9,010.

*What to try.* Look for the run that logged these steps (``runscope stitch A MISSING B``), or for the offline folder
of the killed one (``wandb sync``).

*Reference.* wandb-core writes whole 32 KiB blocks: the tail of a killed offline run can be missing.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.context import plural
from runscope.rules.finding import CouldNotLook, Finding, View

CODE = "LOG003"
NAME = "gaps"
TIMES, SHARE, LARGE = 5.0, 0.02, 0.2


def look(view: View) -> Iterable[Finding]:
    """Yield one finding that names the gaps, a warning where they are a fifth of the line."""
    loss = view.get("train_loss")
    found = [(g.first_step, g.last_step) for g in view.timeline.gaps]
    if loss is not None and len(loss) >= 10:
        spaces = np.diff(loss.step)
        span = int(loss.step[-1] - loss.step[0])
        wide = np.flatnonzero(spaces > SHARE * span)
        wide = wide[spaces[wide] > TIMES * np.median(spaces)] if len(wide) else wide
        inside = [(int(loss.step[i]), int(loss.step[i + 1])) for i in wide]
        found += [gap for gap in inside if not any(a <= gap[1] and gap[0] <= b for a, b in found)]
    elif not found:
        raise CouldNotLook("fewer than 10 training losses")
    if not found:
        return
    found.sort()
    missing = sum(b - a for a, b in found)
    whole = max(view.timeline.last_step - view.timeline.first_step, 1)
    share = min(1.0, missing / whole)
    named = ", ".join(f"{a:,} to {b:,}" for a, b in found[:3]) + (" …" if len(found) > 3 else "")
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning" if share > LARGE else "info",
        probability=0.95,
        first_step=found[0][0],
        last_step=found[-1][1],
        message=(
            f"{plural(len(found), 'gap')} without a logged loss (steps {named}), {100 * share:.0f}% of the timeline: "
            "what happened there is not known."
        ),
        evidence={"gaps": [list(gap) for gap in found[:50]], "missing_share": share},
        fix=("Look for the run that logged these steps: runscope stitch A MISSING B.",),
    )
