"""Runs written by the real SDKs, once a session."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_WRITE = """
import math, sys, wandb
with wandb.init(project="pricer", entity="me", dir=sys.argv[1], config={"lr": 1e-4, "optim": {"name": "adamw"}},
                settings=wandb.Settings(console="off")) as run:
    run.define_metric("train/global_step")
    run.define_metric("*", step_metric="train/global_step", step_sync=True)
    for i in range(400):
        loss = math.nan if i == 7 else math.inf if i == 8 else 2.0 / (i + 1)
        row = {"train/loss": loss, "train/größe": i, "train/global_step": 10 * (i + 1), "a.b": 1.0}
        if i % 100 == 99:
            row |= {"eval/loss": 3.0 / (i + 1), "a": {"b": 2.0}}
        if i == 0:
            row["gradients/0.weight"] = wandb.Histogram(np_histogram=([1, 2, 1], [-1.0, -0.5, 0.5, 1.0]))
        run.log(row)
if len(sys.argv) > 2:
    sys.exit(int(sys.argv[2]))
"""


@pytest.fixture(scope="session")
def wandb_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("offline")
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    subprocess.run(
        [sys.executable, "-c", _WRITE, str(folder)],
        check=True,
        env=environment,
        capture_output=True,
        timeout=120,
    )
    (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    return file
