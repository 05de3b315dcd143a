"""What the learning-rate schedules say: one that goes on, one that was planned to finish the rest."""

from __future__ import annotations

from math import log

import numpy as np

from runscope.stitching.evidence import Candidate
from runscope.stitching.profile import Profile

SAME_RATE = 0.02
"""Rates within 2% of each other are equal: they are logged rounded, and one step apart."""
FINISHES_PLAN = 0.5
"""Share of restarted runs with a schedule of their own length that are planned to finish what was planned first.
Nothing is known of how often people do otherwise; half leaves the curve a say."""


def goes_on(before: Profile, after: Profile) -> list[Candidate]:
    """The schedule goes on while the step restarts: where the later run's rates lie on the earlier run's curve.

    Both fall to zero in a straight line (or a cosine): the distance of their ends is the offset, if with it
    the rates of the later run are those that the earlier one had, or was to have.
    """
    offset = _distance(before, after)
    if offset is None or offset[0] < 2 * before.interval or after.rate is None or before.rate is None:
        return []
    off = round(offset[0])
    then = before.rate.at(after.rate.step + off)
    known = np.isfinite(then) & (then > 0)
    if known.sum() < 3:
        return []
    apart = np.abs(after.rate.value[known] / then[known] - 1)
    if float(np.max(apart)) > SAME_RATE or float(np.ptp(then[known])) < SAME_RATE * float(then[known].max()):
        return []
    why = ("its learning rates are those of the run before from step {} on: the schedule goes on", (off,))
    return [Candidate(off, "schedule", why=[why])]


def weigh(before: Profile, after: Profile, candidates: list[Candidate]) -> None:
    """Add to each candidate the likelihood of the later run's planned length.

    A run of the whole length again tells nothing. One whose schedule ends as many steps earlier as a candidate
    lies late was most likely planned to finish the first plan: the places where the two ends differ so are one in
    (length / logging interval).
    """
    distance = _distance(before, after)
    if distance is None:
        return
    offset, unsure = distance
    slack = max(before.interval, after.interval, 2 * unsure)
    if offset < 2 * slack:
        return
    share = FINISHES_PLAN / (1 - FINISHES_PLAN)
    gain = log(1 + share * max(1.0, before.last_step / (2 * slack)))
    for candidate in candidates:
        if abs(candidate.offset - offset) <= max(slack, candidate.span / 2):
            candidate.weights["plan"] = gain
            candidate.say(
                "its learning rate is planned to end where the plan of the run before ends, if it starts from "
                "step {}",
                candidate.join,
            )


def _distance(before: Profile, after: Profile) -> tuple[float, float] | None:
    """How many steps earlier the later run's schedule ends, and the standard error of that."""
    if before.decay is None or after.decay is None:
        return None
    return before.decay[0] - after.decay[0], float(np.hypot(before.decay[1], after.decay[1]))
