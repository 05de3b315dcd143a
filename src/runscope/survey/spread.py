"""Work of a survey spread over processes of this machine, or over a Ray cluster."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Literal, Protocol

import orjson

from runscope.errors import MissingExtra, UsageError
from runscope.survey.card import unreadable
from runscope.survey.work import Done, Task

SHARD = 16
"""References in one job: enough that sending costs nothing beside reading, few enough that all workers end together."""
LIMIT_SECONDS = 600
"""A job that takes longer is given up: a healthy one takes a second."""
Launch = Literal["local", "ray"]


class Spread(Protocol):
    """Does tasks, in any order."""

    def done(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Done]]:
        """Each task with what came of it, as they come."""

    def close(self) -> None:
        """Let the workers go."""


def open_spread(launch: Launch, jobs: int | None) -> Spread:
    """Where the work is done.

    Args:
        launch: ``local`` processes, or the Ray cluster that is at hand.
        jobs: how many workers; one for each core where None.

    Raises:
        UsageError: fewer than one worker.
        MissingExtra: Ray is not installed.
    """
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs {jobs} leaves nobody to do the work", hint="name 1 or more")
    if launch == "ray":
        return OnRay(jobs)
    return Processes(jobs)


class Processes:
    """Worker processes of this machine.

    Args:
        jobs: how many; one for each core where None.
        module: what each of them runs.
        shard: references in one job.
    """

    def __init__(
        self, jobs: int | None, *, module: str = "runscope.survey.worker", shard: int = SHARD
    ) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self.jobs = jobs or cores or 1
        self._module, self._shard = module, shard
        self._workers: list[_Worker] = []

    def done(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Done]]:
        """Each task with what came of it, as they come."""
        waiting: queue.SimpleQueue[list[Task] | None] = queue.SimpleQueue()
        cut = shards(tasks, self._shard)
        for shard in cut:
            waiting.put(shard)
        results: queue.SimpleQueue[list[tuple[Task, Done]] | BaseException] = queue.SimpleQueue()
        for number in range(min(self.jobs, len(cut))):
            if number == len(self._workers):
                self._workers.append(_Worker(self._module))
            waiting.put(None)
            threading.Thread(
                target=_serve, args=(self._workers[number], waiting, results), daemon=True
            ).start()
        left = len(cut)
        try:
            while left:
                found = results.get()
                left -= 1
                if isinstance(found, BaseException):
                    raise found
                yield from found
        finally:
            if left:  # nobody waits for the rest
                self.close()

    def close(self) -> None:
        """Let the workers go."""
        for worker in self._workers:
            worker.end()
        self._workers = []


class _Worker:
    """One process, started when it is needed and again after it died."""

    def __init__(self, module: str = "runscope.survey.worker") -> None:
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False

    def ask(self, tasks: Sequence[Task]) -> list[Done] | None:
        """What came of each task; None where the process died or was given up."""
        if self._ended:
            return None
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        watch = threading.Timer(LIMIT_SECONDS, process.kill)
        watch.start()
        try:
            process.stdin.write(orjson.dumps({"tasks": [t.as_dict() for t in tasks]}) + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = b""
        finally:
            watch.cancel()
        if not line.endswith(b"\n"):
            self._stop()
            return None
        return [Done.from_dict(found) for found in orjson.loads(line)["done"]]

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        return self._process

    def end(self) -> None:
        """Let the process go, for good."""
        self._ended = True
        self._stop()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(OSError):
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    assert pipe is not None
                    pipe.close()


def shards(tasks: Sequence[Task], most: int = SHARD) -> list[list[Task]]:
    """Jobs of about ``most`` references each, those of the largest tasks first: what takes longest must not come
    last."""
    found: list[list[Task]] = []
    room = 0
    for task in sorted(tasks, key=lambda t: -len(t.references)):
        if room < len(task.references):
            found.append([])
            room = max(most, len(task.references))
        found[-1].append(task)
        room -= len(task.references)
    return found


def _serve(worker: _Worker, shards: Any, results: Any) -> None:
    """Take shards until there are none; one that kills its worker is tried task by task."""
    try:
        while (shard := shards.get()) is not None:
            found = worker.ask(shard)
            if found is None and len(shard) > 1:
                found = [(worker.ask([task]) or [_lost(task)])[0] for task in shard]
            results.put(list(zip(shard, found or [_lost(task) for task in shard], strict=True)))
    except BaseException as error:
        results.put(error)


def _lost(task: Task) -> Done:
    """What is said of a task that cost a worker its life: runs that were to be joined stay apart."""
    if task.lot is not None or len(task.references) > 1:
        return Done(lost=True)
    return Done(
        [
            unreadable(
                reference,
                "reading it ended its worker: out of memory, or it took longer than ten minutes",
                f"runscope show {reference} --debug shows where",
            )
            for reference in task.references
        ],
        lost=True,
    )


class OnRay:
    """Tasks on the Ray cluster at hand; every machine of it must see the files under the same paths.

    Args:
        jobs: shards under way at once; twice the cluster's CPUs where None.
    """

    def __init__(self, jobs: int | None) -> None:
        try:
            import ray  # the only heavy package here, asked for by name
        except ImportError as error:
            raise MissingExtra("ray", extra="ray", needed_for="--launch ray") from error
        self._ray: Any = ray
        if not ray.is_initialized():
            ray.init(log_to_driver=False, configure_logging=False, include_dashboard=False)
        self.jobs = jobs or 2 * int(self._ray.cluster_resources().get("CPU", 1))

    def done(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Done]]:
        """Each task with what came of it, as they come."""
        from runscope.survey.worker import answer

        remote = self._ray.remote(max_retries=1)(answer)
        waiting = shards(tasks)[::-1]
        under_way: dict[Any, list[Task]] = {}
        while waiting or under_way:
            while waiting and len(under_way) < self.jobs:
                shard = waiting.pop()
                under_way[remote.remote({"tasks": [t.as_dict() for t in shard]})] = shard
            (ready, *_), _ = self._ray.wait(list(under_way), num_returns=1)
            shard = under_way.pop(ready)
            try:
                found = [Done.from_dict(d) for d in self._ray.get(ready)["done"]]
            except self._ray.exceptions.RayError:
                if len(shard) > 1:
                    waiting += [[task] for task in shard]
                    continue
                found = [_lost(task) for task in shard]
            yield from zip(shard, found, strict=True)

    def close(self) -> None:
        """The cluster is somebody else's."""
