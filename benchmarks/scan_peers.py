"""One tree of runs, asked of runscope and of other tools: which trainings need a look?

``python benchmarks/scan_peers.py ENVIRONMENT [RUNS]`` makes the tree of ``benchmarks/scan.py`` with that many runs (200
by default). ENVIRONMENT is a virtual environment with epokio, trainspotter and runmedic in it. runmedic is given the
whole tree, epokio too, which lists and does not judge; trainspotter each log on its own, as it takes one. For each it
prints processor seconds (user and system, of all processes, the second of two calls) and of how many runs of each kind
it says anything. A kind that a tool cannot read without a further package counts as not read.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.scan import make

KINDS = {
    "trainer": "Trainer", "lines": "JSON lines", "long": "JSON lines", "offline-run": "W&B", "board": "TensorBoard"
}  # fmt: skip
_NAME = re.compile(r"\b(trainer|lines|long|offline-run|board)-([\w-]+)")


def asked(command: list[str], home: Path) -> tuple[float, str, int]:
    """Processor seconds, what was said, and the exit status."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, capture_output=True, text=True, check=False,
        env={**os.environ, "HOME": str(home), "RUNSCOPE_HOME": str(home), "COLUMNS": "200", "NO_COLOR": "1"},
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, done.stdout, done.returncode


def kinds_in(text: str) -> Counter[str]:
    """How many runs of each kind a text names."""
    return Counter(KINDS[kind] for kind, _ in set(_NAME.findall(text)))


def logs_of(root: Path) -> list[Path]:
    """What a person would name to a tool that takes one log."""
    files = [
        *root.glob("*/*/trainer_state.json"),
        *root.glob("*/*/log.jsonl"),
        *root.glob("*/wandb/*/*.wandb"),
    ]
    return sorted([*files, *(file.parent for file in root.glob("*/*/events.out.tfevents.*"))])


def show(name: str, seconds: float, kinds: Counter[str], more: str = "") -> None:
    """One line."""
    said = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    print(f"{name:22}{seconds:8.2f} s of processor   {sum(kinds.values()):4} runs: {said}{more}")


def main() -> None:
    """Make the tree, ask everybody."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environment", type=Path)
    parser.add_argument("runs", nargs="?", type=int, default=200)
    options = parser.parse_args()
    peers = options.environment / "bin"
    with tempfile.TemporaryDirectory() as folder:
        root, home = Path(folder, "runs"), Path(folder, "home")
        home.mkdir()
        resumed = make(root, options.runs)
        print(f"{options.runs} runs, {resumed} trainings of them in two, {options.runs // 50} damaged")
        tree = {
            "epokio watch --once": [str(peers / "epokio"), "watch", "--once", "--root", str(root)],
            "runmedic diagnose": [str(peers / "runmedic"), "diagnose", str(root)],
        }
        for name, command in tree.items():
            asked(command, home)
            seconds, said, _ = asked(command, home)
            show(name, seconds, kinds_in(said))
        seconds, read = 0.0, ""
        asked([str(peers / "trainspotter"), "analyze", str(logs_of(root)[0])], home)
        for log in logs_of(root):
            used, said, status = asked([str(peers / "trainspotter"), "analyze", str(log)], home)
            seconds += used
            read += f" {log}" if status == 0 and said else ""
        show("trainspotter analyze", seconds, kinds_in(read))
        scan = [
            sys.executable,
            "-m",
            "runscope",
            "scan",
            str(root),
            "--jobs",
            "1",
            "--format",
            "json",
            "--quiet",
        ]
        for name in ("runscope scan", "runscope scan, again"):
            seconds, said, _ = asked(scan, home)
            trainings = json.loads(said)["trainings"]
            joined = sum(len(training["references"]) > 1 for training in trainings)
            named = " ".join(" ".join(t["references"]) for t in trainings if t["error"] is None)
            show(name, seconds, kinds_in(named), f"; {joined} resumed trainings put together")


if __name__ == "__main__":
    main()
