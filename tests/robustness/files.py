"""One small whole file for each reader."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

from tests.hub import repos
from tests.sources import wandb_writer

STEPS = range(10, 410, 10)


def loss(step: int) -> float:
    return 1 + 1 / step


def state(path: Path) -> Path:
    log = [
        {"step": s, "epoch": s / 100, "loss": loss(s), "learning_rate": 1e-4, "grad_norm": 1.0} for s in STEPS
    ]
    path = path / "trainer_state.json"
    path.write_text(
        json.dumps(
            {"global_step": 400, "epoch": 4.0, "max_steps": 800, "log_history": log, "best_metric": None},
            indent=1,
        )
    )
    return path


def table(path: Path) -> Path:
    path = path / "log.csv"
    path.write_text("step,loss,lr\n" + "".join(f"{s},{loss(s)},0.0001\n" for s in STEPS))
    return path


def lines(path: Path) -> Path:
    path = path / "log.jsonl"
    path.write_text(
        "".join(json.dumps({"step": s, "loss": loss(s), "eval": {"loss": 2.0}}) + "\n" for s in STEPS)
    )
    return path


def console(path: Path) -> Path:
    path = path / "log.txt"
    path.write_text("".join(f"step {s} loss {loss(s):.6f} lr 0.0001\n" for s in STEPS))
    return path


def columns(path: Path) -> Path:
    path = path / "history.json"
    path.write_text(json.dumps({"loss": [loss(s) for s in STEPS], "val_loss": [2.0 for _ in STEPS]}))
    return path


def parquet(path: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = path / "log.parquet"
    pq.write_table(pa.table({"step": list(STEPS), "loss": [loss(s) for s in STEPS]}), path)
    return path


def wandb(path: Path) -> Path:
    rows = [wandb_writer.row(s, train_loss=loss(s)) for s in STEPS]
    payloads = [wandb_writer.record(n, history=row).SerializeToString() for n, row in enumerate(rows, 1)]
    return wandb_writer.write(path / "run-abc123.wandb", payloads)


def events(path: Path) -> Path:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    path = path / "events.out.tfevents.1700000000.host"
    with path.open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=1.7e9, file_version="brain.Event:2").SerializeToString())
        for s in STEPS:
            summary = Summary(value=[Summary.Value(tag="train/loss", simple_value=loss(s))])
            writer.write(Event(wall_time=1.7e9 + s, step=s, summary=summary).SerializeToString())
        writer.flush()
    return path


def trackio(path: Path) -> Path:
    """The tables of Trackio 0.20, as its source makes them."""
    path = path / "pricer.db"
    with closing(sqlite3.connect(path)) as c, c:
        c.execute(
            "CREATE TABLE metrics (id INTEGER PRIMARY KEY, timestamp TEXT, run_name TEXT, run_id TEXT, step INTEGER, "
            "metrics TEXT)"
        )
        c.execute("CREATE TABLE configs (id INTEGER PRIMARY KEY, run_name TEXT, run_id TEXT, config TEXT)")
        c.execute(
            "CREATE TABLE system_metrics (id INTEGER PRIMARY KEY, timestamp TEXT, run_name TEXT, run_id TEXT, "
            "metrics TEXT)"
        )
        for s in STEPS:
            when = f"2026-01-01T00:{s // 60:02d}:{s % 60:02d}"
            row = json.dumps({"loss": loss(s)})
            c.execute(
                "INSERT INTO metrics (timestamp, run_name, run_id, step, metrics) VALUES (?, 'a', 'r1', ?, ?)",
                (when, s, row),
            )
            c.execute(
                "INSERT INTO system_metrics (timestamp, run_name, run_id, metrics) VALUES (?, 'a', 'r1', ?)",
                (when, '{"gpu": 50}'),
            )
        c.execute("INSERT INTO configs (run_name, run_id, config) VALUES ('a', 'r1', '{\"lr\": 0.1}')")
    c.close()
    return path


def mlflow(path: Path) -> Path:
    """The columns that are read of MLflow's tables, with the kinds that its migrations give them."""
    path = path / "mlflow.db"
    with closing(sqlite3.connect(path)) as c, c:
        c.execute(
            "CREATE TABLE experiments (experiment_id INTEGER, name VARCHAR(256), lifecycle_stage VARCHAR(32))"
        )
        c.execute(
            "CREATE TABLE runs (run_uuid VARCHAR(32), name VARCHAR(250), experiment_id INTEGER, status VARCHAR(9), "
            "start_time BIGINT, end_time BIGINT, lifecycle_stage VARCHAR(20))"
        )
        c.execute("CREATE TABLE tags (key VARCHAR(250), value VARCHAR(5000), run_uuid VARCHAR(32))")
        c.execute("CREATE TABLE params (key VARCHAR(250), value VARCHAR(8000), run_uuid VARCHAR(32))")
        c.execute(
            "CREATE TABLE metrics (key VARCHAR(250), value FLOAT, timestamp BIGINT, run_uuid VARCHAR(32), step BIGINT, "
            "is_nan BOOLEAN)"
        )
        c.execute("INSERT INTO experiments VALUES (1, 'pricer', 'active')")
        c.execute(
            "INSERT INTO runs VALUES ('u1', 'first', 1, 'FINISHED', 1700000000000, 1700000400000, 'active')"
        )
        c.execute("INSERT INTO params VALUES ('lr', '0.1', 'u1')")
        for s in STEPS:
            c.execute(
                "INSERT INTO metrics VALUES ('loss', ?, ?, 'u1', ?, 0)",
                (loss(s), 1_700_000_000_000 + 1000 * s, s),
            )
            c.execute(
                "INSERT INTO metrics VALUES ('system/cpu', 50.0, ?, 'u1', 0, 0)",
                (1_700_000_000_000 + 1000 * s,),
            )
    c.close()
    return path


