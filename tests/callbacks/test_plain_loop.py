"""A loop of one's own with a Recorder: really killed, resumed, begun anew."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import runscope as rs
from runscope.callbacks import Recorder

_LOOP = """
import os, signal, sys
from pathlib import Path
import numpy as np
from runscope.callbacks import Recorder

folder, begin, kill = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
told = {} if begin < 0 else {"start_step": begin}
recorder = Recorder(config={"lr": 0.1}, folder=folder, **told)
rng = np.random.default_rng(begin + 1)
for step in range(max(begin, 0) + 1, 401):
    if step % 5 == 0:
        recorder.log(step, {"train/loss": 0.5 + 2 * np.exp(-step / 60) + 0.05 * rng.standard_normal()})
    if step == kill:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def trained(folder: Path, begin: int, kill: int = 0) -> None:
    """One process of the loop; ``begin`` -1 does not tell the recorder where it began."""
    done = subprocess.run([sys.executable, "-c", _LOOP, str(folder), str(begin), str(kill)], check=False)
    assert done.returncode == (-signal.SIGKILL if kill else 0)


def test_a_loop_that_was_killed_twice_is_joined_where_it_was_resumed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    trained(out, 0, 252)
    trained(out, 200, 340)
    trained(out, 300)
    line = rs.stitch([str(out)])
    assert [segment.joined_at for segment in line.line[1:]] == [200, 300]
    assert {segment.method for segment in line.line[1:]} == {"resume_metadata"}
    assert min(segment.confidence for segment in line.line) > 0.95
    loss = line.role("train_loss")
    assert loss is not None
    assert loss.step.tolist() == list(range(5, 401, 5))
    assert not [f for f in rs.diagnose(str(out)).findings if f.code in ("LOG006", "LOG008")]


def test_a_training_that_begins_anew_in_the_same_folder_is_another_one(tmp_path: Path) -> None:
    trained(tmp_path, 0, 200)
    before = (tmp_path / "runscope.jsonl").read_bytes()
    trained(tmp_path, 0)
    assert rs.load(tmp_path).points == 80
    kept = tmp_path / "runscope-1.jsonl"
    assert kept.read_bytes() == before
    second = rs.stitch([str(kept), str(tmp_path / "runscope.jsonl")]).segments[1]
    assert not second.continues


def test_what_was_not_told_is_left_to_the_evidence(tmp_path: Path) -> None:
    trained(tmp_path, 0, 252)
    trained(tmp_path, 200, 340)
    with (tmp_path / "runscope.jsonl").open("a") as log:
        log.write('{"step": 345, "time": 1.0, "val')  # a machine that lost power while a row was written
    state = json.loads((tmp_path / "runscope.json").read_text())
    (tmp_path / "runscope.json").write_text(json.dumps(state)[:40])
    trained(tmp_path, 300)
    third = json.loads((tmp_path / "runscope.json").read_text())
    assert third["training"] is None
    assert third["parent"] is None
    run = rs.load(tmp_path)
    assert run.points == 50 + 28 + 20
    assert any("1 line cannot be read" in note for note in run.notes)
    line = rs.stitch([str(tmp_path)])
    assert len(line.line) == 3
    assert [round(segment.joined_at, -1) for segment in line.line[1:]] == [200, 300]


def test_only_the_first_of_several_processes_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    recorder = Recorder(folder=tmp_path, start_step=0)
    recorder.log(1, {"loss": 1.0})
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("RANK", "0")
    recorder = Recorder(folder=tmp_path, start_step=0)
    recorder.log(1, {"loss": float("nan"), "time": 3.0, "step": 7})
    run = rs.load(tmp_path)
    assert set(run.series) == {"loss", "time"}
    assert run.series["loss"].step.tolist() == [1]


def test_the_end_of_a_process_is_an_end_and_a_kill_is_none(tmp_path: Path) -> None:
    trained(tmp_path, 0, 252)
    assert rs.load(tmp_path).state == "unknown"
    trained(tmp_path, 200)
    run = rs.load(tmp_path)
    assert [part.state for part in run.parts] == ["killed", "finished"]
    failing = _LOOP + "raise ValueError('out of luck')"
    subprocess.run(
        [sys.executable, "-c", failing, str(tmp_path), "400", "0"], check=False, capture_output=True
    )
    trained(tmp_path, 0)
    recorder = Recorder(folder=tmp_path / "notebook", start_step=0)
    recorder.log(1, {"loss": 1.0})
    recorder.close()
    recorder.close()
    recorder.log(2, {"loss": 1.0})
    assert rs.load(tmp_path / "notebook").state == "finished"


def test_a_watch_tells_a_kill_from_an_end(tmp_path: Path) -> None:
    for kill, status in ((252, 1), (0, 0)):
        out = tmp_path / str(kill)
        trained(out, 0, kill)
        watched = subprocess.run(
            [sys.executable, "-m", "runscope", "watch", str(out), "--every", "0.2", "--idle", "0.01"],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert watched.returncode == status, watched.stdout + watched.stderr
        assert ("no end was recorded" in watched.stdout) == bool(kill)
