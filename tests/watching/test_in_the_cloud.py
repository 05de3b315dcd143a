"""The command beside a run in W&B's cloud: the service is on loopback and gets its rows while it is watched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.wandb import KEY, Wandb, serve
from tests.servers.wandb_runs import StoredRun
from tests.watching.test_live import PATIENCE_SECONDS, TRAINING, Watch

FIRST_ROWS = 150


@pytest.fixture(scope="module")
def broken_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 rows that go well, and 150 whose loss is no number."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "go-1").write_text("nan")
    (folder / "go-2").touch()
    environment = {**os.environ, "WANDB_SILENT": "true"}
    subprocess.run(
        [sys.executable, str(TRAINING), str(folder)], env=environment, check=True, timeout=PATIENCE_SECONDS
    )
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    return file


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Wandb]:
    with serve() as running:
        settings = {"WANDB_BASE_URL": running.url, "WANDB_API_KEY": KEY, "NETRC": str(tmp_path / "netrc"),
                    "RUNSCOPE_PATIENCE_SECONDS": "0"}  # fmt: skip
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        for name in ("WANDB_ENTITY", "WANDB_PROJECT", "WANDB_MODE"):
            monkeypatch.delenv(name, raising=False)
        yield running


def begun(service: Wandb, file: Path) -> tuple[StoredRun, str]:
    """The run as the service has it after its first rows, and its path."""
    run = service.add("me/pricer", file)
    run.goes_on(FIRST_ROWS)
    return run, f"me/pricer/{run.id}"


@pytest.mark.slow
def test_a_loss_that_stops_being_a_number_stops_it(service: Wandb, broken_file: Path, tmp_path: Path) -> None:
    run, path = begun(service, broken_file)
    watch = Watch(tmp_path, path, "--fail-on", "critical")
    assert watch.until(event="rows")["facts"]["step"] == 10 * FIRST_ROWS
    run.goes_on(FIRST_ROWS + 30)
    found = watch.until(event="finding", code="LOS001")
    assert (found["severity"], found["step"]) == ("critical", 10 * (FIRST_ROWS + 1))
    assert watch.end() == 1
    begins = [words["minStep"] for words in service.asked]
    assert begins[0] == 0
    assert min(begins[1:]) >= FIRST_ROWS - 1  # of a run that goes on only the new rows are asked for


@pytest.mark.slow
def test_an_outage_is_said_once_and_its_end_too(service: Wandb, broken_file: Path, tmp_path: Path) -> None:
    run, path = begun(service, broken_file)
    watch = Watch(tmp_path, path)
    watch.until(event="rows")
    service.fail = 503
    watch.until(event="trouble")
    service.fail = None
    watch.until(event="well")
    run.goes_on(FIRST_ROWS, state="crashed")
    watch.until(event="ended")
    assert watch.end() == 0
    assert [e["event"] for e in watch.events].count("trouble") == 1
