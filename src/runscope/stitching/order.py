"""Bring runs into the order of training, whatever order they were given in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from runscope.history import Run, Series


def in_order(runs: Sequence[Run]) -> list[Run]:
    """Runs by start time, so that the order given does not matter; a run that is given twice comes once.

    Where any lacks a time, what counts on comes later, and of runs that all begin at zero the one whose loss
    begins higher was earlier. A run that was resumed under its own id (its steps go back) is taken apart first.
    """
    parts = [part for run in runs for part in taken_apart(run)]
    starts = [begun_at(p) for p in parts]
    timed = all(s is not None for s in starts)
    keys = [
        ((start,) if timed else _progress(p), p.first_step, p.last_step, p.name, p.id, _fingerprint(p))
        for p, start in zip(parts, starts, strict=True)
    ]
    ordered = [parts[n] for n in sorted(range(len(parts)), key=lambda n: keys[n])]
    return [p for n, p in enumerate(ordered) if n == 0 or not same(p, ordered[n - 1])]


def begun_at(run: Run) -> float | None:
    """When a run began, Unix seconds: as recorded, or its first logged loss, if that is earlier (a pushed run)."""
    loss = run.role("train_loss")
    times = loss.time[np.isfinite(loss.time)] if loss is not None else np.empty(0)
    known = [t for t in (run.started_at, float(times.min()) if len(times) else None) if t is not None]
    return min(known, default=None)


def _progress(run: Run) -> tuple[float, ...]:
    """Where its counters begin (0 if at their first interval), then how low its loss begins."""
    begun = []
    for role in ("epoch", "tokens", "samples"):
        series = run.role(role)
        known = series.finite.sorted() if series is not None else None
        if known is None or len(known) < 2:
            begun.append(0.0)
            continue
        first, step = float(known.value[0]), float(known.value[1] - known.value[0])
        begun.append(first if first > 2 * step else 0.0)
    loss = run.role("train_loss")
    known = loss.finite.sorted() if loss is not None else None
    if known is None or not len(known):
        return (*begun, float(run.first_step), 0.0)
    interval = int(known.step[1] - known.step[0]) if len(known) > 1 else 1
    first_step = float(known.step[0]) if known.step[0] > 2 * interval else 0.0
    return (*begun, first_step, -float(np.median(known.value[:8])))


def _fingerprint(run: Run) -> tuple[int, float, str]:
    """Something that is the same for the same points only, whatever order the runs are given in."""
    total = sum(float(np.sum(s.value[np.isfinite(s.value)])) for s in run.series.values())
    return run.points, total, run.reference


def same(one: Run, other: Run) -> bool:
    """Whether both are the same run, read twice."""
    if (one.id, one.source, one.points) != (other.id, other.source, other.points):
        return False
    return one.series.keys() == other.series.keys() and all(
        np.array_equal(s.step, other.series[n].step)
        and np.array_equal(s.value, other.series[n].value, equal_nan=True)
        for n, s in one.series.items()
    )


def taken_apart(run: Run) -> list[Run]:
    """The sessions of a run whose own step goes back: one run a session.

    Cut by the time of the restart; without times, where each metric's own step goes back. A single point that
    was logged late (an evaluation of an earlier step) is no restart.
    """
    loss = run.role("train_loss")
    if loss is None or len(loss) < 4:
        return [run]
    back = np.flatnonzero(np.diff(loss.step) < 0) + 1
    if not len(back):
        return [run]
    timed = bool(np.isfinite(loss.time).all())
    cuts = [-np.inf, *loss.time[back], np.inf]
    sessions = []
    for number in range(len(back) + 1):
        if timed:
            series = {n: _between(s, cuts[number], cuts[number + 1]) for n, s in run.series.items()}
        else:
            series = {n: _session(s, number, len(back)) for n, s in run.series.items()}
        series = {n: s for n, s in series.items() if len(s)}
        if series:
            begun = run.started_at if number == 0 or not timed else float(cuts[number])
            last = number == len(back)
            ended = run.ended_at if last or not timed else float(cuts[number + 1])
            state = run.state if last else "killed"
            sessions.append(replace(run, series=series, started_at=begun, ended_at=ended, state=state))
    return sessions


def _between(series: Series, first: float, last: float) -> Series:
    inside = (series.time >= first) & (series.time < last)
    if first == -np.inf:
        inside |= ~np.isfinite(series.time)
    return series.where(inside)


def _session(series: Series, number: int, last: int) -> Series:
    """Points of a session by order alone; what never goes back after the last restart stays in the last session."""
    gone_back = np.concatenate([[0], np.cumsum(np.diff(series.step) < 0)])
    return series.where(gone_back == number if number < last else gone_back >= last)