def folder(path: Path) -> Path:
    """MLflow's folder of one run; what is damaged is the file of a metric."""
    run = path / "mlruns" / "1" / "u1"
    (run / "metrics").mkdir(parents=True)
    (run / "params").mkdir()
    head = "lifecycle_stage: active\nexperiment_id: '1'\n"
    (run.parent / "meta.yaml").write_text(head + "name: pricer\n")
    (run / "meta.yaml").write_text(
        head + "run_id: u1\nrun_name: first\nstatus: 3\nstart_time: 1700000000000\nend_time: null\n"
    )
    file = run / "metrics" / "loss"
    file.write_text("".join(f"{1_700_000_000_000 + s} {loss(s)} {s}\n" for s in STEPS))
    return file


def adapter(path: Path) -> Path:
    """A folder with a checkpoint; what is damaged is its configuration."""
    return _checkpoint(path) / "adapter_config.json"


def weights(path: Path) -> Path:
    """The same; what is damaged are the weights."""
    return _checkpoint(path) / "adapter_model.safetensors"


def _checkpoint(path: Path) -> Path:
    place = path / "checkpoint-100"
    place.mkdir()
    for name, content in repos.adapter(1).items():
        (place / name).write_bytes(content)
    (place / "trainer_state.json").write_bytes(repos.state(100, 1.0))
    return place


RUNS: dict[str, Callable[[Path], Path]] = {
    "state": state, "table": table, "lines": lines, "console": console, "columns": columns, "parquet": parquet,
    "wandb": wandb, "events": events, "trackio": trackio, "mlflow": mlflow, "folder": folder,
}  # fmt: skip
CHECKPOINTS: dict[str, Callable[[Path], Path]] = {"adapter": adapter, "weights": weights}


def points(values: np.ndarray, steps: np.ndarray) -> set[tuple[int, float]]:
    """Steps and values as a set; NaN as its name."""
    return {(int(s), float(v)) for s, v in zip(steps, values, strict=True)}
