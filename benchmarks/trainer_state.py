"""A Trainer state of a million logged points: time and memory of loading and diagnosing it, and of starting up.

usage: python benchmarks/trainer_state.py [--peers FOLDER] [--rounds N]

``--peers`` is a virtual environment with losslint, finetune-doctor and runmedic in it; each tool reads the same
file as a process of its own, in turn, ours among them. Seconds are those that a process computed (user and
system), which other work on the machine disturbs least, and those on the clock; the figures are medians. Every
tool runs from compiled modules, as an installed one does: its first run makes them and does not count.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

POINTS = 1_000_000
EVALUATIONS = 100
CACHE = Path(tempfile.gettempdir(), "runscope-benchmark-modules")
OURS = (str(Path(sys.executable).with_name("runscope")),)
PEERS = {
    "losslint": ("losslint", "check"),
    "finetune-doctor": ("finetune-doctor", "diagnose"),
    "runmedic": ("runmedic", "diagnose"),
}


def write(file: Path) -> None:
    """A training that goes well, as the Trainer writes it: about 120 MB."""
    rng = random.Random(1)
    history = []
    for step in range(1, POINTS + 1):
        loss, epoch = 2 * math.exp(-step / 300_000), step / 100_000
        history.append(
            {"epoch": epoch, "grad_norm": round(rng.random() + 0.1, 4), "learning_rate": 1e-4 * (1 - step / POINTS),
             "loss": round(loss + 0.3 + rng.random() * 0.1, 4), "step": step}
        )  # fmt: skip
        if step % (POINTS // EVALUATIONS) == 0:
            history.append(
                {
                    "epoch": epoch,
                    "eval_loss": loss + 0.4 + rng.random() * 0.01,
                    "eval_runtime": 12.3,
                    "step": step,
                }
            )
    state = {
        "best_metric": None,
        "epoch": 10.0,
        "global_step": POINTS,
        "log_history": history,
        "max_steps": POINTS,
    }
    file.write_text(json.dumps(state, indent=1, sort_keys=True) + "\n")


def measure(call: tuple[str, ...], environment: dict[str, str]) -> tuple[float, float, float]:
    """Seconds on the clock, seconds computed, and peak memory in MB of one process."""
    started = time.perf_counter()
    quiet = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_WRONLY, 0) for stream in (1, 2)]
    pid = os.posix_spawn(call[0], call, environment, file_actions=quiet)
    _, status, used = os.wait4(pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise SystemExit(f"{' '.join(call)} failed")
    return time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def compare(calls: dict[str, tuple[str, ...]], rounds: int) -> dict[str, tuple[float, float, float]]:
    """Medians of each call, all of them in turn in every round."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(CACHE)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            measured = measure(call, environment)
            if number:
                found[name].append(measured)
    medians = {}
    for name, runs in found.items():
        wall, computed, peak = (statistics.median(column) for column in zip(*runs, strict=True))
        medians[name] = (wall, computed, peak)
        print(f"{name:34} {wall:6.2f} s on the clock, {computed:6.2f} s computed, {peak:5.0f} MB")
    return medians


def main() -> None:
    """Print one line a process, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, help="virtual environment of the other tools")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=Path, help="only write the file")
    options = parser.parse_args()
    if options.write is not None:
        write(options.write)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "trainer_state.json")
        # By another process: what a child is said to have held begins with what its parent holds.
        subprocess.run([sys.executable, __file__, "--write", str(file)], check=True)
        print(f"{POINTS:,} points, {file.stat().st_size / 1e6:.0f} MB")
        calls = {"runscope": (*OURS, "diagnose", str(file))}
        if options.peers is not None:
            for name, (command, verb) in PEERS.items():
                calls[name] = (str(options.peers / "bin" / command), verb, str(file))
        found = compare(calls, options.rounds)
        ours = found.pop("runscope")
        if found:
            fastest, leanest = min(v[1] for v in found.values()), min(v[2] for v in found.values())
            print(
                f"{fastest / ours[1]:.1f}x as fast as the fastest; {ours[2] / leanest:.2f} of the leanest's memory"
            )
        small = Path(folder, "small", "trainer_state.json")
        small.parent.mkdir()
        entries = [{"loss": 2 / step, "epoch": step / 10, "step": step} for step in range(1, 101)]
        small.write_text(json.dumps({"log_history": entries, "global_step": 100}))
        starts = {
            "runscope --help": (*OURS, "--help"),
            "runscope diagnose, 100 points": (*OURS, "diagnose", str(small)),
        }
        compare(starts, 2 * options.rounds + 1)


if __name__ == "__main__":
    main()
