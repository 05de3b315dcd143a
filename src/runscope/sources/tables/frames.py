"""How a table lies in memory: numbers as numbers, words as Arrow keeps texts.

A Python object a cell would take ten times the file, and the text of a number twice what the number does. Rows are
gathered in stretches; a column is one of numbers (float64) where all its cells are numbers or empty, else of texts,
where an empty cell is ``""``. Among numbers an empty cell is a NaN of its own (:data:`NOTHING`), as R has one: NaN was
logged, this was not.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from runscope.sources.tables.column_names import is_label, is_step
from runscope.stats.arrays import Bools, Floats, Ints

if TYPE_CHECKING:
    import pandas as pd

STRETCH_CELLS = 1 << 15
"""Cells that are Python objects at one time: with what pandas keeps beside them some 10 MB."""
FEWEST_ROWS = 1 << 10
"""Of a wide table so many rows are taken at one time, since each stretch of a column costs time."""
MOST_COLUMNS = 20_000
"""No training logs so many metrics; rows that each have names of their own are no table."""
_NOTHING_BITS = 0x7FF8_0000_0000_07A2
NOTHING = float(np.uint64(_NOTHING_BITS).view(np.float64))
"""An empty cell among numbers; kept apart from other NaNs by its bits, which copies do not change."""
_EXACT = 1e15
"""Whole numbers below are written without a point."""
_SPARSE = 1 << 10
"""Steps may lie so far apart and still tell themselves apart: this many times the rows is a small number."""
_LARGEST_CODE = 1 << 62
Rows = npt.NDArray[np.int32] | None
"""Numbers of rows; None for all."""


class Cells:
    """Cells of a table, gathered in stretches of rows; what a stretch does not name is empty there."""

    def __init__(self) -> None:
        self._counts: list[int] = []
        self._stretches: dict[str, list[Any]] = {}
        self._empty: dict[int, Any] = {}

    def add(self, columns: Mapping[str, Any], count: int) -> None:
        """Put rows below those that are there.

        Args:
            columns: by name, texts and numbers; ``""`` is an empty cell.
            count: how many rows they are.

        Raises:
            ValueError: they have more names than any table has.
        """
        if len(self._stretches.keys() | columns.keys()) > MOST_COLUMNS:
            raise ValueError(f"its rows have more than {MOST_COLUMNS:,} names of columns")
        for name in columns:
            self._stretches.setdefault(name, [])
        for name, stretches in self._stretches.items():
            stretches += [None] * (len(self._counts) - len(stretches))
            stretches.append(_stretch(columns[name], name) if name in columns else None)
        self._counts.append(count)

    def frame(self) -> pd.DataFrame:
        """All rows as a table; nothing is kept here."""
        import pandas as pd
        import pyarrow as pa

        made = {}
        for name in list(self._stretches):
            made[name] = self._column(self._stretches.pop(name))
            pa.default_memory_pool().release_unused()  # else it is there twice for a while
        return pd.DataFrame(made, index=range(sum(self._counts)), copy=False)

    def _column(self, stretches: list[Any]) -> Any:
        """Stretches end to end: numbers where none holds a word; texts too where most are empty, which share one."""
        import pyarrow as pa

        kinds = [stretch.type for stretch in stretches if stretch is not None]
        placed = zip(stretches, self._counts, strict=True)
        if pa.large_string() not in kinds and 2 * len(kinds) >= len(stretches):
            return np.concatenate(
                [np.broadcast_to(NOTHING, n) if part is None else part.to_numpy() for part, n in placed]
            )
        return _array([self._nothing(n) if part is None else _as_texts(part) for part, n in placed])

    def _nothing(self, count: int) -> Any:
        """So many empty texts: one array for all columns that are empty there."""
        if count not in self._empty:
            self._empty[count] = _no_texts(count)
        return self._empty[count]


def _stretch(cells: Any, name: str) -> Any:
    """Some cells of a column, as Arrow has them: numbers where all of them are, else texts; None where all are empty.

    Arrow's memory is apart from that of Python's objects, among which what stays would keep what goes from being freed.
    """
    import pyarrow as pa

    objects = np.asarray(cells, dtype=np.object_)
    dotted = is_step(name) and any(
        type(cell) is str and "." in cell for cell in objects
    )  # thousands, perhaps
    numbers = None if is_label(name) or dotted else _as_numbers(objects)
    if numbers is None:
        return _texts([cell if type(cell) is str else repr(cell) for cell in objects])
    if bool(is_nothing(numbers).all()):
        return None
    kept = np.frombuffer(pa.allocate_buffer(numbers.nbytes))
    kept[:] = numbers
    return pa.array(kept)


def _as_numbers(objects: npt.NDArray[np.object_]) -> Floats | None:
    """Texts and numbers as numbers; None where there is a word among them."""
    values = _coerced(objects)
    unknown = np.flatnonzero(np.isnan(values))
    if len(unknown):
        rest = objects[unknown]
        empty = np.asarray(rest == "", dtype=np.bool_)
        if any(str(cell).lower() != "nan" for cell in rest[~empty]):
            return None
        values[unknown] = np.where(empty, NOTHING, np.nan)
    return values


def _coerced(cells: Any) -> Floats:
    """Numbers as pandas reads them, NaN for all else."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    try:  # Arrow reads the same numbers ten times as fast, and refuses what else stands in a cell: blanks, words
        texts = pa.array(cells, pa.large_string(), from_pandas=True)
        numbers = pc.cast(pc.if_else(pc.equal(texts, ""), None, texts), pa.float64())
        return np.array(numbers.to_numpy(zero_copy_only=False))
    except pa.ArrowException:
        values = np.empty(len(cells))
        values[:] = pd.to_numeric(cells, errors="coerce")
        return values


