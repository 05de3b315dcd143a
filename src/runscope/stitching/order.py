"""Bring runs into the order of training, whatever order they were given in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runscope.history import Run
from runscope.history.parts import taken_apart


def in_order(runs: Sequence[Run]) -> list[Run]:
    """Runs by start time, so that the order given does not matter; a run that is given twice comes once.

    Where any lacks a time, they are ordered :func:`by_progress`. A run that was resumed under its own id (its steps
    go back) is taken apart first.
    """
    parts = [part for run in runs for part in taken_apart(run)]
    starts = [begun_at(p) for p in parts]
    if any(s is None for s in starts):
        return by_progress(parts)
    return _once(_sorted(parts, [(start,) for start in starts]))


def by_progress(parts: Sequence[Run]) -> list[Run]:
    """Runs by their counters, whatever the clocks say: what counts on comes later, and of runs that all begin at zero
    the one whose loss begins higher was earlier."""
    return _once(_sorted(parts, [progress_of(p) for p in parts]))


def _sorted(parts: Sequence[Run], first: Sequence[tuple[float | None, ...]]) -> list[Run]:
    keys = [
        (key, p.first_step, p.last_step, p.name, p.id, _fingerprint(p))
        for key, p in zip(first, parts, strict=True)
    ]
    return [parts[n] for n in sorted(range(len(parts)), key=lambda n: keys[n])]


def _once(ordered: list[Run]) -> list[Run]:
    return [p for n, p in enumerate(ordered) if n == 0 or not same(p, ordered[n - 1])]


def begun_at(run: Run) -> float | None:
    """When a run began, Unix seconds: as recorded, or its first logged loss, if that is earlier (a pushed run)."""
    loss = run.role("train_loss")
    times = loss.time[np.isfinite(loss.time)] if loss is not None else np.empty(0)
    known = [t for t in (run.started_at, float(times.min()) if len(times) else None) if t is not None]
    return min(known, default=None)


def progress_of(run: Run) -> tuple[float, ...]:
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
    return run.points, total_of(run), run.reference


def total_of(run: Run) -> float:
    """Sum of all finite values that were logged."""
    return sum(float(np.sum(s.value[np.isfinite(s.value)])) for s in run.series.values())


def same(one: Run, other: Run) -> bool:
    """Whether both are the same run, read twice."""
    if (one.key, one.source, one.points) != (other.key, other.source, other.points):
        return False
    return one.series.keys() == other.series.keys() and all(
        np.array_equal(s.step, other.series[n].step)
        and np.array_equal(s.value, other.series[n].value, equal_nan=True)
        for n, s in one.series.items()
    )
