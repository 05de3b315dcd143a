"""What a server may look at: what was named when it was started, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runscope.errors import UsageError
from runscope.sources.base import MEMBER


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
            UsageError: it lies outside of all roots.
        """
        place, separator, member = reference.partition(MEMBER)
        if any(place == root or place.startswith(f"{root}/") for root in self.remote):
            return reference
        for folder in self.folders:
            path = (folder / Path(place).expanduser()).resolve()
            if path.exists() and (path == folder or folder in path.parents):
                return f"{path}{separator}{member}"
        raise UsageError(
            "that lies outside of what this server may look at, or is not there",
            hint="roots: " + ", ".join([*map(str, self.folders), *self.remote]),
        )