def _texts(texts: Sequence[str]) -> Any:
    import pyarrow as pa

    return pa.array(texts, pa.large_string())


def _no_texts(count: int) -> Any:
    return _texts([""]).take(np.zeros(count, np.int32))


def _array(stretches: list[Any]) -> Any:
    import pandas as pd
    import pyarrow as pa

    return pd.array(pa.chunked_array(stretches, pa.large_string()), dtype="str")


def _as_texts(stretch: Any) -> Any:
    """A stretch as texts: whole numbers without a point, an empty cell as ``""``."""
    if stretch.type != "double":
        return stretch
    numbers = stretch.to_numpy()
    nothing = is_nothing(numbers)
    texts = [
        "" if empty else str(int(value)) if abs(value) < _EXACT and value == int(value) else repr(value)
        for value, empty in zip(numbers.tolist(), nothing.tolist(), strict=True)
    ]
    return _texts(texts)


def is_nothing(numbers: Floats) -> Bools:
    """Which of some numbers are empty cells."""
    bits: npt.NDArray[np.uint64] = numbers.view(np.uint64)
    found: Bools = bits == _NOTHING_BITS
    return found


def has_numbers(column: pd.Series) -> bool:
    """Whether a column is one of numbers."""
    return column.dtype == np.float64


def is_filled(column: pd.Series) -> Bools:
    """Which cells of a column are not empty."""
    return ~is_nothing(column.to_numpy()) if has_numbers(column) else (column != "").to_numpy(np.bool_)


def as_texts(column: pd.Series) -> pd.Series:
    """A column as texts."""
    import pandas as pd
    import pyarrow as pa

    if not has_numbers(column):
        return column
    stretches = [_as_texts(pa.array(part.to_numpy())) for part in _stretches(column)]
    return pd.Series(_array(stretches), index=column.index, name=column.name)


def chosen(which: Bools, column: pd.Series, other: pd.Series | None = None) -> pd.Series:
    """A column with the cells of another one in place of those that are not chosen; with empty ones where None is."""
    import pandas as pd

    if has_numbers(column) and (other is None or has_numbers(other)):
        rest = NOTHING if other is None else other.to_numpy()
        made = np.where(which, column.to_numpy(), rest)  # pandas' own turns NOTHING into another NaN
        return pd.Series(made, index=column.index, name=column.name)
    return as_texts(column).where(which, "" if other is None else as_texts(other))


def with_nan(column: pd.Series) -> pd.Series:
    """A column with NaN, as if that were logged, in its empty cells."""
    return column.where(is_filled(column), np.nan if has_numbers(column) else "nan")


def stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables one below the other; columns that one does not have are empty there."""
    import pandas as pd

    names = dict.fromkeys(str(name) for table in tables for name in table.columns)
    made = {}
    for name in names:
        mine = [table[name] if name in table.columns else None for table in tables]
        if all(column is None or has_numbers(column) for column in mine):
            parts = [
                np.full(len(table), NOTHING) if column is None else column.to_numpy()
                for column, table in zip(mine, tables, strict=True)
            ]
            made[name] = np.concatenate(parts)
        else:
            texts = [
                _no_texts(len(table)) if column is None else _texts(list(as_texts(column)))
                for column, table in zip(mine, tables, strict=True)
            ]
            made[name] = _array(texts)
    return pd.DataFrame(made, copy=False)


class Columns(Mapping[str, tuple[Floats, Bools]]):
    """Columns of numbers by name, in order; one that has none is left out.

    Asked for, a column is as long as the table: values (NaN where there are none), and which were logged.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._known: dict[str, tuple[Rows, Floats]] = {}
        self._rows: dict[tuple[int, int, int], list[npt.NDArray[np.int32]]] = {}

    def put(self, name: str, values: Floats, logged: Bools) -> None:
        """Keep a column, given as long as the table."""
        if bool(logged.all()):
            self._known[name] = None, values
        else:
            self.put_rows(name, np.flatnonzero(logged), values)

    def put_rows(self, name: str, rows: Ints, values: Floats) -> None:
        """Keep some rows of a column, given as long as the table; numbers of rows increase."""
        if len(rows) == self.count:
            self._known[name] = None, values
        elif len(rows):
            self._known[name] = self._shared(rows.astype(np.int32)), values[rows]

    def kept(self, name: str) -> tuple[Rows, Floats]:
        """Rows that have a value, and the values; metrics that were logged together share one array of rows."""
        return self._known[name]

    def turned(self) -> Columns:
        """The same with the last row first."""
        other = Columns(self.count)
        for name, (values, logged) in self.items():
            other.put(name, values[::-1], logged[::-1])
        return other

    def where(self, keep: Bools, without: Container[str]) -> Columns:
        """The same without the rows that are not to be kept, and without some columns."""
        other, everything = Columns(self.count), bool(keep.all())
        for name in (name for name in self if name not in without):
            if everything:
                other._known[name] = self._known[name]
            else:
                values, logged = self[name]
                other.put(name, values, logged & keep)
        return other

    def _shared(self, rows: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        alike = self._rows.setdefault((len(rows), int(rows[0]), int(rows[-1])), [])
        for other in alike:
            if np.array_equal(rows, other):
                return other
        alike.append(rows)
        return rows

    def __getitem__(self, name: str) -> tuple[Floats, Bools]:
        """A column as long as the table."""
        rows, values = self._known[name]
        if rows is None:
            return values, np.ones(self.count, dtype=np.bool_)
        wide, logged = np.full(self.count, np.nan), np.zeros(self.count, dtype=np.bool_)
        wide[rows], logged[rows] = values, True
        return wide, logged

    def __iter__(self) -> Iterator[str]:
        """Their names."""
        return iter(self._known)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._known)


def stretch_rows(columns: int) -> int:
    """Rows of which the cells may be Python objects at one time."""
    return max(FEWEST_ROWS, STRETCH_CELLS // max(columns, 1))


def filled(column: pd.Series) -> pd.Series:
    """Cells that are not empty; not copied where none is."""
    mask = is_filled(column)
    return column if bool(mask.all()) else column[mask]


def kinds(column: pd.Series, most: int | None = None) -> list[str]:
    """Different cells in order of appearance; where more than ``most`` are found, no more are looked for."""
    found: dict[str, None] = {}
    for part in _stretches(column):
        words: Iterable[object] = part.unique()
        if has_numbers(part):  # by their bits: pandas takes an empty cell for another NaN
            first = np.unique(part.to_numpy().view(np.uint64), return_index=True)[1]
            words = as_texts(part.iloc[np.sort(first)])
        found |= dict.fromkeys(map(str, words))
        if most is not None and len(found) > most:
            break
    return list(found)


def codes(column: pd.Series) -> Ints:
    """A number from 0 up for each cell, the same for equal ones."""
    import pandas as pd

    if not has_numbers(column):
        return pd.factorize(column)[0].astype(np.int64, copy=False)
    numbers = column.to_numpy()
    low, high = numbers.min(initial=np.inf), numbers.max(initial=-np.inf)
    if np.isfinite(low) and np.isfinite(high) and high - low < _SPARSE * len(numbers):  # as steps do
        above = numbers - low
        whole: Ints = above.astype(np.int64)
        if bool((whole == above).all()):
            return whole
    return np.unique(numbers.view(np.uint64), return_inverse=True)[1].astype(np.int64, copy=False)


def groups(codes: Ints, count: int) -> list[Ints]:
    """Rows of each of so many codes, in order."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.searchsorted(codes[order], np.arange(1, count)))[:count]


def repeated(columns: Sequence[pd.Series]) -> int:
    """How many rows have cells that a row before has."""
    one, kinds = np.zeros(len(columns[0]), dtype=np.int64), 1
    for column in columns:
        more = codes(column)
        width = int(more.max(initial=0)) + 1
        if kinds * width > _LARGEST_CODE:
            one = np.unique(one, return_inverse=True)[1].astype(np.int64, copy=False)
            kinds = int(one.max(initial=0)) + 1
        one *= width
        one += more
        kinds *= width
    one.sort()
    return int((one[1:] == one[:-1]).sum())


def to_floats(column: pd.Series) -> Floats:
    """Numbers as pandas reads them, NaN for all else; of texts a stretch at a time, since each becomes an object."""
    if has_numbers(column):
        return column.to_numpy()
    return np.concatenate([np.empty(0), *map(_coerced, _stretches(column))])


def _stretches(column: pd.Series) -> Iterator[pd.Series]:
    for begin in range(0, len(column), STRETCH_CELLS):
        yield column.iloc[begin : begin + STRETCH_CELLS]
