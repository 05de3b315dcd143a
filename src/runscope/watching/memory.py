"""What was said already, kept on disk: a watch that was stopped goes on without repeating itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from runscope.errors import StoreError
from runscope.store.home import cache_folder


@dataclass
class Memory:
    """What an earlier look saw.

    Attributes:
        run_id: id of the live run; another run under the same name is not remembered for it.
        findings: code → severity of what was said and is still there.
        verdict: the last overfitting status that was said.
        checkpoints: names of those that were said.
        step: the last step that was said.
    """

    run_id: str = ""
    findings: dict[str, str] = field(default_factory=dict)
    verdict: str = ""
    checkpoints: list[str] = field(default_factory=list)
    step: int = -1


class MemoryFile:
    """Where the memory of one watch lies."""

    def __init__(self, names: Sequence[str], folder: Path | None = None) -> None:
        key = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
        self.path = (folder or cache_folder("watch")) / f"{key}.json"

    def read(self) -> Memory:
        """What is kept; nothing where the file is missing or damaged."""
        try:
            return Memory(**json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return Memory()

    def write(self, memory: Memory) -> None:
        """Keep it, whole or not at all.

        Raises:
            StoreError: the place cannot be written.
        """
        part = self.path.with_suffix(".part")
        try:
            part.write_text(json.dumps(asdict(memory)), encoding="utf-8")
            part.replace(self.path)
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be written: {error.strerror}",
                hint="free some space, or set RUNSCOPE_HOME to a folder with space",
            ) from error

    def forget(self) -> None:
        """Begin anew."""
        self.path.unlink(missing_ok=True)
