"""Checkpoints of a training that goes on: pushed to a Hub, or saved in a Trainer's folder and evaluated there."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from runscope import live
from runscope.errors import UnknownReference
from runscope.watching import WatchSettings
from tests.evaluation import tiny
from tests.hub import repos
from tests.servers.hub import serve

EVAL_STEPS = (100, 200, 300)


def _save(output: Path, source: Path, step: int, *, epochs: float = 3.0) -> None:
    """A whole checkpoint, as old as one that has settled."""
    place = output / f"checkpoint-{step}"
    shutil.copytree(source, place)
    (place / "trainer_state.json").write_bytes(repos.state(step, epochs * step / 400, every=10))
    old = time.time() - 60
    for file in place.iterdir():
        os.utime(file, (old, old))


@pytest.mark.slow
def test_each_new_checkpoint_is_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    held_out = tiny.write_examples(tmp_path / "heldout.jsonl", 40, 1)
    base = tiny.save_base(tiny.train(tiny.llama(), held_out), tmp_path / "base")
    made = tiny.save_adapters(
        tiny.train(tiny.llama(), held_out), base, tmp_path / "made", ["q_proj", "v_proj"], [0.01, 0.8, 2.0]
    )
    output = tmp_path / "output"
    output.mkdir()
    watcher = live.watch(
        [str(output)], hub=str(output), data=held_out, watching=WatchSettings(idle_seconds=1e9), device="cpu"
    )
    scored: list[list[int]] = []
    for step in EVAL_STEPS:
        _save(output, made / f"checkpoint-{step}", step)
        events = watcher.look(time.time())
        assert [e.facts["step"] for e in events if e.kind == "checkpoint"] == [step]
        scored.append(sorted({e.facts["step"] for e in events if e.kind == "evaluated"}))
        assert not [e for e in watcher.look(time.time()) if e.kind in ("checkpoint", "evaluated")]
    assert all(step in steps for step, steps in zip(EVAL_STEPS, scored, strict=True))
    assert watcher.diagnosis is not None
    study = watcher.diagnosis.study
    assert study is not None
    means = {s.checkpoint.step: s.mean for s in study.scores}
    assert means[100] is not None
    assert means[300] is not None
    assert means[100] < means[300]


def test_a_folder_without_a_run_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    output = tmp_path / "output"
    with pytest.raises(UnknownReference):
        live.watch([str(output)]).look(time.time())
    output.mkdir()
    watcher = live.watch([str(output)], watching=WatchSettings(idle_seconds=1e9))
    assert [e.kind for e in watcher.look(time.time())] == ["waiting"]
    (output / "checkpoint-100").mkdir()
    (output / "checkpoint-100" / "trainer_state.json").write_bytes(repos.state(100, 0.5, every=10))
    assert "rows" in [e.kind for e in watcher.look(time.time())]


def test_commits_are_said_as_they_are_pushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "server").mkdir()
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    with serve(tmp_path / "server") as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        output = tmp_path / "output"
        (output / "checkpoint-100").mkdir(parents=True)
        state = output / "checkpoint-100" / "trainer_state.json"
        state.write_bytes(repos.state(100, 0.5, every=10))
        hub.create("me/r")
        watcher = live.watch([str(output)], hub="me/r", watching=WatchSettings(idle_seconds=1e9))
        assert [e.kind for e in watcher.look(time.time())] == ["rows"]
        for step in (100, 200):
            repos.push(
                hub, "me/r", f"Training in progress, step {step}", repos.adapter(step), tmp_path / "files"
            )
            state.write_bytes(repos.state(step, step / 200, every=10))
            events = watcher.look(time.time())
            assert [e.facts["step"] for e in events if e.kind == "checkpoint"] == [step]
        hub.fail = 404
        assert "trouble" in [e.kind for e in watcher.look(time.time())]
        hub.fail = None
        assert "well" in [e.kind for e in watcher.look(time.time())]
