"""MLflow: runs of its SQLite store and of its folder store (``mlruns/``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from runscope.errors import UnreadableRun
from runscope.history import Run, Series, State
from runscope.schema import Meta, sorted_out
from runscope.sources.base import LARGEST_STEP, MEMBER, LoadContext, finish, pick, split_member
from runscope.sources.columns import checkpoint_lineage, system_series
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

Point = tuple[str, int, float, float]
"""Metric, step, value, Unix seconds."""


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
class _Content:
    points: list[Point] = field(default_factory=list)
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
    names = [e.name for e in entries]
    return [e.name if e.name and names.count(e.name) == 1 else e.id for e in entries]


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
    with opened(path) as connection:
        rows = connection.execute(
            "SELECT key, step, value, is_nan, timestamp FROM metrics WHERE run_uuid = ? ORDER BY timestamp, rowid",
            (entry.id,),
        ).fetchall()
        config = _config(connection.execute("SELECT key, value FROM params WHERE run_uuid = ?", (entry.id,)))
    known, lost = sorted_out(rows, _MetricRow)
    points = [
        (key, step, _from_database(value, bool(is_nan)), when / 1000)
        for key, step, value, is_nan, when in known
    ]
    notes = (f"{lost:,} rows of the database are damaged and were left out",) if lost else ()
    return _Content(points, config, notes)


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
    import yaml

    try:
        found = yaml.load(_bytes(file), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError):
        return {}
    known = found.items() if isinstance(found, dict) else ()
    return {str(key): str(value) for key, value in known if value not in (None, "", [])}


def _read_folder(place: Path) -> _Content:
    """``metrics/NAME`` has a line a point: milliseconds, value, step; ``params/NAME`` one value."""
    points: list[Point] = []
    lost = 0
    metrics = place / "metrics"
    for file in sorted(f for f in metrics.rglob("*") if f.is_file()):
        *lines, rest = _bytes(file).decode(errors="replace").split("\n")
        lost += bool(rest.strip())  # MLflow ends every line: this one was cut, and half a number is none
        for line in lines:
            point = _point(file.relative_to(metrics).as_posix(), line)
            points += [point] if point else []
            lost += point is None
    params = [
        (f.relative_to(place / "params").as_posix(), _text(f))
        for f in (place / "params").rglob("*")
        if f.is_file()
    ]
    notes = (f"{lost} lines are no metric and were left out",) if lost else ()
    return _Content(points, _config(params), notes)


def _point(name: str, line: str) -> Point | None:
    words = line.split()
    try:
        step, when = int(words[2]) if len(words) > 2 else 0, int(words[0]) / 1000
        return (name, step, float(words[1]), when) if abs(step) <= LARGEST_STEP else None
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


def _series(points: list[Point]) -> tuple[dict[str, Series], dict[str, Series], tuple[str, ...]]:
    """Metrics, machine metrics and notes. ``log_metric`` without a step writes 0 each time: then points are counted."""
    columns: dict[str, list[Point]] = {}
    for point in points:
        columns.setdefault(point[0], []).append(point)
    found, counted = {}, []
    for name, rows in columns.items():
        if name.startswith(_SYSTEM):
            continue
        step: Ints = np.array([r[1] for r in rows], dtype=np.int64)
        if len(step) > 1 and not step.any():
            step = np.arange(len(step), dtype=np.int64)
            counted.append(name)
        found[name] = Series.of(name, step, [r[2] for r in rows], [r[3] for r in rows])
    stats = [(when, name, value) for name, _, value, when in points if name.startswith(_SYSTEM)]
    notes = (f"{', '.join(counted[:4])}: logged without a step, so points are counted",) if counted else ()
    return found, system_series(stats, *_clock(found)), notes


def _clock(series: Mapping[str, Series]) -> tuple[Floats, Ints]:
    """Times and steps of all points, in order of time."""
    if not series:
        return np.empty(0), np.empty(0, dtype=np.int64)
    when = np.concatenate([s.time for s in series.values()])
    order = np.argsort(when, kind="stable")
    return when[order], np.concatenate([s.step for s in series.values()])[order]
