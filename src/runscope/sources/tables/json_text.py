"""JSON lines and JSON as tables, under whatever ending they lie."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from runscope.safe_text import whole_letters
from runscope.sources.tables.long import EPOCHS, SET_WORDS, STEPS, TIMES
from runscope.sources.text import Text

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
_DEEPEST = 20
"""A row of metrics is nested a few times; what is nested deeper is none, and may have no end."""
_OBJECT = re.compile(r"\s*\{\s*\"")
_METRIC = r"[^\"]*(?:loss|acc|error|rmse|mae|mse|auc|l[12]|map|ndcg|score|reward)[^\"]*"
_COLUMNS = re.compile(rf"\"{_METRIC}\"\s*:\s*\[\s*[-\d\[\"N]", re.IGNORECASE)
_LIST = re.compile(r"\s*\[\s*\{")
_TRIPLES = re.compile(r"\s*\[\s*\[\s*\d{9,}[.\d]*\s*,\s*\d+\s*,")
"""How TensorBoard's own JSON download begins: time, step, value."""
_IN_A_ROW = re.compile(rf"\"(?:{_METRIC}|step|epoch)\"\s*:\s*(?:[-\d]|NaN)", re.IGNORECASE)
_OBJECTS = re.compile(r"\s*\{\s*(?:\"[^\"]*\"\s*:\s*\[|\"\d+\"\s*:)\s*\{")
"""How an object begins that holds rows: in lists (``{"train": [{…}]}``), or by number (``{"0": {…}}``)."""
_POINTS = re.compile(r"\"(?:x|y|steps|values)\"\s*:\s*\[\s*[-\d\[\"N]")
"""How a curve begins in what ClearML and Comet give back: lists of places and of values."""


def is_lines(head: str, *, one: bool) -> bool:
    """Whether a file that begins so holds one JSON object per line; ``one`` takes a single one that tells of a loss."""
    lines = [line for line in head.split("\n", 4)[:4] if line.strip()]
    if not lines or not all(_OBJECT.match(line) for line in lines) or _object(lines[0]) is None:
        return False
    return len(lines) > 1 or (one and "loss" in lines[0])


def is_table(head: str) -> bool:
    """Whether a file that begins so is a list of rows, or holds lists of a metric's values."""
    if _LIST.match(head) is not None or _TRIPLES.match(head) is not None:
        return True
    if head.lstrip()[:1] != "{":
        return False
    if _COLUMNS.search(head) is not None or _POINTS.search(head) is not None:
        return True
    begun = _OBJECTS.match(head)
    return begun is not None and _IN_A_ROW.search(head[begun.end() :].partition("}")[0]) is not None


def read_lines(source: Text) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows of a file with one JSON object per line, and what was lost."""
    rows: list[Row] = []
    lost, notes = 0, list(source.notes)
    lines = source.text.split("\n")
    for line in lines:
        if not line.strip():
            continue
        row = _object(line)
        if row is not None:
            rows.append(row)
        elif line is lines[-1] and not source.ended:
            notes.append("the last line is cut and was left out")
        else:
            lost += 1
    if lost:
        notes.append(f"{lost:,} lines are no JSON and were left out")
    counted = Counter[str]()
    return frame(rows, counted), (*notes, *_said(counted))


def read_json(source: Text) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A list of rows, or columns of equal length as ``History.history`` of Keras and ``evals_result`` have them.

    Raises:
        ValueError: it is neither, or no JSON.
    """
    data = json.loads(source.text)
    rows, lost = _rows_of(data), Counter[str]()
    if rows is not None:
        return frame(rows, lost), (*source.notes, *_said(lost))
    points = list(_points(data)) if isinstance(data, dict) else []
    if points:
        return frame(points, lost), (*source.notes, *_said(lost))
    columns = dict(_columns(data)) if isinstance(data, dict) else {}
    if not columns:
        raise ValueError("neither a list of rows nor columns of numbers")
    made, said = _side_by_side(columns)
    return frame(made, lost), (*source.notes, *said, *_said(lost))


