"""Rows of a W&B history, wherever they come from, as columns on the run's own x-axis."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from runscope.history import Histograms, Lineage, Series
from runscope.history.roles import AXES
from runscope.sources.base import columns_to_series
from runscope.stats.arrays import Floats, Ints

NESTED = "\x1f"
"""Joins the parts of a nested key while reading; no logged name has this control character."""
NON_FINITE = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}
"""The service sends these as strings, the file holds them bare."""
_PARTS = ("_type", "values", "bins", "packedBins")
Column = tuple[list[int], list[float]]


@dataclass
class Rows:
    """What was logged, row by row.

    Attributes:
        columns: by name: numbers of the rows that have it, and the values.
        histograms: by name and row: its parts, parsed.
        count: rows so far.
        axes: x-axes that the run declared, with how widely each applies.
    """

    columns: dict[str, Column] = field(default_factory=dict)
    histograms: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    count: int = 0
    axes: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, value: float) -> None:
        """Put a value into the present row."""
        column = self.columns.get(name)
        if column is None:
            column = self.columns[name] = ([], [])
        column[0].append(self.count)
        column[1].append(value)

    def add_part(self, name: str, part: str, value: Any) -> None:
        """Put a part of a histogram (``values``, ``bins``, …) into the present row."""
        if part in _PARTS:
            self.histograms.setdefault(name, {}).setdefault(self.count, {})[part] = value

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Take a whole row as the service sends it: None is not logged, strings may be non-finite numbers."""
        for name, value in row.items():
            self._add_value(name, value)
        self.count += 1

    def _add_value(self, name: str, value: Any) -> None:
        if isinstance(value, int | float):
            self.add(name, float(value))
        elif isinstance(value, str) and value in NON_FINITE:
            self.add(name, NON_FINITE[value])
        elif isinstance(value, Mapping):
            if value.get("_type") == "histogram":
                for part, content in value.items():
                    self.add_part(name, part, content)
                return
            for key, inner in value.items():
                self._add_value(f"{name}{NESTED}{key}", inner)

    def finished(self) -> tuple[dict[str, Series], dict[str, Histograms], str, Ints, Floats]:
        """Series, histograms, the name of the x-axis, and step and time of every row."""
        self.columns = _dotted(self.columns)
        step_key = self._axis()
        step, when = self._placed(step_key)
        series = columns_to_series(self.columns, step, when)
        for name in ("_timestamp", "_runtime"):
            series.pop(name, None)
        return series, _histograms(self.histograms, step), step_key, step, when

    def _axis(self) -> str:
        """The x-axis: what the run declared, else a known name that most rows have, else the row counter."""
        for name, _ in self.axes.most_common():
            if name in self.columns:
                return name
        for name in AXES:
            if len(self.columns.get(name, ((),))[0]) >= 0.5 * self.count > 0:
                return name
        return "_step"

    def _placed(self, step_key: str) -> tuple[Ints, Floats]:
        """Step and time of every row; a row without the axis has the last one seen."""
        step = np.arange(self.count, dtype=np.int64)
        rows, values = self.columns.get(step_key, ([], []))
        if rows:
            finite = np.isfinite(values)
            known_rows, known = np.asarray(rows)[finite], np.asarray(values)[finite]
            place = np.clip(np.searchsorted(known_rows, step, side="right") - 1, 0, max(len(known) - 1, 0))
            step = np.rint(known[place]).astype(np.int64) if len(known) else step
        when = np.full(self.count, np.nan)
        rows, values = self.columns.get("_timestamp", ([], []))
        when[rows] = values
        return step, when


def _dotted(columns: dict[str, Column]) -> dict[str, Column]:
    """Nested keys joined by a dot, as W&B shows them; by an arrow where a plain name is the same."""
    named = {}
    for name, column in columns.items():
        dotted = name.replace(NESTED, ".")
        named[name.replace(NESTED, "→") if dotted != name and dotted in columns else dotted] = column
    return named


def _histograms(found: Mapping[str, Mapping[int, Mapping[str, Any]]], step: Ints) -> dict[str, Histograms]:
    made = {}
    for name, rows in found.items():
        parsed = [
            (step[row], *summary) for row, parts in rows.items() if (summary := _summary(parts)) is not None
        ]
        if parsed:
            steps, low, high, rms, zero = (np.asarray(c) for c in zip(*parsed, strict=True))
            made[name] = Histograms(name, steps.astype(np.int64), low, high, rms, zero)
    return made


def _summary(parts: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
    """Smallest and largest element, root mean square and share at zero, from edges and counts."""
    try:
        counts = np.asarray(parts["values"], dtype=np.float64)
        if parts.get("bins") is not None:
            edges = np.asarray(parts["bins"], dtype=np.float64)
        else:
            packed = parts["packedBins"]
            edges = packed["min"] + packed["size"] * np.arange(packed["count"] + 1)
    except (KeyError, ValueError, TypeError):
        return None
    total = counts.sum()
    if len(edges) != len(counts) + 1 or total <= 0:
        return None
    middle = (edges[:-1] + edges[1:]) / 2
    at_zero = counts[(edges[:-1] <= 0) & (edges[1:] >= 0)].sum() / total
    rms = np.sqrt((counts * middle**2).sum() / total)
    return float(edges[0]), float(edges[-1]), float(rms), float(at_zero)


def system_series(stats: list[tuple[float, str, float]], when: Floats, step: Ints) -> dict[str, Series]:
    """Machine metrics (time, name, value), joined to the steps by time."""
    known = np.isfinite(when)
    found: dict[str, tuple[list[float], list[float]]] = {}
    for at, name, value in stats:
        column = found.setdefault(name, ([], []))
        column[0].append(at)
        column[1].append(value)
    series = {}
    for name, (times, values) in found.items():
        place = np.rint(np.interp(times, when[known], step[known])) if known.any() else np.zeros(len(times))
        series[name] = Series.of(name, place, values, times)
    return series


def checkpoint_lineage(config: Mapping[str, Any]) -> Lineage | None:
    """The checkpoint that a run says in its configuration to have started from."""
    path = config.get("resume_from_checkpoint")
    if not isinstance(path, str) or not path:
        return None
    digits = path.rstrip("/").rpartition("checkpoint-")[2]
    return Lineage("checkpoint", None, int(digits) if digits.isdigit() else None, "train/global_step")


def parsed_json(text: str) -> Any:
    """A value as JSON, or the text itself where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text
