"""A survey of many runs: how fast it is the first time, and again.

``python benchmarks/scan.py [RUNS] [--jobs N]`` makes a tree of that many runs (10,000 by default) of 1,000 points each:
Trainer states and JSON lines, one training in twenty resumed, one run in fifty damaged. It prints trainings a second,
peak memory of the largest process, and the time of a second scan of the unchanged tree and of one with a changed run.
Whole commands are timed, workers included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

POINTS = 1000


def trainer_state(folder: Path, rng: np.random.Generator, first: int, last: int) -> None:
    """One Trainer output folder."""
    step = np.linspace(first + 1, last, POINTS).astype(int)
    loss = 2 * np.exp(-step / 3000) + 0.8 + 0.02 * rng.standard_normal(POINTS)
    history: list[dict[str, Any]] = [
        {"loss": float(v), "learning_rate": 1e-4, "epoch": float(s) / 2000, "step": int(s)}
        for s, v in zip(step, loss, strict=True)
    ]
    history += [
        {"eval_loss": float(v) + 0.1, "step": int(s)} for s, v in zip(step[::50], loss[::50], strict=True)
    ]
    folder.mkdir(parents=True)
    state = {"global_step": last, "max_steps": last, "num_train_epochs": 3, "log_history": history}
    (folder / "trainer_state.json").write_text(json.dumps(state))


def lines(file: Path, rng: np.random.Generator, first: int, last: int) -> None:
    """One JSON lines log."""
    step = np.linspace(first + 1, last, POINTS).astype(int)
    loss = 2 * np.exp(-step / 3000) + 0.8 + 0.02 * rng.standard_normal(POINTS)
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = (json.dumps({"step": int(s), "train/loss": float(v)}) for s, v in zip(step, loss, strict=True))
    file.write_text("\n".join(rows) + "\n")


def make(root: Path, runs: int) -> None:
    """The tree."""
    rng = np.random.default_rng(0)
    for k in range(runs):
        place = root / f"group-{k % 97:02d}"
        if k % 50 == 49:
            broken = place / f"broken-{k}"
            broken.mkdir(parents=True)
            (broken / "trainer_state.json").write_text('{"log_history": [{"loss": 1.0, "st')
        elif k % 20 == 19:
            lines(root / f"group-{(k - 1) % 97:02d}" / f"long-{k - 1}-resumed" / "log.jsonl", rng, 4000, 8000)
        elif k % 20 == 18:
            lines(place / f"long-{k}" / "log.jsonl", rng, 0, 4000)
        elif k % 2:
            lines(place / f"lines-{k}" / "log.jsonl", rng, 0, 4000)
        else:
            trainer_state(place / f"trainer-{k}", rng, 0, 4000)


def scanned(root: Path, home: Path, jobs: int) -> tuple[float, float, dict[str, Any]]:
    """Seconds, peak memory in MiB of the largest process, and the counts."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "runscope", "scan", str(root), "--jobs", str(jobs), "--format", "json", "--quiet"],
        env={**os.environ, "RUNSCOPE_HOME": str(home)}, capture_output=True, check=True,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    found: dict[str, Any] = json.loads(done.stdout)["counts"]
    return seconds, peak, found


def main() -> None:
    """Make, scan, scan again, change one run, scan again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="?", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, home = Path(folder) / "runs", Path(folder) / "home"
        make(root, asked.runs)
        seconds, peak, counts = scanned(root, home, asked.jobs)
        print(f"{asked.runs:,} runs, {asked.jobs} workers: {counts}")
        print(
            f"first scan     {seconds:7.1f} s  {counts['trainings'] / seconds:6.1f} trainings a second  {peak:.0f} MiB"
        )
        print(f"unchanged      {scanned(root, home, asked.jobs)[0]:7.1f} s")
        lines(root / "group-01" / "lines-1" / "log.jsonl", np.random.default_rng(9), 0, 5000)
        print(f"one run changed{scanned(root, home, asked.jobs)[0]:7.1f} s")


if __name__ == "__main__":
    main()
