"""Work of a survey spread over processes of this machine, or over a Ray cluster."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson

from runscope.errors import MissingExtra, ServiceError, UsageError
from runscope.sources.base import MEMBER, existing
from runscope.store.home import home
from runscope.survey.card import unreadable
from runscope.survey.work import Done, Task

SHARD = 16
"""References in one job: enough that sending costs nothing beside reading, few enough that all workers end together."""
LIMIT_SECONDS = 600
"""A job that takes longer is given up: a healthy one takes a second."""
Launch = Literal["local", "ray"]
_VERSION = version("runscope")


class Spread(Protocol):
    """Does tasks, in any order."""

    def done(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Done]]:
        """Each task with what came of it, as they come."""

    def close(self) -> None:
        """Let the workers go."""


def open_spread(launch: Launch, jobs: int | None, scratch: Path | None = None) -> Spread:
    """Where the work is done.

    Args:
        launch: ``local`` processes, or the Ray cluster that is at hand.
        jobs: how many workers; one for each core where None.
        scratch: folder in which workers of this machine keep what they have read; None for none.

    Raises:
        UsageError: fewer than one worker.
        MissingExtra: Ray is not installed.
    """
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs {jobs} leaves nobody to do the work", hint="name 1 or more")
    if launch == "ray":
        return OnRay(jobs)
    return Processes(jobs, scratch=scratch)


class Processes:
    """Worker processes of this machine.

    Args:
        jobs: how many; one for each core where None.
        module: what each of them runs.
        shard: references in one job.
        scratch: folder that they keep in what they have read; None for none.
    """

    def __init__(
        self,
        jobs: int | None,
        *,
        module: str = "runscope.survey.worker",
        shard: int = SHARD,
        scratch: Path | None = None,
    ) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self.jobs = jobs or cores or 1
        self._command, self._shard = (module, *([] if scratch is None else [str(scratch)])), shard
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
                self._workers.append(_Worker(*self._command))
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

    def __init__(self, module: str = "runscope.survey.worker", *words: str) -> None:
        self._command = (module, *words)
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
                [sys.executable, "-m", *self._command],
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
        self._answer = ray.remote(max_retries=1)(answer_there)
        self._check()

    def _check(self) -> None:
        """See that the cluster has the same runscope: it would give other answers, or none.

        Raises:
            ServiceError: it has not.
        """
        try:
            there = self._ray.get(self._answer.remote(self._job(())))["version"]
        except self._ray.exceptions.RayError as error:
            why = str(error).strip().splitlines()[-1]
            raise ServiceError(
                f"Ray's workers cannot work: {why}", hint=f"install runscope {_VERSION} on all its machines"
            ) from error
        if there != _VERSION:
            raise ServiceError(
                f"Ray's workers have runscope {there}, and here it is {_VERSION}",
                hint="install the same version on all its machines",
            )

    def _job(self, shard: Sequence[Task]) -> dict[str, Any]:
        """What a machine has to know: also where the names of files begin, and where pulled runs are kept."""
        named = [r.partition(MEMBER)[0] for task in shard for r in task.references]
        files = [place for place in named if existing(place) is not None]
        kept = str(home().absolute())
        return {
            "tasks": [t.as_dict() for t in shard], "folder": str(Path.cwd()), "home": kept,
            "files": files if len(files) == len(named) else [*files, kept],
        }  # fmt: skip

    def done(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Done]]:
        """Each task with what came of it, as they come."""
        waiting = shards(tasks)[::-1]
        under_way: dict[Any, list[Task]] = {}
        while waiting or under_way:
            while waiting and len(under_way) < self.jobs:
                shard = waiting.pop()
                under_way[self._answer.remote(self._job(shard))] = shard
            (ready, *_), _ = self._ray.wait(list(under_way), num_returns=1)
            shard = under_way.pop(ready)
            try:
                told = self._ray.get(ready)
                if self._gone(told["unseen"]):
                    waiting.append(shard)  # as a file that is not there any more is told of everywhere
                    continue
                found = [Done.from_dict(d) for d in told["done"]]
            except self._ray.exceptions.RayError:
                if len(shard) > 1:
                    waiting += [[task] for task in shard]
                    continue
                found = [_lost(task) for task in shard]
            yield from zip(shard, found, strict=True)

    @staticmethod
    def _gone(unseen: Sequence[str]) -> bool:
        """Whether files that a machine did not see are gone here as well.

        Raises:
            ServiceError: one is still here: the machine would have told of each run that it cannot be read.
        """
        for place in unseen:
            if existing(place) is not None:
                raise ServiceError(
                    f"a machine of the Ray cluster does not see {place}",
                    hint="mount the files under the same path on all its machines, or leave --launch out",
                )
        return bool(unseen)

    def close(self) -> None:
        """The cluster is somebody else's."""


def answer_there(job: Mapping[str, Any]) -> dict[str, Any]:
    """On a machine of a cluster: what comes of each task of a job, or which of its files are not seen there."""
    from runscope.survey.worker import answer

    with suppress(OSError):
        os.chdir(job["folder"])
    os.environ["RUNSCOPE_HOME"] = job["home"]
    unseen = [place for place in job["files"] if existing(place) is None]
    return {"version": version("runscope"), "unseen": unseen, **({} if unseen else answer(job))}
