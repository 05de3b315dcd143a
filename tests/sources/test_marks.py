"""A run on this disk that has changed is seen to have, whatever its files are called."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from runscope.api import live
from runscope.sources.marks import mark_of
from runscope.watching import WatchSettings

START_MS = 1_700_000_000_000


def write_mlflow(folder: Path, steps: int, *, status: int = 1) -> Path:
    """A run of MLflow's folder store: a file a metric, called after it. Status 1 is running, 3 finished."""
    run = folder / "mlruns" / "1" / "0123456789abcdef"
    (run / "metrics" / "train").mkdir(parents=True, exist_ok=True)
    (run / "params").mkdir(exist_ok=True)
    meta = {
        "run_id": run.name,
        "run_name": "first",
        "experiment_id": "1",
        "status": str(status),
        "lifecycle_stage": "active",
    }
    if not (run / "meta.yaml").exists():
        (run / "meta.yaml").write_text("".join(f"{k}: {v}\n" for k, v in meta.items()))
        (run.parent / "meta.yaml").write_text("experiment_id: '1'\nname: pricer\nlifecycle_stage: active\n")
    rows = [f"{START_MS + s} {2 / (1 + s / 50)} {s}\n" for s in range(0, steps, 10)]
    (run / "metrics" / "train" / "loss").write_text("".join(rows))
    return run


@pytest.mark.parametrize("reference", ["mlruns", "mlruns/1/0123456789abcdef"])
def test_new_rows_of_an_mlflow_folder_are_seen(
    reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    write_mlflow(tmp_path, 500)
    watcher = live.watch([str(tmp_path / reference)], watching=WatchSettings(idle_seconds=1e12))
    said = []
    for steps in (500, 600, 700):
        write_mlflow(tmp_path, steps)
        said += [e.facts["step"] for e in watcher.look(START_MS / 1000) if e.kind == "rows"]
    assert said == [490, 590, 690]


def test_rows_that_wait_beside_a_database_are_seen(tmp_path: Path) -> None:
    """As Trackio writes: the file itself follows when the log is long, or at the end."""
    file = tmp_path / "pricer.db"
    with closing(sqlite3.connect(file)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE metrics (step INTEGER)")
        writer.commit()
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        before, size = mark_of(str(file)), file.stat().st_mtime_ns
        writer.execute("INSERT INTO metrics VALUES (1)")
        writer.commit()
        assert file.stat().st_mtime_ns == size
        assert mark_of(str(file)) != before


def test_weights_are_no_logs(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-1").mkdir()
    (tmp_path / "checkpoint-1" / "trainer_state.json").write_text("{}")
    before = mark_of(str(tmp_path))
    for name in ("model.safetensors", "optimizer.pt", "rng_state.pth"):
        (tmp_path / "checkpoint-1" / name).write_bytes(b"x" * 100)
    assert mark_of(str(tmp_path)) == before
    os.truncate(tmp_path / "checkpoint-1" / "trainer_state.json", 1)
    assert mark_of(str(tmp_path)) != before
