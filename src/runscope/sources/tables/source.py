"""Tables: Lightning, Keras, DVCLive, LLaMA-Factory, plain scripts, console logs, chart exports, runscope's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runscope.errors import UnreadableRun
from runscope.history import Lineage, Run, Series
from runscope.history.carried import without_carried
from runscope.history.ending import PLANNED_STEPS
from runscope.history.metrics import held_out, plain
from runscope.history.parts import MOST_PARTS, numbered, order_of
from runscope.schema import LARGEST_YAML, plain_yaml
from runscope.sources.base import (
    MEMBER,
    LoadContext,
    facts_beside,
    finish,
    folder_name,
    hydra_folder,
    identity,
    names_in,
    of_hydra,
    pick,
    split_member,
)
from runscope.sources.packed import unpacked_name
from runscope.sources.tables.axis import Axis, axis_of, clock_of, of_points, without_words
from runscope.sources.tables.cells import Numbers
from runscope.sources.tables.column_names import is_epoch
from runscope.sources.tables.file_names import with_data
from runscope.sources.tables.files import CSV, LINES, ending_of, kind_of, parts_of, read_cells
from runscope.sources.tables.frames import Columns, groups, with_nan
from runscope.sources.tables.layouts import column_files, read_columns, read_rows, row_files, runs_in
from runscope.sources.tables.long import LONG
from runscope.sources.tables.neptune import Place
from runscope.sources.tables.strays import is_stray_csv, is_stray_lines, of_another_run
from runscope.stats.arrays import Bools, Floats, Ints

if TYPE_CHECKING:
    import pandas as pd


FORM = "CSV, JSON lines or Parquet"

_FOLDER_NAMES = (
    "metrics.csv", "trainer_log.jsonl", "results.csv", "progress.csv", "log.csv", "training.log.csv",
    "history.csv", "metrics.jsonl", "training.log", "history.json", "summary.csv", "metrics.json", "scalars.json",
    "log.txt", "training_log.csv", "output.log",
)  # fmt: skip
"""What well-known libraries call the log in a run's folder, the fullest first."""
_INNER = ("vis_data", "files", "logs", "csv_logs")
"""Folders inside a run's own: they say nothing of which run it is."""
_MMENGINE = "vis_data"
"""Where mmengine puts the log's numbers, below a folder that has its console log too."""
_OF_A_TRAINER = "trainer_state.json"
"""A document with a list of rows in it that another source reads."""
_SETTINGS = ("hparams.yaml", "args.yaml", "config.yaml", "hparams.json", "args.json")
FEWEST_FALLS = 3
"""Restarts of which each logged a single row, at an earlier step than the one before, are chance once or twice."""


def claims(reference: str) -> bool:
    """A file that holds a table, whatever its ending, or a folder that holds a well-known one."""
    path, _ = split_member(reference)
    if path is None:
        return False
    if path.is_dir():
        return _in_folder(path) is not None or bool(column_files(path) or row_files(path))
    if path.name == _OF_A_TRAINER:
        return False
    return kind_of(path) is not None and parts_of(path)[0] == path  # the first part stands for all


def stray(place: str) -> bool:
    """Whether a table that lies about is no log, as far as its beginning tells: a data set, results, settings."""
    path = Path(place)
    file = _in_folder(path) if path.is_dir() else path
    if file is None:
        return False
    ending = ending_of(file)
    if ending in CSV:
        return is_stray_csv(file, called_a_log=unpacked_name(file).name in _FOLDER_NAMES)
    return ending in LINES and is_stray_lines(file)


def scattered(folder: str) -> bool:
    """Whether tables of other runs lie beside the one that a folder would go by: it is none of them then.

    Other logs that well-known libraries write, and the same one in another form, are of one run.
    """
    place = Path(folder)
    log = _in_folder(place)
    if log is None or log.parent != place:
        return False
    others = (
        place / name
        for name in names_in(place)
        if name not in _FOLDER_NAMES and of_another_run(name, log.stem)
    )
    return any(file.is_file() and claims(str(file)) and not stray(str(file)) for file in others)


def is_part(folder: Path, inner: Path) -> bool:  # noqa: ARG001 - one signature for all sources
    """Whether a folder beside a table belongs to the run that the table is of."""
    return inner.name in _INNER or inner.name in ("plots", "catboost_info")


