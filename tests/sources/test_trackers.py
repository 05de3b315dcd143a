"""Runs that Trackio and MLflow keep in files: written by the real SDKs, in processes of their own."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from runscope.errors import SeveralRuns, UnknownReference, UnreadableRun
from runscope.sources import list_references, load

VALUES = [1.0, 0.5, np.nan, np.inf, -np.inf, 0.2]

_TRACKIO = """
import math, trackio
for name in ("first", "second"):
    run = trackio.init(project="pricer", name=name, config={"lr": 1e-4}, embed=False, auto_log_gpu=False,
                       auto_log_cpu=False)
    for i, value in enumerate([1.0, 0.5, math.nan, math.inf, -math.inf, 0.2]):
        row = {"train/loss": value, "optim": {"lr": 0.1 * i}, "note": "text"}
        trackio.log(row | ({"eval/loss": 2.0} if i == 5 else {}), step=10 * i)
    trackio.log_system({"gpu/0/utilization": 87.5})
    trackio.finish()
"""
_MLFLOW = """
import math, sys, mlflow
from mlflow.entities import Metric, Param
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("pricer")
VALUES, START = [1.0, 0.5, math.nan, math.inf, -math.inf, 0.2], 1_700_000_000_000
for name in ("first", "second", "second", "deleted", "broken"):
    run = mlflow.start_run(run_name=name)
    metrics = [Metric("train/loss", v, START + 1000 * i, 10 * i) for i, v in enumerate(VALUES)]
    metrics += [Metric("plain", i, START + 1000 * i, 0) for i in range(6)]
    metrics += [Metric("eval_loss", 2.0, START + 5000, 50)]
    metrics += [Metric("system/cpu_utilization_percentage", 50.0, START + 3000, 0)]
    params = [Param("lr", "0.0001"), Param("epochs", "3"), Param("optim.name", "adamw")]
    mlflow.MlflowClient().log_batch(run.info.run_id, metrics=metrics, params=params)
    mlflow.end_run("FAILED" if name == "broken" else "FINISHED")
    if name == "deleted":
        mlflow.delete_run(run.info.run_id)
