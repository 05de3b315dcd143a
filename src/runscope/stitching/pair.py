"""Whether one run continues another, and from where: every piece of evidence about two runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from runscope.history.checkpoint import Checkpoint
from runscope.stitching import counters, schedule
from runscope.stitching.evidence import Candidate
from runscope.stitching.kinship import kinship
from runscope.stitching.pace import pace
from runscope.stitching.profile import Profile
from runscope.stitching.saves import saved_states

COUNTER_SURE = {
    "resume_metadata": 0.995,
    "global_step": 0.99,
    "epoch": 0.97,
    "tokens": 0.98,
    "schedule": 0.97,
}
"""How often a counter that goes on is right, on interrupted runs with a known join."""
COUNTER_ODDS, RECORD_ODDS = 3.0, 8.0
"""A counter that goes on is itself evidence of kinship: an unrelated run begins at zero. A record is proof."""
COUNTERS = (
    counters.recorded, counters.carried_history, counters.global_step, counters.epochs, counters.tokens,
    counters.samples, schedule.goes_on,
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """Evidence about two runs; the curves are weighed later, for all earlier runs alike.

    Attributes:
        candidates: places of the join on the earlier run's axis, newest first.
        counted: a counter goes on; there is one candidate then.
        known: the saved states are known; otherwise the candidates are a grid.
        odds: log-odds that the two are one training.
        kin: why.
    """

    candidates: list[Candidate]
    counted: bool
    known: bool
    odds: float
    kin: list[str]


def compare(before: Profile, after: Profile, checkpoints: Sequence[Checkpoint] = ()) -> Pair:
    """Collect what is known about two runs.

    Counters are asked in order of strength, the first that goes on decides; the saved states are asked where
    every counter restarted.
    """
    odds, kin = kinship(before, after)
    for counter in COUNTERS:
        found = counter(before, after)
        if found:
            best = _snapped(found[0], before, after, checkpoints)
            proof = RECORD_ODDS if best.method == "resume_metadata" else COUNTER_ODDS
            return Pair([best], True, True, odds + proof, kin)
    states, known = saved_states(before, after, checkpoints)
    scale, why = pace(before, after)
    for state in states:
        state.scale = scale
        if why:
            state.say(why)
    schedule.weigh(before, after, states)
    return Pair(states, False, known, odds, kin)


def _snapped(
    found: Candidate, before: Profile, after: Profile, checkpoints: Sequence[Checkpoint]
) -> Candidate:
    """A clock is rounded: a saved state within one logging interval of it is where the run began."""
    if found.method in ("resume_metadata", "schedule"):
        return found
    near = max(before.interval, after.interval * found.scale)
    states, known = saved_states(before, after, checkpoints)
    states = [s for s in states if "finished" not in s.weights]
    close = min(states, key=lambda s: abs(s.offset - found.join), default=None)
    if not known or close is None or abs(close.offset - found.join) > near:
        return found
    why = [*found.why, ("a state was saved at step {}", (close.offset,))]
    if found.method == "global_step":
        return replace(found, start=close.offset, why=why)
    return replace(found, offset=close.offset, why=why)
