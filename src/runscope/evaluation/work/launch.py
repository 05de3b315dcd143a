"""Who does the work: this process, or workers elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.work.shards import Done, Fetch, Shard, Worker
from runscope.history.checkpoint import Checkpoint


class Launcher(Protocol):
    """Works on shards, in any order."""

    def run(self, shards: Sequence[Shard]) -> Iterator[tuple[int, Done]]:
        """Positions of shards with what came out, as they come."""

    def holds(self, checkpoint: Checkpoint) -> bool:
        """Whether nothing has to be loaded for a checkpoint."""

    def holds_all(self, count: int, size: int) -> bool:
        """Whether so many whole models of so many bytes fit into memory at once."""

    def close(self) -> None:
        """Let go of processes and models."""


class LocalLauncher:
    """One worker, in this process."""

    def __init__(self, settings: EvaluateSettings, base: str | Path | None, fetch: Fetch) -> None:
        self.settings, self.worker = settings, Worker(settings, base, fetch)

    def run(self, shards: Sequence[Shard]) -> Iterator[tuple[int, Done]]:
        """Those of models that are in memory first, else in order."""
        held = [not shard.base and self.worker.holds(shard.checkpoint) for shard in shards]
        for number in sorted(range(len(shards)), key=lambda number: not held[number]):
            yield number, self.worker.work(shards[number])

    def holds(self, checkpoint: Checkpoint) -> bool:
        """Whether nothing has to be loaded for a checkpoint."""
        return self.worker.holds(checkpoint)

    def holds_all(self, count: int, size: int) -> bool:
        """Whether so many whole models of so many bytes fit into memory at once; vLLM holds one."""
        from runscope.evaluation.models.local import room_for

        return self.settings.backend != "vllm" and room_for(self.settings, count, size)

    def close(self) -> None:
        """Let go of the models, and of the processes that they may have."""
        if callable(close := getattr(self.worker.models, "close", None)):
            close()
        self.worker.models = None


def open_launcher(settings: EvaluateSettings, base: str | Path | None, fetch: Fetch) -> Launcher:
    """The launcher that the settings name.

    Raises:
        MissingExtra: Ray is asked for and not installed.
    """
    if settings.launch == "ray":
        from runscope.evaluation.work.ray import RayLauncher

        return RayLauncher(settings, base, fetch)
    return LocalLauncher(settings, base, fetch)
