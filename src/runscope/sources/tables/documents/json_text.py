"""JSON lines and JSON as tables, under whatever ending they lie."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runscope.errors import UnreadableRun
from runscope.safe_text import whole_letters
from runscope.sources.tables.documents import literals
from runscope.sources.tables.documents.json_row import row_of
from runscope.sources.tables.documents.json_shapes import (
    DEEPEST,
    columns_of,
    is_log,
    points_of,
    rows_of,
    runs_of,
)
from runscope.sources.tables.frames import Cells, stretch_rows
from runscope.sources.text import Text, read_text

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
Cell = str | float
"""``""`` is an empty one."""
_OBJECT = re.compile(r"\s*(?:DLLL )?\{\s*\"")
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
    if not lines or not all(_OBJECT.match(line) for line in lines) or row_of(lines[0]) is None:
        return False
    return len(lines) > 1 or (one and "loss" in lines[0])


def is_rows(head: str) -> bool:
    """Whether a text under the ending of a plain one begins as a list of rows, or as Python prints one."""
    return literals.is_printed(head) or (_LIST.match(head) is not None and '":' in head)


def is_table(head: str) -> bool:
    """Whether a file that begins so is a list of rows, or holds lists of a metric's values."""
    if literals.is_printed(head) or _LIST.match(head) is not None or _TRIPLES.match(head) is not None:
        return True
    if head.lstrip()[:1] != "{":
        return False
    if _COLUMNS.search(head) is not None or _POINTS.search(head) is not None:
        return True
    begun = _OBJECTS.match(head)
    return begun is not None and _IN_A_ROW.search(head[begun.end() :].partition("}")[0]) is not None


_MOST_BYTES = 1 << 26
"""Documents of other forms than those whose beginning tells are looked into as a whole up to this size."""
_NAMED = re.compile(
    rf"\"{_METRIC}\"\s*:|\"(?:columns|train|training|valid|validation|val)\"\s*:", re.IGNORECASE
)


def is_other_table(head: str, file: Path) -> bool:
    """Whether a document that begins so holds rows or lists of metrics in some other form; parses all of it."""
    if head.lstrip()[:1] not in ("{", "[") or _NAMED.search(head) is None:
        return False
    try:
        if file.stat().st_size > _MOST_BYTES:
            return False
        return is_log(_parsed(read_text(file).text))
    except (OSError, ValueError, RecursionError, UnreadableRun):
        return False


def read_lines(source: Text) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows of a file with one JSON object per line, and what was lost."""
    counted, notes = Counter[str](), list(source.notes)
    made = frame(_objects(source, counted), counted)
    if counted.pop(CUT, 0):
        notes.append("the last line is cut and was left out")
    if lost := counted[NO_JSON]:
        notes.append(f"{lost:,} line{'s are' if lost > 1 else ' is'} no JSON and left out")
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
        row = row_of(line)
        if row is not None:
            yield row
        elif line.strip() in _OF_A_LIST:
            continue
        elif rows := _glued(line):
            yield from rows
        else:
            lost[CUT if end == size and not source.ended else NO_JSON] += 1


_OF_A_LIST = frozenset("[]")
"""Lines around the rows of a list that has one row a line."""


def _glued(line: str) -> list[Row]:
    """Objects that two writers put into one line; none where a part of it is no JSON."""
    try:
        return list(_one_after_the_other(line))
    except ValueError:
        return []


def read_json(source: Text) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A list of rows, or columns of equal length as ``History.history`` of Keras and ``evals_result`` have them.

    Raises:
        ValueError: it is neither, or no JSON.
    """
    lost = Counter[str]()
    printed = literals.is_printed(source.text[: literals.HEAD])
    if (
        not printed
        and _LIST.match(source.text)
        and not runs_of(list(islice(_listed(source.text, Counter()), 1)))
    ):
        made = frame(_listed(source.text, lost), lost)
        return made, (*source.notes, *_said(lost))
    said, data = source.notes, literals.parsed(source.text) if printed else _parsed(source.text)
    del source  # as large as the file
    if runs := runs_of(data):
        return frame(_of_runs(runs, lost), lost), (*said, *_said(lost))
    rows = rows_of(data)
    if rows is not None:
        return frame(rows, lost), (*said, *_said(lost))
    if isinstance(data, dict) and next(points_of(data), None):
        return frame(points_of(data), lost), (*said, *_said(lost))
    columns = dict(columns_of(data)) if isinstance(data, dict) else {}
    if not columns:
        raise ValueError(_NEITHER)
    made, told = _side_by_side(columns, lost)
    return made, (*said, *told, *_said(lost))


