"""What a run in the cloud logged, as columns: taken from rows or exports, put together, kept as one long table.

Wide tables waste memory on metrics that few rows have (a thousand layers logged every thousandth step); here a metric
costs what was logged of it. Columns are placed by ``_step``, the row counter that is unique in a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from runscope.errors import ServiceError
from runscope.history import Histograms
from runscope.schema import DEEPEST, read_json
from runscope.sources.columns import NESTED, NON_FINITE, Rows
from runscope.stats.arrays import Floats, Ints

if TYPE_CHECKING:
    import pyarrow as pa

STEP = "_step"
LARGEST_STEP = 2.0**53
HISTORY, SYSTEM = "history", "system"
_PARTS = ("low", "high", "rms", "zero_share")
"""What is kept of a histogram; each is a stream ``histogram/<part>`` of the table."""
Column = tuple[Ints, Floats]


@dataclass(frozen=True)
class Points:
    """Logged values.

    Attributes:
        history: by metric: ``_step`` of the rows that have it, strictly increasing, and the values.
        histograms: by part (``low``, ``high``, …) and metric: the same.
        system: by machine metric: Unix seconds and values.
    """

    history: Mapping[str, Column] = field(default_factory=dict)
    histograms: Mapping[str, Mapping[str, Column]] = field(default_factory=dict)
    system: Mapping[str, tuple[Floats, Floats]] = field(default_factory=dict)

    @property
    def steps(self) -> Ints:
        """``_step`` of every row."""
        return self.history[STEP][0] if STEP in self.history else np.empty(0, np.int64)

    @property
    def values(self) -> int:
        """How many values were logged; W&B's own counters and clocks are none."""
        return sum(len(v) for name, (_, v) in self.history.items() if not name.startswith("_"))

    def row(self, step: int) -> dict[str, float]:
        """Numbers of one row, by metric."""
        found = {}
        for name, (steps, values) in self.history.items():
            place = int(np.searchsorted(steps, step))
            if place < len(steps) and steps[place] == step:
                found[name] = float(values[place])
        return found

    def to_table(self) -> pa.Table:
        """One row a value: ``stream``, ``metric``, ``step`` (history), ``time`` (system), ``value``."""
        import pyarrow as pa

        streams = [(HISTORY, self.history), *((f"histogram/{p}", c) for p, c in self.histograms.items())]
        placed = [(stream, name, *column) for stream, part in streams for name, column in part.items()]
        timed = [(SYSTEM, name, *column) for name, column in self.system.items()]
        steps = pa.array(_joined([c[2] for c in placed], np.int64))
        times = pa.array(_joined([c[2] for c in timed], np.float64))
        sizes = [len(c[3]) for c in (*placed, *timed)]
        return pa.table(
            {
                "stream": _repeated([c[0] for c in (*placed, *timed)], sizes),
                "metric": _repeated([c[1] for c in (*placed, *timed)], sizes),
                "step": pa.chunked_array([steps, pa.nulls(len(times), pa.int64())], pa.int64()),
                "time": pa.chunked_array([pa.nulls(len(steps), pa.float64()), times], pa.float64()),
                "value": pa.array(_joined([c[3] for c in (*placed, *timed)], np.float64)),
            }
        )

    @classmethod
    def of_table(cls, table: pa.Table) -> Points:
        """What :meth:`to_table` made."""
        table = table.unify_dictionaries().combine_chunks()
        if not table.num_rows:
            return cls()
        stream, metric = (table.column(n).combine_chunks() for n in ("stream", "metric"))
        codes = np.stack([c.indices.to_numpy(zero_copy_only=False) for c in (stream, metric)])
        begins = np.concatenate(
            [[0], np.flatnonzero((np.diff(codes) != 0).any(axis=0)) + 1, [table.num_rows]]
        )
        value = table.column("value").to_numpy()
        step = table.column("step").combine_chunks().fill_null(0).to_numpy(zero_copy_only=False)
        time = table.column("time").combine_chunks().fill_null(np.nan).to_numpy(zero_copy_only=False)
        found: dict[str, dict[str, Any]] = {}
        for begin, end in pairwise(begins.tolist()):
            kind, name = stream[begin].as_py(), metric[begin].as_py()
            at = (time if kind == SYSTEM else step)[begin:end]
            found.setdefault(kind, {})[name] = (at, value[begin:end])
        parts = {p: found[f"histogram/{p}"] for p in _PARTS if f"histogram/{p}" in found}
        return cls(found.get(HISTORY, {}), parts, found.get(SYSTEM, {}))


