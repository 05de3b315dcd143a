"""Whether the process that writes an offline W&B run is still there."""

from __future__ import annotations

import os
import re
import socket
import time
from pathlib import Path

_PID = re.compile(rb"MainThread:(\d+)")
_HEAD_BYTES = 4096
STILL_RUNNING_SECONDS = 600.0
"""A run without an exit record that logged this recently may still go on; its file's own date tells nothing, since a
copy has a new one."""
CUT_SECONDS = 60.0
"""wandb-core writes what it has every few seconds: a file that ends inside a record for so long is not written to."""


def goes_on(file: Path, *, last_logged: float, host: str | None, cut: bool) -> bool:
    """Whether a run without an exit record may still be written to.

    Args:
        file: the last of its files.
        last_logged: Unix seconds of its last row; 0 where it has none.
        host: the machine that it was begun on, as it recorded.
        cut: whether the file ends inside a record.
    """
    now = time.time()
    if now - last_logged >= STILL_RUNNING_SECONDS:
        return False
    if cut and now - _written_at(file) >= CUT_SECONDS:
        return False
    return not _is_gone(file, host)


def _written_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return time.time()


def _is_gone(file: Path, host: str | None) -> bool:
    """Whether the process that the SDK's own log names is surely gone: only its own machine can tell."""
    if os.name != "posix" or host != socket.gethostname():
        return False
    try:
        with (file.parent / "logs" / "debug.log").open("rb") as log:
            named = _PID.search(log.read(_HEAD_BYTES))
    except OSError:
        return False
    if named is None:
        return False
    try:
        os.kill(int(named[1]), 0)  # asks only
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
