"""Long tables: one row a logged point, as trackers export them (``run, key, step, value`` under any names).

The columns are known by their roles. Names propose (``metricName``, ``attribute_path``, ``run.hash``), what the
columns hold decides: a metric column holds a few words again and again, and no two rows may have one run, metric and
step. Where that is not so although some other column tells them apart, what that column means is not guessed.

Written for: Neptune's exporter (Parquet, a row a value, settings among them), ``dataframe()`` of Aim (``context.*``),
``get_metrics()`` of Comet (``metricName, metricValue, step, runContext``), ``get_reported_scalars()`` of ClearML, tidy
tables of pandas (``melt``) and R.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from runscope.errors import UnreadableRun
from runscope.history.metrics import held_out, meaning
from runscope.sources.tables import neptune
from runscope.sources.tables.column_names import (
    EPOCHS,
    METRICS,
    NAMES_A_METRIC,
    RUNS,
    SET_WORDS,
    STEPS,
    TIMES,
    TRAIN_WORDS,
    VALUES,
    by_name,
    plain,
)
from runscope.sources.tables.frames import as_texts, filled, groups, is_filled, kinds, repeated, to_floats

if TYPE_CHECKING:
    import pandas as pd

    from runscope.stats.arrays import Bools

LONG = ("\0metric", "\0value")
"""How the columns of a long table are called here: what a point is of, and its value."""
_SETTING_VALUES = ("float_value", "int_value", "string_value", "bool_value", "datetime_value")
MOST_KINDS = 200
"""More words than this are values, not kinds of rows."""


@dataclass(frozen=True)
class Roles:
    """Which column of a long table is what.

    Attributes:
        metric, value: what a point is of, and its value.
        step: what counts its steps.
        runs: what tells runs apart; empty where there is one.
        contexts: what says on which data a value was measured, or of which part of the machine.
    """

    metric: str
    value: str
    step: str
    runs: tuple[str, ...]
    contexts: tuple[str, ...]


def roles_of(cells: pd.DataFrame, stem: str) -> Roles | None:
    """The roles of a long table's columns; None where it is no long table.

    Args:
        cells: of text.
        stem: the file's name, for errors.

    Raises:
        UnreadableRun: rows of one metric and step are told apart by a column whose meaning is not known.
    """
    counters = (*STEPS, *EPOCHS)
    if by_name(cells, counters) is None or all(_numeric(cells[c]) for c in cells.columns):
        return None  # names of metrics are words
    known = [c for c in cells.columns if is_filled(cells[c]).any()]
    step = by_name(cells[known], counters)  # Comet has a step that Keras leaves empty, beside the epoch
    if step is None:
        return None
    metric = _metric_column(cells)
    value = None if metric is None else _value_column(cells, metric)
    if metric is None or value is None or _measures_itself(cells, metric, value):
        return None
    whole = is_filled(cells[step]) & is_filled(cells[value]) & is_filled(cells[metric])
    points = cells if bool(whole.all()) else cells[whole]  # a copy is as large as the file
    contexts = tuple(
        c for c in cells.columns if c not in (metric, value, step) and _is_context(points, str(c))
    )
    taken = {metric, value, step, *contexts}
    runs = run_columns(points, [metric, step, *contexts], taken)
    _refuse_unknown(points, [metric, step, *contexts, *runs], taken | set(runs), stem)
    return Roles(metric, value, step, runs, contexts)


def split(cells: pd.DataFrame, roles: Roles) -> dict[str, pd.DataFrame]:
    """The runs of a long table by name, its metric and value under :data:`LONG`; ``""`` where it names no run.

    Settings, which rows without a step tell, stand in ``attrs["config"]`` of each; where it lies at
    Neptune, in ``attrs["place"]``.
    """
    name = cells[roles.metric]
    for context in roles.contexts:
        name = _in_context(name, cells[context], context)
    cells = cells.assign(**{roles.metric: name}).drop(columns=list(roles.contexts))
    found: dict[str, pd.DataFrame] = {}
    for run, part in parted(cells, roles.runs).items():
        placed = is_filled(part[roles.step])
        without = part.iloc[:0] if placed.all() else part[~placed]  # a mask takes memory by the row
        other = _of_another_kind(part, roles)
        rows = part[~other] if bool(other.any()) else part
        rows = rows.drop(columns=[c for c in part.columns if _no_point(part, str(c), roles)])
        table = rows.rename(columns={roles.metric: LONG[0], roles.value: LONG[1]}).reset_index(drop=True)
        table.attrs["config"] = _settings(without, roles) | _repeated(part, roles)
        table.attrs["place"] = neptune.place_of(part, roles.metric)
        found[run] = table
    return found


def parted(cells: pd.DataFrame, columns: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Rows by the words of some columns, which are left out; ``""`` where there are none."""
    if not columns:
        return {"": cells}
    name = as_texts(cells[columns[0]])
    for column in columns[1:]:
        name = name + "/" + as_texts(cells[column])
    import pandas as pd

    rows = cells.drop(columns=list(columns))
    codes, runs = pd.factorize(name)
    return {
        str(run): rows.iloc[places].reset_index(drop=True)
        for run, places in zip(runs, groups(codes, len(runs)), strict=True)
        if str(run).strip("/")
    }


