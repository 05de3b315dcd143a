"""The run was killed and never went on.

*What it sees.* The last run of the line has no exit record: the process was killed, ran out of memory,
or the machine was taken away.

*Why it matters.* What was planned was not finished, and what was logged in the last moments may be
missing from the files.

*Example.* A rented GPU that was reclaimed in epoch 4 of 6.

*What to try.* Resume from the last checkpoint; give runscope the resumed run as well.

*Reference.* W&B writes whole 32 KiB blocks: the tail of a killed offline run can be missing.
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.rules.finding import CouldNotLook, Finding, View

CODE = "LOG006"
NAME = "killed"


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the last run of the line was killed."""
    if not view.timeline.line:
        raise CouldNotLook("the line is empty")
    last = view.timeline.line[-1]
    if last.run.state != "killed":
        return
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=0.9,
        first_step=last.last_step,
        last_step=last.last_step,
        message=(
            f"{last.run.name} was killed at or soon after step {last.last_step:,}, and nothing continues it here. "
            "What it logged in its last moments may be missing."
        ),
        evidence={"last_step": last.last_step, "state": last.run.state},
        fix=(
            "If it was resumed, name the resumed run as well: runscope diagnose RUN RESUMED_RUN.",
            "Otherwise resume it from its last checkpoint.",
        ),
    )