def _side_by_side(columns: Mapping[str, Sequence[Any]]) -> tuple[list[Row], list[str]]:
    """Rows of columns; one that is shorter by far has a value every so many rows, where that is a whole number."""
    length = max(map(len, columns.values()))
    rows: list[Row] = [{} for _ in range(length)]
    said = []
    for name, values in columns.items():
        count = len(values)
        if length - count <= FEW_MISSING:
            places = range(count)
        elif length % count == 0:
            every = length // count
            places = range(every - 1, length, every)
            said.append(
                f"{name} has {count:,} values beside {length:,} rows: taken as one every {every:,} rows"
            )
        else:
            said.append(
                f"{name} has {count:,} values beside {length:,} rows, and nothing says which rows they belong to: "
                "left out"
            )
            continue
        for place, value in zip(places, values, strict=True):
            rows[place][name] = value
    return rows, said


FEW_MISSING = 2
"""A column that is so little shorter lacks its last values: a training was stopped between them."""
_COUNTERS = frozenset((*STEPS, *EPOCHS, *TIMES))


def _rows_of(data: Any) -> list[Row] | None:
    """Rows, in whatever way a document holds them.

    A list of objects: the document itself, the only such list in it (``{"iterations": [{…}]}``), or one for each set of
    data (``{"train": […], "val": […]}``); objects by number; TensorBoard's triples of time, step and value.
    """
    if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
        return data
    if isinstance(data, list) and data and all(isinstance(row, list) and len(row) == 3 for row in data):
        return [dict(zip(("Wall time", "Step", "Value"), row, strict=True)) for row in data]
    if not isinstance(data, dict) or next(_points(data), None):
        return [] if data == [] else None
    if data and all(name.isdecimal() and isinstance(row, dict) for name, row in data.items()):
        counted = any({str(key).lower() for key in row} & {*STEPS, *EPOCHS} for row in data.values())
        return [row if counted else {"step": int(name), **row} for name, row in data.items()]
    lists = {
        name: found
        for name, value in data.items()
        if isinstance(value, list) and not _pairs(value) and (found := _rows_of(value))
    }
    if len(lists) > 1 and all(name.lower() in SET_WORDS for name in lists):
        return [_of_set(name, row) for name, rows in lists.items() for row in rows]
    only = next(iter(lists.values())) if len(lists) == 1 else None
    longest = max((len(column) for _, column in _columns(data)), default=0)
    return only if only is not None and len(only) >= longest else None


def _of_set(name: str, row: Row) -> Row:
    return {key if str(key).lower() in _COUNTERS else f"{name}/{key}": value for key, value in row.items()}


def _pairs(value: Any) -> bool:
    """Whether a list holds places and values: ``[[0, 2.3], [10, 2.1]]``."""
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(
            isinstance(v, list) and len(v) == 2 and all(isinstance(n, int | float) for n in v) for v in value
        )
    )


def _columns(data: Mapping[str, Any], head: str = "", depth: int = 0) -> Iterator[tuple[str, Sequence[Any]]]:
    for name, value in data.items():
        if isinstance(value, list) and value and not any(isinstance(v, dict | list) for v in value):
            yield f"{head}{name}", value
        elif isinstance(value, dict) and depth < _DEEPEST:
            yield from _columns(value, f"{head}{name}/", depth + 1)


_BY_TIME = 1e11
"""Places beyond it are milliseconds since 1970: the chart was asked for over time."""
_MOST_HEADS = 3