"""


def _run(code: str, *words: str, **environment: str) -> None:
    # A home of its own: neither SDK may find an account, nor leave anything behind.
    known = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRACKIO_", "MLFLOW_"))}
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *words],
        env={**known, "GRADIO_ANALYTICS_ENABLED": "False", "MLFLOW_DISABLE_TELEMETRY": "true", **environment},
        check=True, capture_output=True, timeout=240,
    )  # fmt: skip


@pytest.fixture(scope="session")
def trackio_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("trackio") is None:
        pytest.skip("trackio is not installed")
    folder = tmp_path_factory.mktemp("trackio")
    _run(_TRACKIO, TRACKIO_DIR=str(folder), HOME=str(folder))
    return folder / "pricer.db"


@pytest.fixture(scope="session", params=["folder", "database"])
def mlflow_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    needed = ["mlflow"] if request.param == "folder" else ["mlflow", "sqlalchemy", "alembic"]
    if missing := [name for name in needed if find_spec(name) is None]:
        pytest.skip(f"{', '.join(missing)} is not installed")
    folder = tmp_path_factory.mktemp("mlflow")
    place = folder / ("mlruns" if request.param == "folder" else "mlflow.db")
    address = place.as_uri() if request.param == "folder" else f"sqlite:///{place}"
    _run(_MLFLOW, address, HOME=str(folder), MLFLOW_ALLOW_FILE_STORE="true")
    return place


def test_trackio_asks_which_run(trackio_file: Path) -> None:
    with pytest.raises(SeveralRuns) as caught:
        load(trackio_file)
    assert caught.value.references == (f"{trackio_file}::first", f"{trackio_file}::second")
    assert f"{trackio_file}::first" in list_references(str(trackio_file.parent))


def test_trackio_reads_a_run(trackio_file: Path) -> None:
    run = load(f"{trackio_file}::second")
    loss = run.series["train/loss"]
    assert loss.step.tolist() == [0, 10, 20, 30, 40, 50]
    np.testing.assert_array_equal(loss.value, VALUES)
    assert np.all(np.isfinite(loss.time))
    assert run.series["optim.lr"].value.tolist() == [0.1 * i for i in range(6)]
    assert run.series["eval/loss"].step.tolist() == [50]
    assert (run.name, run.source, run.project) == ("second", "trackio", "pricer")
    assert run.config == {"lr": 1e-4}
    assert run.system["gpu/0/utilization"].value.tolist() == [87.5]


def test_trackio_files_from_before_runs_had_ids(trackio_file: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    with (
        closing(sqlite3.connect(trackio_file)) as new,
        closing(sqlite3.connect(old)) as connection,
        connection,
    ):
        connection.execute(
            "CREATE TABLE metrics (id INTEGER PRIMARY KEY, timestamp TEXT, run_name TEXT, step INTEGER, metrics TEXT)"
        )
        rows = new.execute("SELECT timestamp, run_name, step, metrics FROM metrics ORDER BY id").fetchall()
        connection.executemany(
            "INSERT INTO metrics (timestamp, run_name, step, metrics) VALUES (?, ?, ?, ?)", rows
        )
    connection.close()
    new.close()
    np.testing.assert_array_equal(load(f"{old}::first").series["train/loss"].value, VALUES)


def test_trackio_runs_that_share_a_name_are_told_apart_by_id(trackio_file: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(trackio_file, tmp_path / "copy.db"))
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE metrics SET run_name = 'same'")
    connection.close()
    with pytest.raises(SeveralRuns) as caught:
        load(f"{copy}::same")
    assert len(caught.value.references) == 2
    assert {load(r).name for r in caught.value.references} == {"same"}


def test_mlflow_asks_which_run(mlflow_place: Path) -> None:
    with pytest.raises(SeveralRuns) as caught:
        load(mlflow_place)
    assert len(caught.value.references) == 4, "deleted runs are none"
    assert caught.value.references[0] == f"{mlflow_place}::first"
    assert "(second)" in caught.value.message
    runs = [load(r) for r in caught.value.references]
    assert [run.name for run in runs] == ["first", "second", "second", "broken"]
    assert runs[3].state == "failed"


def test_mlflow_reads_a_run(mlflow_place: Path) -> None:
    run = load(f"{mlflow_place}::first")
    loss = run.series["train/loss"]
    assert loss.step.tolist() == [0, 10, 20, 30, 40, 50]
    np.testing.assert_array_equal(loss.value, VALUES)
    assert loss.time.tolist() == [1.7e9 + i for i in range(6)]
    assert run.series["plain"].step.tolist() == list(range(6))
    assert any(note.startswith("plain: logged without a step") for note in run.notes)
    assert (run.state, run.project, run.source) == ("finished", "pricer", "mlflow")
    assert run.config == {"lr": 1e-4, "epochs": 3, "optim.name": "adamw"}
    assert run.system["system/cpu_utilization_percentage"].value.tolist() == [50.0]
    assert (run.roles["train_loss"], run.roles["eval_loss"]) == ("train/loss", "eval_loss")


def test_mlflow_by_id_and_by_a_wrong_name(mlflow_place: Path) -> None:
    first = load(f"{mlflow_place}::first")
    assert load(f"{mlflow_place}::{first.id}").id == first.id
    with pytest.raises(UnknownReference) as caught:
        load(f"{mlflow_place}::fist")
    assert f"did you mean {mlflow_place}::first?" in caught.value.hint


@pytest.mark.parametrize("mlflow_place", ["folder"], indirect=True)
def test_mlflow_folders_of_an_experiment_and_of_a_run(mlflow_place: Path) -> None:
    run = load(f"{mlflow_place}::first")
    (folder,) = mlflow_place.glob(f"*/{run.id}")
    assert load(folder).points == run.points
    assert load(f"{folder.parent}::first").id == run.id
    assert f"{mlflow_place}::first" in list_references(str(mlflow_place))


@pytest.mark.parametrize("mlflow_place", ["folder"], indirect=True)
def test_mlflow_lines_that_are_no_metric_are_counted(mlflow_place: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(mlflow_place, tmp_path / "mlruns"))
    run = load(f"{copy}::first")
    with next(copy.glob(f"*/{run.id}")).joinpath("metrics", "train", "loss").open("ab") as file:
        file.write(b"17000000\xff")
    again = load(f"{copy}::first")
    assert len(again.series["train/loss"]) == 6
    assert "1 lines are no metric and were left out" in again.notes


@pytest.mark.parametrize("size", [0, 15, 100, 5000])
def test_a_cut_database(size: int, trackio_file: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.db"
    cut.write_bytes(trackio_file.read_bytes()[:size])
    with pytest.raises((UnreadableRun, UnknownReference)) as caught:
        load(f"{cut}::first")
    assert caught.value.hint


def test_a_database_of_a_program_that_still_runs(trackio_file: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(trackio_file, tmp_path / "live.db"))
    writer = sqlite3.connect(copy)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE metrics SET step = step + 1")
    assert load(f"{copy}::first").series["train/loss"].step[0] == 0, "what was not committed is not there"
    writer.commit()
    assert load(f"{copy}::first").series["train/loss"].step[0] == 1
    writer.close()


def test_a_database_on_a_read_only_disk(trackio_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    copy = Path(shutil.copy(trackio_file, folder / "copy.db"))
    before = copy.read_bytes()
    folder.chmod(0o555)
    try:
        assert load(f"{copy}::first").points > 0
    finally:
        folder.chmod(0o755)
    assert copy.read_bytes() == before
