"""Files that are there whole or not at all, whatever happens to the process that writes them."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from runscope.errors import StoreError

ABANDONED_SECONDS = 3600
"""A half-written file this old belongs to a process that was killed; a living one writes in seconds."""
_MARK = ".writing"


def write_whole(path: Path, write: Callable[[Path], object], *, durable: bool = True) -> None:
    """Write a file of the store beside its place, then put it there in one step.

    Two processes may write the same file at once: one of the two is there afterwards, never a mixture.

    Args:
        path: where the file shall be; its folder is made.
        write: writes the content to the path that it is given.
        durable: be sure that it outlives a power cut too, not only the process.

    Raises:
        StoreError: the disk is full, or the place cannot be written. What lay there before is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_beside(path, write, f".{uuid.uuid4().hex}{_MARK}", durable=durable)
    except OSError as error:
        raise StoreError(
            f"{path.parent} cannot be written: {error.strerror or error}",
            hint="free some space (runscope cache), or name another folder with RUNSCOPE_HOME",
        ) from error


def write_beside(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file of the user's: whole or not at all, through a link to what it names, rights kept.

    A pipe or a device is written as it stands, and so is a file in a folder where none may be made.

    Raises:
        OSError: it cannot be written. What lay there before is untouched.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and (not path.is_file() or not os.access(path.parent, os.W_OK)):
        write(path)
        return
    # The ending stays: writers go by it.
    _write_beside(path, write, f".{uuid.uuid4().hex}{_MARK}{path.suffix}", durable=False)


def _write_beside(path: Path, write: Callable[[Path], object], name: str, *, durable: bool) -> None:
    beside = path.with_name(name)
    try:
        write(beside)
        if path.exists():
            shutil.copymode(path, beside)
        if durable:
            with beside.open("rb+") as file:
                os.fsync(file.fileno())
        beside.replace(path)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def abandoned(folder: Path) -> Iterator[Path]:
    """Half-written files that a killed process left below a folder."""
    oldest = time.time() - ABANDONED_SECONDS
    for file in folder.rglob(f".*{_MARK}"):
        with suppress(OSError):
            if file.stat().st_mtime < oldest:
                yield file
