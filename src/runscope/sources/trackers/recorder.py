"""The log that a :class:`runscope.callbacks.Recorder` writes: JSON lines, with a line of facts where a run begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from runscope.errors import UnreadableRun
from runscope.history import Run, Series
from runscope.history.run import State
from runscope.schema import read_object
from runscope.sources.base import LoadContext, existing, finish, folder_name, identity
from runscope.sources.columns import as_float
from runscope.sources.text import read_text

FORM = "log of a Recorder"
LOG_FILE = "runscope.jsonl"
"""Name of the log in the folder of the training that goes on; one that began anew there was given another name."""
_EARLIER = "runscope-*.jsonl"

Columns = dict[str, tuple[list[int], list[float], list[float]]]


@dataclass
class _Session:
    """What one process wrote."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    columns: Columns = field(default_factory=dict)
    end: State | None = None

    def add(self, row: Mapping[str, Any]) -> bool:
        """Take the numbers of a row; False where it is none."""
        step, when, numbers = row.get("step"), row.get("time"), row.get("values")
        if not isinstance(step, int) or isinstance(step, bool) or not isinstance(numbers, Mapping):
            return False
        for name, value in numbers.items():
            if isinstance(value, int | float):
                steps, values, times = self.columns.setdefault(name, ([], [], []))
                steps.append(step)
                values.append(as_float(value))
                times.append(float(when) if isinstance(when, int | float) else np.nan)
        return True

    def series(self) -> dict[str, Series]:
        """Its curves, by name."""
        return {name: Series.of(name, *column) for name, column in self.columns.items()}


def claims(reference: str) -> bool:
    """The log itself, or the folder that it lies in."""
    path = existing(reference)
    return path is not None and _log(path) is not None


def read(reference: str, context: LoadContext) -> Run:  # noqa: ARG001 - one signature for all sources
    """Read the log, each process that wrote it as a part of its own.

    Raises:
        UnreadableRun: nothing was logged to it, or it cannot be opened.
    """
    path = existing(reference)
    file = _log(path) if path is not None else None
    assert file is not None, "claimed"
    sessions, notes = _sessions(file)
    filled = [session for session in sessions if session.columns]
    if not filled:
        raise UnreadableRun(f"{file} holds no logged metric", hint="the run ended before its first log")
    name = folder_name(file.absolute().parent)
    parts = [
        finish(
            Run(
                reference=reference, id=str(session.facts.get("run") or identity(name, file, str(number))), name=name,
                source="recorder", series=session.series(), config={**session.config, "runscope": session.facts},
                project=str(file.parent), part=number if len(filled) > 1 else 0,
                started_at=_ends(session)[0], ended_at=_ends(session)[1],
                state=session.end or ("unknown" if number == len(filled) else "killed"),
            ),
            where=str(file),
        )
        for number, session in enumerate(filled, 1)
    ]  # fmt: skip
    if len(parts) == 1:
        return replace(parts[0], notes=(*notes, *parts[0].notes))
    whole = finish(
        replace(
            parts[-1], series=_end_to_end(filled), part=0, parts=(), lineage=None,
            started_at=parts[0].started_at, notes=tuple(notes),
        ),
        where=str(file),
    )  # fmt: skip
    return replace(whole, lineage=parts[0].lineage, parts=tuple(parts))


def _log(path: Path) -> Path | None:
    file = path / LOG_FILE if path.is_dir() else path
    return file if file.is_file() and (file.name == LOG_FILE or file.match(_EARLIER)) else None


def _sessions(file: Path) -> tuple[list[_Session], list[str]]:
    text = read_text(file)
    found, lost = [_Session()], 0
    for line in text.text.splitlines():
        if not line.strip():
            continue
        try:
            row = read_object(line)
        except ValueError:
            lost += 1
            continue
        begun, config, end = row.get("runscope"), row.get("config"), row.get("end")
        if isinstance(begun, Mapping):
            found.append(_Session(begun, config if isinstance(config, Mapping) else {}))
        elif end in ("finished", "failed"):
            found[-1].end = end
        elif not found[-1].add(row):
            lost += 1
    notes = [*text.notes]
    if lost:
        notes.append(f"{lost:,} {'line' if lost == 1 else 'lines'} cannot be read and were left out")
    return found, notes


def _end_to_end(sessions: list[_Session]) -> dict[str, Series]:
    whole = _Session()
    for session in sessions:
        for name, (steps, values, times) in session.columns.items():
            all_steps, all_values, all_times = whole.columns.setdefault(name, ([], [], []))
            all_steps += steps
            all_values += values
            all_times += times
    return whole.series()


def _ends(session: _Session) -> tuple[float | None, float | None]:
    times = [time for _, _, column in session.columns.values() for time in column if np.isfinite(time)]
    return min(times, default=None), max(times, default=None)
