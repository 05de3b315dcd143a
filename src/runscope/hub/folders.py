"""Checkpoints in a plain folder: ``checkpoint-*`` of a Trainer, or one saved model."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from runscope.errors import InputError
from runscope.history.checkpoint import Checkpoint, File, is_weight
from runscope.hub.contents import content_id, tell_twins
from runscope.hub.titles import read_title
from runscope.schema import Meta, checked, read_json

STATE = "trainer_state.json"
Step = Annotated[int, Meta(ge=0, le=1 << 53)]


@dataclass(frozen=True)
class SavedState:
    """What a listing takes from ``trainer_state.json``."""

    global_step: Step
    epoch: float
    log_history: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class LoggedEpoch:
    """An entry of its log that tells the epoch."""

    step: Step
    epoch: float


def list_folders(path: Path) -> list[Checkpoint]:
    """Checkpoints of a folder by step, each with what changed since the one before.

    Raises:
        InputError: nothing in it holds weights.
    """
    try:
        places = sorted(
            p for p in path.iterdir() if p.is_dir() and not p.is_symlink() and not p.name.startswith(".")
        )
    except OSError as error:
        raise InputError(
            f"{path} cannot be listed: {error.strerror}",
            hint="name a folder with checkpoint-*/, or check its rights",
        ) from None
    found = tell_twins(c for place in [path, *places] if (c := _of_folder(path, place)) is not None)
    if not found:
        raise InputError(
            f"{path} holds no checkpoint",
            hint="name a folder with checkpoint-*/, a clone, or a Hub repository",
        )
    # A model in the folder itself was saved last.
    found.sort(
        key=lambda c: (not c.subfolder, c.own_step if c.own_step is not None else 1 << 62, c.saved_at or 0)
    )
    return found


def _of_folder(path: Path, place: Path) -> Checkpoint | None:
    try:
        inside = sorted(p for p in place.iterdir() if p.is_file())
    except OSError:
        return None
    files = [File(p.name, p.stat().st_size, content_id(p)) for p in inside]
    weights = [f for f in files if is_weight(f.path)]
    if not weights:
        return None
    facts = read_title(place.name) if place != path or re.search(r"checkpoint-\d+$", place.name) else None
    step = facts.step if facts else None
    checkpoint = Checkpoint(
        repo=str(path), revision=None, title=place.name, own_step=step, step=step,
        step_source="folder" if step is not None else "unknown", subfolder=place.name if place != path else "",
        epoch=facts.epoch if facts else None, saved_at=(place / weights[0].path).stat().st_mtime,
        files=tuple(files), local_path=place,
    )  # fmt: skip
    return _with_state(checkpoint, place / STATE)


def _with_state(checkpoint: Checkpoint, file: Path) -> Checkpoint:
    if not file.is_file():
        return checkpoint
    try:
        state = checked(read_json(file.read_bytes()), SavedState)
    except (OSError, ValueError):
        return checkpoint
    step, epoch = state.global_step, state.epoch
    if checkpoint.own_step is None:
        checkpoint = replace(checkpoint, own_step=step, step=step, step_source="trainer_state")
    return replace(checkpoint, epoch=epoch if checkpoint.own_step == step else checkpoint.epoch)
