"""Signs that a log was interrupted although its steps go on: a clock that stood still, a counter that fell back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runscope.history import Series

MOST = 3
"""A log that shows a sign oftener was not interrupted so often: its clock rests at each evaluation, its counter is one
of a phase."""
STANDS, LEAST_SECONDS = 10.0, 60.0
"""A clock stands still where it rests ten times as long as at any of its usual rests, and for a minute at least: to
load a model and its state takes that."""
FEWEST = 8
"""Rows on each side: fewer show no level."""
ROUNDED = 0.05
"""A counter that falls by less of what it had reached was rounded, or written by two processes."""


@dataclass(frozen=True)
class Sign:
    """A place in a log at which it may have been interrupted.

    Attributes:
        before, after: own steps of the rows on both sides.
        said: what shows it, as the beginning of a sentence.
    """

    before: int
    after: int
    said: str


def signs(loss: Series, epoch: Series | None, held_out: Series | None) -> Iterator[Sign]:
    """Places at which a training log shows that it was interrupted.

    Args:
        loss, epoch, held_out: finite values, in order of steps.
    """
    evaluated = np.empty(0, dtype=np.int64) if held_out is None else held_out.step
    for sign in _rests(loss):
        if not np.any((evaluated >= sign.before) & (evaluated < sign.after)):  # else it rested to evaluate
            yield sign
    if epoch is not None:
        yield from _falls(loss, epoch)


def _rests(loss: Series) -> Iterator[Sign]:
    gaps = np.diff(loss.time)
    if len(gaps) < 2 * FEWEST or not bool(np.isfinite(gaps).all()):
        return
    usual = float(np.partition(gaps, -MOST - 1)[-MOST - 1])
    for row in np.flatnonzero(gaps > max(STANDS * usual, LEAST_SECONDS)).tolist():
        if FEWEST <= row + 1 <= len(gaps) + 1 - FEWEST:
            yield Sign(*_steps(loss, row), f"Where the clock stood still for {_long(float(gaps[row]))}")


def _falls(loss: Series, epoch: Series) -> Iterator[Sign]:
    fallen = np.flatnonzero(np.diff(epoch.value) < -ROUNDED * np.abs(epoch.value[:-1]))
    if len(fallen) > MOST:
        return
    for place in fallen.tolist():
        row = int(np.searchsorted(loss.step, epoch.step[place + 1])) - 1
        if FEWEST <= row + 1 <= len(loss) - FEWEST:
            old, new = epoch.value[place : place + 2]
            yield Sign(*_steps(loss, row), f"Where the epoch went back from {old:.3g} to {new:.3g}")


def _steps(loss: Series, row: int) -> tuple[int, int]:
    return int(loss.step[row]), int(loss.step[row + 1])


def _long(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