def joined(parts: Iterable[Points], system: Mapping[str, tuple[Floats, Floats]] | None = None) -> Points:
    """Points put together; of values that a row has twice the later part's stays."""
    every = list(parts)
    if system is None:
        system = next((p.system for p in reversed(every) if p.system), {})
    histograms = {part: _merged([p.histograms.get(part, {}) for p in every]) for part in _PARTS}
    return Points(_merged([p.history for p in every]), {k: v for k, v in histograms.items() if v}, system)


def of_rows(texts: Iterable[str | bytes | Mapping[str, Any]]) -> Points:
    """Rows as the service sends them: JSON texts; strings may be non-finite numbers, None is not logged.

    A run logs few kinds of row, each ten thousand times: rows with the same names are turned into columns together.
    """
    steps: list[int] = []
    kinds: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    places: dict[tuple[str, ...], list[int]] = {}
    for row in _rows(texts):
        step = row.get(STEP)
        if (
            isinstance(step, int | float)
            and not isinstance(step, bool)
            and -LARGEST_STEP < step < LARGEST_STEP
        ):
            names = tuple(row)
            if names not in kinds:
                kinds[names], places[names] = [], []
            kinds[names].append(row)
            places[names].append(len(steps))
            steps.append(int(step))
    numbers: dict[str, list[Column]] = {}
    histograms = Rows(count=len(steps))
    for names, rows in kinds.items():
        at = np.asarray(places[names], dtype=np.int64)
        for name in names:
            content = [row[name] for row in rows]
            types = set(map(type, content))
            if types <= _NUMBERS:
                numbers.setdefault(name, []).append((at, _floats(content)))
            elif types <= _PLAIN:
                known = [NON_FINITE.get(v) if type(v) is str else v for v in content]
                there = np.asarray([v is not None for v in known], dtype=np.bool_)
                if there.any():
                    column = (at[there], _floats([v for v in known if v is not None]))
                    numbers.setdefault(name, []).append(column)
            else:
                _add_odd(name, at, content, numbers, histograms)
    where = np.asarray(steps, dtype=np.int64)
    found = {name: _by_row(columns, where) for name, columns in numbers.items()}
    return Points(_merged([found]), _histogram_columns(histograms, where))


_NUMBERS = {int, float, bool}
_PLAIN = {*_NUMBERS, str, type(None)}


