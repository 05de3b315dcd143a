"""The table of sources, in the order they are asked."""

from __future__ import annotations

import glob
import os
import re
import shlex
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import cast

from runscope.errors import (
    RunscopeError,
    SeveralRuns,
    UnknownReference,
    UnreadableRun,
    UsageError,
    nearest,
    nearest_beside,
)
from runscope.history import Run
from runscope.sources.base import MEMBER, LoadContext, Source, existing
from runscope.sources.strangers import why_no_run

_FILE_ENDINGS = ("csv", "json", "jsonl", "wandb", "parquet", "db")
_LOCAL = (
    "wandb_file.source",
    "trackers.mlflow",
    "trackers.trackio",
    "trackers.recorder",
    "trainer.source",
    "tensorboard.source",
    "tables.source",
)
_REMOTE = ("hub_files", "wandb_cloud.source")


def modules() -> tuple[Source, ...]:
    """Every source. What lies on this disk is asked before anything that needs a network."""
    return tuple(_each(_LOCAL + _REMOTE))


def _each(names: tuple[str, ...]) -> Iterator[Source]:
    """One source after the other: what comes behind the one that knows the reference is not even imported."""
    return map(_source, names)


@cache
def _source(name: str) -> Source:
    return cast("Source", import_module(f"runscope.sources.{name}"))


def load(reference: str | Path, *, context: LoadContext | None = None) -> Run:
    """Read a run, in whatever form it is named.

    Raises:
        UsageError: the reference is blank, as a variable of the shell that was never set.
        UnknownReference: no source knows it; the hint names every form and the nearest match.
        UnreadableRun: a source knows it, but it cannot be read.
        ServiceError: a service refused or could not be reached.
    """
    if not str(reference).partition(MEMBER)[0].strip():
        raise UsageError("the name of a run is blank", hint=f"a run is one of: {describe_forms()}")
    context = context or LoadContext()
    name = _in_full(str(reference), context)
    _refuse_special(name)
    for source in _each(_LOCAL + _REMOTE):
        if source.claims(name):
            return _read(source, name, context)
    return replace(load(_below(name), context=context), reference=name)


def _refuse_special(name: str) -> None:
    """Refuse a pipe, a socket or a device, before anything waits for what never comes.

    Raises:
        UnreadableRun: it is one.
    """
    path = existing(name.partition(MEMBER)[0])
    if path is not None and not path.is_file() and not path.is_dir():
        raise UnreadableRun(
            f"{path} is a pipe, a socket or a device, no file", hint="save it to a file, and name that"
        )


def _read(source: Source, name: str, context: LoadContext) -> Run:
    """Read a run; what a reader did not foresee in a file is an error about the file.

    Schemas are checked where a file is parsed, and say what does not fit; this is the last door.

    Raises:
        UnreadableRun, ServiceError: it holds something that does not belong there.
    """
    try:
        return source.read(name, context)
    except OSError as error:
        raise UnreadableRun(
            f"{name} cannot be read: {error.strerror or type(error).__name__}",
            hint="check the path and its rights",
        ) from error
    except MemoryError as error:
        raise UnreadableRun(
            f"{name} needs more memory than there is",
            hint="name a smaller part of it, or use a larger machine",
        ) from error
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise UnreadableRun(
            f"{name} holds something that does not belong there ({type(error).__name__}: {error})",
            hint="it may be damaged: take another copy of it; --debug shows where",
        ) from error


def _in_full(name: str, context: LoadContext) -> str:
    """A bare W&B name or id as what it stands for here; anything else unchanged.

    It is an offline run of the current folder's ``wandb/`` with that id, else a run of the project at hand, else
    one that is in the store.

    Raises:
        UsageError: several runs in the store have that name.
    """
    if existing(name) is not None or "/" in name or MEMBER in name or not name:
        return name
    local = sorted(Path("wandb").glob(f"*run-*-{glob.escape(name)}")) if Path("wandb").is_dir() else []
    if local:  # several are files of one run, which its pattern stands for
        return str(local[0] if len(local) == 1 else Path("wandb", f"*run-*-{glob.escape(name)}"))
    project = context.project or os.environ.get("WANDB_PROJECT")
    entity = os.environ.get("WANDB_ENTITY")
    if name.endswith(tuple(f".{ending}" for ending in _FILE_ENDINGS)):
        return name
    if not project:
        return _in_store(name, context) or name
    return f"{entity}/{project}/{name}" if entity and "/" not in project else f"{project}/{name}"


