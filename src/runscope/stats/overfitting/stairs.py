"""Stairs in a training loss: drops where the data is seen again. Pure functions on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runscope.stats.arrays import Floats

PER_SIDE = 4
"""Points on each side of a boundary: two lines with one slope need three, and noise one more."""

NEIGHBOURS = 2
"""Windows on each side whose slope a window shares: five windows halve the error of a drop, and within five
epochs the slope of a curve hardly bends."""

MEDIAN_VARIANCE = np.pi / 2
"""Variance of a median against that of a mean, of normal values."""

DENSE = 2000
"""Points an epoch that are fitted; more make the answer no surer, and take long."""

MOST_BOUNDARIES = 500
"""More make the answer no surer, and take long."""


@dataclass(frozen=True)
class Stairs:
    """Drops of the training loss at the first steps of new epochs.

    Attributes:
        depth: median drop at a boundary, as a share of the loss before it, beyond what the slope explains.
        z: mean drop, weighted by precision, in standard errors; the same measured in mid-epoch taken off.
        from_epoch: first boundary (epochs done) with a clear drop; None where none is clear alone.
        drops: drop at each boundary, as a share.
        boundaries: epochs done at each boundary.
    """

    depth: float
    z: float
    from_epoch: int | None
    drops: tuple[float, ...]
    boundaries: tuple[int, ...]


def stairs(epoch: Floats, value: Floats, *, skip: Sequence[int] = ()) -> Stairs | None:
    """Look for stairs: the examples of the last pass are remembered, so the loss drops when they return.

    At each boundary two lines with one slope are fitted to the half epoch before and after it; the step
    between them is the drop. The window is symmetric, so the bend of a smoothly falling curve cancels; the
    same step fitted in mid-epoch, where no data returns, is taken off.

    Args:
        epoch: (n,) epoch at each logged loss, in order; NaN where unknown.
        value: (n,) training loss.
        skip: boundaries to leave out, because something else changed there.

    Returns:
        None with no boundary that has ``PER_SIDE`` points in the half epochs around it.

    Reference:
        Howard & Whitaker 2023, «Can LLMs learn from a single example?».
    """
    known = np.isfinite(epoch) & np.isfinite(value)
    epoch, value = epoch[known], value[known]
    if np.any(np.diff(epoch) < 0):
        order = np.argsort(epoch, kind="stable")
        epoch, value = epoch[order], value[order]
    epoch, value = _thinned(epoch, value)
    if len(epoch) < 4 * PER_SIDE or len(epoch) < 2 * PER_SIDE * (epoch[-1] - epoch[0]):
        return None
    at = [b for b in _boundaries(epoch) if b not in skip]
    found = _steps([_window(epoch, value, float(b)) for b in at])
    at = [b for b, here in zip(at, found, strict=True) if here is not None]
    drops, errors = np.array([here for here in found if here is not None]).reshape(-1, 2).T
    between = _steps([_window(epoch, value, b + 0.5) for b in _boundaries(epoch) if b >= 1])
    control = [here[0] for here in between if here is not None]
    if not at:
        return None
    usual = float(np.median(control)) if control else 0.0
    beyond = drops - max(usual, 0.0)
    # Weighted by precision: a boundary inside the first steep descent fits badly and says little.
    weight = 1 / np.square(errors)
    z = float(np.sum(weight * beyond) / np.sqrt(np.sum(weight)))
    clear = [b for b, d, e in zip(at, beyond, errors, strict=True) if d > 2.5 * e and d > 0.02]
    return Stairs(
        float(np.median(beyond)), z, clear[0] if clear else None, tuple(map(float, beyond)), tuple(at)
    )


def _thinned(epoch: Floats, value: Floats) -> tuple[Floats, Floats]:
    """Means of equal blocks where there are very many points an epoch: a mean loses nothing of a line's fit."""
    epochs = max(float(epoch[-1] - epoch[0]), 1.0) if len(epoch) else 1.0
    size = int(len(epoch) / (epochs * DENSE))
    if size < 2:
        return epoch, value
    whole = len(epoch) // size * size
    return epoch[:whole].reshape(-1, size).mean(axis=1), value[:whole].reshape(-1, size).mean(axis=1)


def _boundaries(epoch: Floats) -> list[int]:
    """Epoch numbers inside the curve; evenly chosen ones of very many."""
    first, last = int(np.floor(epoch[0])) + 1, int(np.ceil(epoch[-1]))
    count = min(max(last - first, 0), MOST_BOUNDARIES)
    return [first + (last - first) * k // count for k in range(count)]


@dataclass(frozen=True)
class _Window:
    """Half an epoch on each side of a boundary, each side centred on itself: slope and step are then apart.

    Attributes:
        time, value: (n,) centred within each side.
        spread: Σ time².
        distance: between the mean times of the sides, in epochs.
        fall: mean value before minus mean value after.
        parts: 1/n before + 1/n after.
        level: mean value before.
    """

    time: Floats
    value: Floats
    spread: float
    distance: float
    fall: float
    parts: float
    level: float


def _window(epoch: Floats, value: Floats, boundary: float) -> _Window | None:
    """The window around a boundary; None with fewer than ``PER_SIDE`` points on a side."""
    near = slice(*np.searchsorted(epoch, (boundary - 0.5, boundary + 0.5)))
    t, y = epoch[near] - boundary, value[near]
    after = t > 1e-9
    left, right = ~after, after
    if right.sum() < PER_SIDE or left.sum() < PER_SIDE:
        return None
    time, level = (np.where(after, v[right].mean(), v[left].mean()) for v in (t, y))
    return _Window(
        t - time, y - level, float(np.sum((t - time) ** 2)), float(t[right].mean() - t[left].mean()),
        float(y[left].mean() - y[right].mean()), float(1 / left.sum() + 1 / right.sum()),
        max(abs(float(y[left].mean())), 1e-12),
    )  # fmt: skip


def _steps(windows: Sequence[_Window | None]) -> list[tuple[float, float] | None]:
    """Drop at each boundary as a share of the level before it, and its standard error.

    One window says little about its own slope. That of its neighbours is nearly the same, so the median of all is
    taken, as many before as after: the bend of a smoothly falling curve then cancels, and the steep descent at
    the beginning does not reach into the epochs after it.
    """
    slopes = [0.0 if w is None or not w.spread else float(w.time @ w.value) / w.spread for w in windows]
    found: list[tuple[float, float] | None] = []
    for place, window in enumerate(windows):
        if window is None:
            found.append(None)
            continue
        reach = min(NEIGHBOURS, place, len(windows) - 1 - place)
        pool = [k for k in range(place - reach, place + reach + 1) if windows[k] is not None]
        slope = float(np.median([slopes[k] for k in pool]))
        spread = sum(w.spread for k in pool if (w := windows[k]) is not None)
        drop = window.fall + slope * window.distance
        residual = window.value - slope * window.time
        variance = float(residual @ residual) / max(len(residual) - 3, 1)
        unsure = window.distance**2 / spread if spread > 0 else 0.0
        error = np.sqrt(variance * (window.parts + unsure * (MEDIAN_VARIANCE if reach else 1.0)))
        found.append((drop / window.level, max(float(error) / window.level, 1e-4)))
    return found
