"""How a table lies in memory: cells of text as Arrow keeps them, numbers only where there are some.

A Python object a cell would take ten times the file. Rows are gathered in stretches, and columns that are empty there
share one; of numbers the rows that have one are kept.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from runscope.stats.arrays import Bools, Floats, Ints

if TYPE_CHECKING:
    import pandas as pd

STRETCH_CELLS = 1 << 16
"""Cells that are Python objects at one time: some 6 MB."""
FEWEST_ROWS = 1 << 10
"""Of a wide table so many rows are taken at one time, since each stretch of a column costs time."""
MOST_COLUMNS = 20_000
"""No training logs so many metrics; rows that each have names of their own are no table."""
Rows = npt.NDArray[np.int32] | None
"""Numbers of rows; None for all."""


class Cells:
    """Cells of text, gathered in stretches of rows; what a stretch does not name is empty there."""

    def __init__(self) -> None:
        self._counts: list[int] = []
        self._stretches: dict[str, list[Any]] = {}
        self._empty: dict[int, Any] = {}

    def add(self, columns: Mapping[str, Any], count: int) -> None:
        """Put rows below those that are there.

        Args:
            columns: by name, texts or an array of Arrow's.
            count: how many rows they are.

        Raises:
            ValueError: they have more names than any table has.
        """
        if len(self._stretches.keys() | columns.keys()) > MOST_COLUMNS:
            raise ValueError(f"its rows have more than {MOST_COLUMNS:,} names of columns")
        for name in columns:
            self._stretches.setdefault(name, [])
        for name, stretches in self._stretches.items():
            while len(stretches) < len(self._counts):
                stretches.append(self._nothing(self._counts[len(stretches)]))
            stretches.append(self._nothing(count) if name not in columns else self._texts(columns[name]))
        self._counts.append(count)

    def _texts(self, texts: Any) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        made = pa.array(texts, pa.large_string(), from_pandas=True)
        if isinstance(made, pa.ChunkedArray):
            made = made.combine_chunks()
        made = made.fill_null("")
        return made if pc.max(pc.binary_length(made)).as_py() else self._nothing(len(made))

    def _nothing(self, count: int) -> Any:
        """So many empty cells: one array for all columns that are empty there."""
        import pyarrow as pa

        if count not in self._empty:
            self._empty[count] = pa.array([""], pa.large_string()).take(pa.array(np.zeros(count, np.int32)))
        return self._empty[count]

    def frame(self) -> pd.DataFrame:
        """All rows as a table."""
        import pandas as pd
        import pyarrow as pa

        made = {
            name: pd.array(pa.chunked_array(stretches, pa.large_string()), dtype="str")
            for name, stretches in self._stretches.items()
        }
        return pd.DataFrame(made, index=range(sum(self._counts)), copy=False)


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


def filled(texts: pd.Series) -> pd.Series:
    """Cells that are not empty; not copied where none is."""
    mask = texts != ""
    return texts if bool(mask.all()) else texts[mask]


def kinds(texts: pd.Series, most: int | None = None) -> list[str]:
    """Different cells in order of appearance; where more than ``most`` are found, no more are looked for."""
    found: dict[str, None] = {}
    for part in _stretches(texts):
        found |= dict.fromkeys(map(str, part.unique()))
        if most is not None and len(found) > most:
            break
    return list(found)


def codes(texts: pd.Series) -> Ints:
    """A number for each cell, the same for equal ones: 0, 1, 2, ….

    Cells that are numbers are told apart as such: a hash table of their texts takes many times as much as they.
    """
    import pandas as pd

    numbers = to_floats(texts)
    if bool(np.isfinite(numbers).all()):
        return np.unique(numbers, return_inverse=True)[1].astype(np.int64, copy=False)
    return pd.factorize(texts)[0].astype(np.int64, copy=False)


def groups(codes: Ints, count: int) -> list[Ints]:
    """Rows of each of so many codes, in order."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.searchsorted(codes[order], np.arange(1, count)))[:count]


def repeated(columns: Sequence[pd.Series]) -> int:
    """How many rows have cells that a row before has."""
    one = np.zeros(len(columns[0]), dtype=np.int64)
    for texts in columns:
        more = codes(texts)
        one = np.unique(one * (int(more.max(initial=0)) + 1) + more, return_inverse=True)[1]
    return len(one) - (int(one.max(initial=-1)) + 1)


def to_floats(texts: pd.Series) -> Floats:
    """Numbers as pandas reads them, NaN for all else; a stretch at a time, since cells may become objects."""
    values = np.empty(len(texts))
    begin = 0
    for part in _stretches(texts):
        values[begin : begin + len(part)] = _floats(part)
        begin += len(part)
    return values


def _floats(texts: pd.Series) -> Floats:
    """Arrow reads the same numbers ten times as fast, and refuses what else stands in a cell: blanks, words."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        cells = pa.array(texts.array, from_pandas=True)
        filled = pc.if_else(pc.equal(cells, ""), None, cells)
        return np.asarray(pc.cast(filled, pa.float64()).to_numpy(zero_copy_only=False))
    except pa.ArrowException:
        return np.asarray(pd.to_numeric(texts, errors="coerce"), dtype=np.float64)


def _stretches(texts: pd.Series) -> Iterator[pd.Series]:
    for begin in range(0, len(texts), STRETCH_CELLS):
        yield texts.iloc[begin : begin + STRETCH_CELLS]
