"""How fast and in how much memory an offline W&B file is read, against a plain loop over its records.

usage: python benchmarks/wandb_read.py [ROWS]      (default 100000 rows of 8 metrics, written by the SDK)

The plain loop is what one would write with the SDK's own messages: split the log into records, parse each,
decode the JSON of every value. Both read the same file in this process, in turn; the figure is the ratio of the
medians. Peak memory is that of a process of its own which does nothing else but read the file.
"""

from __future__ import annotations

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

import numpy as np

import runscope
from runscope.sources.wandb_file.log import Log

_PEAK = (
    "import re, sys, runscope; {}; print(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])"
)
_ROUNDS = 5


def write(rows: int, folder: str) -> Path:
    """A run as a Trainer would log it."""
    os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true")
    import wandb

    rng = random.Random(1)
    with wandb.init(project="p", dir=folder, settings=wandb.Settings(console="off")) as run:
        for step in range(rows):
            loss = 2 * math.exp(-step / 3000) + 0.3 + rng.random() * 0.1
            row = {"train/loss": loss, "train/grad_norm": rng.random(), "train/learning_rate": 1e-4}
            run.log(row | {"train/global_step": step, "train/epoch": step / 1000, "a": 1.0, "b": 2.0, "c": 3})
    return next(Path(folder).glob("wandb/offline-run-*/*.wandb"))


def plain(file: Path) -> dict[str, list[float]]:
    """Every value of every row, by the SDK's messages and the JSON parser."""
    from wandb.proto import wandb_internal_pb2 as messages

    columns: dict[str, list[float]] = {}
    with file.open("rb") as stream:
        log = Log(stream)
        payloads = (window.record(index) for window in log.windows() for index in range(len(window)))
        for payload in payloads:
            record = messages.Record.FromString(payload)
            if record.WhichOneof("record_type") == "history":
                for item in record.history.item:
                    name = item.key or ".".join(item.nested_key)
                    columns.setdefault(name, []).append(json.loads(item.value_json))
    return columns


def peak_mb(code: str, *arguments: str) -> float:
    """Most memory that a fresh Python held while it ran the code."""
    call = [sys.executable, "-c", _PEAK.format(code), *arguments]
    return float(subprocess.run(call, check=True, capture_output=True, text=True).stdout) / 1024


def main(rows: int) -> None:
    """Print one line a figure."""
    with tempfile.TemporaryDirectory() as folder:
        file = write(rows, folder)
        megabytes = file.stat().st_size / 1e6
        ours, theirs = [], []
        for _ in range(_ROUNDS):
            start = time.perf_counter()
            columns = plain(file)
            theirs.append(time.perf_counter() - start)
            start = time.perf_counter()
            run = runscope.load(file)
            ours.append(time.perf_counter() - start)
        for name, series in run.series.items():
            np.testing.assert_array_equal(series.value, columns[name])
        mine, other = statistics.median(ours), statistics.median(theirs)
        print(f"{rows:,} rows, {megabytes:.0f} MB")
        print(
            f"runscope {mine:.2f} s ({megabytes / mine:.0f} MB/s), plain loop {other:.2f} s: {other / mine:.1f}x"
        )
        whole = peak_mb("runscope.load(sys.argv[1])", str(file))
        idle = peak_mb("import numpy, pyarrow.compute")
        print(
            f"peak memory {whole:.0f} MB ({whole / megabytes:.1f}x the file), of which {idle:.0f} MB are the packages"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
