"""In which ways a JSON document holds curves: rows, columns, points; by run, by set of data, by number."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runscope.sources.tables.column_names import EPOCHS, SET_WORDS, STEPS, TIMES, is_epoch, is_step

Row = dict[str, Any]
DEEPEST = 20
"""A row of metrics is nested a few times; what is nested deeper is none, and may have no end."""
LIKE_A_LOSS = re.compile(
    r"loss|acc|error|rmse|mae|mse|auc|(?:^|[^a-z])(?:l[12]|map|ndcg|score|reward|f1|ppl|perplexity)(?:[^a-z]|$)",
    re.IGNORECASE,
)
_BY_NUMBER = re.compile(r"([A-Za-z]*)[ _-]*(\d+)")
_FEWEST = 2
_COUNTERS = frozenset((*STEPS, *EPOCHS, *TIMES))
_FIRST_TIME = 1e8
"""Unix seconds of 1973: a smaller number tells no time."""


def rows_of(data: Any) -> list[Row] | None:
    """Rows, in whatever way a document holds them.

    A list of objects: the document itself, the only such list in it (``{"iterations": [{…}]}``), or one for each set of
    data (``{"train": […], "val": […]}``); objects by number (``{"3": {…}}``, ``{"epoch_3": {…}}``); numbers by number
    (``{"loss": {"50": 2.8}}``); what pandas writes; TensorBoard's triples of time, step and value.
    """
    if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
        return data
    if isinstance(data, list) and data and all(isinstance(row, list) and len(row) == 3 for row in data):
        times = all(isinstance(row[0], int | float) and row[0] > _FIRST_TIME for row in data)
        return (
            [dict(zip(("Wall time", "Step", "Value"), row, strict=True)) for row in data] if times else None
        )
    if not isinstance(data, dict) or next(points_of(data), None):
        return [] if data == [] else None
    by_number = _numbered(data) or _of_pandas(data) or _by_place(data)
    if by_number:
        return by_number
    lists = {
        name: found
        for name, value in data.items()
        if isinstance(value, list) and not _pairs(value) and (found := rows_of(value))
    }
    if len(lists) > 1 and all(name.lower() in SET_WORDS for name in lists):
        return [_of_set(name, row) for name, rows in lists.items() for row in rows]
    only = next(iter(lists.values())) if len(lists) == 1 else None
    longest = max((len(column) for _, column in columns_of(data)), default=0)
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


def columns_of(
    data: Mapping[str, Any], head: str = "", depth: int = 0
) -> Iterator[tuple[str, Sequence[Any]]]:
    """Lists of values, by their names joined with slashes."""
    for name, value in data.items():
        if isinstance(value, list) and value and not any(isinstance(v, dict | list) for v in value):
            yield f"{head}{name}", value
        elif isinstance(value, dict) and depth < DEEPEST:
            yield from columns_of(value, f"{head}{name}/", depth + 1)


_BY_TIME = 1e11
"""Places beyond it are milliseconds since 1970: the chart was asked for over time."""
_MOST_HEADS = 3


def points_of(data: Mapping[str, Any], heads: tuple[str, ...] = ()) -> Iterator[Row]:
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
            yield from points_of(value, (*heads, name))


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


def _numbered(data: Mapping[str, Any]) -> list[Row] | None:
    """Rows by number: ``{"0": {…}}``, ``{"epoch_1": {…}}``; a row without a counter gets its number."""
    found = [(_BY_NUMBER.fullmatch(str(name)), row) for name, row in data.items() if isinstance(row, dict)]
    numbers = [(match, row) for match, row in found if match is not None]
    if len(numbers) < max(_FEWEST, 0.9 * len(data)) and not (len(numbers) == len(data) == 1):
        return None
    words = {match[1].lower() for match, _ in numbers}
    if len(words) != 1 or any(isinstance(v, list) for _, row in numbers for v in row.values()):
        return None
    word = words.pop()
    if word and word != "checkpoint" and not is_step(word) and not is_epoch(word):
        return None  # layers, folds
    counted = any({str(key).lower() for key in row} & {*STEPS, *EPOCHS} for _, row in numbers)
    name = word if is_step(word) or is_epoch(word) else "step"
    return [row if counted else {name: int(match[2]), **row} for match, row in numbers]


def _of_pandas(data: Mapping[str, Any]) -> list[Row] | None:
    """Rows of ``DataFrame.to_json(orient="split")`` and ``"table"``."""
    names, rows = data.get("columns"), data.get("data")
    if isinstance(names, list) and isinstance(rows, list) and all(isinstance(r, list) for r in rows):
        return [dict(zip(map(str, names), row, strict=False)) for row in rows]
    return None


def _by_place(data: Mapping[str, Any]) -> list[Row] | None:
    """Numbers by number, as ``DataFrame.to_json()`` and loops write them: the numbers are steps, or a frame's index."""
    curves = {str(name): part for name, part in data.items() if isinstance(part, dict) and _is_curve(part)}
    if not curves or len(curves) < 0.5 * len(data):
        return None
    counted = any(is_step(name) or is_epoch(name) for name in curves)
    rows: dict[int, Row] = {}
    for name, part in curves.items():
        for place, value in part.items():
            rows.setdefault(int(place), {} if counted else {"step": int(place)})[name] = value
    return [rows[place] for place in sorted(rows)]


