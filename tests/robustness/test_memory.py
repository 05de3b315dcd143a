"""A reader's peak of memory against the size of its file, each in a process of its own."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.robustness import files
from tests.sources import wandb_writer

FEW, ROWS = 15_000, 60_000
"""Both read by the same libraries, whose own size cancels out."""
TABLE = 3
"""So many times the rows: what a table's own reading takes is hidden by that of libraries in a small one."""
MOST = 4
"""Times the file."""
# A child starts with its parent's peak, so that a small process stands between this one and the one that is measured.
_BETWEEN = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]], check=True)"
_PEAK = """
import resource, sys
from runscope.sources import load
load(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def logged(step: int) -> dict[str, float]:
    return {
        "loss": files.loss(step),
        "eval_loss": 2 + 1 / step,
        "learning_rate": 1 / step,
        "epoch": step / 100,
    }


def state(folder: Path, rows: int) -> Path:
    path = folder / "trainer_state.json"
    log = [{"step": step, **logged(step)} for step in range(1, rows)]
    path.write_text(json.dumps({"global_step": rows, "log_history": log}, indent=2))
    return path


def table(folder: Path, rows: int) -> Path:
    path = folder / "log.csv"
    lines = (",".join(map(str, (step, *logged(step).values()))) for step in range(1, TABLE * rows))
    path.write_text("\n".join((f"step,{','.join(logged(1))}", *lines, "")))
    return path


def lines(folder: Path, rows: int) -> Path:
    path = folder / "log.jsonl"
    path.write_text(
        "".join(json.dumps({"step": step, **logged(step)}) + "\n" for step in range(1, TABLE * rows))
    )
    return path


def digits(folder: Path, rows: int) -> Path:
    """Cells of a few digits, each of which becomes a number of eight bytes."""
    path = folder / "log.csv"
    lines = (f"{n},{files.loss(n):.6f},{1 / n:.5f},{n / 1000:.3f}\n" for n in range(1, 2 * TABLE * rows))
    path.write_text("step,loss,accuracy,epoch\n" + "".join(lines))
    return path


def long(folder: Path, rows: int) -> Path:
    path = folder / "log.csv"
    metrics = ("train/loss", "eval/loss", "learning_rate", "epoch")
    path.write_text(
        "step,metric,value\n"
        + "".join(f"{n // 4},{metrics[n % 4]},{files.loss(n)}\n" for n in range(1, 2 * TABLE * rows))
    )
    return path


def console(folder: Path, rows: int) -> Path:
    path = folder / "log.txt"
    path.write_text("".join(f"{logged(step)}\n" for step in range(1, rows)))
    return path


def columns(folder: Path, rows: int) -> Path:
    path = folder / "history.json"
    path.write_text(json.dumps({n: [files.loss(s) for s in range(1, TABLE * rows)] for n in ("loss", "mae")}))
    return path


def mlflow(folder: Path, rows: int) -> Path:
    path = files.mlflow(folder)
    with closing(sqlite3.connect(path)) as connection, connection:
        points = ((files.loss(s), 1_700_000_000_000 + s, s) for s in range(1, TABLE * rows))
        connection.executemany("INSERT INTO metrics VALUES ('loss', ?, ?, 'u1', ?, 0)", points)
    connection.close()
    return path


def mlruns(folder: Path, rows: int) -> Path:
    path = files.folder(folder)
    path.write_text("".join(f"{1_700_000_000_000 + s} {files.loss(s)} {s}\n" for s in range(1, TABLE * rows)))
    return path


def wandb(folder: Path, rows: int) -> Path:
    payloads = [
        wandb_writer.record(n, history=wandb_writer.row(n, **logged(n))).SerializeToString()
        for n in range(1, rows)
    ]
    return wandb_writer.write(folder / "run-abc123.wandb", payloads)


def peak(file: Path) -> int:
    """Kilobytes."""
    words = [sys.executable, "-c", _BETWEEN, "-c", _PEAK, str(file)]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="getrusage counts in other units elsewhere")
@pytest.mark.parametrize("make", [state, wandb, table, digits, long, lines, columns, console, mlflow, mlruns])
def test_reading_takes_no_more_than_four_times_the_file(
    make: Callable[[Path, int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    (tmp_path / "small").mkdir()
    small, large = make(tmp_path / "small", FEW), make(tmp_path, ROWS)
    grown = large.stat().st_size - small.stat().st_size
    took = (peak(readable(large)) - peak(readable(small))) * 1024
    assert took < MOST * grown, f"{took / grown:.1f} times the file"


def readable(file: Path) -> Path:
    """What is named to read a file: of a metric of MLflow's the folder of its run."""
    return file.parents[1] if file.parent.name == "metrics" else file
