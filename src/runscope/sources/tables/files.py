"""Tables as they lie on disk: CSV, JSON lines, JSON, Parquet. All become cells of text.

Text keeps two facts apart that numbers would not: an empty cell (not logged) and ``nan`` (logged as NaN).
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runscope.errors import UnreadableRun

if TYPE_CHECKING:
    import pandas as pd


ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
_HINT = "a table needs one header line and one row a step"


def read_cells(file: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The cells of a table as text, and what was lost.

    Raises:
        UnreadableRun: it cannot be opened or parsed.
    """
    try:
        if file.suffix.lower() == ".parquet":
            return _parquet(file), ()
        text = file.read_text(encoding="utf-8-sig", errors="replace")
        if text and not text.strip("\0"):
            raise UnreadableRun(
                f"{file} is damaged: it holds nothing but zero bytes",
                hint="a crash or a full disk leaves such files; take a copy that is whole",
            )
        if file.suffix.lower() in (".jsonl", ".ndjson"):
            return _json_lines(text)
        return (_json(text), ()) if file.suffix.lower() == ".json" else _csv(text)
    except OSError as error:
        raise UnreadableRun(
            f"{file} cannot be read: {error.strerror or error}", hint="check the path and its rights"
        ) from None
    except (ValueError, RecursionError) as error:  # pandas', pyarrow's and json's own are ValueErrors
        raise UnreadableRun(f"{file} is no table: {error}", hint=_HINT) from None


def _csv(text: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    import pandas as pd

    head = text.partition("\n")[0]
    separator = max(",\t;", key=head.count)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            dtype=str,
            keep_default_na=False,
            index_col=False,
            on_bad_lines="warn",
        )
    table.columns = [str(c).strip() for c in table.columns]
    lost = sum(str(w.message).count("Skipping line") for w in caught)
    return table, (f"{lost} lines have too many cells and were left out",) if lost else ()


def _json_lines(text: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    rows, lost = [], 0
    for line in text.splitlines():
        try:
            row = json.loads(line) if line.strip() else None
        except ValueError:
            lost += 1
            continue
        if isinstance(row, dict):
            rows.append(row)
    return _frame(rows), (f"{lost} lines are no JSON and were left out",) if lost else ()


def _json(text: str) -> pd.DataFrame:
    """A list of rows, or columns of equal length as ``History.history`` of Keras has them."""
    data = json.loads(text)
    if isinstance(data, list) and all(isinstance(row, dict) for row in data):
        return _frame(data)
    columns = {k: v for k, v in data.items() if isinstance(v, list)} if isinstance(data, dict) else {}
    if not columns:
        raise ValueError("neither a list of rows nor columns of numbers")
    length = max(map(len, columns.values()))
    return _frame([{k: v[i] for k, v in columns.items() if i < len(v)} for i in range(length)])


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    texts = [{k: _as_text(v) for k, v in _flat(row).items()} for row in rows]
    return pd.DataFrame(texts, dtype=object).fillna("").astype(str)


def _flat(row: Mapping[str, Any], head: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{head}{key}.")
        elif not isinstance(value, list):
            found[f"{head}{key}"] = value
    return found


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return repr(float(value)) if isinstance(value, bool | int | float) else str(value)


def _parquet(file: Path) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(file)
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us")).cast(pa.int64())
            column = pa.compute.divide(column.cast(pa.float64()), 1e6)
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.int8())
        if not pa.types.is_nested(column.type):
            columns[name] = column.cast(pa.string()).fill_null("").to_pandas()
    return pd.DataFrame(columns)
