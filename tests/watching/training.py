"""A training that logs with the real SDK, offline, and moves on when a test lets it: run as a program.

``python training.py FOLDER``: 150 steps; then, when ``FOLDER/go-1`` is there, 150 more whose loss is no number if the
file says so; then, when ``FOLDER/go-2`` is there, it ends.
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

import wandb

FILLING = 40
"""Further metrics a row: the SDK writes its file in blocks of 32 KiB, and a test shall not wait for many rows."""


def wait_for(file: Path) -> str:
    while not file.exists():
        time.sleep(0.05)
    return file.read_text()


def main(folder: Path) -> None:
    settings = wandb.Settings(console="off", x_disable_stats=True, x_disable_meta=True)
    run = wandb.init(
        project="pricer",
        mode="offline",
        name="live",
        dir=str(folder),
        config={"max_steps": 3000},
        settings=settings,
    )
    broken = False
    for part in range(2):
        if part:
            broken = "nan" in wait_for(folder / "go-1")
        for number in range(150 * part + 1, 150 * (part + 1) + 1):
            step = 10 * number
            loss = math.nan if broken else 0.5 + 2.5 * math.exp(-step / 600) + 0.02 * math.sin(7 * number)
            row = {
                "train/global_step": step,
                "train/loss": loss,
                "train/grad_norm": 1 + 0.1 * math.sin(number),
            }
            run.log(row | {f"filling/{k}": float(number * k) for k in range(FILLING)})
        (folder / f"done-{part + 1}").touch()
    wait_for(folder / "go-2")
    run.finish()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
