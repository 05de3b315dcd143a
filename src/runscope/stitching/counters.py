"""Counters that go on across a restart: the run's own record, global step, epochs, tokens."""

from __future__ import annotations

import numpy as np

from runscope.history import Method, Run, Series
from runscope.stitching.evidence import Candidate, Line, interval_of

EARLY_INTERVALS = 2.0
"""A counter that begins within so many of its own logging intervals of zero has restarted."""


def recorded(line: Line, run: Run) -> list[Candidate]:
    """The join that the run itself recorded: a fork, rewind or resume with a step."""
    lineage = run.lineage
    if lineage is None or lineage.step is None or lineage.run_id not in (None, line.run.id):
        return []
    step = lineage.step
    if lineage.step_key == "_step" and line.run.step_key != "_step":
        counter = line.run.series.get("_step")
        if counter is None or not len(counter):
            return []
        # The record counts rows; the line counts steps: look up the row.
        step = int(counter.step[min(int(np.searchsorted(counter.value, step)), len(counter) - 1)])
    first = run.first_step
    goes_on = first > step - interval_of(run.role("train_loss"))
    why = f"the run itself recorded a {lineage.kind} from step {step:,}"
    return [Candidate(0 if goes_on else step, "resume_metadata", start=step, why=[why])]


def global_step(line: Line, run: Run) -> list[Candidate]:
    """The run's own step goes on: its first logged step lies far from zero."""
    loss = run.role("train_loss")
    series = loss.finite.sorted() if loss is not None else None
    interval = interval_of(series)
    first = int(series.step[0]) if series is not None and len(series) else run.first_step
    if first <= EARLY_INTERVALS * interval or run.step_key in ("_step", "row"):
        return []
    start = round(first - interval)
    if start > line.last_step + max(10 * line.interval, 0.5 * line.last_step):
        return []
    why = (
        f"its first logged {run.step_key} is {first:,}, one logging interval after step {start:,}: "
        "the counter goes on"
    )
    return [Candidate(0, "global_step", start=start, why=[why])]


def epochs(line: Line, run: Run) -> list[Candidate]:
    """The epoch counter goes on while the step restarts."""
    return _clock(line.epoch, run.role("epoch"), "epoch", "epoch")


def tokens(line: Line, run: Run) -> list[Candidate]:
    """The count of seen tokens goes on while the step restarts."""
    return _clock(line.tokens, run.role("tokens"), "tokens", "token count")


def _clock(before: Series | None, after: Series | None, method: Method, label: str) -> list[Candidate]:
    """Align a clock that both runs logged: where the line had the value that the run started with."""
    if before is None or after is None or len(before) < 3 or len(after) < 3:
        return []
    old, new = before.finite.sorted(), after.finite.sorted()
    if len(old) < 3 or len(new) < 3 or old.value[-1] <= old.value[0] or new.value[-1] <= new.value[0]:
        return []
    old_rate = _rate(old)
    new_rate = _rate(new)
    begun = float(new.value[0] - new_rate * new.step[0])
    if new.value[0] <= EARLY_INTERVALS * new_rate * max(interval_of(new), 1) + 1e-9 or begun <= 0:
        return []
    scale = new_rate / old_rate
    scale = 1.0 if abs(scale - 1) < 0.05 else scale
    at_begin = _step_at(
        old, old_rate, new.value[: min(len(new), 50)] - old_rate * scale * new.step[: min(len(new), 50)]
    )
    offset = round(float(np.median(at_begin)))
    if offset <= 0:
        return []
    why = f"its {label} begins at {new.value[0]:,.6g}, which the line reached at step {offset:,}"
    if scale != 1.0:
        why += f"; one of its steps covers {scale:.3g} steps of the line"
    return [Candidate(offset, method, scale=scale, why=[why])]


def _rate(series: Series) -> float:
    """Value per step, robust against a clock that is rounded or stands still for a while."""
    return float((series.value[-1] - series.value[0]) / (series.step[-1] - series.step[0]))


def _step_at(series: Series, rate: float, value: np.ndarray) -> np.ndarray:
    """Steps at which a clock showed the values; beyond its ends it goes on at its mean rate."""
    inside = np.interp(value, series.value, series.step)
    after = series.step[-1] + (value - series.value[-1]) / rate
    return np.asarray(np.where(value > series.value[-1], after, inside))
