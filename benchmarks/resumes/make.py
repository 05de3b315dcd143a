"""Train, interrupt, resume with a fault, and write down what was logged.

    python benchmarks/resumes/make.py curves.jsonl.gz [--libraries plain trl] [--sizes small] [--workers 2]

Each line of the file is a run (``{"run": …, "config": …, "curves": name → [steps, values]}``) or a join
(``{"join": …, "first": run, "then": run, "start": step, "fault": …, "causes": […]}``).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from setup import FAULTS, HOLDOUT, KINDS, LIBRARIES, SIZES, TUNE, setup


def one(library: str, size: str, seed: int) -> list[dict[str, Any]]:
    """All lines of one training."""
    import torch

    torch.set_num_threads(1)
    made = setup(library, size, seed)
    if library in ("plain", "accelerate"):
        import plain

        joins = (plain.joins if library == "plain" else plain.accelerated)(made, KINDS[library])
    elif library == "lightning":
        import lightning_module

        joins = lightning_module.joins(made, KINDS[library])
    else:
        import hf

        joins = hf.joins(made, KINDS[library])
    lines: list[dict[str, Any]] = []
    for fault, log in joins:
        name = f"{made.name}-{fault}"
        lines.append({"run": name, "config": log.config, "curves": log.columns()})
        if fault != "first":
            restarts = fault == "from_weights_alone"
            lines.append(
                {
                    "join": name, "library": library, "size": size, "split": made.split, "fault": fault,
                    "causes": FAULTS[fault], "first": f"{made.name}-first", "then": name, "start": made.save_at,
                    "offset": made.save_at if restarts else 0, "clean": f"{made.name}-clean",
                }
            )  # fmt: skip
    return lines


def main() -> None:
    """Make all of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--libraries", nargs="*", default=LIBRARIES)
    parser.add_argument("--sizes", nargs="*", default=SIZES)
    parser.add_argument("--seeds", nargs="*", type=int, default=(TUNE, HOLDOUT))
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    wanted = [(lib, size, seed) for lib in given.libraries for size in given.sizes for seed in given.seeds]
    begun = time.monotonic()
    lines: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(one, *which): which for which in wanted}
        for done in as_completed(waiting):
            lines[waiting[done]] = done.result()
            print(waiting[done], f"{time.monotonic() - begun:.0f} s", flush=True)
    with gzip.GzipFile(given.file, "wb", mtime=0) as out:
        for which in wanted:
            out.writelines(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines[which])
    print(sum("join" in line for some in lines.values() for line in some), "joins")


if __name__ == "__main__":
    main()
