"""JSON lines and JSON as tables, under whatever ending they lie."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from runscope.safe_text import whole_letters
from runscope.sources.tables.frames import Cells, stretch_rows
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
    counted, notes = Counter[str](), list(source.notes)
    made = frame(_objects(source, counted), counted)
    if counted[CUT]:
        notes.append("the last line is cut and was left out")
    if lost := counted[NO_JSON]:
        notes.append(f"{lost:,} lines are no JSON and were left out")
    return made, (*notes, *_said(counted))


def _objects(source: Text, lost: Counter[str]) -> Iterator[Row]:
    begin, size = 0, len(source.text)
    while begin <= size:
        found = source.text.find("\n", begin)
        end = size if found < 0 else found
        line = source.text[begin:end]
        begin = end + 1
        if not line.strip():
            continue
        row = _object(line)
        if row is not None:
            yield row
        else:
            lost[CUT if end == size and not source.ended else NO_JSON] += 1


def read_json(source: Text) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A list of rows, or columns of equal length as ``History.history`` of Keras and ``evals_result`` have them.

    Raises:
        ValueError: it is neither, or no JSON.
    """
    lost = Counter[str]()
    if _LIST.match(source.text):
        return frame(_listed(source.text), lost), (*source.notes, *_said(lost))
    said, data = source.notes, json.loads(source.text)
    del source  # as large as the file
    rows = _rows_of(data)
    if rows is not None:
        return frame(rows, lost), (*said, *_said(lost))
    if isinstance(data, dict) and next(_points(data), None):
        return frame(_points(data), lost), (*said, *_said(lost))
    columns = dict(_columns(data)) if isinstance(data, dict) else {}
    if not columns:
        raise ValueError(_NEITHER)
    made, told = _side_by_side(columns, lost)
    return made, (*said, *told, *_said(lost))


_NEITHER = "neither a list of rows nor columns of numbers"
_BETWEEN = re.compile(r"\s*([,\]])\s*")
_SPACE = re.compile(r"\s*")


def _listed(text: str) -> Iterator[Row]:
    """The objects of a list, one after the other: all of them at once take many times the file.

    Raises:
        ValueError: it is no JSON, or holds something else as well.
    """
    decode = json.JSONDecoder().raw_decode
    at = text.index("[") + 1
    while True:
        row, at = decode(text, _SPACE.match(text, at).end())  # type: ignore[union-attr]  # matches nothing, too
        if not isinstance(row, dict):
            raise ValueError(_NEITHER)
        yield row
        between = _BETWEEN.match(text, at)
        if between is None or (between[1] == "]") != (between.end() == len(text)):
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
        if between[1] == "]":
            return
        at = between.end()


def _side_by_side(columns: Mapping[str, Sequence[Any]], lost: Counter[str]) -> tuple[pd.DataFrame, list[str]]:
    """Rows of columns; one that is shorter by far has a value every so many rows, where that is a whole number."""
    length = max(map(len, columns.values()))
    said, every = [], {}
    for name, values in columns.items():
        count = len(values)
        if length - count <= FEW_MISSING:
            every[name] = 1
        elif length % count == 0:
            every[name] = length // count
            said.append(
                f"{name} has {count:,} values beside {length:,} rows: taken as one every {every[name]:,} rows"
            )
        else:
            said.append(
                f"{name} has {count:,} values beside {length:,} rows, and nothing says which rows they belong to: "
                "left out"
            )
    cells, size = Cells(), stretch_rows(len(columns))
    for begin in range(0, length, size):
        count = min(size, length - begin)
        made = {
            whole_letters(name): _thinned(columns[name], begin, count, step, lost)
            for name, step in every.items()
        }
        cells.add(made, count)
    return cells.frame(), said


def _thinned(values: Sequence[Any], begin: int, count: int, every: int, lost: Counter[str]) -> list[str]:
    """Cells of some rows of a column that has a value in the last of every so many rows."""
    made = [""] * count
    first = -(-(begin + 1) // every)  # number of the first value at or below the first row, from 1
    for place, value in zip(
        range(first * every - 1 - begin, count, every), values[first - 1 :], strict=False
    ):
        made[place] = _as_text(value, lost)
    return made


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


DEEP, LARGE, CUT, NO_JSON = "deep", "large", "cut", "no JSON"


def _said(lost: Mapping[str, int]) -> Iterator[str]:
    """What of the rows could not be kept as it stood."""
    if deep := lost.get(DEEP, 0):
        yield f"{deep:,} value{'s' if deep > 1 else ''} nested deeper than {_DEEPEST} levels left out"
    if large := lost.get(LARGE, 0):
        yield (
            f"{large:,} whole number{'s are' if large > 1 else ' is'} larger than any 64-bit float: "
            "taken as infinite"
        )


def frame(rows: Iterable[Row], lost: Counter[str] | None = None) -> pd.DataFrame:
    """Rows as cells of text; nested names are joined with a dot, and what is lost is counted in ``lost``."""
    count = Counter[str]() if lost is None else lost
    cells, number = Cells(), 0
    columns: dict[str, list[str]] = {}
    by_name: dict[str, list[str]] = {}  # as they were written: of two that read alike one column
    for row in rows:
        for name, value in _flat(row, count):
            column = by_name.get(name)
            if column is None:
                column = by_name[name] = columns.setdefault(whole_letters(name), [])
            # Nearly all that is logged is of these two kinds.
            text = repr(value) if type(value) is float else _as_text(value, count)
            if len(column) == number:
                column.append(text)
            else:
                column[number:] = [*[""] * (number - len(column)), text]
        number += 1
        if number >= stretch_rows(len(columns)):
            cells.add(_padded(columns, number), number)
            columns, by_name, number = {}, {}, 0
    cells.add(_padded(columns, number), number)
    return cells.frame()


def _padded(columns: Mapping[str, list[str]], count: int) -> Mapping[str, list[str]]:
    for column in columns.values():
        column += [""] * (count - len(column))
    return columns


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
