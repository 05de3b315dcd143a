"""MLflow: runs of its SQLite store and of its folder store (``mlruns/``)."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from runscope.errors import UnreadableRun
from runscope.history import Run, Series, State
from runscope.schema import Meta, plain_yaml, sorted_out
from runscope.sources.base import LARGEST_STEP, MEMBER, LoadContext, finish, pick, split_member
from runscope.sources.columns import Rows, checkpoint_lineage, machine_series
from runscope.sources.trackers.sqlite import has_columns, opened
from runscope.stats.arrays import Floats, Ints

FORM = "MLflow store"

_COLUMNS = frozenset(("key", "value", "timestamp", "run_uuid", "step", "is_nan"))
_META = "meta.yaml"
_STATES: Mapping[str, State] = {
    "FINISHED": "finished", "FAILED": "failed", "KILLED": "killed", "RUNNING": "running", "SCHEDULED": "running",
    "1": "running", "2": "running", "3": "finished", "4": "failed", "5": "killed",
}  # fmt: skip
"""``RunStatus``: by name in the database, by number in ``meta.yaml``."""
_LARGEST = float(np.finfo(np.float64).max)
"""The database holds infinity as this."""
_SYSTEM = "system/"

Point = tuple[int, float, float]
"""Step, value, Unix seconds."""
_MANY = 1 << 12
"""Rows that are looked at together."""


_Step = Annotated[int, Meta(ge=-LARGEST_STEP, le=LARGEST_STEP)]
_MetricRow = tuple[str, _Step, float, bool | int | None, float]
"""``key, step, value, is_nan, timestamp`` of the database: SQLite takes text and NULL for numbers as well."""


@dataclass(frozen=True)
class _Entry:
    """A run that a store lists; ``place`` is its folder, None in a database."""

    id: str
    name: str
    experiment: str
    status: str
    started_at: float | None
    ended_at: float | None
    place: Path | None = None


@dataclass
class _Points:
    """Of one metric, in order; as objects they would take ten times the file."""

    step: array[int] = field(default_factory=lambda: array("q"))
    value: array[float] = field(default_factory=lambda: array("d"))
    time: array[float] = field(default_factory=lambda: array("d"))

    def add(self, step: int, value: float, time: float) -> None:
        self.step.append(step)
        self.value.append(value)
        self.time.append(time)


@dataclass
class _Content:
    points: dict[str, _Points] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def claims(reference: str) -> bool:
    """MLflow's database, its ``mlruns``, or the folder of an experiment or of a run in it."""
    path, _ = split_member(reference)
    if path is None:
        return False
    if path.is_dir():
        return _is_meta(path / _META) or any(_is_meta(file) for file in _below(path))
    return has_columns(path, "metrics", _COLUMNS)


def members(reference: str) -> list[str]:
    """What names each run of a store; the reference itself for one run."""
    path, member = split_member(reference)
    if path is None or member is not None:
        return [reference]
    entries = _entries(path)
    keys = _keys(entries)
    return [f"{reference}{MEMBER}{key}" for key in keys] if len(keys) > 1 else [reference]


def read(reference: str, context: LoadContext) -> Run:  # noqa: ARG001 - one signature for all sources
    """Read one run of a store.

    Raises:
        UnreadableRun: the store is damaged, or the run logged nothing.
        SeveralRuns, UnknownReference: there are several runs and none, or a wrong one, is named.
    """
    path, member = split_member(reference)
    assert path is not None, "claimed"
    entries = _entries(path)
    if not entries:
        raise UnreadableRun(f"{path} holds no run", hint="nothing was logged to this store yet")
    names = [e.name for e in entries]
    keys = _keys(entries)
    ids = [e.id for e in entries]
    entry = entries[ids.index(member) if member in ids else pick(str(path), member, keys, names)]
    content = _read_database(path, entry) if entry.place is None else _read_folder(entry.place)
    series, system, more = _series(content.points)
    run = Run(
        reference=reference,
        id=entry.id,
        name=entry.name or entry.id,
        source="mlflow",
        series=series,
        step_key="step",
        config=content.config,
        started_at=entry.started_at,
        ended_at=entry.ended_at,
        state=_STATES.get(entry.status, "unknown"),
        lineage=checkpoint_lineage(content.config),
        system=system,
        project=entry.experiment,
        notes=(*content.notes, *more),
    )
    return finish(run, where=f"{path}{MEMBER}{entry.name or entry.id}")


