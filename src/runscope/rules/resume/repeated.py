"""Steps that were trained twice because the run went on from an earlier state.

*What it sees.* The run before had logged steps beyond the state from which the later one went on. That tail is cut
from the line; what was logged later counts.

*Why it matters.* The work between the last saved state and the crash was done twice. It does no harm to the model; it
costs time, and tools that draw both show two losses on one step.

*Example.* Killed at step 1,150, resumed from the state of step 1,000: 150 steps were done twice.

*What to try.* Save more often than you can afford to lose; on a preemptible machine save when the signal comes.

*Reference.* Young 1974 on the best interval between checkpoints: √(2 × cost of a save × time between failures).
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.rules.finding import Finding, View
from runscope.rules.resume.joins import resumes

CODE = "RES007"
NAME = "steps-repeated"


def look(view: View) -> Iterable[Finding]:
    """Yield one finding for each discarded tail."""
    for resume in resumes(view):
        if resume.dropped is None:
            continue
        first, last = resume.dropped
        lost = last - int(resume.join.start)
        yield Finding(
            code=CODE,
            name=NAME,
            severity="info",
            probability=0.95,
            first_step=first,
            last_step=last,
            message=(
                f"{lost:,} steps after step {resume.join.start:,.0f} were trained twice: {resume.earlier.title} had "
                f"come to step {last:,} when {resume.name} resumed from an earlier checkpoint. The later values count."
            ),
            evidence={"resumed_at": int(resume.join.start), "came_to": last, "steps": lost},
            fix=("Save more often than you can afford to lose (save_steps).",),
        )