def _in_store(name: str, context: LoadContext) -> str | None:
    """Path of the one run in the store with that id or display name."""
    known = context.store.find(name) if context.store is not None else []
    if len(known) > 1:
        paths = ", ".join(f"{key.project}/{key.id}" for key, _ in known[:5])
        raise UsageError(
            f"several runs in the store are called {name}", hint=f"name one by its path: {paths}"
        )
    return f"{known[0][0].project}/{known[0][0].id}" if known else None


def describe_forms() -> str:
    """All forms a run can be named in, in a few words each."""
    return "; ".join(source.FORM for source in modules()) + " (runscope show --help)"


MOST_ENTRIES = 1_000_000
"""A walk through more files than this is stopped, with an error that says so: a whole disk was named."""
_SKIPPED = frozenset(("node_modules", "__pycache__", "site-packages", "wandb-cache", "artifacts"))


def list_references(folder: str, *, apart: bool = True) -> list[str]:
    """Runs that lie in a folder, however deep: offline W&B runs, Trainer outputs, event files, tables.

    In the folder of a run lie its other logs, and perhaps further runs: those of its own kind, and several of another.

    Args:
        folder: where to look.
        apart: name each run of a file or store that holds several, for which it is opened; False names the place, and
            whoever loads it is told its runs by :class:`SeveralRuns`.

    Raises:
        UnknownReference: there is no such folder, or nothing in it is a run.
        UsageError: there are more files below it than can be looked at.
    """
    path = existing(folder)
    if path is None or not path.is_dir():
        raise UnknownReference(f"there is no folder {folder}", hint="name a folder that holds runs")
    found = _Walk(path, apart=apart).runs(path)
    if not found:
        raise UnknownReference(f"no run lies in {folder}", hint=f"a run is one of: {describe_forms()}")
    return found


def runs_below(folder: Path, *, apart: bool = True) -> list[str]:
    """References of the runs below a folder, in order of their names; links and hidden folders are passed over."""
    return _Walk(folder, apart=apart).below(folder)


class _Walk:
    """A search for runs, which ends where it has seen too much.

    Args:
        top: where it begins.
        apart: as :func:`list_references` has it.
    """

    def __init__(self, top: Path, *, apart: bool) -> None:
        self._top, self._apart = top, apart
        self._seen = 0

    def runs(self, folder: Path) -> list[str]:
        """The run that a folder is, and those below it."""
        source, inside = self._at(folder)
        if source is None or not inside:
            return self.below(folder)
        return _in_order([*inside, *self._further(folder, source)])

    def below(self, folder: Path) -> list[str]:
        """The runs below a folder that is none itself."""
        found: list[str] = []
        waiting = deque([folder])
        while waiting:
            for entry in self._entries(waiting.popleft()):
                source, inside = self._at(entry)
                found += inside
                if not entry.is_dir():
                    continue
                if source is None or not inside:
                    waiting.append(entry)
                else:
                    found += self._further(entry, source)
        return _in_order(found)

    def _further(self, folder: Path, source: Source) -> list[str]:
        """Runs in the folder of a run that are no other logs of it: of its kind, or more than one of another."""
        if not hasattr(source, "is_part"):
            return []
        alike: list[str] = []
        others: list[str] = []
        waiting = deque([folder])
        while waiting:
            place = waiting.popleft()
            for entry in self._entries(place):
                if place == folder and not entry.is_dir():
                    continue  # beside the run's own log
                if entry.is_dir() and source.is_part(folder, entry):
                    continue
                kind, inside = self._at(entry)
                (alike if kind is source else others).extend(inside)
                if not entry.is_dir():
                    continue
                if kind is None or not inside:
                    waiting.append(entry)
                else:
                    alike += self._further(entry, kind)
        return alike + (others if len(others) > 1 else [])

    def _at(self, entry: Path) -> tuple[Source | None, list[str]]:
        return _members(str(entry), apart=self._apart) if entry.is_dir() or may_be_run(entry) else (None, [])

    def _entries(self, folder: Path) -> list[Path]:
        entries = _entries(folder)
        self._seen += len(entries)
        if self._seen > MOST_ENTRIES:
            raise UsageError(
                f"more than {MOST_ENTRIES:,} files lie below {self._top}", hint="name a folder further down"
            )
        return entries


def _in_order(found: list[str]) -> list[str]:
    return _sessions_as_one(sorted(found, key=_natural))


_OFFLINE = re.compile(r"(.*?)(?:offline-)?run-\d{8}_\d{6}-([^/]+)$")