def _points(data: Mapping[str, Any], heads: tuple[str, ...] = ()) -> Iterator[Row]:
    """Points of curves that lie in a tree: title → series → x and y (ClearML), experiment → metrics (Comet).

    Raises:
        ValueError: they are placed by time.
    """
    for name, value in data.items():
        if (
            isinstance(value, list)
            and value
            and all(isinstance(v, dict) and "metricName" in v for v in value)
        ):
            for curve in value:
                yield from _curve(curve.get("steps"), curve.get("values"), heads, str(curve["metricName"]))
        elif (
            isinstance(value, dict) and isinstance(value.get("x"), list) and isinstance(value.get("y"), list)
        ):
            yield from _curve(value["x"], value["y"], heads[:-1], _series(*heads[-1:], name))
        elif _pairs(value):
            yield from _curve([x for x, _ in value], [y for _, y in value], (), "/".join((*heads, name)))
        elif isinstance(value, dict) and len(heads) < _MOST_HEADS:
            yield from _points(value, (*heads, name))


def _series(*names: str) -> str:
    """What a series below a title is of: ``loss`` and ``val`` are ``val/loss``."""
    title, series = names if len(names) == 2 else ("", *names)
    if not title or title == series:
        return series
    return f"{series}/{title}" if series.lower() in SET_WORDS else f"{title}/{series}"


def _curve(steps: Any, values: Any, run: tuple[str, ...], metric: str) -> Iterator[Row]:
    if not isinstance(steps, list) or not isinstance(values, list) or len(steps) != len(values):
        return
    if steps and all(isinstance(s, int | float) and s > _BY_TIME for s in steps):
        raise ValueError("its curves are placed by time and not by iteration: export them by iteration")
    named = {"run": "/".join(run)} if run else {}
    for step, value in zip(steps, values, strict=True):
        yield {**named, "metric": metric, "step": step, "value": value}


def _object(line: str) -> Row | None:
    try:
        row = orjson.loads(line)
    except ValueError:  # perhaps for a bare NaN or a number of a hundred digits, which every script writes
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return None
    return row if isinstance(row, dict) else None


DEEP, LARGE = "deep", "large"


def _said(lost: Mapping[str, int]) -> Iterator[str]:
    """What of the rows could not be kept as it stood."""
    if deep := lost.get(DEEP, 0):
        yield f"{deep:,} value{'s' if deep > 1 else ''} nested deeper than {_DEEPEST} levels left out"
    if large := lost.get(LARGE, 0):
        yield (
            f"{large:,} whole number{'s are' if large > 1 else ' is'} larger than any 64-bit float: "
            "taken as infinite"
        )


def frame(rows: Sequence[Row], lost: Counter[str] | None = None) -> pd.DataFrame:
    """Rows as cells of text; nested names are joined with a dot, and what is lost is counted in ``lost``."""
    import pandas as pd

    count = Counter[str]() if lost is None else lost
    columns: dict[str, list[str]] = {}
    by_name: dict[
        str, list[str]
    ] = {}  # under the names as they were written: of two that read alike one column
    for number, row in enumerate(rows):
        for name, value in _flat(row, count):
            column = by_name.get(name)
            if column is None:
                column = by_name[name] = columns.setdefault(whole_letters(name), [""] * len(rows))
            # Nearly all that is logged is of these two kinds.
            column[number] = repr(value) if type(value) is float else _as_text(value, count)
    return pd.DataFrame(columns, index=range(len(rows)), dtype=object).astype(str)


def _flat(
    row: Mapping[str, Any], lost: Counter[str], head: str = "", depth: int = 0
) -> Iterator[tuple[str, Any]]:
    for key, value in row.items():
        if isinstance(value, dict):
            if depth < _DEEPEST:
                yield from _flat(value, lost, f"{head}{key}.", depth + 1)
            else:
                lost[DEEP] += 1
        elif not isinstance(value, list):
            yield f"{head}{key}", value
        elif len(value) == 1 and isinstance(
            value[0], int | float
        ):  # one group of parameters, one learning rate
            yield f"{head}{key}", value[0]


def _as_text(value: Any, lost: Counter[str]) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | float):
        return repr(float(value))
    if isinstance(value, int):
        return str(value) if abs(value) < 1 << 63 else _large(value, lost)
    return whole_letters(str(value))


def _large(value: int, lost: Counter[str]) -> str:
    try:
        return repr(float(value))
    except OverflowError:
        lost[LARGE] += 1
        return "inf" if value > 0 else "-inf"