def members(reference: str) -> list[str]:
    """What names each run of a table: the reference itself where it holds one."""
    path, member = split_member(reference)
    if path is None or member is not None or path.is_dir():
        return [reference]
    names = list(runs_in(read_cells(path)[0], unpacked_name(path).stem))
    return [f"{reference}{MEMBER}{name}" for name in names] if len(names) > 1 else [reference]


def read(reference: str, context: LoadContext) -> Run:  # noqa: ARG001 - one signature for all sources
    """Read one run of a table.

    Raises:
        UnreadableRun: it cannot be parsed, holds no column of numbers, or is a table of something else.
        SeveralRuns, UnknownReference: it holds several runs and none, or a wrong one, is named.
    """
    path, member = split_member(reference)
    assert path is not None, "claimed"
    file = (_in_folder(path) or path) if path.is_dir() else path
    if file.is_dir():
        cells, notes = read_columns(file) if column_files(file) else read_rows(file)
    else:
        cells, notes = read_cells(file)
    if not len(cells.columns):
        raise UnreadableRun(
            f"{file} holds no metric: no cell of its rows is a number or a word",
            hint="it may be a data set: name the log of the training",
        )
    runs = runs_in(cells, unpacked_name(file).stem)
    if not runs or not any(len(rows) for rows in runs.values()):
        raise UnreadableRun(
            f"{file} holds no rows" + "".join(f"; {note}" for note in notes),
            hint="a table needs one header line and one row per step",
        )
    name = list(runs)[pick(str(path), member, list(runs))]
    where = f"{file}{MEMBER}{name}" if len(runs) > 1 else str(file)
    attrs = runs[name].attrs
    mine, said = with_data({str(column): texts for column, texts in runs[name].items()}, file)
    del cells, runs  # which take more than what is made of them
    try:
        table = _Table.of(mine)
    except ValueError as error:
        raise UnreadableRun(
            f"{where} cannot be read: {error}", hint="write numbers with a decimal point"
        ) from None
    called = name or _run_name(file)
    times = [known for s in table.series.values() if len(known := s.time[np.isfinite(s.time)])]
    place: Place | None = attrs.get("place")
    run = Run(
        reference=reference,
        id=identity(called, file, name) if place is None else identity(called, place.project),
        name=called,
        source="table",
        series=table.series,
        step_key=table.axis.name,
        config={**_settings(file), **_facts(file), **attrs.get("config", {}), **_plainly(table.config)},
        started_at=min((float(known.min()) for known in times), default=None),
        ended_at=max((float(known.max()) for known in times), default=None),
        project=str(_run_folder(file).parent if file.name in _FOLDER_NAMES else file.parent),
        lineage=_lineage(place, table.axis.name),
        notes=(*notes, *table.notes, *said),
    )
    done = finish(run, where=where)
    if not 1 < len(table.sessions) <= MOST_PARTS:
        return done
    return without_carried(replace(done, parts=tuple(numbered(done, table.sessions))))


def _plainly(settings: Mapping[str, float]) -> dict[str, float]:
    """Settings without the head of their columns' names, whole numbers as such."""
    return {
        _SETTING.sub("", name.lower()): int(value) if value.is_integer() else value
        for name, value in settings.items()
    }


def _lineage(place: Place | None, counter: str) -> Lineage | None:
    """The run that a run of Neptune was forked from."""
    if place is None or place.parent is None or counter == "row":
        return None
    return Lineage("fork", identity(place.parent, place.project), place.step, counter)


def _in_folder(folder: Path) -> Path | None:
    names = names_in(folder)
    if _MMENGINE in names and (folder / _MMENGINE).is_dir():
        return _in_folder(folder / _MMENGINE)
    there = [folder / name for name in _FOLDER_NAMES if name in names]
    named = next((file for file in there if file.is_file() and kind_of(file)), None)
    if named is not None:
        return named
    mmcv = sorted(name for name in names if name.endswith(".log.json"))
    return folder / mmcv[-1] if mmcv else None  # mmcv and mmengine name it by the time of the start


def _run_name(file: Path) -> str:
    """The file's name, or its folder's where every run's log has that name."""
    bare = unpacked_name(file)
    if file.is_file() and bare.name not in _FOLDER_NAMES:
        return bare.stem
    return folder_name(_run_folder(file if file.is_dir() else file.absolute()))


