"""Bring runs into the order of training, whatever order they were given in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from runscope.history import Run, Series


def in_order(runs: Sequence[Run]) -> list[Run]:
    """Runs by start time; where any lacks one, by first step, then by name, so that the order given does not matter.

    A run that was resumed under its own id (its steps go back) is taken apart first.
    """
    parts = [part for run in runs for part in taken_apart(run)]
    timed = all(p.started_at is not None for p in parts)
    return sorted(
        parts,
        key=lambda p: ((p.started_at or 0.0) if timed else 0.0, p.first_step, p.last_step, p.name, p.id),
    )


def taken_apart(run: Run) -> list[Run]:
    """The sessions of a run whose own step goes back: one run a session, cut by the time of the restart.

    A single point that was logged late (an evaluation of an earlier step) is no restart.
    """
    loss = run.role("train_loss")
    if loss is None or len(loss) < 4 or not np.isfinite(loss.time).all():
        return [run]
    back = np.flatnonzero(np.diff(loss.step) < 0) + 1
    if not len(back):
        return [run]
    cuts = [-np.inf, *loss.time[back], np.inf]
    sessions = []
    for number in range(len(cuts) - 1):
        series = {n: _between(s, cuts[number], cuts[number + 1]) for n, s in run.series.items()}
        series = {n: s for n, s in series.items() if len(s)}
        if series:
            begun = run.started_at if number == 0 else float(cuts[number])
            sessions.append(replace(run, series=series, started_at=begun))
    return sessions


def _between(series: Series, first: float, last: float) -> Series:
    inside = (series.time >= first) & (series.time < last)
    if first == -np.inf:
        inside |= ~np.isfinite(series.time)
    return series.where(inside)