def run_columns(cells: pd.DataFrame, key: Sequence[str], taken: set[str]) -> tuple[str, ...]:
    """Columns that tell runs apart: of usual names, as few as leave no two rows under one key.

    Args:
        cells: rows that are points.
        key: columns that name a point within a run.
        taken: columns that are something else.
    """
    usual = [c for name in RUNS if (c := by_name(cells, (name,))) is not None and c not in taken]
    usual = [c for c in dict.fromkeys(usual) if _repeats(cells[c])]
    if not usual:
        return ()
    chosen = [usual[0]]
    twice = _twice(cells, [*key, *chosen])
    for column in usual[1:]:
        if twice and (fewer := _twice(cells, [*key, *chosen, column])) < twice:
            chosen, twice = [*chosen, column], fewer
    return tuple(chosen)


def _metric_column(cells: pd.DataFrame) -> str | None:
    named = by_name(cells, METRICS)
    if named is not None:
        words = filled(cells[named])
        if len(words) and not _numeric(words) and 2 * words.nunique() <= max(len(words), 4):
            return named
    if by_name(cells, VALUES) is None and len(_numbers(cells)) != 1:
        return None
    fitting = [str(c) for c in cells.columns if c != named and _holds_metrics(cells[c])]
    return fitting[0] if len(fitting) == 1 else None


def _value_column(cells: pd.DataFrame, metric: str) -> str | None:
    named = by_name(cells, VALUES)
    if named is not None and named != metric:
        return named
    numbers = [c for c in _numbers(cells) if c != metric]
    return numbers[0] if len(numbers) == 1 else None


def _measures_itself(cells: pd.DataFrame, metric: str, value: str) -> bool:
    """Whether a column is called as what it measures, beside words that are no metrics: ``name, epoch, loss``."""
    return (
        plain(value) not in VALUES
        and bool(NAMES_A_METRIC.search(value))
        and not _holds_metrics(cells[metric])
    )


def _numbers(cells: pd.DataFrame) -> list[str]:
    """Columns of numbers that count nothing, tell no time and name no run."""
    known = {*STEPS, *EPOCHS, *TIMES, *RUNS, "idx", "index", "offset", "duration", ""}
    return [
        str(c)
        for c in cells.columns
        if plain(c) not in known and is_filled(cells[c]).any() and _numeric(cells[c])
    ]


def _holds_metrics(column: pd.Series) -> bool:
    """Whether most of a column's words are names of metrics."""
    known = filled(column)
    words = kinds(known, MOST_KINDS)
    if not words or len(words) > MOST_KINDS or 2 * len(words) > max(len(known), 4) or _numeric(known):
        return False
    like = sum(bool(NAMES_A_METRIC.search(word)) or meaning(word) is not None for word in words)
    return 2 * like >= len(words)


def _is_context(points: pd.DataFrame, column: str) -> bool:
    """Whether a column says of what data a value is: by its name, or by its words."""
    name = plain(column)
    if name in ("context", "run_context") or name.startswith("context_"):
        return bool(is_filled(points[column]).any())
    return of_sets(points[column])


def of_sets(texts: pd.Series) -> bool:
    """Whether each row says of which data it is, whatever the column is called: ``train``, ``val``."""
    # Most columns show in their first cells that they hold something else.
    for part in (texts.iloc[:100], texts):
        words = {word.lower() for word in kinds(part, 4 * len(SET_WORDS))} - {""}
        if not words <= SET_WORDS:
            return False
    return bool(words)


