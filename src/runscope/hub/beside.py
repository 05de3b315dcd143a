"""Checkpoints that a Trainer saved beside the log that it wrote: seen without being asked for, and cheap to list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from runscope.errors import InputError
from runscope.history import Run, Segment, Timeline
from runscope.history.checkpoint import DAMAGED, Checkpoint, File, is_weight
from runscope.hub.folders import STATE, SavedState
from runscope.hub.safetensors import refuse_cut
from runscope.schema import checked, read_json

_NAME = re.compile(r"checkpoint-(\d+)")
_ROWS = 5
"""Last rows of a checkpoint's log that are held against the run's: another training agrees in none of them."""
_LARGEST_STATE_BYTES = 16 << 20
"""A longer log takes seconds to read; its checkpoint is believed."""


def saved_beside(line: Timeline) -> tuple[Checkpoint, ...]:
    """The checkpoints in the Trainer folders that a line was read from, in order of their continuous step.

    Left out are those of a dead tail, and those that an older training left in the same folder: their step lies
    beyond what the run reached, or their log says something else. No weights are read; a file that is shorter than
    its header says makes its checkpoint a damaged one.
    """
    found: dict[Path, Checkpoint] = {}
    for segment in line.line:
        folder = _folder(segment.run)
        if folder is not None:
            for checkpoint in _of_segment(folder, segment, last=segment is line.line[-1]):
                found.setdefault(checkpoint.local_path or folder, checkpoint)
    steps = [c.step or 0 for c in found.values()]
    epochs = line.epoch_at(steps) if steps else np.empty(0)
    placed = [
        replace(c, epoch=None if np.isnan(epoch) else round(float(epoch), 3))
        for c, epoch in zip(found.values(), epochs, strict=True)
    ]
    return tuple(sorted(placed, key=lambda c: c.step or 0))


def _folder(run: Run) -> Path | None:
    """The output folder that a run was read from."""
    if run.source != "trainer-state":
        return None
    path = Path(run.reference).expanduser()
    if path.name == STATE:
        path = path.parent
    if _NAME.fullmatch(path.name):
        path = path.parent
    if not path.is_dir() or any(path.glob("checkpoint-*")):
        return path if path.is_dir() else None
    # A project's folder was named, and its one output folder lies in it.
    below = {place.parent for depth in ("*", "*/*") for place in path.glob(f"{depth}/checkpoint-*")}
    return below.pop() if len(below) == 1 else path


def _of_segment(folder: Path, segment: Segment, *, last: bool) -> Iterator[Checkpoint]:
    run = segment.run
    said = run.config.get("global_step")
    reached = max(run.last_step, said if isinstance(said, int) else 0)
    for place in sorted(folder.glob("checkpoint-*")):
        named = _NAME.fullmatch(place.name)
        if named is None or place.is_symlink() or not place.is_dir() or int(named[1]) > reached:
            continue
        checkpoint = _checkpoint(folder, place, int(named[1]), segment)
        if checkpoint is not None and _of_the_run(place / STATE, run):
            yield checkpoint
    # What lies in the folder itself was saved at the end, unless the best one was loaded again before.
    if last and run.state == "finished" and run.config.get("best_model_checkpoint") is None:
        final = _checkpoint(folder, folder, reached, segment)
        if final is not None:
            yield final


def _checkpoint(folder: Path, place: Path, own: int, segment: Segment) -> Checkpoint | None:
    step = round(segment.scale * own) + segment.offset
    if segment.cut is not None and step > segment.cut:
        return None
    try:
        files = [p for p in sorted(place.iterdir()) if p.is_file()]
        sizes = [File(p.name, p.stat().st_size) for p in files]
        saved_at = max((p.stat().st_mtime for p in files if is_weight(p.name)), default=None)
    except OSError:
        return None
    if saved_at is None:
        return None
    return Checkpoint(
        repo=str(folder), revision=None, title=place.name, own_step=own, step=step, step_source="folder",
        subfolder=place.name if place != folder else "", saved_at=saved_at, files=tuple(sizes),
        run_id=segment.run.id, local_path=place, notes=_damage(files),
    )  # fmt: skip


def _damage(files: list[Path]) -> tuple[str, ...]:
    for file in files:
        if file.suffix == ".safetensors":
            try:
                refuse_cut(file)
            except (InputError, OSError) as error:
                return (f"{DAMAGED}: {error.message if isinstance(error, InputError) else error.strerror}",)
    return ()


def _of_the_run(file: Path, run: Run) -> bool:
    """Whether a checkpoint's own log says what the run's log says at the same steps."""
    try:
        if file.stat().st_size > _LARGEST_STATE_BYTES:
            return True
        rows = checked(read_json(file.read_bytes()), SavedState).log_history
    except (OSError, ValueError):
        return True
    said = [same for row in rows[-_ROWS:] if isinstance(row, dict) for same in _agreements(row, run)]
    return not said or any(said)


def _agreements(row: dict[str, Any], run: Run) -> Iterator[bool]:
    """For each loss of a logged row that the run logged too, whether it is the same."""
    for name in ("loss", "eval_loss"):
        series, value = run.series.get(name), row.get(name)
        if series is None or not isinstance(value, float | int):
            continue
        logged = series.value[series.step == row.get("step")]
        if len(logged):
            yield bool(np.isclose(logged, value, rtol=1e-6, equal_nan=True).any())
