"""The log that a plain loop gets: one JSON line for each row, there as soon as it is logged."""

from __future__ import annotations

import json
import os
import sys
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, TextIO

NAME = "runscope.jsonl"
"""``runscope.sources.trackers.recorder`` reads it."""


class Log:
    """The file of a folder to which all runs of one training append.

    Args:
        folder: of the training.
        anew: whether a training begins here; what an earlier one wrote is kept under another name.
    """

    def __init__(self, folder: Path, *, anew: bool) -> None:
        self._path = folder / NAME
        self._anew = anew
        self._file: TextIO | None = None

    def begin(self, facts: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        """Say whose rows come next, once.

        Raises:
            OSError: the file cannot be written.
        """
        if self._file is not None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._anew and self._path.exists():
            names = (self._path.with_name(f"runscope-{n}.jsonl") for n in count(1))
            self._path.rename(next(name for name in names if not name.exists()))
        self._file = self._path.open("a", encoding="utf-8", buffering=1)
        weakref.finalize(self, _end, self._file, os.getpid())  # also where the process comes to its end
        if self._path.stat().st_size:
            self._file.write("\n")  # the last line may have been cut by a kill
        self.write({"runscope": facts, "config": config})

    def end(self) -> None:
        """Say that the training is over; the end of the process says it too, and a kill or a hang does not."""
        if self._file is not None:
            _end(self._file, os.getpid())
            self._file = None

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row; what JSON has no form for is written as text.

        Raises:
            OSError: the disk is full.
        """
        if self._file is not None:
            self._file.write(json.dumps(row, default=str) + "\n")


def _end(file: TextIO, process: int) -> None:
    """Write how it ended, once; a forked process has no say in it."""
    if file.closed or os.getpid() != process:
        return
    failed = getattr(sys, "last_value", None) is not None
    with suppress(OSError), file:
        file.write(json.dumps({"end": "failed" if failed else "finished", "time": time.time()}) + "\n")
