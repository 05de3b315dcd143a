"""A run as a whole: how it began and ended, its files joined, and what is said of those that are damaged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from runscope.errors import SeveralRuns
from runscope.history import Run
from runscope.sources import load
from runscope.sources.wandb_file.log import BLOCK_BYTES, Log
from tests.sources.wandb_writer import exit_record, messages, record, row, run_file, run_record, write_run


def _folder(base: Path, day: int, run_id: str) -> Path:
    return base / f"offline-run-202409{day:02}_130000-{run_id}"


def _rows(first: int, last: int, offset: int = 0) -> list[Any]:
    """Rows whose training step is ``offset`` more than W&B's own counter."""
    return [row(step, train_loss=float(offset + step)) for step in range(first, last)]


def _losses(run: Run) -> list[str]:
    return [note for note in run.notes if "lost" in note]


# What is lost


def _damage(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at : at + 4] = b"\xff" * 4
    file.write_bytes(data)


def test_a_damaged_place_is_named_by_the_records_and_steps_it_cost(tmp_path: Path) -> None:
    file = run_file(tmp_path, "x", _rows(0, 3000))
    _damage(file, 3 * BLOCK_BYTES + 5000)
    run = load(file)
    steps = run.series["train/loss"].step
    (gap,) = [i for i in range(1, len(steps)) if steps[i] != steps[i - 1] + 1]
    before, after = int(steps[gap - 1]), int(steps[gap])
    assert _losses(run) == [
        f"{after - before - 1:,} records are damaged and lost between step {before:,} and {after:,}; the rest was read"
    ]
    assert steps[-1] == 2999


def test_many_damaged_places_are_told_in_one_sentence(tmp_path: Path) -> None:
    file = run_file(tmp_path, "x", _rows(0, 4000))
    for block in range(1, 6):
        _damage(file, block * BLOCK_BYTES + 9000)
    run = load(file)
    lost = 4000 - len(run.series["train/loss"])
    (note,) = _losses(run)
    assert note.startswith(f"{lost:,} records are lost at 5 damaged places from step ")


def test_a_zero_filled_end(tmp_path: Path) -> None:
    file = run_file(tmp_path, "x", _rows(0, 1000))
    data = file.read_bytes()
    file.write_bytes(data[:50_000] + bytes(len(data) - 50_000))
    run = load(file)
    last = int(run.series["train/loss"].step[-1])
    assert 0 < last < 999
    assert _losses(run) == [f"some records are damaged and lost after step {last:,}; the rest was read"]
    assert run.state == "killed"


def test_a_file_that_still_grows_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    data = run_file(tmp_path, "x", _rows(0, 500)).read_bytes()
    growing = tmp_path / "run-g.wandb"
    seen = 0
    for size in range(2000, len(data), 7919):
        growing.write_bytes(data[:size])
        run = load(growing)
        assert len(run.series["train/loss"]) >= seen
        assert not _losses(run)
        seen = len(run.series["train/loss"])
    assert seen > 400


def test_damage_before_everything_and_in_a_record_of_parts(tmp_path: Path) -> None:
    file = run_file(tmp_path, "x", _rows(0, 1500))
    _damage(file, 20)
    run = load(file)
    first = int(run.series["train/loss"].step[0])
    assert _losses(run)[0].endswith(f"lost before step {first:,}; the rest was read")
    assert run.id == "x"  # the name of the file stands in for the record that is lost


def test_a_summary_that_is_damaged_costs_nothing(tmp_path: Path) -> None:
    """Nobody reads it."""
    records: list[Any] = [run_record(1, "x")]
    for step in range(200):
        summary = messages.SummaryRecord()
        summary.update.add(nested_key=["train/loss"], value_json="123456789")
        records += [
            record(2 * step + 2, summary=summary),
            record(2 * step + 3, history=row(step, train_loss=1.0)),
        ]
    file = write_run(tmp_path / "run-x.wandb", [*records, exit_record(402)])
    _damage(file, file.read_bytes().index(b"123456789", 20_000))
    run = load(file)
    assert len(run.series["train/loss"]) == 200
    assert run.notes == ()


def test_the_log_counts_what_it_read(tmp_path: Path) -> None:
    file = run_file(tmp_path, "x", _rows(0, 100))
    with file.open("rb") as stream:
        log = Log(stream)
        assert sum(len(window) for window in log.windows()) == log.records == 102
    assert (log.damages, log.cut) == ([], False)


