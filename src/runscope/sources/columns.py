"""Rows of a W&B history, wherever they come from, as columns on the run's own x-axis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from runscope.history import Histograms, Lineage, Series
from runscope.history.roles import AXES
from runscope.schema import DEEPEST, read_json
from runscope.stats.arrays import Floats, Ints

NESTED = "\x1f"
"""Joins the parts of a nested key while reading; no logged name has this control character."""
Summary = tuple[float, float, float, float]
LARGEST_STEP = 2.0**62
NON_FINITE = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}
"""The service sends these as strings, the file holds them bare."""
_PARTS = ("_type", "values", "bins", "packedBins")
Column = tuple[Ints, Floats]
Ordered = tuple[Ints, Ints | None]


@dataclass
class Rows:
    """What was logged, row by row.

    Attributes:
        count: rows so far; a new value goes into the row of that number unless another is named.
        axes: x-axes that the run declared, with how widely each applies.
        histograms: by name: number of the row, and :func:`_summary`.
    """

    count: int = 0
    axes: Counter[str] = field(default_factory=Counter)
    histograms: dict[str, list[tuple[int, Summary]]] = field(default_factory=dict)
    _single: dict[str, tuple[list[int], list[float]]] = field(default_factory=dict)
    _blocks: dict[str, list[Column]] = field(default_factory=dict)
    _parts: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    _media: set[str] = field(default_factory=set)
    _shifts: list[tuple[int, int]] = field(default_factory=list)
    _dropped: list[Ints] = field(default_factory=list)
    _joined: dict[tuple[int, ...], Ordered] = field(default_factory=dict)

    def add(self, name: str, value: float, row: int | None = None) -> None:
        """Put a value into a row."""
        column = self._single.get(name)
        if column is None:
            column = self._single[name] = ([], [])
        column[0].append(self.count if row is None else row)
        column[1].append(value)

    def add_block(self, name: str, rows: Ints, values: Floats) -> None:
        """Put values of one metric into many rows, given in increasing order; one array may serve many metrics."""
        self._blocks.setdefault(name, []).append((rows, values))

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Take a whole row as the service sends it: None is not logged, strings may be non-finite numbers."""
        for name, value in row.items():
            self.add_value((name,), value)
        self.count += 1

    def add_value(self, path: tuple[str, ...], value: Any, row: int | None = None) -> None:
        """Take whatever stands under a nested key: a number, a histogram or part of one, an object; text is none."""
        if isinstance(value, int | float):
            self.add(NESTED.join(path), as_float(value), row)
        elif isinstance(value, str) and value in NON_FINITE:
            self.add(NESTED.join(path), NON_FINITE[value], row)
        elif len(path) > 1 and path[-1] in _PARTS:
            self.add_part(NESTED.join(path[:-1]), path[-1], value, row)
        elif isinstance(value, Mapping):
            kind = value.get("_type")
            for key, inner in value.items():
                if kind is None and len(path) < DEEPEST:
                    self.add_value((*path, key), inner, row)
                elif kind == "histogram":
                    self.add_part(NESTED.join(path), key, inner, row)

    def add_part(self, name: str, part: str, value: Any, row: int | None = None) -> None:
        """Put a part of a histogram (``values``, ``bins``, …) into a row; of a whole one only a summary stays."""
        if part == "_type" and value != "histogram":
            self._media.add(name)
            return
        number = self.count if row is None else row
        before, parts = self._parts.get(name, (number, {}))
        if before != number:
            self._summarise(name)
            parts = {}
        self._parts[name] = (number, parts | {part: value})

    def _summarise(self, name: str) -> None:
        row, parts = self._parts.pop(name)
        summary = _summary(parts)
        if summary is not None:
            self.histograms.setdefault(name, []).append((row, summary))

    def shift_steps(self, first_row: int, by: int) -> None:
        """Add to W&B's row counter from a row on: a later file counts from 0 again."""
        self._shifts.append((first_row, by))

    def drop(self, rows: Ints) -> None:
        """Take rows out again."""
        if len(rows):
            self._dropped.append(rows)

    def names(self) -> list[str]:
        """Everything that has a value in some row."""
        return list(dict.fromkeys((*self._blocks, *self._single)))

    def column(self, name: str) -> Column:
        """Numbers of the rows that have a value of this name, and the values, in order of the rows."""
        blocks = list(self._blocks.get(name, ()))
        single = self._single.get(name)
        if single is not None:
            blocks.append((np.array(single[0], dtype=np.int64), np.array(single[1], dtype=np.float64)))
        if not blocks:
            return np.empty(0, dtype=np.int64), np.empty(0)
        numbers = [rows for rows, _ in blocks]
        rows, order = self._shared(numbers) if single is None else _in_order(numbers)
        values = blocks[0][1] if len(blocks) == 1 else np.concatenate([values for _, values in blocks])
        if order is not None:
            values = values[order]
        if name == "_step":
            for first_row, by in self._shifts:
                values = np.where(rows >= first_row, values + by, values)
        return self._kept(rows, values)

    def _shared(self, blocks: list[Ints]) -> Ordered:
        """What :func:`_in_order` gives: the same arrays for all metrics that were logged together."""
        key = tuple(map(id, blocks))  # of arrays that live as long as this: no id is given out again
        if key not in self._joined:
            self._joined[key] = _in_order(blocks)
        return self._joined[key]

    def _kept(self, rows: Ints, values: Floats) -> Column:
        if not self._dropped:
            return rows, values
        keep = np.isin(rows, np.concatenate(self._dropped), invert=True)
        return rows[keep], values[keep]

    def finished(self) -> tuple[dict[str, Series], dict[str, Histograms], str, Ints, Floats]:
        """Series, histograms, the name of the x-axis, and step and time of every row."""
        for name in list(self._parts):
            self._summarise(name)
        inside = tuple(f"{name}{NESTED}" for name in self._media)
        names = [name for name in self.names() if not name.startswith(inside)]
        columns = _dotted({name: self.column(name) for name in names})
        self._blocks.clear()
        self._single.clear()
        step_key = self._axis(columns)
        step, when = self._placed(columns, step_key)
        series = {
            name: Series(name, _taken(step, rows), values, _taken(when, rows))
            for name, (rows, values) in columns.items()
            if name not in ("_timestamp", "_runtime")
        }
        return series, _histograms(self.histograms, step), step_key, step, when

    def _axis(self, columns: Mapping[str, Column]) -> str:
        """The x-axis: what the run declared, else a known name that most rows have, else the row counter."""
        for name, _ in self.axes.most_common():
            if name in columns:
                return name
        for name in AXES:
            if name in columns and len(columns[name][0]) >= 0.5 * self.count > 0:
                return name
        return "_step"

    def _placed(self, columns: Mapping[str, Column], step_key: str) -> tuple[Ints, Floats]:
        """Step and time of every row; a row without the axis has the last one seen."""
        step = np.arange(self.count, dtype=np.int64)
        if step_key in columns:
            rows, values = columns[step_key]
            usable = np.isfinite(values) & (np.abs(values) < LARGEST_STEP)
            rows, values = rows[usable], values[usable]
            if len(rows):
                place = np.clip(np.searchsorted(rows, step, side="right") - 1, 0, len(rows) - 1)
                step = np.rint(values[place]).astype(np.int64)
        when = np.full(self.count, np.nan)
        if "_timestamp" in columns:
            rows, values = columns["_timestamp"]
            when[rows] = values
        return step, when


