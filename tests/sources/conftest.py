"""Runs written by the real SDKs, once a session."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.wandb import KEY, Wandb, serve

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


_WRITE_CLOUD = """
import wandb
with wandb.init(project="pricer", name="first try", config={"lr": 1e-4, "model": {"size": 3}}, tags=["sft", "v2"],
                group="night", settings=wandb.Settings(console="off")) as run:
    run.define_metric("train/global_step")
    run.define_metric("*", step_metric="train/global_step", step_sync=True)
    for step in range(10, 2510, 10):
        row = {"train/loss": float("nan") if step == 500 else float("inf") if step == 510 else 3 / step,
               "train/global_step": step, "a.b": 1.0, "a": {"b": 2.0}}
        if step % 500 == 0:
            row["gradients/0.weight"] = wandb.Histogram(np_histogram=([1, 2, 1], [-1.0, -0.5, 0.5, step]))
        run.log(row)
        if step % 100 == 0:
            run.log({"eval/loss": 5 / step, "train/global_step": step})
"""


@pytest.fixture(scope="session")
def cloud_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that the real SDK wrote: what the stand-in for the service is filled with."""
    folder = tmp_path_factory.mktemp("cloud")
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DIR": str(folder)}
    subprocess.run([sys.executable, "-c", _WRITE_CLOUD], env=environment, cwd=folder, check=True, timeout=120)
    (file,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    return file


@pytest.fixture
def service(cloud_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Wandb]:
    """W&B on loopback with one run, the account and the store set up for it."""
    with serve() as running:
        running.add("me/pricer", cloud_file)
        settings = {
            "WANDB_BASE_URL": running.url, "WANDB_API_KEY": KEY, "WANDB_SILENT": "true",
            "NETRC": str(tmp_path / "netrc"), "RUNSCOPE_HOME": str(tmp_path / "store"),
            "WANDB_CACHE_DIR": str(tmp_path / "sdk"),
        }  # fmt: skip
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        for name in ("WANDB_ENTITY", "WANDB_PROJECT", "WANDB_MODE", "RUNSCOPE_PATIENCE_SECONDS"):
            monkeypatch.delenv(name, raising=False)
        yield running
