"""A survey of many runs: how fast it is the first time, and again.

``python benchmarks/scan.py [RUNS] [--jobs N] [--keep FOLDER]`` makes a tree of that many runs (10,000 by default) of
1,000 points each, every training with a curve and settings of its own: Trainer states, JSON lines, offline W&B runs
and TensorBoard event files in equal parts, one training in twenty resumed, one run in fifty damaged. It prints
trainings a second, processor time a run, peak memory of the largest process, how many of the resumed trainings were
found as one, and the time of a second scan of the same tree and of one with a changed run. Whole commands are timed,
workers included. ``--keep`` makes the tree there, or takes the one that is there.

``--ray 1,2`` adds first scans by so many Ray workers of this machine, and says whether each gives the answer of one by
processes. ``--simulate`` needs no tree: it deals the jobs of a survey of that many runs out to 1 to 64 workers, each
run taking a fixed time, and says when the last one ends; and beside it with what one process does alone added to each.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

POINTS = 1000


@dataclass
class Training:
    """What both runs of one training share: its curve and its settings."""

    rng: np.random.Generator
    floor: float = field(init=False)
    pace: float = field(init=False)
    settings: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        self.floor, self.pace = float(self.rng.uniform(0.3, 1.6)), float(self.rng.uniform(1500, 5000))
        rate, seed = float(self.rng.choice([1e-4, 2e-4])), int(self.rng.integers(1000))
        self.settings = {"learning_rate": rate, "seed": seed, "save_steps": 500}

    def losses(self, first: int, last: int) -> tuple[list[int], list[float]]:
        """Steps, and a loss that falls through all of the training."""
        step = np.linspace(first + 1, last, POINTS).astype(int)
        loss = 2 * np.exp(-step / self.pace) + self.floor + 0.02 * self.rng.standard_normal(POINTS)
        return step.tolist(), loss.tolist()


def trainer_state(folder: Path, training: Training, first: int, last: int) -> None:
    """One Trainer output folder."""
    rows = list(zip(*training.losses(first, last), strict=True))
    history: list[dict[str, Any]] = [
        {"loss": v, "learning_rate": 1e-4, "epoch": s / 2000, "step": s} for s, v in rows
    ]
    history += [{"eval_loss": v + 0.1, "step": s} for s, v in rows[::50]]
    folder.mkdir(parents=True)
    state = {"global_step": last, "max_steps": last, "num_train_epochs": 3, "log_history": history}
    (folder / "trainer_state.json").write_text(json.dumps(state))


def lines(file: Path, training: Training, first: int, last: int) -> None:
    """One JSON lines log."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = (
        json.dumps({"step": s, "train/loss": v}) for s, v in zip(*training.losses(first, last), strict=True)
    )
    file.write_text("\n".join(rows) + "\n")


def wandb_run(place: Path, name: str, training: Training, first: int, last: int, began: float) -> None:
    """One offline W&B run, of the SDK's own messages."""
    from tests.sources.wandb_writer import write_run
    from wandb.proto import wandb_internal_pb2 as messages

    ident = f"{int(training.rng.integers(36**8)):08x}"
    stamp = time.strftime("%Y%m%d_%H%M%S", time.gmtime(began))
    folder = place / "wandb" / f"offline-run-{stamp}-{ident}"
    run = messages.RunRecord(run_id=ident, display_name=name, project="bench", entity="me")
    run.start_time.seconds = int(began)
    for key, value in training.settings.items():
        run.config.update.add(key=key, value_json=json.dumps(value))
    records = [messages.Record(num=1, run=run)]
    for number, (step, loss) in enumerate(zip(*training.losses(first, last), strict=True)):
        row = messages.HistoryRecord()
        row.step.num = number
        at = began + step - first
        for key, value in (
            ("train/loss", loss),
            ("train/global_step", step),
            ("_step", number),
            ("_timestamp", at),
        ):
            row.item.add(nested_key=[key], value_json=json.dumps(value))
        records.append(messages.Record(num=number + 2, history=row))
    records.append(messages.Record(num=POINTS + 2, exit=messages.RunExitRecord(exit_code=0)))
    write_run(folder / f"run-{ident}.wandb", records)