def _keys(entries: list[_Entry]) -> list[str]:
    """Names where they are one of a kind, else ids."""
    count = Counter(e.name for e in entries)
    return [e.name if e.name and count[e.name] == 1 else e.id for e in entries]


def _entries(path: Path) -> list[_Entry]:
    """Runs that were not deleted, oldest first."""
    found = list(_folder_entries(path)) if path.is_dir() else _database_entries(path)
    return sorted(found, key=lambda e: e.started_at or 0.0)


def _database_entries(path: Path) -> list[_Entry]:
    with opened(path) as connection:
        rows = connection.execute(
            "SELECT r.run_uuid, COALESCE(NULLIF(r.name, ''), t.value, ''), e.name, r.status, r.start_time, r.end_time "
            "FROM runs r LEFT JOIN experiments e ON e.experiment_id = r.experiment_id "
            "LEFT JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'mlflow.runName' "
            "WHERE r.lifecycle_stage = 'active'"
        ).fetchall()
    return [
        _Entry(str(key), str(name), str(experiment or ""), str(status), _seconds(start), _seconds(end))
        for key, name, experiment, status, start, end in rows
    ]


def _read_database(path: Path, entry: _Entry) -> _Content:
    content, lost = _Content(), 0
    with opened(path) as connection:
        rows = connection.execute(
            "SELECT key, step, value, is_nan, timestamp FROM metrics WHERE run_uuid = ? ORDER BY timestamp, rowid",
            (entry.id,),
        )
        while some := rows.fetchmany(_MANY):
            known, damaged = sorted_out(some, _MetricRow)
            lost += damaged
            for key, step, value, is_nan, when in known:
                points = content.points.setdefault(key, _Points())
                points.add(step, _from_database(value, bool(is_nan)), when / 1000)
        parameters = connection.execute("SELECT key, value FROM params WHERE run_uuid = ?", (entry.id,))
        content.config = _config(parameters)
    if lost:
        content.notes = (f"{lost:,} rows of the database are damaged and were left out",)
    return content


def _from_database(value: float, is_nan: bool) -> float:
    if is_nan:
        return np.nan
    return float(value) if abs(value) < _LARGEST else float(np.copysign(np.inf, value))


def _below(path: Path) -> Iterator[Path]:
    """``meta.yaml`` one and two levels below a folder: of experiments and of runs."""
    for child in sorted(path.iterdir()) if path.is_dir() else ():
        if not child.name.startswith(".") and child.is_dir():
            yield child / _META


def _is_meta(file: Path) -> bool:
    return b"lifecycle_stage:" in _bytes(file) and b"experiment_id:" in _bytes(file)


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes() if file.is_file() else b""  # nobody waits for a pipe
    except OSError:
        return b""


def _folder_entries(path: Path) -> Iterator[_Entry]:
    """The run of this folder, or the runs of an experiment, or of all experiments."""
    meta = _read_meta(path / _META)
    if "run_id" in meta or "run_uuid" in meta:
        experiment = _read_meta(path.parent / _META)
        if meta.get("lifecycle_stage") != "deleted":
            yield _Entry(
                id=meta.get("run_id") or meta["run_uuid"],
                name=meta.get("run_name") or _text(path / "tags" / "mlflow.runName"),
                experiment=experiment.get("name", path.parent.name),
                status=meta.get("status", ""),
                started_at=_seconds(meta.get("start_time")),
                ended_at=_seconds(meta.get("end_time")),
                place=path,
            )
        return
    for file in _below(path):
        if _is_meta(file):
            yield from _folder_entries(file.parent)


