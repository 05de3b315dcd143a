"""The column that counts a table's rows, its clock, and the sessions that wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from runscope.sources.columns import LARGEST_STEP
from runscope.sources.tables.cells import Numbers
from runscope.sources.tables.column_names import SAVED, TIMES, counters_first, is_epoch, is_step
from runscope.stats.arrays import Bools, Floats, Ints

if TYPE_CHECKING:
    import pandas as pd

CHANGES = 0.9
"""A counter tells rows apart if it changes at nine of ten of them; a coarser one (litgpt's ``step`` beside its
``iter``) stands still for several rows."""
SHORTEST = 4
"""Epochs that a session has at least, on the mean, where it began a column of epochs anew."""
ROUNDS = 3
"""So many rounds are a counter that begins anew in every epoch."""
_BEFORE = -1
_FIRST_TIME, _LAST_TIME = 9.5e8, 4e9
"""Unix seconds of 2000 and 2096: a clock outside them counts from the start of a run, or is none."""


@dataclass(frozen=True)
class Axis:
    """What a table's rows are counted in.

    Attributes:
        name: of the column; ``row`` where none counts.
        step: (rows,) the step of each.
        keep: (rows,) False where a step is no step.
        notes: what had to be decided.
    """

    name: str
    step: Ints
    keep: Bools
    notes: tuple[str, ...] = ()

    def turned(self) -> Axis:
        """The same with the last row first."""
        return Axis(self.name, self.step[::-1], self.keep[::-1], self.notes)

    def beside(self, other: Axis) -> Axis:
        """This axis without the rows that another leaves out, and with what both had to decide."""
        return replace(
            self, keep=self.keep & other.keep, notes=tuple(dict.fromkeys((*other.notes, *self.notes)))
        )


def axis_of(columns: Mapping[str, tuple[Floats, Bools]], rows: int) -> Axis:
    """Find the column that counts steps; the row number where there is none, or where it is not whole.

    Names propose, the data decides: of the usual names the first is taken that changes from row to row of the fullest
    metric. Of two that are alike there the one is taken that never falls elsewhere: mmengine writes the epoch as the
    ``step`` of an evaluation, and leaves ``iter`` out.

    Args:
        columns: by name, values and which were logged.
        rows: how many there are.
    """
    main = _main_rows(columns, rows)
    candidates = [c for name in counters_first(columns) if (c := _candidate(columns, name)) is not None]
    telling = [c for c in candidates if _changes(_at(c.step, main)) >= CHANGES and _in_order(c, main)]
    if not telling:
        still = [c.name for c in candidates if not _changes(_at(c.step, main))]
        coarse = {*still, *(c.name for c in candidates if is_epoch(c.name) or c.name.lower() in SAVED)}
        whole = [c for c in candidates if c.name not in coarse]
        if not whole:
            said = f"{still[0]} stands still" if still else "no column counts steps"
            return Axis(
                "row", np.arange(rows, dtype=np.int64), np.ones(rows, dtype=np.bool_),
                (f"{said}: rows are counted instead",),
            )  # fmt: skip
        telling = [max(whole, key=lambda c: _changes(_at(c.step, main)))]
    first = telling[0]
    alike = [c for c in telling if np.array_equal(_at(c.step, main), _at(first.step, main))]
    best = min(alike, key=lambda c: int((np.diff(c.step) < 0).sum()))
    return _counted_through(best, columns, main)


def of_points(axis: Axis, columns: Mapping[str, tuple[Floats, Bools]], points: Bools) -> tuple[Axis, str]:
    """The axis of a long table, and the column that it was made of.

    A row of such a table is one point, so rows cannot be counted: where the counter has fractions (Neptune's steps may,
    and epochs) its values are, in order.

    Args:
        axis: as rows would be counted.
        columns: by name, values and which were logged.
        points: rows that hold a value of a metric.
    """
    if axis.name != "row":
        return axis, axis.name
    for name in counters_first(columns):
        values, logged = columns[name]
        usable = logged & points & np.isfinite(values)
        if len(known := np.unique(values[usable])) > 1:
            step = np.searchsorted(known, np.where(usable, values, known[0])).astype(np.int64)
            said = f"{name} has fractions: its values are counted instead, in order"
            return Axis("row", step, axis.keep, (said,)), name
    return axis, axis.name


def _main_rows(columns: Mapping[str, tuple[Floats, Bools]], rows: int) -> Ints:
    """Rows of the metric that was logged most often, a loss if there is one: they tell what is counted."""
    metrics = {
        name: logged
        for name, (_, logged) in columns.items()
        if not is_step(name) and not is_epoch(name) and name.lower() not in TIMES
    }
    if not metrics:
        return np.arange(rows)
    losses = {name: logged for name, logged in metrics.items() if "loss" in name.lower()} or metrics
    return np.flatnonzero(max(losses.values(), key=lambda logged: int(logged.sum())))


def _at(step: Ints, rows: Ints) -> Ints:
    """Steps of some rows; not copied where all are wanted."""
    return step if len(rows) == len(step) else step[rows]


def _candidate(columns: Mapping[str, tuple[Floats, Bools]], name: str) -> Axis | None:
    """A column as whole numbers, gaps filled from the row before; None where it is something else."""
    values, logged = columns[name]
    usable = logged & np.isfinite(values)
    known = values if usable.all() else values[usable]
    before = _before_the_first(known)
    if before:
        values = np.where(usable & (values == _BEFORE), 0.0, values)
        known = values[usable]
    if not len(known) or np.any(known != np.rint(known)) or known.min() < 0:
        return None
    keep = ~usable | (np.abs(values) < LARGEST_STEP)
    usable &= keep
    if not usable.any():
        return None
    step = values[usable].astype(np.int64)
    if len(step) < len(values):
        step = step[np.clip(np.cumsum(usable) - 1, 0, None)]
    lost = int((~keep).sum())
    notes = (f"{lost:,} rows have a step beyond 2^62 and were left out",) if lost else ()
    if before:
        notes = (*notes, f"{name} begins at -1, before the first step: taken as 0")
    return Axis(name, step, keep, notes)


def _before_the_first(known: Floats) -> int:
    """How many rows a counter begins with that are at -1: an evaluation before the training."""
    first = int(np.argmax(known != _BEFORE)) if len(known) else 0
    return first if 0 < first < len(known) / 2 and bool((known[first:] >= 0).all()) else 0


def _changes(step: Ints) -> float:
    return float((np.diff(step) != 0).mean()) if len(step) > 1 else 1.0


def _in_order(axis: Axis, main: Ints) -> bool:
    """An epoch is an axis where each row has its own: it grows, and begins anew only where a session does."""
    if not is_epoch(axis.name):
        return True
    ahead = np.diff(_at(axis.step, main))
    return int((ahead < 0).sum()) <= len(ahead) / SHORTEST or bool((ahead < 0).all())  # newest first


def _counted_through(axis: Axis, columns: Mapping[str, tuple[Floats, Bools]], main: Ints) -> Axis:
    """The axis, counted on where it begins anew in every epoch."""
    step = _at(axis.step, main)
    falls = np.flatnonzero(np.diff(step) < 0) + 1
    if is_epoch(axis.name) or not len(falls) or not _rounds(step, falls, columns, main):
        return axis
    parts = np.split(step, falls)
    lengths = np.array([part.max() + (1 if part.min() == 0 else 0) for part in parts])
    before = np.concatenate([[0], np.cumsum(lengths[:-1])])
    turns = np.searchsorted(main[falls], np.arange(len(axis.step)), side="right")
    counted = np.where(axis.step <= lengths[turns], axis.step, 0) + before[turns]
    said = f"{axis.name} restarts at every epoch; steps are counted on across epochs"
    return Axis(axis.name, counted.astype(np.int64), axis.keep, (*axis.notes, said))


def _rounds(step: Ints, falls: Ints, columns: Mapping[str, tuple[Floats, Bools]], main: Ints) -> bool:
    """Whether a counter begins anew with every epoch: where the epoch turns, else in rounds of one length.

    Rounds of one length may be trainings of one length, each from scratch; then its loss leaps back up with each.
    """
    epoch = next(
        (c for name in columns if is_epoch(name) and (c := _candidate(columns, name)) is not None), None
    )
    if epoch is not None:
        turns = np.flatnonzero(np.diff(_at(epoch.step, main)) > 0) + 1
        return len(turns) > 0 and bool(np.isin(falls, turns).all()) and len(falls) >= 0.5 * len(turns)
    if len(falls) < ROUNDS - 1:
        return False
    parts = np.split(step, falls)
    if len({int(part[0]) for part in parts}) > 1 or len({int(part[-1]) for part in parts[:-1]}) > 1:
        return False
    loss = next(
        (v[main] for n, (v, logged) in columns.items() if "loss" in n.lower() and logged[main].all()), None
    )
    if loss is None:
        return False
    begun, ended = loss[falls], loss[falls - 1]
    return bool(np.median(np.abs(begun - ended)) < np.median(np.abs(begun - loss[0])))


def clock_of(cells: Mapping[str, pd.Series], count: int) -> tuple[str | None, Floats]:
    """(column, Unix seconds) of the wall clock, as a number or a date; NaN where there is none."""
    import pandas as pd

    by_lower = {str(c).lower(): str(c) for c in cells}
    for name in (n for n in TIMES if n in by_lower):
        column = by_lower[name]
        try:
            values = Numbers().read(cells[column])[0]
        except ValueError:
            continue
        if np.isnan(values).all():
            dates = pd.to_datetime(cells[column], errors="coerce", utc=True, format="ISO8601")
            values = np.asarray((dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds(), dtype=np.float64)
        seconds: Floats = values / np.where(values > 1e11, 1000.0, 1.0)  # milliseconds, as DVCLive has them
        known = seconds[np.isfinite(seconds)]
        if len(known) and known.min() > _FIRST_TIME and known.max() < _LAST_TIME:
            return column, seconds
    return None, np.broadcast_to(np.nan, count)  # as large as one number


def without_words(axis: Axis, numbers: Numbers) -> Axis:
    """The axis without rows whose counter is a word: ``mean`` below the last epoch is at no step."""
    lost = numbers.lost.get(axis.name)
    if lost is None or not lost.any() or axis.name not in numbers.words:
        return axis
    count, example = numbers.words.pop(axis.name)
    rows = "1 row has a word" if count == 1 else f"{count:,} rows have words"
    said = f"{rows} in column {axis.name}, which counts (such as {example[:20]}): left out"
    return replace(axis, keep=axis.keep & ~lost, notes=(*axis.notes, said))
