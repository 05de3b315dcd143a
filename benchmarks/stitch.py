"""How long stitching takes, and how much memory: ten runs of up to a million points each.

    python benchmarks/stitch.py

A point is one logged value. Each run logs a loss, a gradient norm, a learning rate and an epoch, and every
counter of it restarts at zero, so that the curves have to be weighed. The runs are in memory; reading them is
another matter. Time is the median of three, of one processor; memory is what the process holds at most, the runs
included.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time

import numpy as np

from runscope.history import Run, Series, Timeline
from runscope.stitching import stitch

RUNS, METRICS = 10, 4
SIZES = (10_000, 100_000, 1_000_000)


def training(points: int) -> list[Run]:
    """Ten runs of one training, each from the last saved state of the one before."""
    rows = points // METRICS
    every, saves = 10, 10 * (rows // 20)
    kept = rows * every // saves * saves - saves
    runs = []
    for number in range(RUNS):
        rng = np.random.default_rng(number)
        own = np.arange(1, rows + 1, dtype=np.int64) * every
        place = number * kept + own
        at = number * 1e8 + own
        level = 0.5 + 2 * np.exp(-place / (3 * kept))
        values = {
            "train/loss": level + 0.05 * rng.normal(size=rows),
            "train/grad_norm": np.exp(0.3 * level + 0.1 * rng.normal(size=rows)),
            "train/learning_rate": np.minimum(own / (50 * every), 1.0) * 1e-4,
            "train/epoch": own / (2 * kept),
        }
        roles = {
            "train_loss": "train/loss", "grad_norm": "train/grad_norm", "learning_rate": "train/learning_rate",
            "epoch": "train/epoch",
        }  # fmt: skip
        series = {n: Series.of(n, own, v, at) for n, v in values.items()}
        config = {"save_steps": saves, "model_name_or_path": "tiny"}
        runs.append(
            Run(f"run-{number}", f"run-{number}", f"run-{number}", "table", series, roles, "train/global_step", config,
                number * 1e8)
        )  # fmt: skip
    return runs


def peak_mib() -> float:
    """Most memory that the process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def whole(line: Timeline) -> int:
    """Ask for all that a table or a chart asks for."""
    return sum(s.dropped_points for s in line.segments) + line.last_step


def main() -> int:
    """Print one row a size."""
    print(
        f"{'points a run':>14} {'seconds':>9} {'per million points':>19} {'runs MiB':>9} {'peak MiB':>9} {'joined':>7}"
    )
    for points in SIZES:
        runs = training(points)
        held = (
            sum(a.nbytes for r in runs for s in r.series.values() for a in (s.step, s.value, s.time)) / 2**20
        )
        seconds = []
        for _ in range(3):
            begun = time.process_time()
            line = stitch(runs)
            whole(line)
            seconds.append(time.process_time() - begun)
        spent = statistics.median(seconds)
        print(
            f"{points:>14,} {spent:>9.2f} {spent / (points * RUNS / 1e6):>19.2f} {held:>9.0f} {peak_mib():>9.0f}"
            f" {len(line.line):>7}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
