"""Trackio: one SQLite file a project, with the rows of each run as JSON."""

from __future__ import annotations

import sqlite3
from collections import Counter
from datetime import datetime
from typing import Any

from runscope.errors import UnreadableRun
from runscope.history import Run
from runscope.schema import read_object
from runscope.sources.base import MEMBER, LoadContext, finish, identity, pick, split_member
from runscope.sources.columns import Rows, as_float, checkpoint_lineage, system_series
from runscope.sources.trackers.sqlite import columns_of, has_columns, opened

FORM = "Trackio database"

_COLUMNS = frozenset(("run_name", "timestamp", "step", "metrics"))


def claims(reference: str) -> bool:
    """An SQLite file with Trackio's table of metrics."""
    return has_columns(split_member(reference)[0], "metrics", _COLUMNS)


def members(reference: str) -> list[str]:
    """What names each run of a project; the reference itself for one run."""
    path, member = split_member(reference)
    if path is None or member is not None:
        return [reference]
    with opened(path) as connection:
        keys, _, _ = _runs(connection)
    return [f"{reference}{MEMBER}{key}" for key in keys] if len(keys) > 1 else [reference]


def read(reference: str, context: LoadContext) -> Run:  # noqa: ARG001 - one signature for all sources
    """Read one run of a project.

    Raises:
        UnreadableRun: the file is damaged, or the run logged nothing.
        SeveralRuns, UnknownReference: the project has several runs and none, or a wrong one, is named.
    """
    path, member = split_member(reference)
    assert path is not None, "claimed"
    with opened(path) as connection:
        keys, names, column = _runs(connection)
        if not keys:
            raise UnreadableRun(f"{path} holds no run", hint="nothing was logged to this project yet")
        place = pick(str(path), member, keys, names)
        chosen = _chosen(connection, column, keys[place], names[place])
        rows, lost = _rows(connection, column, chosen)
        system = _system(connection, column, chosen)
        config = _config(connection, column, chosen)
    series, histograms, step_key, step, when = rows.finished()
    run = Run(
        reference=reference,
        id=chosen if column == "run_id" else identity(keys[place], path, keys[place]),
        name=names[place],
        source="trackio",
        series=series,
        step_key=step_key,
        config={k: v for k, v in config.items() if not k.startswith("_")},
        started_at=float(when.min()) if len(when) else None,
        ended_at=float(when.max()) if len(when) else None,
        lineage=checkpoint_lineage(config),
        system=system_series(system, when, step),
        histograms=histograms,
        project=path.stem,
        notes=(f"{lost:,} rows of the database are damaged and were left out",) if lost else (),
    )
    return finish(run, where=f"{path}{MEMBER}{keys[place]}")


def _runs(connection: sqlite3.Connection) -> tuple[list[str], list[str], str]:
    """(keys, names, column that tells runs apart): by name; by id where two runs share one (Trackio ≥ 0.20)."""
    column = "run_id" if "run_id" in columns_of(connection, "metrics") else "run_name"
    found = connection.execute(
        f"SELECT {column}, run_name FROM metrics GROUP BY {column} ORDER BY MIN(id)"
    ).fetchall()
    names = [str(name) for _, name in found]
    count = Counter(names)
    keys = [name if count[name] == 1 else str(key) for (key, _), name in zip(found, names, strict=True)]
    return keys, names, column


def _chosen(connection: sqlite3.Connection, column: str, key: str, name: str) -> str:
    """Value of the column that tells runs apart."""
    if column == "run_name" or key != name:
        return key
    found = connection.execute("SELECT run_id FROM metrics WHERE run_name = ? LIMIT 1", (name,)).fetchone()
    return str(found[0]) if found is not None else key


def _rows(connection: sqlite3.Connection, column: str, value: str) -> tuple[Rows, int]:
    """The rows of a run, and how many are damaged."""
    rows, lost = Rows(), 0
    query = f"SELECT step, timestamp, metrics FROM metrics WHERE {column} = ? ORDER BY id"
    for step, timestamp, text in connection.execute(query, (value,)):
        row = _parsed(text)
        if row is None or not isinstance(step, int):
            lost += 1
            continue
        rows.add_row({**row, "_step": step, "_timestamp": _seconds(timestamp)})
    return rows, lost


def _system(connection: sqlite3.Connection, column: str, value: str) -> list[tuple[float, str, float]]:
    if column not in columns_of(connection, "system_metrics"):
        return []
    query = f"SELECT timestamp, metrics FROM system_metrics WHERE {column} = ? ORDER BY id"
    return [
        (_seconds(timestamp), name, as_float(number))
        for timestamp, text in connection.execute(query, (value,))
        for name, number in (_parsed(text) or {}).items()
        if isinstance(number, int | float)
    ]


def _config(connection: sqlite3.Connection, column: str, value: str) -> dict[str, Any]:
    if column not in columns_of(connection, "configs"):
        return {}
    found = connection.execute(f"SELECT config FROM configs WHERE {column} = ?", (value,)).fetchone()
    return (_parsed(found[0]) or {}) if found else {}


def _parsed(text: str | bytes) -> dict[str, Any] | None:
    """A row's JSON; None where it is damaged."""
    try:
        return read_object(text)
    except (ValueError, TypeError):
        return None


def _seconds(timestamp: str) -> float:
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return float("nan")
