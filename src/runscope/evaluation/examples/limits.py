"""Limits on a chat template while it is rendered.

Templates come with a repository. transformers renders them in Jinja's sandbox, which keeps them from reaching anything;
but a loop in a loop may run for hours, and ``'a' * 10**10`` may take all memory. Neither is an error of the user's.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runscope.errors import UnsafeFile

SECONDS = 20.0
"""For one conversation; an honest template takes a millisecond. ``RUNSCOPE_TEMPLATE_SECONDS`` sets another."""
MEMORY_BYTES = 2 << 30
"""More than the longest conversation takes, a thousand times over."""


class _TooLong(BaseException):
    """Time is up. No template and nobody on the way may catch it by ``except Exception``."""


@contextmanager
def limited() -> Iterator[None]:
    """Inside, a template that runs for too long or takes too much memory ends with an error.

    The limit on memory holds for the whole process while it lasts, on systems that have one.

    Raises:
        UnsafeFile: it did.
    """
    seconds = float(os.environ.get("RUNSCOPE_TEMPLATE_SECONDS") or SECONDS)
    watch = _Watch(threading.get_ident(), seconds)
    try:
        with _memory(), watch:
            yield
    except _TooLong:
        raise _refused(f"runs for longer than {seconds:g} s") from None
    except MemoryError:
        raise _refused("takes too much memory") from None


def _refused(does: str) -> UnsafeFile:
    return UnsafeFile(
        f"the model's chat template {does} on one example",
        hint="do not use this model, or give prompt and completion as text",
    )


class _Watch:
    """Raises in a thread when time is up, between two of its instructions."""

    def __init__(self, thread: int, seconds: float) -> None:
        self._thread = thread
        self._lock = threading.Lock()
        self._over = False
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        with self._lock:  # after this nothing is raised any more
            self._over = True
        self._timer.cancel()

    def _end(self) -> None:
        with self._lock:
            if not self._over:
                target = ctypes.c_ulong(self._thread)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(target, ctypes.py_object(_TooLong))


@contextmanager
def _memory() -> Iterator[None]:
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = used + MEMORY_BYTES
    lower = before == resource.RLIM_INFINITY or most < before
    if lower:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        if lower:
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_AS, (before, hard))
