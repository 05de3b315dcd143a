"""How fast a run in the cloud is read: against the SDK's own ``scan_history``, and once more.

A stand-in for the service, in a process of its own, answers each page of history after 150 ms. The run has 200,000
rows of 8 metrics, not exported yet. Same machine, same service, one after the other; the rows must be the same.

    python benchmarks/pull.py [--rows 200000] [--delay 0.15]

With ``--runs N`` it is a project of so many short runs of 300 rows, pulled into the store, against the loop over the
runs of a project that people write with the SDK:

    python benchmarks/pull.py --runs 2000
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

METRICS = ("train/loss", "train/grad_norm", "train/learning_rate", "train/epoch", "train/global_step")
SECOND_PULLS = 5
SHORT_ROWS = 300


def _rows(count: int) -> list[dict[str, object]]:
    """A fine-tune's history as W&B sends it, an evaluation every hundredth row."""
    rng = random.Random(0)
    rows: list[dict[str, object]] = []
    for step in range(count):
        trend = 2 * math.exp(-step / 3e4)
        row: dict[str, object] = {
            "_step": step, "_timestamp": 1.7e9 + step * 0.51, "_runtime": step * 0.51, "train/global_step": step * 10,
            "train/loss": 1 + trend + rng.gauss(0, 0.05), "train/grad_norm": rng.lognormvariate(0, 0.3),
            "train/learning_rate": 1e-4 * (1 - step / count), "train/epoch": step * 1e-4,
        }  # fmt: skip
        if step % 100 == 99:
            row["eval/loss"] = 1.2 + trend
        if step == count // 2:
            row["train/loss"] = "NaN"
        rows.append(row)
    return rows


def _serve(rows: int, delay: float, line: Connection, runs: int = 1) -> None:
    from tests.servers.wandb import serve
    from tests.servers.wandb_runs import StoredRun

    logged = _rows(rows)
    with serve() as service:
        for number in range(runs):
            ident = f"run{number:05}" if runs > 1 else "2x9f1k3a"
            run = StoredRun(
                ident, f"fit-{number}", "finished", {"seed": number}, 1.7e9 + 600 * number, logged, []
            )
            service.put("me/pricer", replace(run, heartbeat=run.created + 300))
            service.runs["me/pricer"][ident].between(
                0, 0, 1
            )  # makes the texts of all rows: nothing that is measured
        service.delay = delay
        line.send(service.url)
        while line.poll(None):
            line.recv()
            line.send((service.operations.copy(), service.busiest))
            service.operations.clear()


def _asked(line: Connection) -> list[str]:
    line.send("what was asked?")
    operations, _ = line.recv()
    return list(operations)


def _sdk(page_size: int) -> tuple[float, list[dict[str, object]]]:
    """The SDK's own reader, in a fresh session."""
    import wandb

    begun = time.perf_counter()
    run = wandb.Api(timeout=120).run("me/pricer/2x9f1k3a")
    rows = list(run.scan_history(page_size=page_size, use_cache=False))
    return time.perf_counter() - begun, rows


def _ours() -> tuple[float, object]:
    import runscope as rs

    begun = time.perf_counter()
    run = rs.load("me/pricer/2x9f1k3a")
    return time.perf_counter() - begun, run


def _of_project(line: Connection) -> int:
    """Measure and print how fast the runs of a project come."""
    import wandb

    import runscope as rs

    begun, used = time.perf_counter(), time.process_time()
    pulled = rs.pull("me/pricer")
    seconds, processor = time.perf_counter() - begun, time.process_time() - used
    requests = len(_asked(line))
    begun = time.perf_counter()
    rows = sum(
        len(list(run.scan_history(use_cache=False))) for run in wandb.Api(timeout=120).runs("me/pricer")
    )
    theirs, asked = time.perf_counter() - begun, len(_asked(line))
    count = len(pulled.runs)
    print(
        f"{count:,} runs of {SHORT_ROWS} rows; same number of rows: {rows == sum(r.rows for r in pulled.runs)}"
    )
    print(f"the SDK's loop   {theirs:8.1f} s {asked:6,} requests")
    print(
        f"runscope pull    {seconds:8.1f} s {requests:6,} requests {theirs / seconds:6.1f}x, "
        f"{1000 * processor / count:.1f} ms of processor a run"
    )
    return 0


def _same(rows: list[dict[str, object]], run: object) -> bool:
    """Whether every number of the SDK's rows is in the run, and nothing else."""
    series = run.series  # type: ignore[attr-defined]
    expected: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            if name not in ("_timestamp", "_runtime") and value is not None:
                expected.setdefault(name, []).append(float(value))  # type: ignore[arg-type]
    return expected.keys() == series.keys() and all(
        all(a == b or (a != a and b != b) for a, b in zip(values, series[n].value.tolist(), strict=True))
        for n, values in expected.items()
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--delay", type=float, default=0.15)
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=_serve,
        args=(options.rows if options.runs == 1 else SHORT_ROWS, options.delay, there, options.runs),
        daemon=True,
    )
    server.start()
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {
            "WANDB_BASE_URL": here.recv(), "WANDB_API_KEY": "k" * 40, "WANDB_SILENT": "true", "RUNSCOPE_HOME": home,
            "WANDB_CACHE_DIR": home,
        }  # fmt: skip
        import wandb

        import runscope.sources.wandb_cloud.source  # noqa: F401 - neither side pays for its imports

        wandb.setup()
        if options.runs > 1:
            done = _of_project(here)
            server.terminate()
            return done
        sdk_seconds, rows = _sdk(1000)
        sdk_requests = len(_asked(here))
        large_seconds, _ = _sdk(10_000)
        large_requests = len(_asked(here))
        first_seconds, run = _ours()
        first_requests = len(_asked(here))
        again = [_ours() for _ in range(SECOND_PULLS)]
        again_requests = len(_asked(here)) // SECOND_PULLS
    server.terminate()
    second_seconds = statistics.median(s for s, _ in again)
    same = _same(rows, run) and all(_same(rows, r) for _, r in again)
    print(f"{options.rows:,} rows, each page answered after {options.delay * 1000:.0f} ms; same rows: {same}")
    for what, seconds, requests in (
        ("SDK scan_history", sdk_seconds, sdk_requests),
        ("SDK scan_history, pages of 10,000", large_seconds, large_requests),
        ("runscope, first time", first_seconds, first_requests),
        (f"runscope, again (median of {SECOND_PULLS})", second_seconds, again_requests),
    ):
        print(f"{what:34} {seconds:8.3f} s {requests:5} requests {sdk_seconds / seconds:8.1f}x")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