def _add_odd(
    name: str, at: Ints, content: Iterable[Any], numbers: dict[str, list[Column]], histograms: Rows
) -> None:
    """Values of one name of which some are nested or histograms."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    for row, value in zip(at.tolist(), content, strict=True):
        for full_name, inner in _flat({name: value}):
            if isinstance(inner, Mapping):
                for part, parsed in inner.items():
                    histograms.add_part(full_name, part, parsed, row)
            else:
                rows, values = found.setdefault(full_name, ([], []))
                rows.append(row)
                values.append(inner)
    for full_name, (rows, values) in found.items():
        numbers.setdefault(full_name, []).append((np.asarray(rows, dtype=np.int64), _floats(values)))


def _by_row(columns: list[Column], steps: Ints) -> Column:
    """Values by row number, of several kinds of row, as values by step in the order of the rows."""
    if len(columns) == 1:
        return steps[columns[0][0]], columns[0][1]
    rows = np.concatenate([c[0] for c in columns])
    order = np.argsort(rows, kind="stable")
    return steps[rows[order]], np.concatenate([c[1] for c in columns])[order]


def of_export(table: pa.Table) -> Points:
    """An exported history: a column a metric, null where it was not logged, nested ones as structs."""
    import pyarrow as pa

    if STEP not in table.column_names or not table.num_rows:
        return Points()
    plain: dict[str, Column] = {}
    nested = []
    steps = np.asarray(table.column(STEP).cast(pa.int64()).fill_null(-1).to_numpy(), dtype=np.int64)
    for name in table.column_names:
        column = table.column(name)
        kind = column.type
        if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
            there = np.asarray(column.is_valid().to_numpy()) & (steps >= 0)
            values = column.filter(pa.array(there)).to_numpy().astype(np.float64)
            plain[name] = (steps[there], values)
        elif not pa.types.is_null(kind):
            nested.append(name)
    return joined([Points(_merged([plain])), *_odd_columns(table, nested)])


def _odd_columns(table: pa.Table, names: list[str]) -> Iterator[Points]:
    """Columns of texts (non-finite numbers among them) and structs, row by row."""
    if names:
        part = table.select([STEP, *names])
        yield of_rows({k: v for k, v in row.items() if v is not None} for row in part.to_pylist())


def of_events(texts: Iterable[str | bytes | Mapping[str, Any]]) -> dict[str, tuple[Floats, Floats]]:
    """Machine metrics as the service sends them, by name: Unix seconds and values."""
    columns: dict[str, tuple[list[float], list[float]]] = {}
    for row in _rows(texts):
        at = row.get("_timestamp")
        if not isinstance(at, int | float):
            continue
        for name, value in row.items():
            if not name.startswith("_") and isinstance(value, int | float):
                column = columns.setdefault(name, ([], []))
                column[0].append(at)
                column[1].append(value)
    return {n: (_floats(t), _floats(v)) for n, (t, v) in columns.items()}


def histograms_of(points: Points, rows: Ints) -> dict[str, Histograms]:
    """Histograms on the run's own axis.

    Args:
        points: what was logged.
        rows: step of each row of ``points.steps`` on that axis.
    """
    made = {}
    steps = points.steps
    parts = points.histograms
    for name, (at, _) in parts.get("low", {}).items():
        place = np.clip(np.searchsorted(steps, at), 0, max(len(rows) - 1, 0))
        made[name] = Histograms(name, rows[place], *(parts[p][name][1] for p in _PARTS))
    return made


def _rows(texts: Iterable[str | bytes | Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    import orjson

    parse = orjson.loads
    for text in texts:
        if isinstance(text, str | bytes):
            try:
                row = parse(text)
            except orjson.JSONDecodeError:
                row = _read(text)  # takes bare NaN
        else:
            row = text
        if type(row) is dict:
            yield row


def _read(text: str | bytes) -> Any:
    try:
        return read_json(text)
    except ValueError as error:
        raise ServiceError(
            f"W&B sent a row that cannot be read: {error}",
            hint="try again later; if it stays so, please report it",
        ) from None


def _flat(row: Mapping[str, Any], path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Numbers, and histograms with all their parts, by full name."""
    for key, value in row.items():
        kind = type(value)
        if kind is float or kind is int or kind is bool:
            yield path + key, value
        elif kind is str:
            if value in NON_FINITE:
                yield path + key, NON_FINITE[value]
        elif kind is dict:
            if value.get("_type") == "histogram":
                yield path + key, value
            elif depth < DEEPEST:
                yield from _flat(value, f"{path}{key}{NESTED}", depth + 1)


def _floats(values: Sequence[float]) -> Floats:
    """Numbers of JSON, where whole ones may be larger than any float."""
    try:
        return np.asarray(values, dtype=np.float64)
    except OverflowError:
        large = [isinstance(v, int) and abs(v) >= 10**308 for v in values]
        return np.asarray(
            [(np.inf if v > 0 else -np.inf) if x else v for v, x in zip(values, large, strict=True)]
        )


def _histogram_columns(rows: Rows, places: Ints) -> dict[str, dict[str, Column]]:
    """Histograms of rows (by row number) as columns by ``_step``."""
    histograms = rows.finished()[1]
    if not histograms:
        return {}
    found: dict[str, dict[str, Column]] = {part: {} for part in _PARTS}
    for name, h in histograms.items():
        for part in _PARTS:
            found[part][name] = (places[h.step], getattr(h, part))
    return {part: _merged([columns]) for part, columns in found.items()}


def _merged(parts: list[Mapping[str, Column]]) -> dict[str, Column]:
    """Columns end to end, in order of step, of equal steps the last."""
    found: dict[str, list[Column]] = {}
    for part in parts:
        for name, column in part.items():
            found.setdefault(name, []).append(column)
    return {name: _increasing(columns) for name, columns in found.items()}


def _increasing(columns: list[Column]) -> Column:
    steps = _joined([c[0] for c in columns], np.int64)
    values = _joined([c[1] for c in columns], np.float64)
    if len(steps) < 2 or bool((np.diff(steps) > 0).all()):
        return steps, values
    order = np.argsort(steps, kind="stable")
    steps = steps[order]
    keep = order[np.append(steps[1:] != steps[:-1], True)]
    return np.unique(steps), values[keep]


def _joined(parts: list[Any], kind: Any) -> Any:
    return np.concatenate(parts).astype(kind, copy=False) if parts else np.empty(0, kind)


def _repeated(names: list[str], sizes: list[int]) -> pa.DictionaryArray:
    """Each name so many times."""
    import pyarrow as pa

    known = list(dict.fromkeys(names))
    place = {name: i for i, name in enumerate(known)}
    codes = np.repeat(np.asarray([place[n] for n in names], dtype=np.int32), sizes)
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(known, pa.string()))
