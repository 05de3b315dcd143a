"""Tables as people lay them out: on their side, with metrics as rows; below two header lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from runscope.history.metrics import plain
from runscope.sources.tables.cells import LIKE_A_METRIC
from runscope.sources.tables.column_names import is_epoch, is_step
from runscope.sources.text import first_lines

MOST_METRICS = 100
"""A table on its side has a line a metric: with more lines it stands upright."""
_FEWEST_STEPS = 3
_OF_NAMES = frozenset(("", "metric", "metrics", "name", "key", "variable", "tag", "index"))
_PLACE = re.compile(r"([a-z]+)?[ _#:-]*(\d+)", re.IGNORECASE)
Rows = list[list[str]]


def upright(
    text: str,
    split: Callable[[str], list[str]],
    is_number: Callable[[str], bool],
    mark: str,
    notes: list[str],
) -> str:
    """The text with one header line above one row a step; as it was where it stands so already.

    Args:
        text: a table without what stands above its header line.
        split: the cells of a line.
        is_number: whether a cell holds one, or nothing.
        mark: what shall part cells.
        notes: what was turned is said here.
    """
    rows = [split(line) for line in first_lines(text, MOST_METRICS + 1) if line.strip()]
    if text.count("\n") <= MOST_METRICS and _lies(rows, is_number):
        notes.append("the table lies on its side: its lines are metrics, its columns are steps")
        return "".join(f"{mark.join(row)}\n" for row in zip(*_with_counter(rows), strict=True))
    joined = _one_header(rows[:4], is_number)
    if joined is None:
        return text
    header, lines = joined
    notes.append("two header lines are read as one")
    body = text.split("\n", lines)[lines]
    return f"{mark.join(header)}\n{body}"


def _lies(rows: Rows, is_number: Callable[[str], bool]) -> bool:
    """Whether every line is a name and numbers, and one of the names is of a metric."""
    if len(rows) < 2 or len({len(row) for row in rows}) != 1 or len(rows[0]) <= _FEWEST_STEPS:
        return False
    names = [row[0] for row in rows]
    if any(not name or is_number(name) for name in names[1:]) or not all(
        all(map(is_number, row[1:])) for row in rows[1:]
    ):
        return False
    first = all(is_number(cell) or _PLACE.fullmatch(cell) for cell in rows[0][1:])
    return (
        first and bool(rows[0][1]) and any(LIKE_A_METRIC.search(plain(n)) and not _counts(n) for n in names)
    )


def _counts(name: str) -> bool:
    return is_step(name) or is_epoch(name)


def _with_counter(rows: Rows) -> Rows:
    """The lines with the first of them named by what it counts, without a frame's index where another line counts."""
    name, places = rows[0][0], [_PLACE.fullmatch(cell) for cell in rows[0][1:]]
    if name.lower() not in _OF_NAMES or not all(places):
        return rows
    words = {(place[1] or "").lower() for place in places if place}
    numbers = [place[2] for place in places if place]
    if numbers == [str(n) for n in range(len(numbers))] and any(_counts(row[0]) for row in rows[1:]):
        return rows[1:]
    word = words.pop() if len(words) == 1 else ""
    return [[word if _counts(word) else "step", *numbers], *rows[1:]]


def _one_header(rows: Rows, is_number: Callable[[str], bool]) -> tuple[list[str], int] | None:
    """Names of two header lines as one, and how many lines they take; None where there is one alone.

    The upper one says of what data, or of which part, and repeats itself or is filled where it begins alone: pandas and
    spreadsheets write columns of two levels so.
    """
    if len(rows) < 3 or len({len(row) for row in rows}) != 1:
        return None
    upper, lower = rows[0], rows[1]
    filled = [cell for cell in upper[1:] if cell]
    named = [cell for row in (upper, lower) for cell in row if cell]
    if any(map(is_number, named)) or not filled or not all(lower[1:]) or len(set(lower)) == len(lower):
        return None
    lines, first = 2, lower[0] or upper[0]
    if rows[2][0] and not is_number(rows[2][0]) and not any(rows[2][1:]):  # the name of pandas' index
        lines, first = 3, rows[2][0]
    if len(rows) <= lines or not any(cell and is_number(cell) for cell in rows[lines]):
        return None
    return [
        first,
        *(f"{a}/{b}" if a else b for a, b in zip(_filled(upper[1:]), lower[1:], strict=True)),
    ], lines


def _filled(cells: Sequence[str]) -> list[str]:
    made, last = [], ""
    for cell in cells:
        last = cell or last
        made.append(last)
    return made
