"""One training on one continuous axis, made of one run or of several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from runscope.display import Shown
from runscope.history.batch import batch_size
from runscope.history.counters import COUNTERS, counted_on, passes_at
from runscope.history.run import Run
from runscope.history.series import Series, concat
from runscope.stats.arrays import Bools, Floats, Ints

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

Method = Literal[
    "start", "global_step", "resume_metadata", "epoch", "tokens", "checkpoint", "schedule", "curve", "given"
]


@dataclass(frozen=True)
class Alternative:
    """Another join that was considered, with its probability."""

    offset: int
    confidence: float


@dataclass(frozen=True, eq=False)
class Segment:
    """One run's share of the line.

    Attributes:
        run: the run, on its own axis.
        offset, scale: continuous step = ``scale`` × own step + ``offset``.
        cut: last continuous step that is kept; what the run logged after it is its dead tail. None keeps all.
        start: continuous step of the state that it began from; None where it is not joined.
        parent: id of the run that it continues; None for the first.
        continues: False where the run is another training and nothing was joined.
        method: the strongest evidence that placed it.
        confidence: calibrated probability that the offset is right to one logging interval.
        evidence: sentences, strongest first.
        alternatives: other offsets, likeliest first.
    """

    run: Run
    offset: int = 0
    scale: float = 1.0
    cut: int | None = None
    continues: bool = True
    method: Method = "start"
    confidence: float = 1.0
    evidence: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    start: int | None = None
    parent: str | None = None

    def place(self, series: Series) -> Series:
        """A series of the run on the continuous axis, dead tail included."""
        return series.shifted(self.offset, self.scale)

    def kept(self, series: Series) -> Series:
        """A series of the run on the continuous axis, without the dead tail."""
        return self.place(series).between(None, self.cut)

    def since_join(self, series: Series) -> Series:
        """What is kept of a series and was logged after the join.

        A state that was saved later holds the rows of the runs before it too; those tell nothing of the resume.
        """
        kept = self.kept(series)
        return kept.where(kept.step > self.joined_at) if self.holds_history else kept

    def dropped(self, series: Series) -> Series:
        """The dead tail of a series of the run, on the continuous axis."""
        placed = self.place(series)
        if self.cut is None:
            return placed.where(np.zeros(len(placed), dtype=np.bool_))
        return placed.where(placed.step > self.cut)

    def kept_mask(self, series: Series) -> Bools:
        """Which points of a series of the run are part of the line: (n,) booleans."""
        if not self.continues:
            return np.zeros(len(series), dtype=np.bool_)
        if self.cut is None:
            return np.ones(len(series), dtype=np.bool_)
        return self.place(series).step <= self.cut

    @cached_property
    def first_step(self) -> int:
        """First kept continuous step of any metric."""
        return min((int(s.step.min()) for s in self._kept_parts), default=self.joined_at)

    @cached_property
    def last_step(self) -> int:
        """Last kept continuous step of any metric."""
        return max((int(s.step.max()) for s in self._kept_parts), default=self.joined_at)

    @cached_property
    def holds_history(self) -> bool:
        """Whether the run's log begins before the state that it was resumed from: it carries the rows before it."""
        return self.parent is not None and self.first_step < self.joined_at

    @cached_property
    def resumed_step(self) -> int | None:
        """First kept continuous step of any metric after the join; None where nothing new was logged."""
        parts = (self.since_join(s) for s in self.run.series.values())
        return min((int(p.step.min()) for p in parts if len(p)), default=None)

    @property
    def is_branch(self) -> bool:
        """Whether the run belongs to the training, but nothing of it to the line: a fork, an attempt that died."""
        return self.continues and self.cut is not None and not any(True for _ in self._kept_parts)

    @cached_property
    def dropped_points(self) -> int:
        """How many logged values lie in the dead tail."""
        return sum(len(self.dropped(s)) for s in self.run.series.values())

    @cached_property
    def discarded_steps(self) -> Ints:
        """Continuous steps at which it logged anything that is not kept, each once."""
        parts = [self.dropped(s).step for s in self.run.series.values()]
        return np.unique(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)

    @property
    def joined_at(self) -> int:
        """Continuous step of the state that the run began from."""
        return self.offset if self.start is None else self.start

    @property
    def _kept_parts(self) -> Iterable[Series]:
        return [k for s in self.run.series.values() if len(k := self.kept(s))]


