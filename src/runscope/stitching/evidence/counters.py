"""Counters that go on across a restart: the run's own record, global step, epochs, tokens, samples."""

from __future__ import annotations

from math import log1p

import numpy as np

from runscope.history import Method, Series
from runscope.stats.arrays import Floats
from runscope.stitching.evidence.candidate import Candidate
from runscope.stitching.profile import Profile, clock_rate, interval_of, save_interval

EARLY_INTERVALS = 2.0
"""A counter that begins within so many of its own logging intervals of zero has restarted."""
SAME_POINTS = 3
"""So many equal losses in a row are no chance."""


def recorded(before: Profile, after: Profile) -> list[Candidate]:
    """The join that the run itself recorded: a fork, rewind, resume or ``resume_from_checkpoint`` with a step."""
    lineage = after.run.lineage
    if lineage is None or lineage.step is None or lineage.run_id not in (
        None, before.run.id, before.run.recorded.get("run"),
    ):  # fmt: skip
        return []
    step = lineage.step
    if lineage.step_key == "_step" and before.run.step_key != "_step":
        counter = before.run.series.get("_step")
        if counter is None or not len(counter):
            return []
        # The record counts rows; the run counts steps: look up the row.
        step = int(counter.step[min(int(np.searchsorted(counter.value, step)), len(counter) - 1)])
    if step < before.first_step - before.interval:
        return []
    goes_on = after.run.first_step > step - after.interval
    what = "checkpoint" if lineage.kind == "checkpoint" else lineage.kind
    why = (f"the run itself recorded that it starts from step {{}} ({what})", (step,))
    if goes_on:
        return [_gap(Candidate(0, "resume_metadata", step, why=[why]), before)]
    candidate = Candidate.at(step, after.base, 1.0, "resume_metadata")
    candidate.why = [why]
    return [_gap(candidate, before)]


def _gap(candidate: Candidate, before: Profile) -> Candidate:
    """Steps that nobody logged lie before the place: the longer the hole, the less likely it is one training."""
    hole = candidate.start - before.last_step
    if hole > 0:
        length = max(before.last_step - before.base, 10 * before.interval)
        candidate.weights["gap"] = -log1p(hole / length)
    return candidate


