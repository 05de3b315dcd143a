"""Many GPUs or machines by Ray: one actor a GPU holds the base, shards go to whoever is free."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from runscope.errors import MissingExtra, RunscopeError, ServiceError, Unreachable
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.work.shards import Done, Fetch, Shard, Worker
from runscope.history.checkpoint import Checkpoint

PATIENCE_SECONDS = 10.0
LOST_AT_MOST = 2
"""Workers lost over one shard before it is to blame and not the machines."""


class RayLauncher:
    """Workers on a Ray cluster: the one at ``RAY_ADDRESS``, or one started on this machine.

    Every worker fetches checkpoints for itself; a clone or folder on this machine must be visible to all.

    Raises:
        MissingExtra: ray is not installed.
    """

    def __init__(self, settings: EvaluateSettings, base: str | Path | None, fetch: Fetch) -> None:
        self.ray = _import_ray()
        self.settings, self.base, self.fetch = settings, base, fetch
        self.started_here = not self.ray.is_initialized()
        if self.started_here:
            _connect(self.ray)
        resources = self.ray.cluster_resources()
        gpus = int(resources.get("GPU", 0)) if settings.device != "cpu" else 0
        self.options = {"num_gpus": 1, "num_cpus": 1} if gpus else {"num_cpus": 1}
        self.count = settings.workers or gpus or max(1, int(resources.get("CPU", 1)))
        self.actors: list[Any] = []

    def run(self, shards: Sequence[Shard]) -> Iterator[tuple[int, Done]]:
        """As they come; the shard of a lost worker is given to a new one.

        Raises:
            ServiceError: workers are lost again and again.
        """
        while len(self.actors) < min(self.count, len(shards)):
            self.actors.append(self._actor())
        waiting = deque(range(len(shards)))
        lost = dict.fromkeys(waiting, 0)
        idle = list(self.actors)
        busy: dict[Any, tuple[int, Any]] = {}
        held: dict[Any, str] = {}
        while waiting or busy:
            for actor in list(idle):
                place = next_shard([shards[n] for n in waiting], held.get(actor), set(held.values()))
                if place is None:
                    continue
                number = waiting[place]
                del waiting[place]
                idle.remove(actor)
                held[actor] = shards[number].checkpoint.name
                busy[actor.work.remote(shards[number])] = (number, actor)
            ready, _ = self.ray.wait(list(busy), num_returns=1)
            number, actor = busy.pop(ready[0])
            done = self._result(ready[0])
            if done is None:
                lost[number] += 1
                if lost[number] > LOST_AT_MOST:
                    raise ServiceError(
                        f"{LOST_AT_MOST} Ray workers were lost over the same examples",
                        hint="is a worker out of memory? try fewer --workers, or --launch local",
                    )
                waiting.appendleft(number)
                self.actors.remove(actor)
                held.pop(actor, None)
                actor = self._actor()
                self.actors.append(actor)
            else:
                yield number, done
            idle.append(actor)

    def holds(self, checkpoint: Checkpoint) -> bool:  # noqa: ARG002
        """Not known here: each worker has its own."""
        return False

    def holds_all(self, count: int, size: int) -> bool:  # noqa: ARG002
        """Not known here: each worker has memory of its own."""
        return False

    def _result(self, reference: Any) -> Done | None:
        """What a worker found; None where it was lost."""
        try:
            done: Done = self.ray.get(reference)
            return done
        except self.ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, RunscopeError):
                raise error.cause from None
            raise
        except self.ray.exceptions.RayError:
            return None

    def _actor(self) -> Any:
        return self.ray.remote(Worker).options(**self.options).remote(self.settings, self.base, self.fetch)

    def process_ids(self) -> list[int]:
        """Of the workers' processes."""
        return list(self.ray.get([a.process_id.remote() for a in self.actors]))

    def close(self) -> None:
        """End the workers, and the cluster if it was started here."""
        for actor in self.actors:
            self.ray.kill(actor)
        self.actors = []
        if self.started_here:
            self.ray.shutdown()


def next_shard(waiting: Sequence[Shard], holds: str | None, held: set[str]) -> int | None:
    """Which of the waiting shards a free worker takes; of whole models those of the one that it holds, or of one that
    nobody holds, so that each is loaded by one worker alone.

    Args:
        waiting: shards.
        holds: the checkpoint that the worker was asked last.
        held: those that workers were asked last.

    Returns:
        Its place, or None where others will do what is left.
    """
    for place, shard in enumerate(waiting):
        if not shard.whole or shard.checkpoint.name == holds:
            return place
    return next((place for place, s in enumerate(waiting) if s.checkpoint.name not in held), None)


def _connect(ray: Any) -> None:
    """Join the cluster that is named, or start one.

    Raises:
        Unreachable: nothing answers there, or it refuses.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if host and port.isdecimal():  # where nothing answers Ray would end this process, after a minute
            socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS).close()
        ray.init(log_to_driver=False, include_dashboard=False, logging_level="error")
    except (OSError, RuntimeError, ray.exceptions.RayError) as error:
        raise Unreachable(
            f"the Ray cluster at {address or 'this machine'} cannot be joined: {str(error).splitlines()[0]}",
            hint="is it up, and does this machine have its token? without RAY_ADDRESS one is started here",
        ) from error


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("ray", extra="ray", needed_for="--launch ray") from error
    return ray