# How it began and ended


@pytest.mark.parametrize(
    ("code", "state"), [(0, "finished"), (1, "failed"), (-9, "failed"), (None, "killed")]
)
def test_how_it_ended(code: int | None, state: str, tmp_path: Path) -> None:
    assert load(run_file(tmp_path, "x", _rows(0, 5), code=code)).state == state


def test_configuration_output_and_machine(tmp_path: Path) -> None:
    environment = messages.EnvironmentRecord(
        host="node7", program="train.py", args=["--lr", "1e-4"], gpu_type="H100"
    )
    environment.git.commit = "abc123"
    config = messages.ConfigRecord()
    config.update.add(key="lr", value_json="0.0001")
    config.update.add(nested_key=["optim", "name"], value_json='"adamw"')
    config.update.add(key="gone", value_json="1")
    config.update.add(key="_wandb", value_json='{"branch_point": {"run_id": "parent", "step": 7}}')
    removed = messages.ConfigRecord()
    removed.remove.add(key="gone")
    text = "".join(f"line {i}\n" for i in range(49)) + " 10%\r 50%\r\x1b[A100%\r"
    lines = [messages.OutputRawRecord(line=text[i : i + 8]) for i in range(0, len(text), 8)]
    records = [
        run_record(1, "x", display_name="brisk-7"), record(2, environment=environment), record(3, config=config),
        record(4, config=removed), record(5, history=row(8, train_loss=1.0)),
        *(record(6 + i, output_raw=line) for i, line in enumerate(lines)),
        record(99, preempting=messages.RunPreemptingRecord()),
    ]  # fmt: skip
    run = load(write_run(tmp_path / "run-x.wandb", records))
    assert (run.name, run.project, run.started_at) == ("brisk-7", "me/pricer", 1000.0)
    assert run.config == {"lr": 1e-4, "optim.name": "adamw"}
    assert run.environment == {
        "host": "node7", "program": "train.py", "args": ["--lr", "1e-4"], "gpu": "H100", "commit": "abc123",
    }  # fmt: skip
    assert run.console == (*(f"line {i}" for i in range(30, 49)), "100%")
    assert run.lineage is not None
    assert (run.lineage.kind, run.lineage.run_id, run.lineage.step) == ("fork", "parent", 7)
    assert any("preempted" in note for note in run.notes)


def test_the_axis_declared_for_everything_wins(tmp_path: Path) -> None:
    rows = [row(i, train_loss=1.0, my_step=10 * i, other=i) for i in range(5)]
    one = messages.MetricRecord(name="eval/loss", step_metric="other")
    all_of_them = messages.MetricRecord(glob_name="*", step_metric="my/step")
    records = [
        run_record(1, "x"),
        record(2, metric=one),
        record(3, metric=one),
        record(4, metric=all_of_them),
    ]
    records += [record(5 + i, history=r) for i, r in enumerate(rows)]
    run = load(write_run(tmp_path / "run-x.wandb", records))
    assert run.step_key == "my/step"
    assert run.series["train/loss"].step.tolist() == [0, 10, 20, 30, 40]


# Several files of one run


def test_files_of_one_run_are_joined_by_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tmp_path / "wandb"
    run_file(_folder(base, 1, "abc"), "abc", _rows(0, 10), code=None)
    again = run_record(1, "abc", started=2000, resume=True)
    run_file(_folder(base, 2, "abc"), "abc", _rows(0, 5, 100), first=again)
    run_file(_folder(base, 3, "other"), "other", _rows(0, 3))
    monkeypatch.chdir(tmp_path)
    run = load("abc")
    assert run.series["train/loss"].value.tolist() == [*range(10), *range(100, 105)]
    assert run.series["train/loss"].step.tolist() == list(range(15))  # its counter began at 0 again
    assert (run.state, run.started_at) == ("finished", 1000.0)
    assert any("2 files of run abc were joined" in note for note in run.notes)
    alone = load(_folder(base, 1, "abc"))
    assert len(alone.series["train/loss"]) == 10
    assert any("one more file of run abc" in note for note in alone.notes)
    assert load("other").notes == ()


