"""Results as a table: a column for each checkpoint, or a row for each example and checkpoint."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from runscope.errors import InputError
from runscope.evaluation.examples.columns import CLUSTERS
from runscope.evaluation.results.table import (
    HIGHER,
    LOWER,
    NUMBER,
    WEIGHED,
    Entry,
    Found,
    ScoreTable,
    cluster_column,
    missing,
    number,
    step_in,
    tabled,
)

if TYPE_CHECKING:
    import pandas as pd

STEPS = ("step", "global_step", "checkpoint", "checkpoint_step", "train_step", "iteration")
EXAMPLES = (
    "example", "example_id", "id", "doc_id", "sample_id", "sample", "question_id", "qid", "uid", "index", "idx", "row",
)  # fmt: skip
WEIGHTS = ("weight", "weights", "tokens", "num_tokens", "n_tokens", "token_count")


def read_frame(frame: pd.DataFrame, place: str, metric: str | None, cluster: str | None) -> ScoreTable:
    """A table of either form.

    Args:
        frame: its rows, under the names that the file has.
        place: what errors call it.
        metric: the column, or the part of the columns' names, that decides.
        cluster: the column that groups examples, ``none`` for no grouping, None for one that is called so.

    Raises:
        InputError: it is of neither form, or cells are no numbers.
    """
    frame = frame.rename(columns=str)
    names = {c.strip().lower(): c for c in frame.columns}
    step = next((names[c] for c in STEPS if c in names), None)
    if step is not None:
        return _long(frame, names, step, place, metric, cluster)
    return _wide(frame, names, place, metric, cluster)


def _long(
    frame: pd.DataFrame, names: dict[str, str], step: str, place: str, metric: str | None, cluster: str | None
) -> ScoreTable:  # fmt: skip
    example = next((names[c] for c in EXAMPLES if c in names), None)
    if example is None:
        raise InputError(
            f"{place} has a column {step!r} but none that names the examples; found: {', '.join(frame.columns)}",
            hint="add a column example that says which rows are of the same example",
        )
    group = cluster_column(frame.columns, cluster, [names[c] for c in CLUSTERS if c in names])
    weight = next((names[c] for c in WEIGHTS if c in names), None)
    taken = {step, example, group, weight}
    value = metric or _only_metric([c for c in frame.columns if c not in taken], frame, place)
    if value not in frame.columns:
        raise InputError(f"{place} has no column {value!r}", hint=f"it has {', '.join(frame.columns)}")
    entries = []
    for line, row in enumerate(frame.to_dict("records"), 1):
        at = step_in(str(_whole(row[step])))
        if at is None or missing(row[example]):
            what = f"{row[step]!r} is no step" if at is None else "it does not say of which example it is"
            raise InputError(f"{place}, row {line}: {what}", hint="a step is a whole number: 500")
        entries.append(
            Entry(
                at, str(_whole(row[example])), _cell(row[value], place, line, value), _group(row, group),
                _cell(row[weight], place, line, weight) if weight else 1.0,
            )
        )  # fmt: skip
    return tabled(Found(entries, value, _weighed(weight), group=group or ""))


def _wide(
    frame: pd.DataFrame, names: dict[str, str], place: str, metric: str | None, cluster: str | None
) -> ScoreTable:  # fmt: skip
    steps = _of_metric([c for c in frame.columns if _says_step(c)], metric, place)
    if len(steps) < 2 or len(set(steps.values())) < len(steps):
        why = (
            "two columns are of the same step"
            if len(steps) > 1
            else "it has only one column of a checkpoint"
            if steps
            else "it has no columns of checkpoints"
        )
        raise InputError(
            f"{place} is no table of results: {why}; found: {', '.join(frame.columns[:20])}",
            hint="a column for each checkpoint (step_100, step_200, …), or the columns example, step and the metric",
        )
    example = next((names[c] for c in EXAMPLES if c in names and names[c] not in steps), None)
    group = cluster_column(frame.columns, cluster, [names[c] for c in CLUSTERS if c in names])
    weight = next((names[c] for c in WEIGHTS if c in names), None)
    stems = {_stem(c) for c in steps} - {""}
    called = metric or (stems.pop() if stems else _called(place, frame[list(steps)]))
    entries = []
    for line, row in enumerate(frame.to_dict("records"), 1):
        name = f"{_whole(row[example])}" if example else f"row {line}"
        for column, at in steps.items():
            entries.append(
                Entry(
                    at, name, _cell(row[column], place, line, column), _group(row, group),
                    _cell(row[weight], place, line, weight) if weight else 1.0,
                )
            )  # fmt: skip
    from pandas.api.types import is_numeric_dtype

    rest = [
        c for c in frame.columns if c not in {*steps, example, group, weight} and is_numeric_dtype(frame[c])
    ]
    unused = [f"columns that were not used: {', '.join(rest[:8])}{' …' if rest[8:] else ''}"] if rest else []
    said = [*_weighed(weight), *unused]
    lower = None
    if metric is None and called == ANSWERS and {e.value for e in entries} <= {0.0, 1.0}:
        lower = False
        said.append(
            "all values are 0 or 1: taken as wrong and right answers (--lower-is-better says otherwise)"
        )
    return tabled(Found(entries, called, said, lower, group or "", named=example is not None))


def _of_metric(columns: Sequence[str], metric: str | None, place: str) -> dict[str, int]:
    """The columns of checkpoints that hold one metric, and their steps.

    Raises:
        InputError: they hold several metrics and none is named, or not the one that is.
    """
    stems = list(dict.fromkeys(map(_stem, columns)))
    wanted = stems[0] if stems else ""
    if metric is not None and stems != [""]:  # bare steps are what the user says
        wanted = _stem(f"{metric}_step_1")
    if (wanted not in stems and columns) or (metric is None and len(stems) > 1):
        known = ", ".join(stem or "(no name)" for stem in stems)
        asked = "does not say which metric is judged" if metric is None else f"has no metric {metric!r}"
        raise InputError(f"{place} {asked}; it has {known}", hint="name one of them with --metric")
    return {c: step for c in columns if _stem(c) == wanted and (step := step_in(c)) is not None}


def _group(row: Mapping[Hashable, object], group: str | None) -> str | None:
    """What a row comes from; None where that cell is empty."""
    return None if group is None or missing(row[group]) else str(_whole(row[group]))


ANSWERS = "correct"
"""What values of 0 and 1 are called that nothing names."""


def _called(place: str, cells: pd.DataFrame) -> str:
    """What values are called that no column names: as the file says, else right and wrong answers, else ``value``.

    ``value`` does not say which way is better: a loss and a score look alike, and a guess turns the verdict round.
    """
    words = re.split(r"[^a-z0-9]+", Path(place).stem.lower())
    known = {*LOWER, *HIGHER} - {"score"}  # a file of scores may hold anything
    for word in words:
        for name in (word, word.removesuffix("s"), word.removesuffix("es")):
            if name in known:
                return name
    answers = {number(cell) for column in cells for cell in cells[column].tolist()}
    return ANSWERS if answers <= {0.0, 1.0} else "value"


def _says_step(column: str) -> bool:
    """Whether a column's name is a step with or without words before it: 100, step_100, loss@checkpoint-100."""
    return (
        re.fullmatch(
            rf"{NUMBER}|.*(checkpoint|ckpt|step|iter|iteration|epoch)\D{{0,2}}{NUMBER}",
            column.strip().lower(),
        )
        is not None
    )


