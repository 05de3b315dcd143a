"""Tables: Lightning, Keras, DVCLive, LLaMA-Factory, plain scripts, W&B chart exports, runscope's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runscope.errors import UnreadableRun
from runscope.history import Run, Series
from runscope.sources.base import MEMBER, LoadContext, finish, pick, split_member
from runscope.sources.tables.files import ENDINGS, read_cells
from runscope.sources.tables.layouts import LONG, column_files, read_columns, runs_in
from runscope.stats.arrays import Floats, Ints

if TYPE_CHECKING:
    import pandas as pd


FORM = "CSV, JSON lines or Parquet"

_STEPS = (
    "train/global_step", "trainer/global_step", "global_step", "step", "current_steps", "iteration", "iter",
    "it", "_step", "batch", "update", "updates",
)  # fmt: skip
"""Columns that count steps, best first: Trainer, Lightning, plain, LLaMA-Factory, nanoGPT, W&B."""
_EPOCHS = ("epoch", "epochs")
_TIMES = ("_timestamp", "timestamp", "wall time", "wall_time", "created_at", "time", "date", "datetime")
_FOLDER_NAMES = (
    "metrics.csv", "trainer_log.jsonl", "results.csv", "progress.csv", "log.csv", "training.log.csv",
    "history.csv", "metrics.jsonl", "training.log", "history.json",
)  # fmt: skip
_PLAIN_TEXT = (".log", ".txt")
_KERAS_HEAD = re.compile(rb"epoch[,;\t][\w,;\t .-]*loss")
_JSON_TABLE = re.compile(rb"\s*\[\s*\{|.*\"[^\"]*(?:loss|acc)[^\"]*\"\s*:\s*\[", re.DOTALL)
_FIRST_TIME, _LAST_TIME = 9.5e8, 4e9
"""Unix seconds of 2000 and 2096: a clock outside them counts from the start of a run, or is none."""


def claims(reference: str) -> bool:
    """A file with a table's ending, Keras' ``training.log``, or a folder that holds a well-known one."""
    path, _ = split_member(reference)
    if path is None:
        return False
    if path.is_dir():
        return _in_folder(path) is not None or bool(column_files(path))
    if path.suffix.lower() == ".json":
        return _JSON_TABLE.match(_head(path)) is not None
    if path.suffix.lower() in _PLAIN_TEXT:
        return _KERAS_HEAD.match(_head(path)) is not None
    return path.suffix.lower() in ENDINGS


def members(reference: str) -> list[str]:
    """What names each run of a table: the reference itself where it holds one."""
    path, member = split_member(reference)
    if path is None or member is not None or path.is_dir():
        return [reference]
    names = list(runs_in(read_cells(path)[0], path.stem))
    return [f"{reference}{MEMBER}{name}" for name in names] if len(names) > 1 else [reference]


def read(reference: str, context: LoadContext) -> Run:  # noqa: ARG001 - one signature for all sources
    """Read one run of a table.

    Raises:
        UnreadableRun: it cannot be parsed, or has no column of numbers.
        SeveralRuns, UnknownReference: it holds several runs and none, or a wrong one, is named.
    """
    path, member = split_member(reference)
    assert path is not None, "claimed"
    file = (_in_folder(path) or path) if path.is_dir() else path
    cells, notes = read_columns(file) if file.is_dir() else read_cells(file)
    runs = runs_in(cells, file.stem)
    if not runs:
        raise UnreadableRun(f"{file} holds no rows", hint="a table needs one header line and one row a step")
    name = list(runs)[pick(str(path), member, list(runs))]
    step_key, series, more = _long_series(runs[name]) if set(runs[name]) >= LONG else _series(runs[name])
    times = [s.time[np.isfinite(s.time)] for s in series.values()]
    known = np.concatenate(times) if times else np.empty(0)
    run = Run(
        reference=reference,
        id=name or file.stem,
        name=name or (file.parent.name if file.name in _FOLDER_NAMES else file.stem),
        source="table",
        series=series,
        step_key=step_key,
        started_at=float(known.min()) if len(known) else None,
        ended_at=float(known.max()) if len(known) else None,
        project=str(file.parent),
        notes=(*notes, *more),
    )
    return finish(run, where=str(file))


def _in_folder(folder: Path) -> Path | None:
    return next((f for name in _FOLDER_NAMES if (f := folder / name).is_file()), None)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4096)
    except OSError:
        return b""


def _series(cells: pd.DataFrame) -> tuple[str, dict[str, Series], tuple[str, ...]]:
    """(step key, series, notes) of a table with one column a metric."""
    step_key, step, notes = _axis(cells)
    clock, when = _times(cells)
    found = {}
    for name in cells.columns:
        if name in (step_key, clock) or str(name).startswith("Unnamed") or not name:
            continue
        values, logged = _numbers(cells[name])
        if logged.any():
            found[str(name)] = Series(str(name), step[logged], values[logged], when[logged])
    if step_key.lower() in _EPOCHS:
        found[step_key] = Series(step_key, step, step.astype(np.float64), when)
    return step_key, found, notes


def _long_series(cells: pd.DataFrame) -> tuple[str, dict[str, Series], tuple[str, ...]]:
    """The same of a table with one row a logged point: there an empty value is a NaN that pandas wrote."""
    step, counted = _numbers(cells["step"])
    value, logged = _numbers(cells["value"].replace("", "nan"))
    _, when = _times(cells)
    keep = logged & counted & np.isfinite(step)
    steps = np.where(keep, step, 0).astype(np.int64)
    found = {}
    for name, rows in cells.reset_index(drop=True).groupby("metric", sort=False).indices.items():
        index = np.asarray(rows)[keep[rows]]
        found[str(name)] = Series(str(name), steps[index], value[index], when[index])
    lost = len(keep) - int(keep.sum())
    return "step", found, (f"{lost} rows have no step or no value and were left out",) if lost else ()


def _numbers(cells: pd.Series) -> tuple[Floats, np.ndarray]:
    """(values, which were logged): an empty cell was not, ``nan`` was; words are neither."""
    import pandas as pd

    texts = cells.str.strip().replace({"Infinity": "inf", "-Infinity": "-inf", "+Infinity": "inf"})
    values = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64)
    return values, ~np.isnan(values) | (texts.str.lower() == "nan").to_numpy(np.bool_)


def _axis(cells: pd.DataFrame) -> tuple[str, Ints, tuple[str, ...]]:
    """The column that counts steps; the row number where there is none, or where it is not whole.

    A chart export has its x-axis in front, whatever that is called.
    """
    by_lower = {str(c).lower(): str(c) for c in cells.columns}
    for name in (*_STEPS, *_EPOCHS):
        column = by_lower.get(name)
        steps = _whole(cells[column]) if column is not None else None
        if column is None or steps is None:
            continue
        if name in _EPOCHS:
            if np.any(np.diff(steps) <= 0):
                continue  # several rows an epoch: it is a clock, not the axis
            return column, steps, ()
        epochs = _whole(cells[by_lower["epoch"]]) if "epoch" in by_lower else None
        counted = _count_on(steps, epochs) if epochs is not None else None
        if counted is not None:
            return column, counted, (f"{column} begins anew in every epoch: it is counted on",)
        return column, steps, ()
    return "row", np.arange(len(cells), dtype=np.int64), ("no column counts steps: rows are counted instead",)


def _whole(cells: pd.Series) -> Ints | None:
    """A column as whole numbers, gaps filled from the row before; None where it is something else."""
    import pandas as pd

    values = pd.Series(_numbers(cells)[0]).ffill().bfill().to_numpy(np.float64)
    if not len(values) or not np.all(np.abs(values) < 2**53) or not np.allclose(values, np.rint(values)):
        return None
    return np.rint(values).astype(np.int64)


def _count_on(steps: Ints, epochs: Ints) -> Ints | None:
    """Steps that begin anew exactly where a new epoch begins, twice or more, counted through; else None."""
    falls, turns = np.diff(steps) < 0, np.diff(epochs) > 0
    if falls.sum() < 2 or not np.array_equal(falls, turns):
        return None
    starts = np.flatnonzero(falls) + 1
    lengths = np.array([part.max() + (1 if part.min() == 0 else 0) for part in np.split(steps, starts)])
    before: Ints = np.concatenate([[0], np.cumsum(lengths[:-1])])
    counted: Ints = steps + before[np.cumsum(np.append(False, falls))]
    return counted


def _times(cells: pd.DataFrame) -> tuple[str | None, Floats]:
    """(column, Unix seconds) of the wall clock, as a number or a date; NaN where there is none."""
    import pandas as pd

    by_lower = {str(c).lower(): str(c) for c in cells.columns}
    for name in (n for n in _TIMES if n in by_lower):
        column = by_lower[name]
        numbers = _numbers(cells[column])[0]
        if np.isnan(numbers).all():
            dates = pd.to_datetime(cells[column], errors="coerce", utc=True, format="ISO8601")
            numbers = np.asarray((dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds(), dtype=np.float64)
        values: Floats = numbers / np.where(numbers > 1e11, 1000.0, 1.0)  # milliseconds, as DVCLive has them
        known = values[np.isfinite(values)]
        if len(known) and known.min() > _FIRST_TIME and known.max() < _LAST_TIME:
            return column, values
    return None, np.full(len(cells), np.nan)
