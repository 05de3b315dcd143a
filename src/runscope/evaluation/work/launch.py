"""Who does the work: shards of examples for one checkpoint each, in this process or elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runscope.evaluation.examples.reading import Example
from runscope.evaluation.models.backend import Models, open_models
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.tasks.kinds import Row, Task
from runscope.history.checkpoint import Checkpoint

CUT = "cut"
"""In a row: tokens that its example lost in front."""
Fetch = Callable[[Checkpoint], Path]


@dataclass(frozen=True)
class Shard:
    """Examples that one checkpoint is asked in one go."""

    task: Task
    checkpoint: Checkpoint
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Done:
    """Rows of a shard and the seconds that they took."""

    rows: list[Row]
    seconds: float


class Worker:
    """Holds the base and whatever adapters it was given, and works on one shard after the other."""

    def __init__(self, settings: EvaluateSettings, base: str | Path | None, fetch: Fetch) -> None:
        self.settings, self.base, self.fetch = settings, base, fetch
        self.models: Models | None = None

    def process_id(self) -> int:
        """Of the process that it lives in."""
        return os.getpid()

    def work(self, shard: Shard) -> Done:
        """Ask a checkpoint."""
        folder = self.fetch(shard.checkpoint)
        if self.models is None:
            self.models = open_models(self.settings, self.base)
        started = time.monotonic()
        self.models.use(folder)
        rows = shard.task.measure(self.models, shard.examples)
        cut = self.models.cut(shard.examples)
        rows = [{**row, CUT: n} if n else row for row, n in zip(rows, cut, strict=True)]
        return Done(rows, time.monotonic() - started)


class Launcher(Protocol):
    """Works on shards, in any order."""

    def run(self, shards: Sequence[Shard]) -> Iterator[tuple[int, Done]]:
        """Positions of shards with what came out, as they come."""

    def close(self) -> None:
        """Let go of processes and models."""


class LocalLauncher:
    """One worker, in this process."""

    def __init__(self, settings: EvaluateSettings, base: str | Path | None, fetch: Fetch) -> None:
        self.worker = Worker(settings, base, fetch)

    def run(self, shards: Sequence[Shard]) -> Iterator[tuple[int, Done]]:
        """In order."""
        for number, shard in enumerate(shards):
            yield number, self.worker.work(shard)

    def close(self) -> None:
        """Let go of the models."""
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
