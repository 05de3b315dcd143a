"""Runs that were read in this scan, kept on disk for as long as it lasts: reading a log takes ten times as long."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runscope.history import Run

LEFT_FREE = 5 << 30
"""Bytes that stay free on the disk: trainings write their checkpoints there."""
LARGEST = 64 << 20
"""Bytes of a run that is read again instead."""
STALE_SECONDS = 86400.0
"""What a scan that was killed has left is removed after a day."""
_PREFIX = "reading-"


class Scratch:
    """A folder of runs; where it cannot be written or read, they are read again.

    Args:
        folder: as :func:`opened` makes it; None for none.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def keep(self, reference: str, run: Run) -> None:
        """Keep a run, where there is room."""
        if self._folder is None:
            return
        with suppress(OSError):
            if shutil.disk_usage(self._folder).free < LEFT_FREE:
                return
            found = pickle.dumps(run, pickle.HIGHEST_PROTOCOL)
            if len(found) <= LARGEST:
                self._path(self._folder, reference).write_bytes(found)

    def get(self, reference: str) -> Run | None:
        """A run that was kept, unless it is damaged or somebody else has written it: a pickle is a program."""
        if self._folder is None:
            return None
        with (
            suppress(OSError, EOFError, pickle.UnpicklingError),
            self._path(self._folder, reference).open("rb") as file,
        ):
            if not hasattr(os, "geteuid") or os.fstat(file.fileno()).st_uid == os.geteuid():
                found: Run = pickle.load(file)
                return found
        return None

    @staticmethod
    def _path(folder: Path, reference: str) -> Path:
        return (
            folder / hashlib.blake2b(reference.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        )


@contextmanager
def opened(beside: Path) -> Iterator[Path | None]:
    """A folder for one scan, which nobody else can open and which is removed at its end; None where there can be none.

    Args:
        beside: the folder that it is made in.
    """
    folder = None
    with suppress(OSError):
        beside.mkdir(parents=True, exist_ok=True)
        for left in beside.glob(f"{_PREFIX}*"):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=beside))
    try:
        yield folder
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