def event_file(folder: Path, training: Training, first: int, last: int, began: float) -> None:
    """One TensorBoard event file, of TensorBoard's own messages."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    folder.mkdir(parents=True)
    with (folder / f"events.out.tfevents.{int(began)}.host.1.0").open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=began, file_version="brain.Event:2").SerializeToString())
        for step, loss in zip(*training.losses(first, last), strict=True):
            value = Summary.Value(tag="train/loss", simple_value=loss)
            event = Event(wall_time=began + step - first, step=step, summary=Summary(value=[value]))
            writer.write(event.SerializeToString())


def make(root: Path, runs: int) -> int:
    """The tree.

    Returns:
        How many trainings lie in it in two runs.
    """
    rng = np.random.default_rng(0)
    resumed = 0
    for k in range(runs):
        place = root / f"group-{k % 97:02d}"
        training = Training(rng)
        began = 1.7e9 + 600.0 * k
        if k % 50 == 49:
            broken = place / f"broken-{k}"
            broken.mkdir(parents=True)
            (broken / "trainer_state.json").write_text('{"log_history": [{"loss": 1.0, "st')
        elif k % 20 == 18 and k + 1 < runs and (k + 1) % 50 != 49:
            resumed += 1
            if k % 40 == 18:
                lines(place / f"long-{k}" / "log.jsonl", training, 0, 4000)
                lines(place / f"long-{k}-resumed" / "log.jsonl", training, 4000, 8000)
            else:
                wandb_run(place, f"long-{k}", training, 0, 4000, began)
                wandb_run(place, f"long-{k}-resumed", training, 4000, 8000, began + 4200)
        elif k % 20 == 19:
            continue  # made with the one before
        elif k % 4 == 0:
            trainer_state(place / f"trainer-{k}", training, 0, 4000)
        elif k % 4 == 1:
            lines(place / f"lines-{k}" / "log.jsonl", training, 0, 4000)
        elif k % 4 == 2:
            wandb_run(place, f"fit-{k}", training, 0, 4000, began)
        else:
            event_file(place / f"board-{k}", training, 0, 4000, began)
    return resumed


def scanned(root: Path, home: Path, jobs: int) -> tuple[float, float, float, dict[str, Any]]:
    """Seconds, processor seconds of all processes, peak memory in MiB of the largest, and what was found."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "runscope", "scan", str(root), "--jobs", str(jobs), "--format", "json", "--quiet"],
        env={**os.environ, "RUNSCOPE_HOME": str(home)}, capture_output=True, check=True,
    )  # fmt: skip
    seconds, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return seconds, processor, used.ru_maxrss / 1024, json.loads(done.stdout)


def by(launch: str, root: Path, workers: int) -> tuple[float, str]:
    """Seconds of a first scan by so many workers, the start of Ray not counted, and a short sum of its answer."""
    code = (
        "import hashlib, sys, time, runscope as rs\n"
        "launch, workers = sys.argv[2], int(sys.argv[3])\n"
        "if launch == 'ray':\n"
        "    import ray\n"
        "    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, configure_logging=False)\n"
        "begun = time.perf_counter()\n"
        "cards = rs.scan(sys.argv[1], launch=launch, jobs=workers, remember=False).cards\n"
        "print(time.perf_counter() - begun, hashlib.sha256(repr(cards).encode()).hexdigest())"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(root), launch, str(workers)],
        capture_output=True,
        check=True,
        text=True,
    )
    seconds, answer = told.stdout.split()[-2:]
    return float(seconds), answer


def simulate(runs: int, cost: float = 0.034, alone: float = 0.001) -> None:
    """Seconds from the first job of a survey to the end of the last, by the jobs that the workers really get.

    Args:
        runs: how many.
        cost: seconds of a worker for one run.
        alone: seconds for one run of the process that finds, remembers, plans and ranks. Part of it is done while
            others work: the sum is more than a scan takes.
    """
    from runscope.survey.spread import shards
    from runscope.survey.work import Task

    jobs = shards([Task((f"run-{number}",)) for number in range(runs)])
    for workers in (1, 2, 4, 8, 16, 32, 64):
        busy = [0.0] * workers
        for job in jobs:
            heapq.heapreplace(busy, busy[0] + cost * len(job))
        whole = max(busy) + alone * runs
        print(
            f"{workers:3} workers {max(busy):8.1f} s  {cost * runs / max(busy):5.1f} times as fast as one; "
            f"with the rest {whole:6.1f} s, {(cost + alone) * runs / whole:5.1f} times"
        )


def main() -> None:
    """Make, scan, scan again, change one run, scan again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="?", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, help="make the tree there, or take the one that is there")
    parser.add_argument("--ray", default="", help="numbers of Ray workers: 1,2")
    parser.add_argument("--simulate", action="store_true")
    asked = parser.parse_args()
    if asked.simulate:
        simulate(asked.runs)
        return
    with tempfile.TemporaryDirectory() as folder:
        root, home = asked.keep or Path(folder) / "runs", Path(folder) / "home"
        told = Path(f"{root}.resumed")
        if not told.exists():
            told.write_text(str(make(root, asked.runs)))
        seconds, processor, peak, found = scanned(root, home, asked.jobs)
        joined = sum(len(training["references"]) == 2 for training in found["trainings"])
        counts = found["counts"]
        print(f"{asked.runs:,} runs, {asked.jobs} workers: {counts}")
        print(f"trainings of two runs: {joined:,} found, {int(told.read_text()):,} made")
        rate, each = counts["trainings"] / seconds, 1000 * processor / asked.runs
        print(
            f"first scan      {seconds:7.1f} s  {rate:6.1f} trainings a second, {each:.1f} ms of processor a run"
        )
        print(f"largest process {peak:7.0f} MiB")
        seconds, processor, *_ = scanned(root, home, asked.jobs)
        print(f"unchanged       {seconds:7.1f} s  {processor:.1f} s of processor")
        lines(
            root / "group-01" / "lines-1" / "log.jsonl",
            Training(np.random.default_rng(time.time_ns())),
            0,
            5000,
        )
        seconds, processor, *_ = scanned(root, home, asked.jobs)
        print(f"one run changed {seconds:7.1f} s  {processor:.1f} s of processor")
        answer = by("local", root, asked.jobs)[1] if asked.ray else ""
        for workers in filter(None, asked.ray.split(",")):
            seconds, told_there = by("ray", root, int(workers))
            print(
                f"{workers} Ray workers   {seconds:7.1f} s, {'the same' if told_there == answer else 'ANOTHER'} answer"
            )


if __name__ == "__main__":
    main()
