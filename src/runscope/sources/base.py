"""What every source shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from runscope.errors import UnreadableRun
from runscope.history import Run, Series
from runscope.history.roles import assign_roles

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class LoadContext:
    """What a source may need besides the reference.

    Attributes:
        project: W&B ``entity/project`` that bare names and ids are looked up in.
        host: another W&B host.
        refresh: fetch again although the store has it.
        progress: called while a long read goes on.
        store: where pulled runs are kept; None keeps nothing.
    """

    project: str | None = None
    host: str | None = None
    refresh: bool = False
    progress: Progress | None = None
    store: Any = None


class Source(Protocol):
    """A module that reads one kind of run."""

    FORM: str
    EXAMPLE: str

    def claims(self, reference: str) -> bool:
        """Whether the reference is of this kind; cheap, without network."""

    def read(self, reference: str, context: LoadContext) -> Run:
        """Read the run."""


def finish(run: Run, *, where: str) -> Run:
    """Give a run its roles, and refuse one that holds nothing.

    Raises:
        UnreadableRun: no metric has a single point.
    """
    from dataclasses import replace

    if run.points == 0:
        raise UnreadableRun(
            f"{where} holds no logged metric",
            hint="the run ended before its first log, or logs something else",
        )
    assigned = assign_roles(run.series, step_key=run.step_key)
    return replace(run, roles=assigned.roles, notes=(*run.notes, *assigned.notes))


def columns_to_series(
    columns: Mapping[str, tuple[list[int], list[float]]], step: np.ndarray, time: np.ndarray
) -> dict[str, Series]:
    """Columns of (row numbers, values) become series on the rows' steps and times.

    Args:
        columns: by name.
        step: (rows,) int64.
        time: (rows,) float64, Unix seconds.
    """
    found = {}
    for name, (rows, values) in columns.items():
        index = np.asarray(rows, dtype=np.int64)
        found[name] = Series(name, step[index], np.asarray(values, dtype=np.float64), time[index])
    return found


def existing(reference: str) -> Path | None:
    """The reference as a path, where something lies there."""
    try:
        path = Path(reference).expanduser()
        return path if path.exists() else None
    except (OSError, ValueError, RuntimeError):
        return None