def _stem(column: str) -> str:
    """What stands before the step in a column's name: ``loss`` of ``loss_step_100``."""
    words = re.sub(
        rf"(global[_-]?)?(checkpoint|ckpt|step|iteration|iter|epoch)?s?[ _=-]*{NUMBER}$",
        "",
        column.strip().lower(),
    )
    return words.strip(" _@/.-")


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _cell(value: object, place: str, line: int, column: str) -> float:
    found = number(value)
    if found is None:
        raise InputError(
            f"{place}, row {line}, column {column!r}: {value!r} is not a number",
            hint="results are numbers such as 1.5, or true and false",
        )
    if not isfinite(found):
        raise InputError(
            f"{place}, row {line}, column {column!r}: {'no result, or NaN' if found != found else 'infinite'}",
            hint="leave out examples that a checkpoint gave no result for, or checkpoints that are broken",
        )
    return found


def _only_metric(columns: Sequence[str], frame: pd.DataFrame, place: str) -> str:
    """The column that holds the results: the only one of numbers, else the only one with a metric's name."""
    numbers = [c for c in columns if all(number(v) is not None for v in frame[c].head(50))]
    named = [c for c in numbers if set(re.split(r"[^a-z0-9]+", c.lower())) & {*LOWER, *HIGHER}]
    for some in (numbers, named):
        if len(some) == 1:
            return some[0]
    raise InputError(
        f"{place} does not say which column is judged; of numbers are: {', '.join(numbers) or 'none'}",
        hint="name it with --metric COLUMN",
    )


def _weighed(weight: str | None) -> list[str]:
    return [f"{WEIGHED} {weight}"] if weight else []
