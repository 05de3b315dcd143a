"""What the store holds, and ``runscope cache``."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pyarrow as pa
import pytest

from runscope.cli import main
from runscope.store import ResultTable, RunKey, RunStore, clear, holdings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with something of every kind in it."""
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    for number in range(3):
        key = RunKey("wandb.ai", "me/pricer", f"run{number}")
        RunStore().put(
            key, pa.table({"value": [1.0]}), {"name": f"try {number}", "state": "finished", "values": 7}
        )
    RunStore().put_part(RunKey("wandb.ai", "me/pricer", "broken"), "0-10", pa.table({"value": [1.0]}), {})
    ResultTable().put({"a": {"loss": 1.0}})
    for revision in ("abc", "def"):
        checkpoint = tmp_path / "home" / "checkpoints" / revision / "root"
        checkpoint.mkdir(parents=True)
        (checkpoint / "model.safetensors").write_bytes(b"x" * 1000)
        (checkpoint / "config.json").write_bytes(b"{}")
    return tmp_path / "home"


def kinds() -> dict[str, int]:
    return {h.kind: h.files for h in holdings()}


def test_everything_is_shown(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--runs", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["home"] == str(home)
    found = {k["kind"]: k for k in told["kinds"]}
    assert found["checkpoints"]["files"] == 4
    assert found["checkpoints"]["size_bytes"] == 2004
    assert found["evaluations"]["files"] >= 1
    assert found["unfinished"]["files"] == 1
    assert [r["run"] for r in told["runs"]] == [f"me/pricer/run{n}" for n in range(3)]
    assert main(["cache", "--runs"]) == 0
    text = capsys.readouterr().out
    assert str(home) in text.splitlines()[0]
    assert "me/pricer/run1" in text
    assert "cost computing time" in text


def test_an_empty_store_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "nothing"))
    assert main(["cache", "--runs"]) == 0
    assert main(["cache", "--clear", "all"]) == 0
    assert not (tmp_path / "nothing").exists()
    assert "0 files deleted" in capsys.readouterr().out


def test_a_kind_is_cleared_and_no_other(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = kinds()
    assert main(["cache", "--clear", "checkpoints", "--yes"]) == 0
    assert "4 files deleted" in capsys.readouterr().out
    assert kinds() == before | {"checkpoints": 0}
    assert main(["cache", "--clear", "all", "--yes", "--format", "json"]) == 0
    assert set(kinds().values()) == {0}
    assert [p.name for p in home.iterdir()] == []


def test_only_what_is_old_is_cleared_and_nothing_by_halves(home: Path) -> None:
    (old,) = home.rglob("run1.parquet")
    for file in (
        old,
        home / "checkpoints" / "abc" / "root" / "config.json",
        *(home / "checkpoints" / "def").rglob("*.*"),
    ):
        os.utime(file, (time.time() - 40 * 86_400,) * 2)
    assert main(["cache", "--clear", "runs", "--clear", "checkpoints", "--older-than", "30d", "--yes"]) == 0
    assert [key.id for key, _ in RunStore().all()] == ["run0", "run2"]
    assert [p.name for p in (home / "checkpoints").iterdir()] == ["abc"], "half of it was in use"
    assert len(list((home / "checkpoints" / "abc" / "root").iterdir())) == 2


def test_nothing_is_deleted_unasked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = kinds()
    assert main(["cache", "--clear", "all"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert kinds() == before


@pytest.mark.parametrize(
    "words", [["--clear", "run"], ["--clear", "runs", "--older-than", "long"], ["--older-than", "30d"]]
)
def test_wrong_words(home: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", *words, "--yes"]) == 2
    assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == ["error", "hint"]


def test_what_others_put_there_is_shown_too(home: Path) -> None:
    (home / "something").mkdir()
    (home / "something" / "file").write_bytes(b"12345")
    assert {h.kind: h.size_bytes for h in holdings()}["something"] == 5
    assert clear("something").files == 1
    assert not (home / "something").exists()
