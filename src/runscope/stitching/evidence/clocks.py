"""What the clocks say. They are evidence with an error: machines lie, notebooks sleep, files are copied."""

from __future__ import annotations

from math import log

from runscope.stitching.evidence.candidate import Candidate
from runscope.stitching.evidence.saves import CLOCK_SLACK_SECONDS
from runscope.stitching.profile import Profile

WRONG = 0.02
"""How often a clock says that a resumed run began before the one that it continues had come so far."""
FORKS = 0.03
"""How often a run that continues another begins while that still runs, from a state that it had saved by then."""
BESIDE = 0.35
"""How often two runs that a person names together, and that do not belong together, ran side by side or in the other
order: seeds and sweeps."""


def overlaps(before: Profile, after: Profile) -> bool:
    """Whether by the clocks the later run began before the earlier one had ended."""
    started, loss = after.run.started_at, before.loss
    if started is None:
        return False
    ended = before.run.ended_at
    if loss is not None and len(loss) and loss.time[-1] == loss.time[-1]:
        ended = float(loss.time[-1])
    return ended is not None and ended > started + CLOCK_SLACK_SECONDS


def weigh(before: Profile, after: Profile, candidates: list[Candidate]) -> None:
    """Add to each candidate how likely the clocks are with it."""
    if not overlaps(before, after):
        return
    for candidate in candidates:
        candidate.weights["clock"] = log((FORKS if candidate.by_then else WRONG) / BESIDE)
