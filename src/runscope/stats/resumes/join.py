"""What is known of both sides of a join, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from runscope.stats.arrays import Bools, Floats


@dataclass(frozen=True, eq=False)
class Curve:
    """Finite points of a metric: (n,) continuous steps, rising, and (n,) values."""

    x: Floats
    y: Floats

    def __len__(self) -> int:
        return len(self.x)

    def where(self, mask: Bools) -> Curve:
        """The points that a mask keeps."""
        return Curve(self.x[mask], self.y[mask])

    def first(self, count: int) -> Curve:
        """The first points."""
        return Curve(self.x[:count], self.y[:count])

    @property
    def every(self) -> float:
        """Median distance of its points, in steps; 1 where it cannot be told."""
        return float(np.median(np.diff(self.x))) if len(self.x) > 1 else 1.0


TINY = 1e-30
"""Below this a rate, a norm or a loss is 0 in all but name, and what is divided by it is no number."""
NOTHING = Curve(np.zeros(0), np.zeros(0))


@dataclass(frozen=True, eq=False)
class Join:
    """Both sides of a join. Curves are by role; a role that was not logged is missing.

    Attributes:
        start: continuous step of the state from which the later run went on.
        since: continuous step of the join before it; what lies before it tells nothing of the noise.
        before: from the beginning of the training to ``start``.
        tail: what the run before logged after ``start``: steps that were done twice.
        after: of the later run, to the next join.
        batch: samples a step after the join over those before it, as configured; None where not known.
        counts_on: whether the later run's own step goes on from the run before.
    """

    start: float
    since: float
    before: Mapping[str, Curve]
    tail: Mapping[str, Curve]
    after: Mapping[str, Curve]
    batch: float | None = None
    counts_on: bool = True

    def near(self, role: str) -> Curve:
        """The curve of a role between the join before and this one."""
        curve = self.before.get(role, NOTHING)
        return curve.where(curve.x > self.since)

    @property
    def epoch(self) -> float | None:
        """Epochs done at the join; None where no epoch was logged before it."""
        curve = self.near("epoch")
        if not len(curve):
            return None
        if not _whole_numbers(curve):
            return float(curve.y[-1] + epochs_a_step(curve) * (self.start - curve.x[-1]))
        begun = float(curve.x[int(np.argmax(curve.y == curve.y[-1]))]) - curve.every
        return float(curve.y[-1] + min(epochs_a_step(curve) * (self.start - begun), 1.0))

    @property
    def epoch_after(self) -> float | None:
        """Epochs done at the join, by the counter of the later run."""
        curve, before = self.after.get("epoch", NOTHING), self.epoch
        if len(curve) < 2:
            return None
        if not _whole_numbers(curve):
            return float(curve.y[0] - epochs_a_step(curve) * (curve.x[0] - self.start))
        # A counter of whole epochs that is about right says no more than that.
        return before if before is not None and abs(curve.y[0] - before) < 1.5 else float(curve.y[0])

    @property
    def within_epoch(self) -> float | None:
        """Distance of the join from the next or last boundary of epochs, in epochs; None where not known."""
        epoch = self.epoch
        return None if epoch is None else abs(epoch - round(epoch))

    @property
    def pace(self) -> float | None:
        """Epochs a step after the join over those before it: how much data a step takes; None where not known."""
        before, after = self.near("epoch"), self.after.get("epoch", NOTHING)
        if len(before) < 2 or len(after) < 2:
            return None
        old, new = epochs_a_step(before), epochs_a_step(after)
        return new / old if old > TINY and new > TINY else None


def _whole_numbers(curve: Curve) -> bool:
    """Whether a counter only counts whole epochs, over several rows each."""
    return (
        len(curve) > 2 and bool((curve.y == np.rint(curve.y)).all()) and len(np.unique(curve.y)) < len(curve)
    )


def epochs_a_step(curve: Curve) -> float:
    """Median rise of a counter a step: a counter that restarts or is rounded once does no harm."""
    if len(curve) < 2:
        return 0.0
    if _whole_numbers(curve):
        return float((curve.y[-1] - curve.y[0]) / (curve.x[-1] - curve.x[0]))
    return float(np.median(np.diff(curve.y) / np.diff(curve.x)))