def _sessions_as_one(references: list[str]) -> list[str]:
    """Offline W&B folders of one run, which was resumed under its id, as the pattern that stands for all of them."""
    named = [(match[1], match[2]) if (match := _OFFLINE.fullmatch(r)) else None for r in references]
    count = Counter(named)
    found = (
        r if name is None or count[name] == 1 else f"{name[0]}*run-*-{name[1]}"
        for r, name in zip(references, named, strict=True)
    )
    return list(dict.fromkeys(found))


def _entries(folder: Path) -> list[Path]:
    try:
        found = [e for e in os.scandir(folder) if e.name[0] != "." and not e.is_symlink()]
        entries = [Path(e.path) for e in found if e.is_dir() or e.is_file()]  # no pipes
    except OSError:  # a folder that may not be read
        return []
    return sorted(entry for entry in entries if entry.name not in _SKIPPED)


def may_be_run(file: Path) -> bool:
    """Whether a file that lies about may be a log: many a table of examples or settings lies beside one.

    Notebooks and model cards tell of trainings whose logs lie elsewhere: they are read where they are named.
    """
    return not file.name.endswith(_NO_LOGS)


_NO_LOGS = (
    "config.json", "tokenizer.json", "vocab.json", "special_tokens_map.json", "index.json", "requirements.txt",
    "README.txt", "LICENSE.txt", "merges.txt", "debug.log", "debug-internal.log", "debug-core.log", "results.json",
    ".md", ".markdown", ".ipynb",
)  # fmt: skip


def _natural(reference: str) -> list[tuple[int, str]]:
    """Sorts version_2 before version_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", reference)]


def _members(path: str, *, apart: bool = True) -> tuple[Source | None, list[str]]:
    """Who reads one place on this disk, and its runs; none where it is a folder to be searched, or holds no log."""
    source = next((s for s in _each(_LOCAL) if s.claims(path)), None)
    if source is None:
        return None, []
    try:
        if hasattr(source, "scattered") and Path(path).is_dir() and source.scattered(path):
            return source, []
        if hasattr(source, "stray") and source.stray(path):
            return source, []
        return source, list(source.members(path)) if apart and hasattr(source, "members") else [path]
    except (RunscopeError, ArithmeticError, LookupError, OSError, TypeError, ValueError):
        # Reading it says what is wrong with it.
        return source, [path]


def _below(reference: str) -> str:
    """The one run below a folder that is none itself.

    Raises:
        SeveralRuns: there are several.
        UnknownReference: there is none.
    """
    path = existing(reference)
    found = runs_below(path) if path is not None and path.is_dir() else []
    if len(found) == 1:
        return found[0]
    if not found or path is None:
        raise _unknown(reference)
    raise several(str(path), found)


def several(place: str, references: Sequence[str], most: int = 12) -> SeveralRuns:
    """The error for a place that holds several runs: it lists them and says how to name one."""
    inside = [r.removeprefix(place).lstrip("/").removeprefix(MEMBER) or r for r in references]
    shown = ", ".join(inside[:most]) + (f" and {len(inside) - most} more" if len(inside) > most else "")
    return SeveralRuns(
        f"{place} holds {len(references)} runs: {shown}",
        hint=f"name one of them, for example {shlex.quote(references[0])}; "
        f"runscope stitch --find {shlex.quote(place)} says which belong together",
        references=tuple(references),
    )


def _unknown(reference: str) -> UnknownReference:
    place, separator, member = reference.partition(MEMBER)
    close = _nearest_place(place) if existing(place) is None else None
    meant = f"did you mean {close}{separator}{member}? " if close else ""
    known = why_no_run(path) if (path := existing(reference)) is not None else None
    if known is not None:
        return UnknownReference(f"{reference} exists but holds no run: {known[0]}", hint=known[1])
    if path is not None:
        there = "exists but holds no run"
    elif existing(place):
        there = f"is not there: {place} holds no runs that are named with {MEMBER}"
    else:
        there = "is not there, and names no run in another way"
    return UnknownReference(f"{reference} {there}", hint=f"{meant}a run is one of: {describe_forms()}")


def _nearest_place(place: str) -> Path | None:
    """What lies beside it under a similar name, or an offline run here with a similar id."""
    close = nearest_beside(Path(place))
    if close is not None or "/" in place:
        return close
    offline = {p.name.rpartition("-")[2]: p for p in Path("wandb").glob("*run-*-*")}
    like = nearest(place, offline)
    return offline[like] if like is not None else None
