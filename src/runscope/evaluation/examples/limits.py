"""Limits on what a repository's own files make of an example: its chat template, and the processor of its pictures and
sounds.

transformers renders templates in Jinja's sandbox, which keeps them from reaching anything; but a loop in a loop may run
for hours, and ``'a' * 10**10`` may take all memory. A processor may be told to make a picture a million pixels wide.
Neither is an error of the user's.
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
"""For one example; an honest template takes a millisecond. ``RUNSCOPE_TEMPLATE_SECONDS`` sets another."""
MEMORY_BYTES = 2 << 30
"""More than the longest conversation takes, a thousand times over, and than a picture of 100 million pixels does."""
TEMPLATE = "the model's chat template"


class _TooLong(BaseException):
    """Time is up. Nothing that is limited and nobody on the way may catch it by ``except Exception``."""


@contextmanager
def limited(what: str = TEMPLATE) -> Iterator[None]:
    """Inside, what runs for too long or takes too much memory ends with an error.

    The limit on memory holds for the whole process while it lasts, on systems that have one.

    Args:
        what: runs, as the error calls it.

    Raises:
        UnsafeFile: it did.
    """
    seconds = float(os.environ.get("RUNSCOPE_TEMPLATE_SECONDS") or SECONDS)
    watch = _Watch(threading.get_ident(), seconds)
    try:
        with memory_limited(), watch:
            yield
    except _TooLong:
        raise _refused(what, f"runs for longer than {seconds:g} s") from None
    except MemoryError:
        raise _refused(what, "takes too much memory") from None
    except RuntimeError as error:
        if "not enough memory" not in str(error):  # as torch says it
            raise
        raise _refused(what, "takes too much memory") from None


def _refused(what: str, does: str) -> UnsafeFile:
    other = ", or give prompt and completion as text" if what == TEMPLATE else ""
    return UnsafeFile(f"{what} {does} on one example", hint=f"do not use this model{other}")


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
def memory_limited() -> Iterator[None]:
    """Inside, this process gets :data:`MEMORY_BYTES` more and none beyond them, on systems with such limits."""
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