_NEITHER = "neither a list of rows nor columns of numbers"
_BETWEEN = re.compile(r"\s*([,\]])\s*")
_SPACE = re.compile(r"\s*")
_NO_MORE = re.compile(r"\s*,?\s*\Z")


def _parsed(text: str) -> Any:
    """A document; objects one after the other, as some scripts write them, as a list of them.

    Raises:
        ValueError: it is no JSON, or its end is missing.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip()[:1] == "{":
            return list(_one_after_the_other(text))
        if _at_its_end(text, error):
            raise ValueError("its end is missing: it was cut off, or is still being written") from None
        raise


def _at_its_end(text: str, error: json.JSONDecodeError) -> bool:
    """Whether JSON cannot go on where the text ends."""
    return error.msg.startswith("Unterminated") or len(text.rstrip()) - error.pos < len("-Infinity")


def _one_after_the_other(text: str) -> Iterator[Row]:
    decode, at, end = json.JSONDecoder().raw_decode, 0, len(text.rstrip())
    while at < end:
        row, at = decode(text, _SPACE.match(text, at).end())  # type: ignore[union-attr]  # matches nothing, too
        if not isinstance(row, dict):
            raise ValueError(_NEITHER)
        yield row


def _of_runs(runs: Mapping[str, Any], lost: Counter[str]) -> Iterator[Row]:
    """Rows of runs that lie side by side, each with the name of its run."""
    for name, part in runs.items():
        rows = rows_of(part) or list(points_of(part))
        if not rows:
            columns = dict(columns_of(part))
            length = max(map(len, columns.values()))
            lost[SHORT] += sum(length - len(values) > FEW_MISSING for values in columns.values())
            columns = {n: values for n, values in columns.items() if length - len(values) <= FEW_MISSING}
            rows = [
                {n: values[at] for n, values in columns.items() if at < len(values)} for at in range(length)
            ]
        yield from ({"run": name, **row} for row in rows)


def _listed(text: str, lost: Counter[str]) -> Iterator[Row]:
    """The objects of a list, one after the other: all of them at once take many times the file.

    Where the text ends in the middle of a row, that row is counted as lost.

    Raises:
        ValueError: it is no JSON, or holds something else as well.
    """
    decode = json.JSONDecoder().raw_decode
    at = text.index("[") + 1
    while True:
        try:
            row, at = decode(text, _SPACE.match(text, at).end())  # type: ignore[union-attr]  # matches nothing, too
        except json.JSONDecodeError as error:
            if not _at_its_end(text, error):
                raise
            lost[CUT] += 1
            return
        if not isinstance(row, dict):
            raise ValueError(_NEITHER)
        yield row
        if _NO_MORE.match(text, at):
            lost[UNENDED] += 1
            return
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


def _thinned(values: Sequence[Any], begin: int, count: int, every: int, lost: Counter[str]) -> list[Cell]:
    """Cells of some rows of a column that has a value in the last of every so many rows."""
    made: list[Cell] = [""] * count
    first = -(-(begin + 1) // every)  # number of the first value at or below the first row, from 1
    for place, value in zip(
        range(first * every - 1 - begin, count, every), values[first - 1 :], strict=False
    ):
        made[place] = _cell(value, lost)
    return made


FEW_MISSING = 2
"""A column that is so little shorter lacks its last values: a training was stopped between them."""


DEEP, LARGE, CUT, NO_JSON = "deep", "large", "cut", "no JSON"
SHORT, LISTS, UNENDED = "short", "lists", "unended"


def _said(lost: Mapping[str, int]) -> Iterator[str]:
    """What of the rows could not be kept as it stood."""
    if deep := lost.get(DEEP, 0):
        yield f"{deep:,} value{'s' if deep > 1 else ''} nested deeper than {DEEPEST} levels left out"
    if lost.get(CUT, 0) or lost.get(UNENDED, 0):
        whole = "its last row is cut and was left out" if lost.get(CUT, 0) else "its end is missing"
        yield f"{whole}: the file was cut off, or is still being written"
    if lists := lost.get(LISTS, 0):
        yield f"{lists:,} list{'s' if lists > 1 else ''} of numbers inside rows left out: a row has one value a name"
    if short := lost.get(SHORT, 0):
        yield f"{short:,} shorter list{'s' if short > 1 else ''} left out: nothing says which rows they belong to"
    if large := lost.get(LARGE, 0):
        yield (
            f"{large:,} whole number{'s are' if large > 1 else ' is'} larger than any 64-bit float: "
            "taken as infinite"
        )


_NESTED = frozenset((dict, list))
ROW_CELLS = 4
"""A row as an object takes as much memory as so many cells."""


def frame(rows: Iterable[Row], lost: Counter[str] | None = None) -> pd.DataFrame:
    """Rows as a table; nested names are joined with a dot, and what is lost is counted in ``lost``."""
    count = Counter[str]() if lost is None else lost
    cells = Cells()
    waiting: list[Mapping[str, Any]] = []
    names: dict[str, None] = {}
    most = stretch_rows(ROW_CELLS)
    for row in rows:
        one = row if _NESTED.isdisjoint(map(type, row.values())) else dict(flat(row, count))
        if not one.keys() <= names.keys():
            one = {
                whole_letters(name): value for name, value in one.items()
            }  # of two that read alike one column
            names |= dict.fromkeys(one)
            most = stretch_rows(ROW_CELLS + len(names))
        waiting.append(one)
        if len(waiting) >= most:
            cells.add(_columns(waiting, names, count), len(waiting))
            waiting, names, most = [], {}, stretch_rows(ROW_CELLS)
    cells.add(_columns(waiting, names, count), len(waiting))
    return cells.frame()


def _columns(
    rows: Sequence[Mapping[str, Any]], names: Iterable[str], lost: Counter[str]
) -> dict[str, list[Cell]]:
    """Cells by name, of rows that are flat."""
    return {name: _cells([row.get(name) for row in rows], lost) for name in names}


def _cells(values: Sequence[Any], lost: Counter[str]) -> list[Cell]:
    return [value if type(value) is float else _cell(value, lost) for value in values]


def flat(
    row: Mapping[str, Any], lost: Counter[str], head: str = "", depth: int = 0
) -> Iterator[tuple[str, Any]]:
    """The cells of a row, nested names joined with a dot; what is no cell is counted in ``lost``."""
    for key, value in row.items():
        if isinstance(value, dict):
            if depth < DEEPEST:
                yield from flat(value, lost, f"{head}{key}.", depth + 1)
            else:
                lost[DEEP] += 1
        elif not isinstance(value, list):
            yield f"{head}{key}", value
        # One group of parameters has one learning rate.
        elif len(value) == 1 and isinstance(value[0], int | float):
            yield f"{head}{key}", value[0]
        elif value and all(isinstance(number, int | float) for number in value):
            lost[LISTS] += 1


def _cell(value: Any, lost: Counter[str]) -> Cell:
    if value is None:
        return ""
    if isinstance(value, bool | float):
        return float(value)
    if isinstance(value, int):
        return value if abs(value) < 1 << 63 else _large(value, lost)
    return whole_letters(str(value))


def _large(value: int, lost: Counter[str]) -> float:
    try:
        return float(value)
    except OverflowError:
        lost[LARGE] += 1
        return math.inf if value > 0 else -math.inf
