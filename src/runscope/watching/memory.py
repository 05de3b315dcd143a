"""What was said already, kept on disk: a watch that was stopped goes on without repeating itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from runscope.schema import checked, read_json
from runscope.store.files import write_whole
from runscope.store.home import home


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
        self.path = (folder or home() / "watch") / f"{key}.json"

    def read(self) -> Memory:
        """What is kept; nothing where the file is missing or damaged."""
        try:
            return checked(read_json(self.path.read_bytes()), Memory)
        except (OSError, ValueError):
            return Memory()

    def write(self, memory: Memory) -> None:
        """Keep it, whole or not at all.

        Raises:
            StoreError: the place cannot be written.
        """
        write_whole(
            self.path, lambda to: to.write_text(json.dumps(asdict(memory)), encoding="utf-8"), durable=False
        )

    def forget(self) -> None:
        """Begin anew."""
        self.path.unlink(missing_ok=True)
