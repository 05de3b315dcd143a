"""One metric as it was logged."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from runscope.stats.arrays import Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class Series:
    """One metric as it was logged, in the order it was logged.

    A step at which the metric was not logged has no row. A NaN row means that the run logged NaN. Steps
    may repeat or go back (a run that was resumed under its own id); :meth:`sorted` gives them in order.

    Attributes:
        name: the logged name, unchanged.
        step: (n,) int64, the run's own step.
        value: (n,) float64, non-finite values included.
        time: (n,) float64, Unix seconds; NaN where the source keeps no time.
    """

    name: str
    step: Ints
    value: Floats
    time: Floats

    def __post_init__(self) -> None:
        if not len(self.step) == len(self.value) == len(self.time):
            raise ValueError(f"{self.name}: step, value and time differ in length")

    @classmethod
    def of(
        cls, name: str, step: npt.ArrayLike, value: npt.ArrayLike, time: npt.ArrayLike | None = None
    ) -> Series:
        """Build a series from anything array-like; time defaults to NaN."""
        steps = np.asarray(step, dtype=np.int64)
        values = np.asarray(value, dtype=np.float64)
        times = np.full(len(steps), np.nan) if time is None else np.asarray(time, dtype=np.float64)
        return cls(name, steps, values, times)

    def __len__(self) -> int:
        return len(self.step)

    def __repr__(self) -> str:
        span = f"{self.step[0]}..{self.step[-1]}" if len(self) else "empty"
        return f"Series({self.name!r}, {len(self)} points, step {span})"

    @property
    def finite(self) -> Series:
        """The points whose value is neither NaN nor infinite."""
        return self.where(np.isfinite(self.value))

    def where(self, mask: Bools) -> Series:
        """The points that a boolean mask of shape (n,) keeps; an unbroken stretch of them is not copied."""
        count = int(np.count_nonzero(mask))
        if count == len(self):
            return self
        first = int(mask.argmax()) if count else 0
        if count == int(np.count_nonzero(mask[first : first + count])):
            part = slice(first, first + count)
            return Series(self.name, self.step[part], self.value[part], self.time[part])
        return Series(self.name, self.step[mask], self.value[mask], self.time[mask])

    def sorted(self) -> Series:
        """Strictly increasing in step: of points that share a step the one logged last stays."""
        ahead, behind = self.step[1:], self.step[:-1]
        if bool((ahead > behind).all()):
            return self
        ordered = self
        if bool((ahead < behind).any()):
            order = np.argsort(self.step, kind="stable")
            ordered = Series(self.name, self.step[order], self.value[order], self.time[order])
        return ordered.where(np.append(ordered.step[1:] != ordered.step[:-1], True))

    def between(self, first: int | None = None, last: int | None = None) -> Series:
        """The points with first ≤ step ≤ last; None leaves that side open."""
        if first is None and last is None:
            return self
        mask = np.ones(len(self), dtype=np.bool_)
        if first is not None:
            mask &= self.step >= first
        if last is not None:
            mask &= self.step <= last
        return self.where(mask)

    def at(self, step: npt.ArrayLike) -> Floats:
        """Values at the given steps, linearly interpolated between finite points, NaN outside them."""
        wanted = np.asarray(step, dtype=np.float64)
        known = self.finite.sorted()
        if len(known) == 0:
            return np.full(wanted.shape, np.nan)
        if np.array_equal(wanted, known.step):  # metrics that were logged together
            return known.value.copy()
        return np.interp(wanted, known.step, known.value, left=np.nan, right=np.nan)

    def shifted(self, offset: int, scale: float = 1.0) -> Series:
        """The same points on another axis: ``scale * step + offset``, rounded to a whole step."""
        if offset == 0 and scale == 1.0:
            return self
        step = self.step + offset if scale == 1.0 else np.rint(self.step * scale).astype(np.int64) + offset
        return replace(self, step=step)


def concat(name: str, parts: list[Series]) -> Series:
    """Join series end to end, in the order given."""
    if len(parts) == 1:
        return replace(parts[0], name=name)
    if not parts:
        return Series.of(name, [], [])
    return Series(
        name,
        np.concatenate([p.step for p in parts]),
        np.concatenate([p.value for p in parts]),
        np.concatenate([p.time for p in parts]),
    )