def _run_folder(file: Path) -> Path:
    """The folder of the run of a log, or of a folder of columns."""
    folder = file if file.is_dir() else file.parent
    while folder.name in _INNER:
        folder = folder.parent
    return hydra_folder(folder) or folder


def _facts(file: Path) -> dict[str, Any]:
    """Of a folder's one log; of a table among others nobody knows whose they are."""
    return facts_beside(file.parent) if file.is_file() and file.name in _FOLDER_NAMES else {}


def _settings(file: Path) -> dict[str, Any]:
    """Settings that lie beside a table: Lightning's ``hparams.yaml``, ultralytics' ``args.yaml``; those of Hydra."""
    folder = file if file.is_dir() else file.parent
    for name in _SETTINGS:
        place = folder / name
        if place.is_file() and place.stat().st_size <= LARGEST_YAML and (found := _plain(place)):
            return found
    return of_hydra(folder) if file.is_dir() or file.name in _FOLDER_NAMES else {}


def _plain(place: Path) -> dict[str, Any]:
    try:
        return plain_yaml(place.read_bytes())
    except OSError:
        return {}  # the table is read without them


class _Table:
    """One run's rows as series.

    Attributes:
        axis: what its rows are counted in.
        series: by name.
        sessions: the series of each session that wrote it; one where the steps never begin anew.
        config: what is no curve but a plan that every row repeats (``total_steps``).
        notes: what was lost, or read in another way.
    """

    axis: Axis
    series: dict[str, Series]
    sessions: list[Mapping[str, Series]]
    config: dict[str, float]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, cells: dict[str, pd.Series]) -> _Table:
        """Read the columns, and let go of each that is read.

        Raises:
            ValueError: a number may be read in two ways.
        """
        numbers, table = Numbers(others=cells), cls()
        count = len(next(iter(cells.values())))
        clock, when = clock_of(cells, count)
        names, values = cells.pop(LONG[0], None), cells.pop(LONG[1], None)
        columns = Columns(count)
        for name in list(cells):
            if name and name != clock and not str(name).startswith("Unnamed"):
                columns.put(str(name), *numbers.read(cells.pop(name), str(name)))
        of_long = LONG[1] if columns else "loss"
        if values is not None:
            columns.put(of_long, *numbers.read(with_nan(values), "value"))
        table.axis = without_words(axis_of(columns, count), numbers)
        _refuse_two_counters(columns, table.axis)
        notes = numbers.notes()
        counter = table.axis.name if _newest_first(table.axis.step) else _falling(columns, table.axis)
        if counter is not None:
            said = f"the rows stand newest first ({counter} falls from row to row): read from the last one up"
            columns, when = columns.turned(), when[::-1]
            names = None if names is None else names.iloc[::-1]
            table.axis = axis_of(columns, count).beside(table.axis.turned())
            notes = (*notes, said)
        if names is not None:
            table.axis, made_of = of_points(table.axis, columns, columns[of_long][1])
            columns = _one_column_a_metric(names, columns, of_long, made_of)
        table.config = _plans(columns)
        if numbers.planned is not None:
            table.config.setdefault(PLANNED_STEPS[0], numbers.planned)
        table._fill(columns, when)
        table.notes = (*notes, *table.axis.notes)
        return table

    def _fill(self, columns: Columns, when: Floats) -> None:
        """Cut the columns into series; those that were logged together share their steps and times."""
        step, name = self.axis.step, self.axis.name
        kept = columns.where(self.axis.keep, without={name, *self.config})
        if is_epoch(name):
            kept.put(name, step.astype(np.float64), self.axis.keep)
        session = _sessions(step, kept)
        places: dict[int, tuple[Ints, Floats, Ints]] = {}
        whole: dict[str, Series] = {}
        parts: list[dict[str, Series]] = [{} for _ in range(int(session.max(initial=0)) + 1)]
        for column in kept:
            rows, values = kept.kept(column)
            if id(rows) not in places:
                mine = slice(None) if rows is None else rows
                places[id(rows)] = step[mine], when[mine], session[mine]
            steps, times, written = places[id(rows)]
            whole[column] = Series(column, steps, values, times)
            for number in np.unique(written) if len(parts) > 1 else ():
                parts[number][column] = whole[column].where(written == number)
        self.series = whole
        self.sessions = [*parts] if len(parts) > 1 else [whole]