def _in_order(blocks: list[Ints]) -> Ordered:
    """Blocks end to end in increasing order, and the order that does so; None where they already are."""
    rows = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    if not bool((rows[1:] < rows[:-1]).any()):
        return rows, None
    order = np.argsort(rows, kind="stable")
    return rows[order], order


def as_float(value: float) -> float:
    """A number of JSON, where integers may be of any size."""
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def _taken(values: npt.NDArray[Any], rows: Ints) -> npt.NDArray[Any]:
    """Values of the given rows; not copied where all are wanted."""
    whole = len(rows) == len(values) and bool((rows == np.arange(len(values))).all())
    return values if whole else values[rows]


def _dotted(columns: Mapping[str, Column]) -> dict[str, Column]:
    """Nested keys joined by a dot, as W&B shows them; by an arrow where that would be another name too."""
    shared = Counter(name.replace(NESTED, ".") for name in columns)
    named = {}
    for name, column in columns.items():
        dotted = name.replace(NESTED, ".")
        named[dotted if shared[dotted] == 1 else name.replace(NESTED, "→")] = column
    return named


def _histograms(found: Mapping[str, list[tuple[int, Summary]]], step: Ints) -> dict[str, Histograms]:
    made = {}
    for nested, rows in found.items():
        name = nested.replace(NESTED, ".")
        at = np.array([row for row, _ in rows], dtype=np.int64)
        low, high, rms, zero = np.array([summary for _, summary in rows], dtype=np.float64).T
        made[name] = Histograms(name, step[at], low, high, rms, zero)
    return made


