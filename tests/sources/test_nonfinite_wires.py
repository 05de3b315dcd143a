"""NaN and infinities on every wire that runscope reads or writes: none is lost, none is made up."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runscope.history import Run, Series, Timeline
from runscope.history.axes import write_table
from runscope.reporting import run_json
from runscope.sources import load
from runscope.store import RunKey, RunStore

LOGGED = {0: 1.5, 10: math.nan, 20: math.inf, 30: -math.inf, 50: 0.25}
"""Step → value. Nothing is logged at step 40, where another metric is."""

_WANDB = """
import math, sys, wandb
settings = wandb.Settings(console="off", x_history_value_encoding=sys.argv[2])
with wandb.init(project="p", dir=sys.argv[1], settings=settings) as run:
    for step, value in ((0, 1.5), (10, math.nan), (20, math.inf), (30, -math.inf), (40, None), (50, 0.25)):
        run.log(({} if value is None else {"loss": value}) | {"other": 1.0, "global_step": step})
"""


def _wandb(folder: Path, encoding: str) -> Path:
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    words = [sys.executable, "-c", _WANDB, str(folder), encoding]
    subprocess.run(words, check=True, env=environment, capture_output=True, timeout=120)
    (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    return file


def _trainer_state(folder: Path) -> Path:
    callbacks = pytest.importorskip("transformers.trainer_callback", reason="transformers is missing")
    history = [{"loss": v, "step": s} for s, v in LOGGED.items()] + [{"other": 1.0, "step": 40}]
    callbacks.TrainerState(log_history=history, global_step=50).save_to_json(
        str(folder / "trainer_state.json")
    )
    return folder


def _rows() -> list[dict[str, Any]]:
    return [
        {"step": s, "other": 1.0} | ({"loss": LOGGED[s]} if s in LOGGED else {}) for s in range(0, 60, 10)
    ]


def _csv(folder: Path, texts: dict[str, str]) -> Path:
    cells = [(r["step"], texts.get(str(r.get("loss", "")), str(r.get("loss", "")))) for r in _rows()]
    (folder / "metrics.csv").write_text("step,loss,other\n" + "".join(f"{s},{v},1.0\n" for s, v in cells))
    return folder / "metrics.csv"


def _json_lines(folder: Path, texts: dict[str, str]) -> Path:
    lines = [json.dumps(row) for row in _rows()]
    for token, text in texts.items():
        lines = [line.replace(f'"loss": {token}}}', f'"loss": {text}}}') for line in lines]
    (folder / "metrics.jsonl").write_text("\n".join(lines))
    return folder / "metrics.jsonl"


def _tensorboard(folder: Path) -> Path:
    writers = pytest.importorskip("torch.utils.tensorboard", reason="torch or tensorboard is missing")
    with writers.SummaryWriter(str(folder)) as out:
        for step, value in LOGGED.items():
            out.add_scalar("loss", value, step)
        out.add_scalar("other", 1.0, 40)
    return folder


def _parquet(folder: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: pa.array([row.get(name) for row in _rows()]) for name in ("step", "loss", "other")}
    pq.write_table(pa.table(columns), folder / "history.parquet")
    return folder / "history.parquet"


def _own(folder: Path, ending: str) -> Path:
    series = {
        "loss": Series.of("loss", list(LOGGED), list(LOGGED.values())),
        "other": Series.of("other", range(0, 60, 10), np.ones(6)),
    }
    write_table(Timeline.of(Run("x", "x", "x", "table", series)).to_pandas(), folder / f"line.{ending}")
    return folder / f"line.{ending}"


WIRES: dict[str, Callable[[Path], Path]] = {
    "W&B, JSON values": lambda f: _wandb(f, "json"),
    "W&B, typed values": lambda f: _wandb(f, "json,typed"),
    "Trainer state": _trainer_state,
    "TensorBoard": _tensorboard,
    "CSV, as Python writes it": lambda f: _csv(f, {}),
    "CSV, as pandas and JavaScript write it": lambda f: _csv(
        f, {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    ),
    "JSON lines, as Python writes it": lambda f: _json_lines(f, {}),
    "JSON lines, as W&B writes it": lambda f: _json_lines(
        f, {"NaN": '"NaN"', "Infinity": '"Infinity"', "-Infinity": '"-Infinity"'}
    ),
    "Parquet": _parquet,
    "runscope's CSV": lambda f: _own(f, "csv"),
    "runscope's Parquet": lambda f: _own(f, "parquet"),
}


@pytest.mark.parametrize("wire", WIRES)
def test_what_was_logged_arrives_and_nothing_else(wire: str, tmp_path: Path) -> None:
    run = load(WIRES[wire](tmp_path))
    loss = run.series["loss"]
    assert loss.step.tolist() == list(LOGGED)
    np.testing.assert_array_equal(loss.value, list(LOGGED.values()))
    assert 40 in run.series["other"].step


def test_our_own_json_is_json_and_keeps_them_as_words(tmp_path: Path) -> None:
    run = load(_csv(tmp_path, {}))
    text = json.dumps(run_json(run), allow_nan=False)
    first = json.loads(text)["metrics"][0]
    assert (first["points"], first["non_finite"], first["min"], first["max"]) == (5, 3, 0.25, 1.5)
    broken = run_json(Run("x", "x", "x", "table", {"loss": Series.of("loss", [1, 2], [math.nan, -math.inf])}))
    assert (broken["metrics"][0]["first"], broken["metrics"][0]["last"]) == ("NaN", "-Infinity")


def test_the_store_keeps_them(tmp_path: Path) -> None:
    import pyarrow as pa

    store, key = RunStore(tmp_path / "runs"), RunKey("wandb.ai", "me/pricer", "1")
    store.put(key, pa.table({"loss": pa.array([*LOGGED.values(), None], pa.float64())}), {"name": "n"})
    kept = store.get(key)
    assert kept is not None
    column = kept.table["loss"]
    assert column.null_count == 1
    np.testing.assert_array_equal(column.drop_null().to_numpy(), list(LOGGED.values()))