def _is_curve(part: Mapping[str, Any]) -> bool:
    return len(part) >= _FEWEST and all(
        str(place).isdecimal()
        and (value is None or isinstance(value, int | float) or value in ("NaN", "Infinity", "-Infinity"))
        for place, value in part.items()
    )


def runs_of(data: Any) -> dict[str, Any]:
    """Runs that lie side by side, each with lists of the same metrics: by name, or in a list (folds, trials)."""
    if isinstance(data, list) and data and all(isinstance(part, dict) and _lists_in(part) for part in data):
        named = [_name_of(part, str(number)) for number, part in enumerate(data)]
        lists = [{k: v for k, v in part.items() if isinstance(v, dict | list)} for part in data]
        return dict(zip(named, lists, strict=True)) if len(set(named)) == len(data) else {}
    if not isinstance(data, dict) or any(str(name).lower() in SET_WORDS for name in data):
        return {}
    parts = {str(name): part for name, part in data.items() if isinstance(part, dict)}
    if len(parts) < max(_FEWEST, len(data)) or any(LIKE_A_LOSS.search(name) for name in parts):
        return {}
    return parts if all(map(_lists_in, parts.values())) else {}


def _name_of(part: Mapping[str, Any], otherwise: str) -> str:
    return next(
        (str(part[key]) for key in ("name", "run", "id", "fold", "trial", "seed") if key in part), otherwise
    )


def _lists_in(part: Mapping[str, Any]) -> bool:
    """Whether a part of a document holds lists of several metrics, of which one measures a loss or a score."""
    names = [name for name, values in columns_of(part) if len(values) >= _FEWEST]
    return len(names) > 1 and any(LIKE_A_LOSS.search(name) for name in names)


def is_log(data: Any) -> bool:
    """Whether a document that looks like nothing else holds rows or lists of metrics."""
    try:
        rows = rows_of(data)
    except ValueError:
        return False
    if rows is not None:
        names = {str(name) for row in rows[:50] for name in _numbers_in(row)}
        return len(rows) >= _FEWEST and any(LIKE_A_LOSS.search(name) for name in names)
    if runs_of(data) or (isinstance(data, dict) and next(points_of(data), None)):
        return True
    columns = {name.lower(): values for name, values in columns_of(data)} if isinstance(data, dict) else {}
    return bool(columns.keys() & SET_WORDS) and any(is_step(name) or is_epoch(name) for name in columns)


def _numbers_in(row: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    for name, value in row.items():
        if isinstance(value, dict) and depth < DEEPEST:
            yield from (f"{name}.{inner}" for inner in _numbers_in(value, depth + 1))
        elif isinstance(value, int | float):
            yield str(name)
