"""Stairs in a training loss: drops where the data is seen again. Pure functions on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runscope.stats.arrays import Floats

PER_SIDE = 4
"""Points on each side of a boundary: two lines with one slope need three, and noise one more."""

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
    order = np.argsort(epoch, kind="stable")
    epoch, value = epoch[order], value[order]
    if len(epoch) < 4 * PER_SIDE or len(epoch) < 2 * PER_SIDE * (epoch[-1] - epoch[0]):
        return None
    at, drops, errors, control = [], [], [], []
    for boundary in _boundaries(epoch):
        here = None if boundary in skip else _step_at(epoch, value, float(boundary))
        if here is not None:
            at.append(boundary)
            drops.append(here[0])
            errors.append(here[1])
        between = _step_at(epoch, value, boundary + 0.5)
        if between is not None and boundary >= 1:
            control.append(between[0])
    if not drops:
        return None
    usual = float(np.median(control)) if control else 0.0
    beyond = np.asarray(drops) - max(usual, 0.0)
    # Weighted by precision: a boundary inside the first steep descent fits badly and says little.
    weight = 1 / np.square(errors)
    z = float(np.sum(weight * beyond) / np.sqrt(np.sum(weight)))
    clear = [b for b, d, e in zip(at, beyond, errors, strict=True) if d > 2.5 * e and d > 0.02]
    return Stairs(
        float(np.median(beyond)), z, clear[0] if clear else None, tuple(map(float, beyond)), tuple(at)
    )


def _boundaries(epoch: Floats) -> list[int]:
    """Epoch numbers inside the curve; evenly chosen ones of very many."""
    first, last = int(np.floor(epoch[0])) + 1, int(np.ceil(epoch[-1]))
    count = min(max(last - first, 0), MOST_BOUNDARIES)
    return [first + (last - first) * k // count for k in range(count)]


def _step_at(epoch: Floats, value: Floats, boundary: float) -> tuple[float, float] | None:
    """Drop at a boundary as a share of the level before it, and its standard error."""
    near = slice(*np.searchsorted(epoch, (boundary - 0.5, boundary + 0.5)))
    t, y = epoch[near] - boundary, value[near]
    after = t > 1e-9
    if after.sum() < PER_SIDE or (~after).sum() < PER_SIDE:
        return None
    # Centred within each side, time and step are apart: slope from within, step from the two means.
    left, right = ~after, after
    tc = t - np.where(after, t[right].mean(), t[left].mean())
    yc = y - np.where(after, y[right].mean(), y[left].mean())
    spread = float(tc @ tc)
    slope = float(tc @ yc) / spread if spread > 0 else 0.0
    drop = y[left].mean() - y[right].mean() + slope * (t[right].mean() - t[left].mean())
    residual = yc - slope * tc
    variance = float(residual @ residual) / max(len(y) - 3, 1)
    distance = t[right].mean() - t[left].mean()
    error = np.sqrt(
        variance * (1 / left.sum() + 1 / right.sum() + (distance**2 / spread if spread > 0 else 0.0))
    )
    level = max(abs(float(y[left].mean())), 1e-12)
    return float(drop) / level, max(float(error) / level, 1e-4)