def _in_context(names: pd.Series, contexts: pd.Series, column: str) -> pd.Series:
    """Names of metrics with the data that they were measured on in front; training is what is not said."""
    made = names.copy()
    for word in contexts.unique():
        lower = str(word).lower()
        if not word or lower in TRAIN_WORDS:
            continue
        mine = contexts == word
        if lower in SET_WORDS:
            made[mine] = [
                n if held_out(n) or n.lower().startswith(lower) else f"{word}/{n}" for n in names[mine]
            ]
        else:
            what = plain(column).removeprefix("context_").removeprefix("context")
            made[mine] = [f"{n} ({what + ' ' if what else ''}{word})" for n in names[mine]]
    return made


def _no_point(rows: pd.DataFrame, column: str, roles: Roles) -> bool:
    """Whether a column tells nothing of a point: the other kinds of values, and settings that every row repeats."""
    if column in (roles.metric, roles.value, roles.step) or plain(column) in (*STEPS, *EPOCHS, *TIMES):
        return False
    return plain(column) in _SETTING_VALUES or len(kinds(rows[column], 1)) <= 1 or not _numeric(rows[column])


def _of_another_kind(rows: pd.DataFrame, roles: Roles) -> Bools:
    """Rows whose value stands in a column for another kind: texts, flags, dates, histograms, files."""
    other = np.zeros(len(rows), dtype=np.bool_) | np.asarray(neptune.no_numbers(rows), dtype=np.bool_)
    for column in rows.columns:
        if plain(column) in _SETTING_VALUES and column != roles.value:
            other |= is_filled(rows[column])
    return other & ~is_filled(rows[roles.value])


def _settings(rows: pd.DataFrame, roles: Roles) -> dict[str, str | float]:
    """Facts about a run, which stand among its points without a step: learning rate, name of the model."""
    kinds = [c for c in map(str, rows.columns) if plain(c) in _SETTING_VALUES or c == roles.value]
    found: dict[str, str | float] = {}
    for row in rows.apply(as_texts).to_dict("records"):
        value = next((str(row[c]) for c in kinds if row[c] != ""), None)
        path = str(row[roles.metric])
        name = path.rpartition("/")[2]
        if value is None or not name or path.startswith(neptune.OWN):
            continue
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = value
    return found


def _repeated(rows: pd.DataFrame, roles: Roles) -> dict[str, str | float]:
    """Settings that stand in every row of a run, as Aim has them: ``run.hparams.lr``."""
    found: dict[str, str | float] = {}
    for column in map(str, rows.columns):
        head, dot, name = column.rpartition(".")
        if not dot or not head.startswith("run") or column in (roles.metric, roles.value, roles.step):
            continue
        words = kinds(rows[column], 1)
        if len(words) == 1 and words[0] != "":
            try:
                found[name] = float(words[0])
            except ValueError:
                found[name] = str(words[0])
    return found


def _refuse_unknown(points: pd.DataFrame, key: list[str], taken: set[str], stem: str) -> None:
    """Refuse rows of one run, metric and step that some other column tells apart.

    Raises:
        UnreadableRun: with that column's name.
    """
    twice = _twice(points, key)
    if not twice:
        return
    counters = {*STEPS, *EPOCHS, *TIMES, "idx", "index", "offset", "duration"}
    for column in points.columns:
        words = points[column]
        if (
            column in taken
            or plain(column) in counters
            or not 2 <= len(kinds(words, MOST_KINDS)) <= MOST_KINDS
        ):
            continue
        if _repeats(words) and not _twice(points, [*key, str(column)]):
            raise UnreadableRun(
                f"{stem} has several values of one metric at one step, which column {column} tells apart: whether "
                "that are runs, data or processes is not said",
                hint=f"rename {column} to run where it names runs, to context where it says what was measured",
            )


def _twice(cells: pd.DataFrame, key: Sequence[str]) -> int:
    return repeated([cells[column] for column in key])


def _repeats(words: pd.Series) -> bool:
    return bool(repeated([filled(words)]))


def _numeric(words: pd.Series) -> bool:
    """Whether more than half of the filled cells are numbers, or none is filled."""
    if 2 * int(np.isfinite(to_floats(words)).sum()) > len(words):  # as of most columns: no copy is made
        return True
    known = filled(words)
    return not len(known) or bool(np.isfinite(to_floats(known)).mean() > 0.5)
