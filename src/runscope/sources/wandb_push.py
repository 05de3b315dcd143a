"""Write a stitched line back to W&B as one run, with the real SDK."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runscope.errors import RunscopeError, ServiceError, StoreError, UsageError
from runscope.history import Run, Timeline
from runscope.progress import Progress
from runscope.sources.base import LoadContext
from runscope.sources.wandb_cloud.account import base_url
from runscope.sources.wandb_cloud.projects import require_account
from runscope.sources.wandb_file.source import read

MARK = "runscope"
"""The configuration key that holds the parts; a run that has it was pushed by runscope."""
WRITER_SECONDS = 60.0


@dataclass(frozen=True)
class Pushed:
    """Where a stitched line was written.

    Attributes:
        id: the run's id, the same for the same line.
        place: the offline run's ``.wandb`` file, or the run's address.
        written: False where it was there already, whole.
    """

    id: str
    place: str
    written: bool


def push(
    line: Timeline,
    *,
    project: str | None = None,
    name: str | None = None,
    offline: Path | None = None,
    progress: Progress | None = None,
) -> Pushed:
    """Write the kept points of a line as one run.

    Its id is made from the parts and their places, so that the same line is the same run: pushed twice it is
    written once. Steps are the line's; times are those of the parts.

    Args:
        line: what :func:`runscope.stitch` gave.
        project: ``entity/project`` or ``project``; that of the first part where not given.
        name: display name; the first part's with ``-stitched`` where not given.
        offline: folder to write an offline run to, for ``wandb sync``; None sends it to the W&B server.
        progress: called while rows are written.

    Raises:
        UsageError: nothing of the line is kept.
        ServiceError: W&B refused, or could not be reached.
        StoreError: the folder cannot be written.
    """
    if not line.line or not any(len(s.kept(x)) for s in line.line for x in s.run.series.values()):
        raise UsageError(
            "the line is empty: there is nothing to push", hint="name runs that logged something"
        )
    run = line.to_run(id=push_id(line), name=name)
    there = _already(run, offline)
    if there is not None:
        return Pushed(run.id, there, written=False)
    try:
        return _write(run, line, _place(project, run), offline, progress)
    except OSError as error:
        raise StoreError(
            f"{offline or 'the W&B folder'} cannot be written: {error.strerror}",
            hint="choose another folder with --offline",
        ) from error


def push_id(line: Timeline) -> str:
    """Id of the run that a line becomes: the same parts in the same places give the same id."""
    parts = [[s.run.id, s.offset, s.scale, s.cut, s.run.points] for s in line.line]
    return "rs" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:14]


def rows(run: Run) -> Iterator[tuple[int, float, dict[str, float]]]:
    """Step, time (NaN where unknown) and values of every step at which anything was logged, in order."""
    parts = [s for s in run.series.values() if len(s)]
    step = np.concatenate([s.step for s in parts])
    which = np.repeat(np.arange(len(parts)), [len(s) for s in parts])
    value = np.concatenate([s.value for s in parts])
    when = np.concatenate([s.time for s in parts])
    order = np.argsort(step, kind="stable")
    edges = np.flatnonzero(np.append(True, np.diff(step[order]) > 0))
    names = [s.name for s in parts]
    for first, last in zip(edges, [*edges[1:], len(order)], strict=True):
        some = order[first:last]
        known = when[some][np.isfinite(when[some])]
        yield (
            int(step[some[0]]),
            float(known.max()) if len(known) else float("nan"),
            {names[which[n]]: float(value[n]) for n in some},
        )


def _write(
    run: Run, line: Timeline, place: tuple[str | None, str], offline: Path | None, progress: Progress | None
) -> Pushed:
    if offline is None:
        try:
            require_account()
        except ServiceError as error:
            error.hint += "; or write it with --offline FOLDER first"
            raise
    if "wandb" not in sys.modules:
        # Inherited from a process that has a run of its own: its service may be gone, or speak another version.
        os.environ.pop("WANDB_SERVICE", None)
    import wandb

    entity, project = place
    if offline is not None:
        offline.mkdir(parents=True, exist_ok=True)
    # The run is made of what others logged: nothing of this machine or this process belongs into it. Host and folder
    # are named because the SDK goes by those of its first run in this process.
    settings = wandb.Settings(
        base_url=base_url(),
        console="off",
        silent=True,
        x_disable_stats=True,
        x_disable_meta=True,
        disable_git=True,
        save_code=False,
    )
    total = len(np.unique(np.concatenate([s.step for s in run.series.values()])))
    try:
        with wandb.init(
            mode="offline" if offline is not None else "online",
            dir=str(offline or os.environ.get("WANDB_DIR") or Path.cwd()),
            entity=entity,
            project=project,
            # An id that is there already is written anew, not appended to: that is what no ``resume`` means.
            id=run.id,
            name=run.name,
            notes=notes(line),
            tags=["stitched"],
            config={**_settings(run), MARK: about(line, run)},
            settings=settings,
        ) as writer:
            for number, (step, at, values) in enumerate(rows(run)):
                stamp = {"_timestamp": at} if np.isfinite(at) else {}
                writer.log({**values, **stamp}, step=step)
                if progress is not None and number % 500 == 0:
                    progress("rows", number, total)
            folder = Path(writer.dir).parent
            url = writer.url if offline is None else None
    except Exception as error:
        if not type(error).__module__.startswith("wandb."):  # not all of the SDK's own are a wandb.Error
            raise
        raise ServiceError(
            f"W&B did not take the run: {error}",
            hint="try wandb login, or write it with --offline FOLDER first",
        ) from error
    file = folder / f"run-{run.id}.wandb"
    if offline is not None:
        _wait_for(file, run)
    return Pushed(run.id, url or str(file), written=True)


def _wait_for(file: Path, run: Run) -> None:
    """The SDK's writer is a process of its own: it may still write when the SDK says that it has finished.

    Raises:
        StoreError: the file does not hold the whole run after a minute.
    """
    deadline = time.monotonic() + WRITER_SECONDS
    while not _whole(file, run):
        if time.monotonic() > deadline:
            raise StoreError(
                f"{file} does not hold the whole run", hint="is the disk full? push again when there is room"
            )
        time.sleep(0.1)


def about(line: Timeline, run: Run) -> dict[str, Any]:
    """What the run was made of, for its configuration."""
    return {
        "stitched_from": [
            {
                "id": s.run.id,
                "name": s.run.name,
                "project": s.run.project,
                "offset": s.offset,
                "scale": s.scale,
                "first_step": s.first_step,
                "last_step": s.last_step,
                "dropped_points": s.dropped_points,
                "method": s.method,
                "confidence": s.confidence,
            }
            for s in line.line
        ],
        "points": run.points,
    }


def notes(line: Timeline) -> str:
    """What the run was made of, in words."""
    said = [f"Stitched by runscope from {len(line.line)} runs:"]
    for s in line.line:
        what = "a branch, not kept" if s.is_branch else f"steps {s.first_step:,} to {s.last_step:,}"
        tail = (
            f", {s.dropped_points:,} points of its discarded tail left out"
            if s.dropped_points and not s.is_branch
            else ""
        )
        said.append(f"- {s.run.name} ({s.run.id}): {what}{tail}; {s.confidence:.0%} sure ({s.method})")
    return "\n".join(said)


def _settings(run: Run) -> dict[str, Any]:
    """The first part's settings, in plain values."""
    return {k: v for k, v in run.config.items() if not k.startswith("_wandb") and k != MARK}


def _place(project: str | None, run: Run) -> tuple[str | None, str]:
    entity, _, name = (project or run.project or "").rpartition("/")
    return entity or None, name or "runscope"


def _already(run: Run, offline: Path | None) -> str | None:
    """Where the same run lies already, whole; what a killed push left is taken away."""
    if offline is None:
        return None
    for file in sorted(offline.glob(f"wandb/offline-run-*-{run.id}/run-{run.id}.wandb")):
        if _whole(file, run):
            return str(file)
        shutil.rmtree(file.parent)
    return None


def _whole(file: Path, run: Run) -> bool:
    """Whether an offline run was finished and holds every point of a run."""
    try:
        return _holds(read(str(file), LoadContext()), run)
    except RunscopeError:
        return False


def _holds(found: Run, run: Run) -> bool:
    if found.state != "finished":
        return False
    return all(n in found.series and len(found.series[n]) >= len(s) for n, s in run.series.items())
