"""What lies in the store, and how to get rid of it."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runscope.errors import StoreError
from runscope.store.home import home

KINDS = {
    "runs": "runs from W&B, pulled or read before",
    "unfinished": "pieces of runs whose pull broke off: the next one goes on from them",
    "evaluations": "results of evaluated examples: they cost computing time",
    "checkpoints": "checkpoints fetched from the Hub or a clone",
    "bundles": "git bundles, unpacked",
}
"""Folders of the store: what is in them. Others that are found there are shown too."""


@dataclass(frozen=True)
class Holding:
    """One kind of thing that the store holds.

    Attributes:
        kind: its folder's name.
        what: a sentence about it.
        files, size_bytes: how much.
        newest: Unix seconds of the last change; None where it is empty.
    """

    kind: str
    what: str
    files: int
    size_bytes: int
    newest: float | None

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def holdings() -> list[Holding]:
    """Everything in the store, by kind."""
    present = [p.name for p in _entries(home()) if p.is_dir() and not p.name.startswith(".")]
    kinds = [*KINDS, *(k for k in sorted(present) if k not in KINDS)]
    return [_holding(kind) for kind in kinds]


def clear(kind: str, *, older_than_seconds: float = 0.0) -> Holding:
    """Delete a kind, or of it what has not been changed for a while; say what went.

    Another process that writes there meanwhile makes its folder again; what it reads just then counts as not there.

    Raises:
        StoreError: it cannot be deleted.
    """
    folder = home() / kind
    before = _holding(kind)
    if not folder.is_dir():
        return before
    try:
        if older_than_seconds <= 0:
            # Moved away first: nobody sees a half-deleted folder.
            away = folder.with_name(f".{kind}-{uuid.uuid4().hex}")
            folder.rename(away)
            shutil.rmtree(away)
        else:
            _clear_old(folder, time.time() - older_than_seconds)
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be deleted: {error.strerror or error}", hint="check the rights of the folder"
        ) from error
    left = _holding(kind)
    return Holding(kind, before.what, before.files - left.files, before.size_bytes - left.size_bytes, None)


def _clear_old(folder: Path, oldest: float) -> None:
    """Delete what hangs together (a run, a checkpoint) where its newest file is old enough."""
    for unit in list(_units(folder)):
        newest = max((s.st_mtime for s in _stats(unit)), default=0.0)
        if newest < oldest:
            if unit.is_dir():
                shutil.rmtree(unit)
            else:
                unit.unlink(missing_ok=True)


def _units(folder: Path) -> Iterator[Path]:
    """Files of a tree for runs, whole entries for the rest: half a checkpoint is of use to nobody."""
    if folder.name == "runs":
        yield from (p for p in folder.rglob("*.parquet") if p.is_file())
    else:
        yield from _entries(folder)


def _holding(kind: str) -> Holding:
    stats = list(_stats(home() / kind))
    newest = max((s.st_mtime for s in stats), default=None)
    return Holding(kind, KINDS.get(kind, ""), len(stats), sum(s.st_size for s in stats), newest)


def _stats(path: Path) -> Iterator[Any]:
    files = path.rglob("*") if path.is_dir() else iter([path])
    for file in files:
        with suppress(OSError):
            if file.is_file() and not file.is_symlink():
                yield file.stat()


def _entries(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(folder.iterdir())
    return []
