"""What a server may look at: what was named when it was started, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from runscope.errors import UsageError
from runscope.sources.base import MEMBER
from runscope.sources.registry import may_be_run

_MOST_ENTRIES = 100_000
"""Entries of a folder that are looked at for links; scan itself passes links over."""


class Roots:
    """Folders, W&B projects and Hub users that questions may name.

    Args:
        named: as the person who started the server wrote them; the current folder where empty.

    Raises:
        UsageError: one is neither a folder nor a service's place.
    """

    def __init__(self, named: Sequence[str]) -> None:
        self.folders: list[Path] = []
        self.remote: list[str] = []
        for place in named or ["."]:
            path = Path(place).expanduser()
            if path.exists():
                self.folders.append(path.resolve())
            elif place.startswith("hf://") or place.count("/") == 1:
                self.remote.append(place.rstrip("/"))
            else:
                raise UsageError(
                    f"there is no folder {place}",
                    hint="a root is a folder, a W&B entity/project, or hf://user",
                )

    def checked(self, reference: str) -> str:
        """The reference, with a path made whole.

        Raises:
            UsageError: it lies outside of all roots, or it is a folder in which a link leads out of them.
        """
        place, separator, member = reference.partition(MEMBER)
        if ".." not in place.split("/") and any(
            place == root or place.startswith(f"{root}/") for root in self.remote
        ):
            return reference
        for folder in self.folders:
            path = resolved(folder, place)
            if path is not None and path.exists() and self._holds(path):
                self._refuse_ways_out(path)
                return f"{path}{separator}{member}"
        raise UsageError(
            "that lies outside of what this server may look at, or is not there",
            hint="roots: " + ", ".join([*map(str, self.folders), *self.remote]),
        )

    def _holds(self, path: Path) -> bool:
        return any(path == folder or folder in path.parents for folder in self.folders)

    def _refuse_ways_out(self, folder: Path) -> None:
        """Refuse a folder in which a link could have a reader open a file that lies elsewhere.

        Any file counts but those that a search for runs passes over too (W&B's own debug logs): readers open more than
        logs, and an MLflow parameter may have any name. A linked folder counts by the files that lie directly in it.

        Raises:
            UsageError: there is such a link.
        """
        for link in _links(folder):
            target = resolved(link.parent, link.name)
            if target is None or not target.exists() or self._holds(target):
                continue
            if may_be_run(link) if target.is_file() else any(map(may_be_run, _files(target))):
                raise UsageError(
                    f"{link} is a link that leads out of what this server may look at",
                    hint="put the file itself there, or start the server with the folder that it leads to as a root",
                )


def resolved(folder: Path, place: str) -> Path | None:
    """Where a place of a folder really lies; None where that is no path at all, or links lead in a circle."""
    try:
        path = (folder / Path(place).expanduser()).resolve()
        path.exists()
    except (OSError, ValueError, RuntimeError):
        return None
    return path


def _links(folder: Path) -> Iterator[Path]:
    seen = 0
    for place, folders, files in os.walk(folder):
        yield from (path for name in (*folders, *files) if (path := Path(place, name)).is_symlink())
        seen += len(folders) + len(files)
        if seen > _MOST_ENTRIES:
            return


def _files(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(folder) if entry.is_file()]
    except OSError:
        return []