def _refuse_two_counters(columns: Columns, axis: Axis) -> None:
    """Refuse a table that counts the steps of each metric in a column of its own.

    Raises:
        UnreadableRun: it does, so its rows are at no one step.
    """
    counters = [
        name for name, (values, logged) in columns.items()
        if _COUNTS_ONE.search(name) and logged.sum() > 1 and _counts(values[logged])
        and (axis.name == "row" or name == axis.name or held_out(name) or _HELD_OUT_BEHIND.search(plain(name)))
    ]  # fmt: skip
    if any(not _alike(columns[counters[0]], columns[name]) for name in counters[1:]):
        raise UnreadableRun(
            f"each metric has a column of steps of its own ({', '.join(counters[:3])}): a row is at no one step",
            hint="write one row per step with one column called step, or one table for each metric",
        )


def _alike(one: tuple[Floats, Bools], other: tuple[Floats, Bools]) -> bool:
    """Whether two counters say the same wherever both say something."""
    both = one[1] & other[1]
    return bool((one[0][both] == other[0][both]).all())


_HELD_OUT_BEHIND = re.compile(r"_(?:validation|evaluation|testing)$")


def _counts(values: Floats) -> bool:
    return bool((np.diff(values) > 0).all() and (values == np.rint(values)).all())


_COUNTS_ONE = re.compile(r"(?:^|[_ /.])(?:step|iter|iteration)s?(?:$|[_ /.])", re.IGNORECASE)


def _falling(columns: Columns, axis: Axis) -> str | None:
    """An epoch with a fraction that falls from row to row, where rows are counted."""
    if axis.name != "row":
        return None
    for name, (values, logged) in columns.items():
        if is_epoch(name) and _newest_first(values[logged]):
            return name
    return None


def _newest_first(step: Ints | Floats) -> bool:
    """Whether the step never rises and mostly falls: exports put the newest row first; no restart looks so."""
    ahead = np.diff(step)
    return bool((ahead <= 0).all()) and int((ahead < 0).sum()) >= FEWEST_FALLS


def _sessions(step: Ints, columns: Columns) -> Ints:
    """Number of the session that wrote each row, as the fullest column tells it."""
    rows = {name: columns.kept(name)[0] for name in columns}
    loss = {name: mine for name, mine in rows.items() if "loss" in name.lower()} or rows
    if not loss:
        return np.zeros(len(step), dtype=np.int64)
    main = max(loss.values(), key=lambda mine: len(step) if mine is None else len(mine))
    main = np.arange(len(step), dtype=np.int32) if main is None else main
    order = order_of(step[main])
    starts = main[np.flatnonzero(np.diff(order.sessions)) + 1]
    if not len(starts):
        return np.zeros(len(step), dtype=np.int64)
    return np.searchsorted(starts, np.arange(len(step)), side="right")


def _one_column_a_metric(names: pd.Series, columns: Columns, of_long: str, counter: str) -> Columns:
    """The values of a long table under the names of their metrics, without those at no step."""
    import pandas as pd

    values, logged = columns[of_long]
    logged &= _counted(columns, counter)
    codes, found = pd.factorize(names)
    made = Columns(columns.count)
    for name, rows in zip(found, groups(codes, len(found)), strict=True):
        if name:
            made.put_rows(str(name), rows[logged[rows]], values)
    return made


def _counted(columns: Columns, name: str) -> Bools | np.bool_:
    """Rows that have a step of their own: in a long table one without is a fact about the run, no point."""
    return columns[name][1] if name in columns else np.False_


def _plans(columns: Columns) -> dict[str, float]:
    """Numbers that every row repeats and that say how long the training shall be, or are called as settings."""
    found = {}
    for name, (values, logged) in columns.items():
        if (name.lower() in PLANNED_STEPS or _SETTING.match(name)) and logged.any():
            known = values[logged]
            if bool((known == known[0]).all()):
                found[name] = float(known[0])
    return found


_SETTING = re.compile(r"(?:config|hparams|hyperparameters)[./]", re.IGNORECASE)
"""Ray Tune repeats the settings in every row of ``result.json``."""
