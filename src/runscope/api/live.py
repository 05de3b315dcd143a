"""The verb ``watch``: the other verbs, tied to one training that still goes on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runscope import api
from runscope.api.judging import name_and_direction
from runscope.errors import InputError, UnknownReference, UnreadableRun, UsageError
from runscope.history.metrics import held_out
from runscope.sources.marks import Mark, mark_of
from runscope.watching import Means, MemoryFile, Watcher, WatchSettings

if TYPE_CHECKING:
    from runscope.history import Run, Timeline
    from runscope.history.checkpoint import Checkpoint

SETTLED_SECONDS = 3.0
"""A checkpoint on this disk that was written to more recently may not be whole yet; the next look takes it."""


def watch(
    runs: Sequence[str],
    *,
    hub: str | None = None,
    data: str | Path | None = None,
    train_data: str | Path | None = None,
    base: str | Path | None = None,
    watching: WatchSettings | None = None,
    remember: bool = True,
    at: Sequence[int] | None = None,
    force: bool = False,
    ignore: Iterable[str] = (),
    roles: Mapping[str, str | None] | None = None,
    project: str | None = None,
    metric: str | None = None,
    **settings: Any,
) -> Watcher:
    """A watcher of a training; :func:`runscope.watching.follow` gives its events as they come.

    Args:
        runs: the run that goes on, last; before it those that it continues.
        hub: repository or folder where its checkpoints are saved.
        data, train_data, base: evaluate each new checkpoint; see :func:`runscope.api.evaluate`.
        watching: how often to look, when a silent run counts as ended, what says stop.
        remember: keep on disk what was said, so that the next call does not repeat it.
        at, force: how runs are joined; see :func:`runscope.api.stitch`.
        ignore, roles, project: as in :func:`runscope.api.diagnose`.
        metric: ``NAME[:lower|higher]``: the logged metric that decides, from when it is first logged on.
        settings: fields of :class:`runscope.evaluation.EvaluateSettings`.

    Raises:
        UsageError: there is data, but nowhere to take checkpoints from; the metric's name does not say which way it is
            better.
    """
    if data is not None and hub is None:
        raise UsageError(
            "there is no checkpoint to evaluate", hint="name the repository that holds them: --hub REPO"
        )
    name = None if metric is None else name_and_direction(metric)[0]
    reader = _Reader(runs, {**(roles or {}), **dict.fromkeys(ignore)}, project=project, at=at, force=force)
    means = Means(
        mark=reader.mark,
        load=reader.line,
        diagnose=lambda line, saved, study: api.diagnose(
            line, checkpoints=saved, study=study, metric=None if _to_come(line, name) else metric
        ),
        checkpoints=None if hub is None else partial(_saved, hub),
        evaluate=None
        if data is None
        else lambda line, saved: api.evaluate(
            saved, data, line=line, train_data=train_data, base=base, **settings
        ),
    )
    return Watcher(means, watching or WatchSettings(), MemoryFile((*runs, hub or "")) if remember else None)


class _Reader:
    """Reads the runs, each only when it has changed."""

    def __init__(
        self,
        runs: Sequence[str],
        roles: Mapping[str, str | None],
        *,
        project: str | None,
        at: Sequence[int] | None,
        force: bool,
    ) -> None:
        self._references = list(runs)
        self._roles = roles
        self._project = project
        self._join = {"at": list(at) if at else None, "force": force}
        self._known: dict[str, tuple[Mark | None, Run]] = {}

    def mark(self) -> Mark | None:
        """Of all runs together; None where one lies in a service."""
        marks = [mark_of(reference) for reference in self._references]
        if any(mark is None for mark in marks):
            return None
        return tuple(row for mark in marks for row in mark or ())

    def line(self) -> Timeline:
        """The runs joined; of those in a service only the last is asked for again."""
        runs = [self._run(reference) for reference in self._references]
        if len(runs) == 1:
            line = api.as_line(runs)
        else:
            line = api.stitch(runs, **self._join)  # type: ignore[arg-type]
            line = line if self._join["at"] or self._join["force"] else api.require_joined(line)
        return line.with_roles(self._roles)

    def _run(self, reference: str) -> Run:
        mark = mark_of(reference)
        known = self._known.get(reference)
        live = reference == self._references[-1]
        if known is not None and (known[0] == mark if mark is not None else not live):
            return known[1]
        run = self._loaded(reference, live)  # of a run in the cloud only its new rows are asked for
        self._known[reference] = (mark, run)
        return run

    def _loaded(self, reference: str, live: bool) -> Run:
        try:
            # A run that goes on and is not heard of is a trouble to be said, not one that stands still.
            return api.load(reference, project=self._project, stale=not live)
        except UnknownReference:
            if not Path(reference).expanduser().is_dir():
                raise
            raise UnreadableRun(
                f"{reference} holds no run yet", hint="the training writes its first log there"
            ) from None


def _to_come(line: Timeline, name: str | None) -> bool:
    """Whether a metric may still be logged: nothing was measured on held-out data yet."""
    return name not in line.names and not any(held_out(n) for n in line.names)


def _saved(hub: str, line: Timeline) -> tuple[Checkpoint, ...]:
    """The checkpoints so far; a folder that has none yet is no error.

    Of a run that records its end the last one is whole then, and no later look would take it.
    """
    try:
        found = api.checkpoints(hub, line=line)
    except InputError:
        if Path(hub).is_dir():
            return ()
        raise
    if line.runs[-1].state in ("finished", "failed"):
        return found
    now = time.time()
    return tuple(
        c for c in found if c.local_path is None or c.saved_at is None or now - c.saved_at >= SETTLED_SECONDS
    )
