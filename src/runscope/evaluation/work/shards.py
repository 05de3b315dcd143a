"""The unit of work: examples that one checkpoint is asked in one go, and the worker that asks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runscope.errors import InputError, RunscopeError, panicked
from runscope.evaluation.examples.example import Example
from runscope.evaluation.models.backend import Models
from runscope.evaluation.models.loading import first_line
from runscope.evaluation.models.opening import open_models
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.tasks.kinds import CUT, Row, Task
from runscope.history.checkpoint import Checkpoint

Fetch = Callable[[Checkpoint], Path]


@dataclass(frozen=True)
class Shard:
    """Examples that one checkpoint, or the base that it began from, is asked in one go.

    Attributes:
        last: of the same training: its tokenizer or processor is taken where others have none.
    """

    task: Task
    checkpoint: Checkpoint
    examples: tuple[Example, ...]
    base: bool = False
    last: Checkpoint | None = None
    whole: bool = False
    """Its checkpoint is a whole model, and loading that costs more than asking it."""


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

    def holds(self, checkpoint: Checkpoint) -> bool:
        """Whether nothing has to be loaded for a checkpoint."""
        held = getattr(self.models, "holds", None)
        return held is not None and bool(held(self.fetch(checkpoint)))

    def work(self, shard: Shard) -> Done:
        """Ask a checkpoint.

        Raises:
            RunscopeError: it cannot be asked.
        """
        try:
            return self._work(shard)
        except (RunscopeError, MemoryError):
            raise
        except BaseException as error:  # what its files say makes the libraries raise of every kind
            if not (isinstance(error, Exception) or panicked(error)):
                raise
            name = "the base" if shard.base else shard.checkpoint.name
            raise InputError(
                f"{name} could not be asked: {type(error).__name__}: {first_line(error)}",
                hint="its configuration, tokenizer or processor may be damaged: save or fetch it again; --debug shows "
                "where it failed",
            ) from error

    def _work(self, shard: Shard) -> Done:
        folder = self.fetch(shard.checkpoint)
        if self.models is None:
            last = None if shard.last is None else self.fetch(shard.last)
            self.models = open_models(self.settings, self.base, folder, last)
        started = time.monotonic()
        (self.models.use_base if shard.base else self.models.use)(folder)
        rows = shard.task.measure(self.models, shard.examples)
        cut = shard.task.cut(self.models, shard.examples)
        rows = [{**row, CUT: n} if n else row for row, n in zip(rows, cut, strict=True)]
        return Done(rows, time.monotonic() - started)
