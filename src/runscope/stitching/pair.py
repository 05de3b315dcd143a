"""Whether one run continues another, and from where: every piece of evidence about two runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import log

from runscope.history.checkpoint import Checkpoint
from runscope.stitching.evidence import clocks, counters, held_out, repeats, schedule
from runscope.stitching.evidence.candidate import Candidate
from runscope.stitching.evidence.kinship import UNTIED, Kinship, handed_over, kinship
from runscope.stitching.evidence.pace import Pace, pace
from runscope.stitching.evidence.saves import REACH, UNSAVED_SHARE, complete, reached_step, saved_states
from runscope.stitching.profile import Profile

COUNTER_SURE = {
    "resume_metadata": 0.995,
    "global_step": 0.99,
    "epoch": 0.97,
    "tokens": 0.98,
    "schedule": 0.97,
    "curve": 0.99,
}
"""How often a counter that goes on is right, on interrupted runs with a known join."""
GOES_ON, RECORDED, RESTARTED = log(100.0), log(3000.0), log(0.6)
"""A counter that goes on is itself evidence of kinship: half of all resumed runs have one, and hardly any run that
continues nothing begins far from zero. A record is proof, and so are the very losses once more. A counter that
restarted is weak evidence against."""
PROOF = ("resume_metadata", "curve")
COMPLETE, FINISHED, SAME_LENGTH = log(0.2 / 0.6), log(0.4 / 0.7), log(0.05 / 0.4)
"""A run that reached the end of its plan is continued less often than it stands beside another; so is, by less, one
that ended by itself and of which no plan is known. Two finished runs of one length are mostly two trainings."""
SAME_ORDER = log(20.0)
"""Runs whose single batches agree so well have to do with each other, whatever they are called."""
NOT_HANDED_OVER = log(0.02)
"""Whose model is what the run before wrote begins from the state that this names, or from its last one."""
NOT_TRAINED = log(0.02)
"""A run that only evaluated goes on from no state."""
EARLIEST = 0.01
"""Share of runs that save a state as soon as they have logged anything."""
_CHECKPOINT = re.compile(r"(?:checkpoint|step|ckpt)[-_=]?(\d+)")
COUNTERS = (
    counters.recorded, counters.carried_history, counters.global_step, counters.epochs, counters.tokens,
    counters.samples, repeats.exactly, schedule.goes_on,
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """Evidence about two runs; the curves are weighed later, for all earlier runs alike.

    Attributes:
        candidates: places of the join on the earlier run's axis, newest first.
        counted: a counter goes on; there is one candidate then.
        known: the saved states are known; otherwise the candidates are a grid.
        kin: what names, settings and what is logged say.
        heir: its model is what the earlier run wrote.
        beside: log-likelihood ratio, without the curves, that it is another training of the project, from scratch.
    """

    candidates: list[Candidate]
    counted: bool
    known: bool
    kin: Kinship
    beside: float = 0.0
    heir: bool = False
    other_data: tuple[str, ...] = field(default=())


def compare(
    before: Profile, after: Profile, checkpoints: Sequence[Checkpoint] = (), *, scale: float | None = None
) -> Pair:
    """Collect what is known about two runs.

    Counters are asked in order of strength, the first that goes on decides; the saved states are asked where
    every counter restarted.
    """
    kin = kinship(before, after)
    for counter in COUNTERS:
        found = counter(before, after)
        if found:
            best = _snapped(found[0], before, after, checkpoints)
            best.weights["counter"] = RECORDED if best.method in PROOF else GOES_ON
            best.by_then = best.start <= reached_step(before, after)
            clocks.weigh(before, after, [best])
            return Pair([best], True, True, kin)
    step = pace(before, after) if scale is None else Pace(scale, "the scale was given by hand", 0.0, 0.0)
    states, known = saved_states(before, after, checkpoints, step.scale)
    ended = _ended(before, after)
    saved = 0.0 if known else _saved_by_then(before, after, step.scale)
    for state in states:
        state.scale = step.scale
        state.weights["counter"] = RESTARTED
        state.weights["ended"] = ended
        state.weights["saved"] = saved
        if after.only_evaluated:
            state.weights["trained"] = NOT_TRAINED
        state.weights["scale"] = step.continues
        if step.why:
            state.say(step.why)
    order = repeats.again(before, after)
    # Of trainings of one project about as many see their data in one order as of resumed runs that begin it anew.
    beside = step.beside + order
    beside += schedule.weigh(before, after, states)
    clocks.weigh(before, after, states)
    beside += held_out.weigh(before, after, states)
    repeats.weigh(before, after, states)
    if max((s.weights.get("order", 0.0) for s in states), default=0.0) > order + SAME_ORDER:
        kin = replace(kin, tied=True)
    if not kin.tied:
        kin = replace(kin, odds=kin.odds + UNTIED)
    heir = handed_over(before.run.config, after.run.config)
    if heir:
        _named(heir, states)
    return Pair(states, False, known, kin, beside, bool(heir))


def _named(model: str, states: list[Candidate]) -> None:
    """Add to each state whether it is the one that the later run's model names."""
    number = _CHECKPOINT.search(model)
    newest = max((s.start for s in states if s.exists == 1.0), default=0)
    for state in states:
        if state.start not in ((int(number[1]), int(number[1]) - 1) if number else (newest,)):
            state.weights["model"] = NOT_HANDED_OVER


def _saved_by_then(before: Profile, after: Profile, scale: float) -> float:
    """Log-probability that the earlier run lived long enough to save a state at all, where nothing tells when.

    As in :mod:`runscope.stitching.evidence.saves`, states are taken to be saved about ten times in the length that
    was planned (where no plan is known: that the later run has), and hardly any in its first twentieth. A run that
    reached its planned end saved that.
    """
    if before.run.state == "finished" and before.planned and complete(before):
        return 0.0
    planned = before.decay[0] if before.decay is not None else before.run.setting("max_steps")
    length = float(planned) - before.base if planned else scale * (after.last_step - after.base)
    share = (before.last_step - before.base) / length if length > 0 else 1.0
    return log(min(max((share - UNSAVED_SHARE) / REACH, share, EARLIEST), 1.0))


def _ended(before: Profile, after: Profile) -> float:
    """What it says of kinship how the earlier run ended."""
    if before.run.state != "finished" or not complete(before):
        return 0.0
    if after.run.state == "finished" and (before.base, before.last_step) == (after.base, after.last_step):
        return SAME_LENGTH
    return COMPLETE if before.planned else FINISHED


def _snapped(
    found: Candidate, before: Profile, after: Profile, checkpoints: Sequence[Checkpoint]
) -> Candidate:
    """A clock is rounded: a saved state within one logging interval of it is where the run began."""
    if found.method in (*PROOF, "schedule"):
        return found
    near = max(before.interval, after.interval * found.scale)
    states, known = saved_states(before, after, checkpoints, found.scale)
    states = [s for s in states if not s.finished]
    close = min(states, key=lambda s: abs(s.start - found.start), default=None)
    if not known or close is None or abs(close.start - found.start) > near:
        return found
    why = [*found.why, ("a state was saved at step {}", (close.start,))]
    if found.method == "global_step":
        return replace(found, start=close.start, why=why)
    return replace(found, offset=close.offset, start=close.start, why=why)