def test_where_sync_found_the_steps_to_begin(tmp_path: Path) -> None:
    file = run_file(tmp_path, "abc", _rows(0, 5), first=run_record(1, "abc", resume=True))
    file.with_name("run-abc.wandb.syncstate").write_text('{"starting_step": 700}')
    run = load(file)
    assert run.series["train/loss"].step.tolist() == [700, 701, 702, 703, 704]
    assert run.lineage is not None
    assert run.lineage.kind == "resume"
    file.with_name("run-abc.wandb.syncstate").write_text("not written to its end")
    assert load(file).series["train/loss"].step.tolist() == [0, 1, 2, 3, 4]


def test_what_was_rewound_is_left_out(tmp_path: Path) -> None:
    run_file(tmp_path / "wandb/offline-run-1-abc", "abc", _rows(0, 10))
    back = run_record(1, "abc", started=2000)
    back.run.branch_point.run, back.run.branch_point.value, back.run.branch_point.metric = "abc", 6, "_step"
    run_file(tmp_path / "wandb/offline-run-2-abc", "abc", _rows(7, 12, 100), first=back)
    run = load(tmp_path / "wandb" / "*-abc")
    assert run.series["train/loss"].value.tolist() == [*range(7), *range(107, 112)]
    assert any("rewound to step 6: 3 rows after that are left out" in note for note in run.notes)
    second = load(tmp_path / "wandb/offline-run-2-abc").lineage
    assert second is not None
    assert (second.kind, second.step) == ("rewind", 6)


def test_several_files_in_one_folder(tmp_path: Path) -> None:
    run_file(tmp_path / "a", "abc", _rows(10, 20), first=run_record(1, "abc", started=2000))
    run_file(tmp_path, "abc", _rows(0, 10))
    shutil.copy(
        tmp_path / "a/run-abc.wandb", tmp_path / "a-second.wandb"
    )  # its name comes first, it does not
    assert load(tmp_path).series["train/loss"].value.tolist() == list(range(20))


def test_files_of_several_runs_are_not_joined(tmp_path: Path) -> None:
    run_file(tmp_path, "abc", _rows(0, 10))
    run_file(tmp_path, "xyz", _rows(0, 10))
    with pytest.raises(SeveralRuns, match="2 runs: abc, xyz"):
        load(tmp_path)


# What the SDK itself writes

_SESSION = """
import json, os, sys, wandb
run = wandb.init(project="pricer", id="r1", resume="allow", dir=sys.argv[1], settings=wandb.Settings(console="wrap"))
print("session", sys.argv[2], flush=True)
for step in range(int(sys.argv[2]), int(sys.argv[2]) + 300):
    run.log({"train/loss": 1.0 / (step + 1), "deep": {"er": {"est": step}}, "train/global_step": step})
if sys.argv[3] == "killed":
    os._exit(9)
sys.exit(3)
"""


def _wait_for_the_writer(folder: Path) -> None:
    """The SDK's own process writes on after the training was killed: until its file has been the same for a second."""
    sizes = [0]
    for _ in range(120):
        sizes.append(sum(f.stat().st_size for f in folder.glob("*.wandb")))
        if sizes[-1] and sizes[-1] == sizes[-2]:
            return
        time.sleep(1)


def test_a_run_of_the_sdk_killed_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    for first, end in (("0", "killed"), ("200", "failed")):
        call = [sys.executable, "-c", _SESSION, str(tmp_path), first, end]
        subprocess.run(call, check=False, env=environment, capture_output=True, timeout=120)
    monkeypatch.chdir(tmp_path)
    folders = sorted(tmp_path.glob("wandb/offline-run-*-r1*"))
    _wait_for_the_writer(folders[0])
    killed, resumed = (load(folder) for folder in folders)
    assert killed.state != "finished"
    assert any("no exit was recorded" in note for note in killed.notes)
    assert resumed.state == "failed"
    assert resumed.lineage is not None
    assert resumed.lineage.kind == "resume"
    assert "session 200" in resumed.console
    joined = load(tmp_path / "wandb" / "*-r1*")
    assert joined.step_key == "train/global_step"
    assert len(joined.series["train/loss"]) == len(killed.series["train/loss"]) + 300
    assert joined.series["deep.er.est"].value[-1] == 499
    assert json.dumps(sorted(joined.environment))
