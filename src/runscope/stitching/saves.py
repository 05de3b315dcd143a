"""Saved states that a restarted run can have begun from."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np

from runscope.history.checkpoint import Checkpoint
from runscope.stitching.evidence import Candidate
from runscope.stitching.profile import Profile, save_interval

MOST_CANDIDATES = 400
CLOCK_SLACK_SECONDS = 60.0
"""A commit or a last log may come so much later than the state that it belongs to."""
REACH = 0.1
"""Where nothing tells when states were saved, a state is taken to be saved about ten times a run."""
ENDED_EARLY = 0.05
"""How likely a run that finished before its planned end has saved its very last step, and that was used."""


def saved_states(
    before: Profile, after: Profile, checkpoints: Sequence[Checkpoint]
) -> tuple[list[Candidate], bool]:
    """States of the earlier run that existed when the later one started, newest first, and whether they are known.

    Known ones come from the repository or from ``save_steps``; otherwise every logged step may be one.
    """
    steps, source = _pushed(before, after, checkpoints), "that the repository holds"
    if not steps:
        every = save_interval(before, after)
        if every is None:
            return _grid(before, after), False
        steps, source = _multiples(every, before), f"that save_steps={every} leaves"
    reached = reached_step(before, after)
    found = [_candidate(step, place, source) for place, step in enumerate(s for s in steps if s <= reached)]
    last = before.last_step
    if (
        before.run.state == "finished"
        and last <= reached
        and (not steps or last - steps[0] > before.interval)
    ):
        weight = 0.0 if _complete(before) else log(ENDED_EARLY)
        found.insert(0, Candidate(last, "checkpoint", weights={"finished": weight}))
        found[0].say("step {} is where the run before finished", last)
    return found, True


def _candidate(step: int, place: int, source: str) -> Candidate:
    which = "the last" if place == 0 else f"number {place + 1} from the end"
    return Candidate(step, "checkpoint", why=[(f"step {{}} is {which} of the states {source}", (step,))])


def _pushed(before: Profile, after: Profile, checkpoints: Sequence[Checkpoint]) -> list[int]:
    """Own steps of the commits that the earlier run made, newest first."""
    found = set()
    for checkpoint in checkpoints:
        step, when = checkpoint.own_step, checkpoint.saved_at
        if step is None or not 0 < step <= before.last_step + before.interval:
            continue
        if (
            when is not None
            and after.run.started_at is not None
            and when > after.run.started_at + CLOCK_SLACK_SECONDS
        ):
            continue
        if when is not None and before.run.started_at is not None and when < before.run.started_at:
            continue
        found.add(step)
    return sorted(found, reverse=True)[:MOST_CANDIDATES]


def _multiples(every: int, before: Profile) -> list[int]:
    first = every * (int(max(before.first_step - before.interval, 0)) // every + 1)
    return list(range(first, before.last_step + 1, every))[::-1][:MOST_CANDIDATES]


def reached_step(before: Profile, after: Profile) -> float:
    """How far the earlier run was when the later one started; without clocks, all of it."""
    loss, started = before.loss, after.run.started_at
    if loss is None or not len(loss) or started is None:
        return float("inf")
    if not np.isfinite(loss.time[-1]) or loss.time[-1] <= started + CLOCK_SLACK_SECONDS:
        return float("inf")
    count = int(np.sum(loss.time <= started + CLOCK_SLACK_SECONDS))
    return float(loss.step[count - 1]) if count else float("-inf")


def _complete(before: Profile) -> bool:
    """Whether the earlier run reached its planned end."""
    planned = before.run.setting("max_steps")
    if planned is not None:
        return bool(before.last_step >= planned - before.interval)
    return before.decay is None or before.last_step >= before.decay[0] - 2 * before.interval


def _grid(before: Profile, after: Profile) -> list[Candidate]:
    """Every logged step, or as many as are tried; the later, the likelier."""
    loss = before.loss
    if loss is None or not len(loss):
        return [Candidate(before.last_step, "checkpoint", why=[("it starts where the run before ended", ())])]
    steps = loss.step[loss.step <= reached_step(before, after)]
    if not len(steps):
        return []
    chosen = np.unique(
        np.rint(np.linspace(steps[0], steps[-1], min(len(steps), MOST_CANDIDATES))).astype(np.int64)
    )
    span = float(np.median(np.diff(chosen))) if len(chosen) > 1 else before.interval
    length = max(float(steps[-1] - steps[0]), 1.0)
    return [
        Candidate(
            int(step), "checkpoint", span=max(span, before.interval),
            weights={"newest": -float(steps[-1] - step) / (REACH * length)},
            why=[("nothing tells when states were saved; step {} is one of those that were logged", (int(step),))],
        )
        for step in chosen[::-1]
    ]  # fmt: skip