@dataclass(frozen=True)
class Gap:
    """Continuous steps between two segments that nobody logged."""

    first_step: int
    last_step: int


@dataclass(frozen=True, eq=False)
class Timeline(Shown):
    """Segments of one training on one continuous axis, with what was cut and why.

    Attributes:
        segments: in training order; those with ``continues=False`` are not part of the line.
        gaps: steps that nobody logged.
        notes: what the stitcher wants to say.
        extra: series that were computed afterwards, on the continuous axis (evaluated checkpoints:
            ``eval/<task>/loss`` with ``…/low`` and ``…/high``).
    """

    segments: tuple[Segment, ...]
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()
    extra: Mapping[str, Series] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run) -> Timeline:
        """The line of a single run."""
        return cls((Segment(run),))

    def __repr__(self) -> str:
        return f"Timeline({len(self.line)} segments, steps {self.first_step}..{self.last_step})"

    @cached_property
    def line(self) -> tuple[Segment, ...]:
        """The segments that belong to the training."""
        return tuple(s for s in self.segments if s.continues)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs of the line."""
        return tuple(s.run for s in self.line)

    @cached_property
    def first_step(self) -> int:
        """First kept step."""
        return min((s.first_step for s in self.line), default=0)

    @cached_property
    def last_step(self) -> int:
        """Last kept step."""
        return max((s.last_step for s in self.line), default=0)

    @cached_property
    def roles(self) -> Mapping[str, str]:
        """Role → logged name, of the first run that has it."""
        roles: dict[str, str] = {}
        for run in self.runs:
            for role, name in run.roles.items():
                roles.setdefault(role, name)
        return roles

    @property
    def names(self) -> tuple[str, ...]:
        """Logged names of all runs of the line, then the computed ones."""
        seen: dict[str, None] = {}
        for run in self.runs:
            seen.update(dict.fromkeys(run.series))
        seen.update(dict.fromkeys(self.extra))
        return tuple(seen)

    def series(self, name: str) -> Series | None:
        """Kept points of a logged or computed metric, strictly increasing in step; None if nobody logged it."""
        if name in self.extra:
            return self.extra[name]
        return self._joined(name, lambda run: run.series.get(name))

    def role(self, role: str) -> Series | None:
        """Kept points of the metric that plays a role, whatever each run called it."""
        return self._joined(self.roles.get(role, role), lambda run: run.role(role))

    def _joined(self, name: str, pick: Callable[[Run], Series | None]) -> Series | None:
        parts = [(segment, series) for segment in self.line if (series := pick(segment.run)) is not None]
        if not parts:
            return None
        return concat(name, [segment.kept(series) for segment, series in parts]).sorted()

    def epoch_at(self, step: npt.ArrayLike) -> Floats:
        """Epochs at the given continuous steps; NaN where no epoch was logged around them.

        A resumed run whose epochs restart at 0 counts on from the epoch at its join.
        """
        epochs = self.epochs
        return epochs.at(step) if epochs is not None else np.full(np.shape(np.asarray(step)), np.nan)

    def passes_at(self, step: npt.ArrayLike) -> Floats:
        """Passes over the data that are done at the given continuous steps; NaN where no epoch was logged.

        An epoch that is logged as 0 while it goes on is one pass once it is over.
        """
        epochs = self.epochs
        return passes_at(epochs, step) if epochs is not None else np.full(np.shape(np.asarray(step)), np.nan)

    @cached_property
    def epochs(self) -> Series | None:
        """The epoch counter on the continuous axis, counting on across restarts; None where not logged."""
        return self.counter("epoch")

    def counter(self, role: str) -> Series | None:
        """A counter (``epoch``, ``tokens``, ``samples``) that counts on where a resumed run began it at 0 again.

        Samples that nobody logged are counted from the configured batch size, if every run names one. None where
        the counter is not known.
        """
        parts: list[Series] = []
        for segment in self.line:
            series = segment.run.role(role)
            if series is None or not len(kept := segment.kept(series).finite.sorted()):
                continue
            if parts:
                kept = counted_on(concat(role, parts).sorted(), kept, segment.joined_at)
            parts.append(kept)
        if parts:
            return concat(self.roles.get(role, role), parts).sorted()
        return self._samples() if role == "samples" else None

    def _samples(self) -> Series | None:
        parts = [s for s in self.line if not s.is_branch]
        batches = [batch_size(segment.run) for segment in parts]
        if not batches or any(b is None for b in batches):
            return None
        total, steps, values = 0.0, [0], [0.0]
        for segment, batch in zip(parts, batches, strict=True):
            first = 0 if segment.start is None or segment.parent is None else segment.start
            total = float(np.interp(first, steps, values))
            before = [n for n, step in enumerate(steps) if step < first]
            last = max(segment.last_step, first)
            steps = [*(steps[n] for n in before), first, last]
            values = [*(values[n] for n in before), total]
            values.append(total + (batch or 0.0) * (last - first) / segment.scale)
        return Series.of("samples", steps, values).sorted()

    def with_roles(self, roles: Mapping[str, str | None]) -> Timeline:
        """The same line with roles of every run set (name) or hidden (None)."""
        if not roles:
            return self
        return replace(self, segments=tuple(replace(s, run=s.run.with_roles(roles)) for s in self.segments))

    def with_extra(self, extra: Mapping[str, Series]) -> Timeline:
        """The same line with computed series added."""
        return replace(self, extra={**self.extra, **extra})

    def to_run(self, *, id: str = "stitched", name: str | None = None) -> Run:  # noqa: A002 - W&B's own word
        """The kept line as one run: what a training without interruptions would have logged.

        Metrics keep the names of the first run that logged their role. Counters count on; what the source
        itself adds to every row (names with a leading underscore) is left out.
        """
        first = self.runs[0]
        names = {n: self._role_of(n) for n in self.names if not n.startswith("_")}
        series: dict[str, Series] = {}
        for logged, role in names.items():
            kept = (
                self.counter(role) if role in COUNTERS else self.role(role) if role else self.series(logged)
            )
            target = self.roles.get(role, logged) if role else logged
            if kept is not None and len(kept):
                series.setdefault(target, replace(kept, name=target))
        if first.step_key in series:
            series[first.step_key] = _every_step(first.step_key, series.values())
        ended = [run.ended_at for run in self.runs if run.ended_at is not None]
        return replace(
            first,
            reference=id,
            id=id,
            name=name or f"{first.name}-stitched",
            series=series,
            roles=self.roles,
            ended_at=max(ended, default=None),
            state=self.runs[-1].state,
            lineage=None,
            system={},
            histograms={},
            notes=(),
        )

    def _role_of(self, name: str) -> str | None:
        for run in self.runs:
            for role, logged in run.roles.items():
                if logged == name:
                    return role
        return None

    def to_pandas(self, axis: str = "step") -> pd.DataFrame:
        """Long table, one row a logged point.

        Columns: ``axis`` value under its own name, ``step`` (continuous), ``run``, ``run_step``, ``metric``,
        ``value``, ``time``, ``kept`` (False in a dead tail and for runs that are not part of the line).

        Args:
            axis: ``step``, ``epoch``, ``tokens``, ``samples``, ``hours`` (compute) or ``time`` (wall clock).
        """
        from runscope.history.axes import timeline_table

        return timeline_table(self, axis)


def _every_step(name: str, parts: Iterable[Series]) -> Series:
    """The step itself as a metric, at every step at which anything was logged."""
    logged = concat(name, list(parts))
    known = logged.where(np.isfinite(logged.time)).sorted()
    step = np.unique(logged.step)
    time = np.full(len(step), np.nan)
    time[np.searchsorted(step, known.step)] = known.time
    return Series(name, step, step.astype(np.float64), time)
