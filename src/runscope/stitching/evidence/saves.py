"""Saved states that a restarted run can have begun from."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, log

import numpy as np

from runscope.history.checkpoint import Checkpoint
from runscope.stitching.evidence.candidate import Candidate
from runscope.stitching.profile import Profile, clock_rate, save_interval

MOST_CANDIDATES = 150
CLOCK_SLACK_SECONDS = 60.0
"""A commit or a last log may come so much later than the state that it belongs to."""
REACH, UNSAVED_SHARE = 0.1, 0.05
"""Where nothing tells when states were saved, a state is taken to be saved about ten times a run, and none in its
first twentieth."""
ENDED_EARLY = 0.05
"""How likely a run that finished before its planned end has saved its very last step, and that was used."""
LOST = ((4.0, 0.3), (20.0, 0.05))
"""How likely a killed run has reached a state that it did not log any more, by how many logging intervals that lies
beyond its last row: rows wait in a buffer, and the row of a saved step is often written after the state."""
LOST_TIMED = 0.92
"""The same where its clock went on for long enough to reach it."""
NOT_KILLED = 0.2
"""How much less likely that is where the run says that it finished."""


def saved_states(
    before: Profile, after: Profile, checkpoints: Sequence[Checkpoint], scale: float = 1.0
) -> tuple[list[Candidate], bool]:
    """States of the earlier run, newest first, and whether they are known.

    Known ones come from the repository or from ``save_steps``; otherwise every logged step may be one. A state that
    was saved only after the later run began stays a candidate: clocks are wrong at times.
    """
    steps, source = _pushed(before, after, checkpoints), "that the repository holds"
    if not steps:
        every = _every(before, after)
        if every is None:
            return _grid(before, after, scale), False
        steps, source = _multiples(every, before), f"that save_steps={every} leaves"
    if before.broken:
        steps = [step for step in steps if step <= before.last_step + 1]
    found = [Candidate.at(step - 1 if before.zero_based else step, after.base, scale) for step in steps]
    beyond = [_unlogged(before, c.start) if source.startswith("that save") else 1.0 for c in found]
    reached = reached_step(before, after)
    place = 0  # of those that are known to be there
    for candidate, exists in zip(found, beyond, strict=True):
        candidate.exists = exists
        if candidate.start > reached:
            candidate.by_then = False
            candidate.say("by the clocks, step {} was saved after it had begun", candidate.start)
            continue
        if exists < 1:
            candidate.say(
                "the run before may have saved step {}, which it did not log any more", candidate.start
            )
            continue
        which = (
            ("the newest", "the second newest")[place]
            if place < 2
            else f"number {place + 1} counted from the newest"
        )
        candidate.say(f"step {{}} is {which} of the checkpoints {source}", candidate.start)
        place += 1
    last = before.last_step
    if (
        before.run.state == "finished"
        and not before.broken
        and all(abs(c.start - last) > before.interval for c in found)
    ):
        weight = 0.0 if complete(before) else log(ENDED_EARLY)
        end = Candidate.at(last, after.base, scale)
        end.finished, end.prior = True, weight
        end.say("step {} is where the run before finished", last)
        found.insert(0, end)
    return found, True


def _pushed(before: Profile, after: Profile, checkpoints: Sequence[Checkpoint]) -> list[int]:
    """Steps of the commits that the earlier run made, newest first; a dated one may be newer than its last row."""
    found = set()
    started = before.run.started_at if before.run.started_at is not None else -inf
    begun = after.run.started_at if after.run.started_at is not None else inf
    for checkpoint in checkpoints:
        step, when = checkpoint.own_step, checkpoint.saved_at
        if step is None or step <= 0:
            continue
        if when is None or begun == inf:
            if step > before.last_step + before.interval:
                continue
        elif not started <= when <= begun + CLOCK_SLACK_SECONDS:
            continue
        found.add(step)
    return sorted(found, reverse=True)[:MOST_CANDIDATES]


def _every(before: Profile, after: Profile) -> int | None:
    """Steps from one saved state to the next."""
    if (
        before.run.config.get("save_strategy") == "epoch"
        and before.epoch is not None
        and len(before.epoch) > 2
    ):
        rate = clock_rate(before.epoch)
        return round(1 / rate) if 0 < rate <= 1 else None
    return save_interval(before, after)


def _multiples(every: int, before: Profile) -> list[int]:
    first = every * (int(max(before.base, 0)) // every + 1)
    last = before.last_step + (1 if before.zero_based else 0)
    steps = list(range(first, last + 1, every))
    following = every * (last // every + 1)
    if _unlogged(before, following - (1 if before.zero_based else 0)) > 0:
        steps.append(following)
    return steps[::-1][:MOST_CANDIDATES]


def _unlogged(before: Profile, step: int) -> float:
    """How likely the earlier run reached a step of its axis beyond its last row and saved there."""
    rows = (step - before.last_step) / before.interval
    if rows <= 0:
        return 1.0
    if before.broken:
        return 0.0
    if (complete(before) and before.decay is not None) or _planned(before) == before.last_step:
        return 0.0
    killed = 1.0 if before.run.state != "finished" else NOT_KILLED
    loss, ended = before.loss, before.run.ended_at
    if loss is not None and len(loss) > 3 and ended is not None and np.isfinite(loss.time[-1]):
        recent = loss.time[-min(len(loss), 50) :]
        pace = float(np.nanmedian(np.diff(recent)))
        if pace > 0 and (ended - float(loss.time[-1])) / pace >= rows:
            return LOST_TIMED if before.run.state != "finished" else NOT_KILLED * LOST_TIMED
    return next((killed * share for most, share in LOST if rows <= most), 0.0)


def _planned(before: Profile) -> float | None:
    return before.run.setting("max_steps")


def reached_step(before: Profile, after: Profile) -> float:
    """How far the earlier run was when the later one started; without clocks, all of it."""
    loss, started = before.loss, after.run.started_at
    if loss is None or not len(loss) or started is None:
        return float("inf")
    if not np.isfinite(loss.time[-1]) or loss.time[-1] <= started + CLOCK_SLACK_SECONDS:
        return float("inf")
    count = int(np.sum(loss.time <= started + CLOCK_SLACK_SECONDS))
    return float(loss.step[count - 1]) if count else float("-inf")


def complete(before: Profile) -> bool:
    """Whether the earlier run reached its planned end."""
    planned = _planned(before)
    if planned:
        return bool(before.last_step >= planned - before.interval)
    return before.decay is None or before.last_step >= before.decay[0] - 2 * before.interval


def _grid(before: Profile, after: Profile, scale: float) -> list[Candidate]:
    """Every logged step, or as many as are tried; the later, the likelier."""
    loss = before.loss
    if loss is None or not len(loss):
        last = Candidate.at(before.last_step, after.base, scale)
        last.say("it starts where the run before ended")
        return [last]
    steps, reached = loss.step, reached_step(before, after)
    steps = steps[steps >= before.base + UNSAVED_SHARE * (before.last_step - before.base)]
    count = min(len(steps), MOST_CANDIDATES)
    chosen = np.unique(np.rint(np.linspace(steps[0], steps[-1], count)).astype(np.int64))
    span = float(np.median(np.diff(chosen))) if len(chosen) > 1 else before.interval
    length = max(float(steps[-1] - steps[0]), 1.0)
    found = []
    for step in chosen[::-1]:
        candidate = Candidate.at(int(step), after.base, scale)
        candidate.span = max(span, before.interval)
        candidate.prior = -float(steps[-1] - step) / (REACH * length)
        if step > reached:
            candidate.by_then = False
        candidate.say(
            "nothing tells when states were saved; step {} is one of those that were logged", int(step)
        )
        found.append(candidate)
    return found