def _summary(parts: Mapping[str, Any]) -> Summary | None:
    """Smallest and largest element, root mean square and share at zero, from edges and counts."""
    try:
        counts = np.asarray(parts["values"], dtype=np.float64)
        if parts.get("bins") is not None:
            edges = np.asarray(parts["bins"], dtype=np.float64)
        else:
            packed = parts["packedBins"]
            # As many as were counted: its own "count" may be any number.
            edges = float(packed["min"]) + float(packed["size"]) * np.arange(
                counts.size + 1, dtype=np.float64
            )
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    total = counts.sum()
    if counts.ndim != 1 or edges.shape != (len(counts) + 1,) or not 0 < total < np.inf or (counts < 0).any():
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        middle = (edges[:-1] + edges[1:]) / 2
        rms = np.sqrt((counts * middle**2).sum() / total)
    at_zero = counts[(edges[:-1] <= 0) & (edges[1:] >= 0)].sum() / total
    return float(edges[0]), float(edges[-1]), float(rms), float(at_zero)


def system_series(stats: list[tuple[float, str, float]], when: Floats, step: Ints) -> dict[str, Series]:
    """Machine metrics (time, name, value), joined to the steps by time."""
    machine = Rows()
    for row, (_, name, value) in enumerate(stats):
        machine.add(name, value, row)
    return machine_series(machine, np.array([at for at, _, _ in stats], dtype=np.float64), when, step)


def machine_series(machine: Rows, at: Floats, when: Floats, step: Ints) -> dict[str, Series]:
    """Machine metrics, joined to the steps by time.

    Args:
        machine: what was measured, a row for every time.
        at: (rows,) Unix seconds.
        when, step: time and step of every row of the history.
    """
    known = np.isfinite(when)
    clock, steps = np.maximum.accumulate(when[known]), step[known]
    place = np.interp(at, clock, steps) if len(clock) else np.zeros(len(at))
    reached = np.rint(np.where(np.isfinite(place), place, 0.0)).astype(
        np.int64
    )  # a damaged time tells no step
    columns = {name: machine.column(name) for name in machine.names()}
    return {name: Series(name, reached[rows], values, at[rows]) for name, (rows, values) in columns.items()}


def checkpoint_lineage(config: Mapping[str, Any]) -> Lineage | None:
    """The checkpoint that a run says in its configuration to have started from."""
    path = config.get("resume_from_checkpoint")
    if not isinstance(path, str) or not path:
        return None
    digits = path.rstrip("/").rpartition("checkpoint-")[2]
    return Lineage("checkpoint", None, int(digits) if digits.isdigit() else None, "train/global_step")


def parsed_json(text: str) -> Any:
    """A value as JSON, or the text itself where it is none."""
    import orjson

    try:
        return orjson.loads(text)
    except ValueError:
        pass
    try:
        return read_json(text)  # takes NaN and Infinity bare
    except ValueError:
        return text
