"""Whole models that an evaluation fetches, and no more of them on this disk at a time than the user allows."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from runscope.errors import InputError
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.work.shards import Fetch
from runscope.history.checkpoint import Checkpoint
from runscope.hub.fetching import contents_here, fetched, let_go, needed
from runscope.units import count_bytes, readable_bytes

AT_ONCE = 2
"""Models that have to lie there beside the last one: the one that is read, and the next, which is fetched meanwhile."""


class Shelf:
    """Brings checkpoints to this disk, and lets go of those that it brought, the one used longest ago first.

    What lay there before stays, and so do the last two that were asked for.

    Args:
        fetch: brings a checkpoint.
        limit: bytes that what it brings may take.
    """

    def __init__(self, fetch: Fetch, limit: int) -> None:
        self.fetch, self.limit = fetch, limit
        self._brought: dict[tuple[str | None, str], tuple[Checkpoint, frozenset[str]]] = {}
        self._lock, self._removing, self._closed = threading.Lock(), threading.Lock(), False

    def close(self) -> None:
        """Remove nothing more: what a fetch that is still under way would make room for is not needed."""
        with self._removing:
            self._closed = True

    def __call__(self, checkpoint: Checkpoint) -> Path:
        """Where a checkpoint lies, fetched if need be; room is made for it first."""
        key = checkpoint.revision, checkpoint.subfolder
        with self._lock:
            mine = self._brought.pop(key, None)
            if mine is None and fetched(checkpoint) is None:
                mine = checkpoint, contents_here(checkpoint)
                self._make_room(size_of(checkpoint))
            place = self.fetch(checkpoint)
            if mine is not None:
                self._brought[key] = mine  # the latest stands last
            return place

    def _make_room(self, size: int) -> None:
        with self._removing:
            while not self._closed and len(self._brought) >= AT_ONCE and self._taken() + size > self.limit:
                checkpoint, before = self._brought.pop(next(iter(self._brought)))
                let_go(checkpoint, but=before)

    def _taken(self) -> int:
        return sum(size_of(checkpoint) for checkpoint, _ in self._brought.values())


def size_of(checkpoint: Checkpoint) -> int:
    """Bytes that are fetched of a checkpoint."""
    return sum(f.size_bytes for f in needed(checkpoint))


def within_limit(fetch: Fetch, arms: Sequence[Checkpoint], settings: EvaluateSettings) -> Fetch:
    """A fetch that keeps to the limit of the settings, where one is set and the models do not all fit.

    Args:
        fetch: brings a checkpoint.
        arms: those to evaluate; the last one is here, and stays, as its tokenizer is that of all.
        settings: of the evaluation.

    Raises:
        InputError: the limit does not hold the models that have to lie there at the same time.
    """
    if settings.disk is None or any(c.file("adapter_config.json") for c in arms):
        return fetch
    limit, last = count_bytes(settings.disk), size_of(arms[-1])
    others = sorted(size_of(c) for c in arms[:-1] if fetched(c) is None)
    if last + sum(others) <= limit:
        return fetch
    least = last + sum(others[-AT_ONCE:])
    if least > limit:
        raise InputError(
            f"--disk {settings.disk} is too little: the last checkpoint, the one that is read and the next take "
            f"{readable_bytes(least)} together",
            hint=f"--disk {readable_bytes(1.01 * least).replace(' ', '').replace(',', '')}, or leave it out",
        )
    return Shelf(fetch, limit - last)