def carried_history(before: Profile, after: Profile) -> list[Candidate]:
    """The later run holds the earlier one's points: a ``trainer_state.json`` carries its history across resumes.

    Only such a file is asked: a second run with the same seed logs the same points too, and continues nothing.
    """
    old, new = before.loss, after.loss
    if (
        after.run.source != "trainer-state"
        or old is None
        or new is None
        or after.last_step <= before.first_step
    ):
        return []
    common, mine, theirs = np.intersect1d(old.step, new.step, assume_unique=True, return_indices=True)
    same = np.isclose(old.value[mine], new.value[theirs], rtol=1e-6, atol=0.0)
    until = len(same) if same.all() else int(np.argmin(same))
    if until < SAME_POINTS:
        return []
    start = int(common[until - 1])
    every = save_interval(before, after)
    if before.run.source == "trainer-state":
        # Such a file is written with the state: where it ends, a state was saved.
        if after.last_step < start:
            return []
    elif after.last_step <= start:
        return []
    elif every is not None and every <= start:
        # A resumed run that sees the same data in the same order logs the same losses for a while.
        start = every * (start // every)
    found = Candidate(0, "resume_metadata", start)
    found.say("it holds the same points up to step {}", start)
    return [found]


def global_step(before: Profile, after: Profile) -> list[Candidate]:
    """The run's own step goes on: its first logged step lies far from zero."""
    first, interval = after.first_step, after.interval
    if first <= EARLY_INTERVALS * interval or after.run.step_key == "row" or after.only_evaluated:
        return []
    if after.loss is not None and len(after.loss) == 1 and first <= before.first_step:
        return []  # one row shows no interval: it may be the first row of a training from scratch, as the other's is
    counted_by_rows = "_step" in (after.run.step_key, before.run.step_key) and before.run.id != after.run.id
    if counted_by_rows and after.run.first_step <= EARLY_INTERVALS * interval:
        # W&B's own counter begins at 0 in every new run, unless its steps were given by hand (``step=``).
        return []
    start = round(first - interval)
    if start < before.first_step - before.interval:
        return []
    why = (
        f"its first logged {after.run.step_key} is {first:,}: the counter goes on, after step {{}}",
        (start,),
    )
    return [_gap(Candidate(0, "global_step", start, why=[why]), before)]


def epochs(before: Profile, after: Profile) -> list[Candidate]:
    """The epoch counter goes on while the step restarts."""
    return _clock(before, after, before.epoch, after.epoch, "epoch", "epoch")


def tokens(before: Profile, after: Profile) -> list[Candidate]:
    """The count of seen tokens goes on while the step restarts."""
    return _clock(before, after, before.tokens, after.tokens, "tokens", "token count")


def samples(before: Profile, after: Profile) -> list[Candidate]:
    """The count of seen samples goes on while the step restarts."""
    return _clock(before, after, before.samples, after.samples, "tokens", "sample count")


def _clock(
    before: Profile, after: Profile, old: Series | None, new: Series | None, method: Method, label: str
) -> list[Candidate]:
    """Align a clock that both runs logged: where the earlier one had the value that the later one began with."""
    if old is None or new is None or len(old) < 2 or len(new) < 2:
        return []
    if old.value[-1] <= old.value[0] or new.value[-1] <= new.value[0]:
        return []
    old_rate, new_rate = _rate(old), _rate(new)
    begun = float(new.value[0] - new_rate * new.step[0])
    if new.value[0] <= EARLY_INTERVALS * new_rate * max(interval_of(new), 1) + 1e-9 or begun <= 0:
        return []
    if begun < old.value[0] - old_rate * max(interval_of(old), 1) - old_rate * old.step[0]:
        return []
    scale = new_rate / old_rate
    scale = 1.0 if abs(scale - 1) < 0.05 else scale
    turned = _turns(new, first=False) if _is_stairs(old) and _is_stairs(new) else new
    head = slice(0, min(len(turned), 50))
    shown = _turns(old) if _is_stairs(old) else old
    at_begin = _step_at(shown, old_rate, turned.value[head] - old_rate * scale * turned.step[head])
    offset = round(float(np.median(at_begin)))
    start = round(offset + scale * after.base)
    # A run whose step goes on as well is no matter of clocks.
    if start < before.first_step or offset <= 0:
        return []
    why = (
        f"its {label} begins at {new.value[0]:,.6g}, which the run before reached at step {{}}"
        if start <= before.last_step
        else f"its {label} begins at {new.value[0]:,.6g}: after step {{}}, which the run before did not log",
        (start,),
    )
    return [_gap(Candidate(offset, method, start, scale, why=[why]), before)]


def _is_stairs(series: Series) -> bool:
    """Whether a clock counts whole units only (epochs begun), each over several logged points."""
    value = series.value
    return bool(np.all(value == np.rint(value))) and 2 * len(np.unique(value)) <= len(value)


def _turns(series: Series, *, first: bool = True) -> Series:
    """The points at which a clock of whole units turns: between them it stands, and tells nothing of where it is.

    Args:
        series: the clock.
        first: keep its first point, which may lie in the middle of a unit.
    """
    return series.where(np.append(first, np.diff(series.value) > 0))


def _rate(series: Series) -> float:
    """Units of a clock a step; one of whole units is measured from turn to turn, with a single turn from its start."""
    if not _is_stairs(series):
        return clock_rate(series)
    turns = _turns(series, first=False)
    turns = turns if len(turns) > 1 else _turns(series)
    return float((turns.value[-1] - turns.value[0]) / (turns.step[-1] - turns.step[0]))


def _step_at(series: Series, rate: float, value: Floats) -> Floats:
    """Steps at which a clock showed the values; beyond its ends it goes on at its mean rate."""
    inside = np.interp(value, series.value, series.step)
    after = series.step[-1] + (value - series.value[-1]) / rate
    return np.asarray(np.where(value > series.value[-1], after, inside))
