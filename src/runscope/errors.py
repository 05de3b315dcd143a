"""Every error that a user can see.

All carry one sentence that says what is wrong and one hint that says what to do next; the command line
prints the two as ``error:`` and ``hint:`` and exits with 2.

::

    RunscopeError
    ├── UsageError            the words of the call do not fit
    │   ├── UnknownReference  nothing has that name; the hint names the nearest match
    │   └── SeveralRuns       the name stands for more than one run; the hint says how to pick one
    ├── InputError            a file or a service answered, but not with what is needed
    │   ├── UnreadableRun     a run that cannot be parsed, or holds nothing
    │   ├── MissingMetric     the run has no metric for a role that is needed
    │   └── UnsafeFile        a file that would run code when loaded (a pickle)
    ├── NotJoinable           the runs do not belong together, or nothing says where they join
    ├── ServiceError          a service refused or could not be reached; keeps the HTTP status
    │   ├── NotSignedIn       401: no key, or a wrong one
    │   ├── NotAllowed        403: the key is good, the permission is not
    │   ├── NotFound          404
    │   ├── TooManyRequests   429
    │   └── Unreachable       no answer at all, or only 5xx
    ├── MissingExtra          an optional package is not installed; the hint is the pip line
    └── StoreError            the folder on disk cannot be written: full, read-only, locked
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class RunscopeError(Exception):
    """Base of all errors that runscope raises on purpose.

    Attributes:
        message: one sentence, what is wrong.
        hint: one sentence, what to do next.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, tuple[type[RunscopeError], dict[str, object], str]]:
        """Errors cross process boundaries (Ray workers), keyword arguments included."""
        return (_rebuild, (type(self), dict(self.__dict__), self.message))


def _rebuild(kind: type[RunscopeError], attributes: dict[str, object], message: str) -> RunscopeError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.__dict__.update(attributes)
    return error


class UsageError(RunscopeError):
    """The words of the call do not fit."""


class UnknownReference(UsageError):
    """Nothing has that name."""


class SeveralRuns(UsageError):
    """The name stands for more than one run.

    Attributes:
        references: what names each of them.
    """

    def __init__(self, message: str, *, hint: str, references: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.references = references


class InputError(RunscopeError):
    """A file or a service answered, but not with what is needed."""


class UnreadableRun(InputError):
    """A run that cannot be parsed, or that holds nothing."""


class MissingMetric(InputError):
    """The run has no metric for a role that is needed."""


class UnsafeFile(InputError):
    """A file that would run code when loaded."""


class NotJoinable(RunscopeError):
    """The runs do not belong together, or nothing says where they join."""


class ServiceError(RunscopeError):
    """A service refused or could not be reached.

    Attributes:
        status: the HTTP status, None where no answer came.
    """

    def __init__(self, message: str, *, hint: str, status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class NotSignedIn(ServiceError):
    """401: no key, or a wrong one."""


class NotAllowed(ServiceError):
    """403: the key is good, the permission is not."""


class NotFound(ServiceError):
    """404."""


class TooManyRequests(ServiceError):
    """429."""


class Unreachable(ServiceError):
    """No answer at all, or only 5xx."""


class MissingExtra(RunscopeError):
    """An optional package is not installed."""

    def __init__(self, package: str, *, extra: str, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs the package {package}, which is not installed",
            hint=f"pip install 'runscope[{extra}]'",
        )


class StoreError(RunscopeError):
    """The folder on disk cannot be written."""


@contextmanager
def proxies_named() -> Iterator[None]:
    """Inside, a client that cannot be made for what the environment calls a proxy is an error in words.

    Raises:
        ServiceError: it could not be made. What is wrong may hold a password, and is not shown.
    """
    try:
        yield
    except Exception:  # a scheme or an address that is none, or no package for it: each of another kind
        raise ServiceError(
            "the proxy in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY cannot be used",
            hint="mend or unset it, for example http://host:port; a SOCKS proxy needs the package socksio",
        ) from None


def panicked(error: BaseException) -> bool:
    """Whether a library written in Rust gave up (tokenizers, safetensors): that is no ``Exception`` to Python."""
    return type(error).__name__ == "PanicException"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word closest to ``word``, or None where none is close."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def nearest_beside(path: Path) -> Path | None:
    """Return what lies in the same folder under a similar name, or None."""
    try:
        beside = {p.name: p for p in path.expanduser().parent.iterdir()}
    except (OSError, ValueError, RuntimeError):  # no such folder, no path at all, no such user
        return None
    close = nearest(path.name, beside)
    return beside[close] if close is not None else None