def _read_meta(file: Path) -> dict[str, str]:
    """What MLflow wrote of a run or an experiment, as text; what is empty is left out, a damaged file says nothing."""
    return {key: str(value) for key, value in plain_yaml(_bytes(file)).items() if value not in (None, "")}


def _read_folder(place: Path) -> _Content:
    """``metrics/NAME`` has a line a point: milliseconds, value, step; ``params/NAME`` one value."""
    content, lost = _Content(), 0
    metrics = place / "metrics"
    for file in sorted(f for f in metrics.rglob("*") if f.is_file()):
        points, damaged = _points_in(file)
        lost += damaged
        if points.step:
            content.points[file.relative_to(metrics).as_posix()] = points
    params = [
        (f.relative_to(place / "params").as_posix(), _text(f))
        for f in (place / "params").rglob("*")
        if f.is_file()
    ]
    content.config = _config(params)
    if lost:
        content.notes = (f"{lost} lines are no metric and were left out",)
    return content


def _points_in(file: Path) -> tuple[_Points, int]:
    """The points of a metric's file, and how many lines are none."""
    points, lost = _Points(), 0
    try:
        with file.open("rb") as lines:
            for line in lines:
                whole = line.endswith(
                    b"\n"
                )  # MLflow ends every line: another was cut, and half a number is none
                point = _point(line.decode(errors="replace")) if whole else None
                if point is not None:
                    points.add(*point)
                else:
                    lost += whole or bool(line.strip())
    except OSError:
        lost += 1
    return points, lost


def _point(line: str) -> Point | None:
    words = line.split()
    try:
        step, when = int(words[2]) if len(words) > 2 else 0, int(words[0]) / 1000
        return (step, float(words[1]), when) if abs(step) <= LARGEST_STEP else None
    except (ValueError, IndexError, OverflowError):
        return None


def _text(file: Path) -> str:
    return _bytes(file).decode(errors="replace").strip()


def _config(rows: Any) -> dict[str, Any]:
    """Parameters, numbers as numbers: MLflow keeps them as text."""
    found: dict[str, Any] = {}
    for key, value in rows:
        try:
            number = float(value)
            found[key] = (
                int(number)
                if number.is_integer() and "." not in value and "e" not in value.lower()
                else number
            )
        except (TypeError, ValueError, AttributeError):
            found[str(key)] = value
    return found


def _seconds(milliseconds: Any) -> float | None:
    try:
        return float(milliseconds) / 1000
    except (TypeError, ValueError):
        return None


def _series(
    points: Mapping[str, _Points],
) -> tuple[dict[str, Series], dict[str, Series], tuple[str, ...]]:
    """Metrics, machine metrics and notes. ``log_metric`` without a step writes 0 each time: then points are counted."""
    found, machine, counted = {}, {}, []
    for name, column in points.items():
        series = Series.of(name, column.step, column.value, column.time)
        if name.startswith(_SYSTEM):
            machine[name] = series
            continue
        if len(series) > 1 and not series.step.any():
            series = replace(series, step=np.arange(len(series), dtype=np.int64))
            counted.append(name)
        found[name] = series
    notes = (f"{', '.join(counted[:4])}: logged without a step, so points are counted",) if counted else ()
    return found, _on_steps(machine, found), notes


def _on_steps(machine: Mapping[str, Series], found: Mapping[str, Series]) -> dict[str, Series]:
    """Machine metrics, joined to the steps by time."""
    rows, begin = Rows(), 0
    for name, series in machine.items():
        rows.add_block(name, np.arange(begin, begin + len(series), dtype=np.int64), series.value)
        begin += len(series)
    if not begin:
        return {}
    return machine_series(rows, np.concatenate([s.time for s in machine.values()]), *_clock(found))


def _clock(series: Mapping[str, Series]) -> tuple[Floats, Ints]:
    """Times and steps of all points, in order of time."""
    if not series:
        return np.empty(0), np.empty(0, dtype=np.int64)
    when = np.concatenate([s.time for s in series.values()])
    order = np.argsort(when, kind="stable")
    return when[order], np.concatenate([s.step for s in series.values()])[order]
