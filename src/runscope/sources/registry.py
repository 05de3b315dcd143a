"""The table of sources, in the order they are asked."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import cast

from runscope.errors import UnknownReference, UsageError, nearest, nearest_beside
from runscope.history import Run
from runscope.sources.base import MEMBER, LoadContext, Source, existing

_FILE_ENDINGS = ("csv", "json", "jsonl", "wandb", "parquet", "db")
_LOCAL = (
    "wandb_file.source",
    "trackers.mlflow",
    "trackers.trackio",
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
    return (cast("Source", import_module(f"runscope.sources.{name}")) for name in names)


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
    for source in _each(_LOCAL + _REMOTE):
        if source.claims(name):
            return source.read(name, context)
    raise _unknown(name)


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


def list_references(folder: str) -> list[str]:
    """Runs that lie in a folder: offline W&B runs, Trainer outputs, event files, tables.

    Raises:
        UnknownReference: there is no such folder, or nothing in it is a run.
    """
    path = existing(folder)
    if path is None or not path.is_dir():
        raise UnknownReference(f"there is no folder {folder}", hint="name a folder that holds runs")
    entries = sorted(p for p in path.iterdir() if not p.name.startswith(".") and not p.is_symlink())
    found = _members(folder)
    if len(found) < 2:  # else the folder is itself a store of several runs
        found = [reference for entry in entries for reference in _members(str(entry))]
    if not found:
        raise UnknownReference(f"no run lies in {folder}", hint=f"a run is one of: {describe_forms()}")
    return found


def _members(path: str) -> list[str]:
    """The runs of one place on this disk; none where no source claims it."""
    source = next((s for s in _each(_LOCAL) if s.claims(path)), None)
    if source is None:
        return []
    return list(source.members(path)) if hasattr(source, "members") else [path]


def _unknown(reference: str) -> UnknownReference:
    place, separator, member = reference.partition(MEMBER)
    close = _nearest_place(place) if existing(place) is None else None
    meant = f"did you mean {close}{separator}{member}? " if close else ""
    if existing(reference):
        there = "exists but holds no run"
    elif existing(place):
        there = f"is not there: {place} holds no runs that are named with {MEMBER}"
    else:
        there = "is not there, and no other form of a run"
    return UnknownReference(f"{reference} {there}", hint=f"{meant}a run is one of: {describe_forms()}")


def _nearest_place(place: str) -> Path | None:
    """What lies beside it under a similar name, or an offline run here with a similar id."""
    close = nearest_beside(Path(place))
    if close is not None or "/" in place:
        return close
    offline = {p.name.rpartition("-")[2]: p for p in Path("wandb").glob("*run-*-*")}
    like = nearest(place, offline)
    return offline[like] if like is not None else None
