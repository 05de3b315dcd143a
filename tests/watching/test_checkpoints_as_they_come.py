"""Checkpoints of a training that goes on: pushed to a Hub, or saved in a Trainer's folder and evaluated there."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from runscope.api import live
from runscope.errors import UnknownReference
from runscope.watching import Watcher, WatchSettings
from tests.evaluation import tiny
from tests.hub import repos
from tests.servers.hub import serve
from tests.sources.test_marks import write_mlflow
from tests.watching.test_live import Watch

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


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three adapters, the last of which are far off; examples; and an empty output folder."""
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    held_out = tiny.write_examples(tmp_path / "heldout.jsonl", 80, 1)
    model = tiny.train(tiny.llama(), held_out)
    base = tiny.save_base(model, tmp_path / "base")
    tiny.save_adapters(model, base, tmp_path / "made", ["q_proj", "v_proj", "down_proj"], [0.01, 0.8, 2.0])
    (tmp_path / "output").mkdir()
    return tmp_path


def watcher_of(folder: Path, hub: str, **settings: object) -> Watcher:
    return live.watch(
        [str(folder / "output")], hub=hub, data=folder / "heldout.jsonl", device="cpu", sample=0,
        watching=WatchSettings(idle_seconds=1e9, **settings),  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.slow
def test_proof_of_overfitting_stops_the_watch(trained: Path) -> None:
    """The command beside a training whose log holds nothing but a training loss."""
    output = trained / "output"
    _save(output, trained / "made" / "checkpoint-100", 100)
    words = ("--hub", str(output), "--data", str(trained / "heldout.jsonl"), "--fail-on", "critical")
    watch = Watch(trained, str(output), *words, home=trained / "home")
    watch.until(event="evaluated")
    for step in (200, 300):
        _save(output, trained / "made" / f"checkpoint-{step}", step)
    found = watch.until(event="finding", code="OVF008")
    assert found["severity"] == "critical"
    assert "Use step 100" in found["fix"][0]
    assert watch.end() == 1
    assert watch.events[-1]["event"] == "stop"
    assert watch.events[-1]["facts"]["codes"] == ["OVF008"]


@pytest.mark.slow
def test_a_checkpoint_that_was_saved_anew_is_evaluated_anew(trained: Path) -> None:
    output = trained / "output"
    for step in (100, 200):
        _save(output, trained / "made" / f"checkpoint-{step}", step)
    watcher = watcher_of(trained, str(output))
    events = watcher.look(time.time())
    first = {e.facts["step"]: e.facts["mean"] for e in events if e.kind == "evaluated"}
    shutil.rmtree(output / "checkpoint-200")
    _save(output, trained / "made" / "checkpoint-300", 200)
    events = watcher.look(time.time())
    assert [e.facts["step"] for e in events if e.kind == "checkpoint"] == [200]
    anew = {e.facts["step"]: e.facts["mean"] for e in events if e.kind == "evaluated"}
    assert anew[200] > first[200]


@pytest.mark.slow
def test_what_could_not_be_evaluated_is_tried_again_and_what_is_gone_counts_no_more(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Hub lists a checkpoint, but breaks down before it is fetched; later the repository is emptied."""
    (trained / "server").mkdir()
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    (trained / "output" / "trainer_state.json").write_bytes(repos.state(300, 3.0, every=10))
    with serve(trained / "server") as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)

        def push(step: int) -> None:
            files = {f.name: f.read_bytes() for f in (trained / "made" / f"checkpoint-{step}").iterdir()}
            repos.push(hub, "me/r", f"Training in progress, step {step}", files, trained / "files")

        for step in (100, 200):
            push(step)
        watcher = watcher_of(trained, "me/r")
        assert {e.facts["step"] for e in watcher.look(time.time()) if e.kind == "evaluated"} == {100, 200}
        push(300)
        hub.fail, hub.fail_path = 503, "adapter_model.safetensors"
        monkeypatch.setenv("RUNSCOPE_PATIENCE_SECONDS", "0")
        kinds = [e.kind for e in watcher.look(time.time())]
        assert "checkpoint" in kinds
        hub.fail = None
        events = watcher.look(time.time())
        assert 300 in {e.facts["step"] for e in events if e.kind == "evaluated"}
        assert watcher.diagnosis is not None
        assert watcher.diagnosis.verdict.overfitting.basis == "checkpoints"
        assert "OVF008" in {f.code for f in watcher.diagnosis.findings}
        store = hub.store("me/r")
        assert store is not None
        store.git("update-ref", "refs/heads/main", store.log("main")[-1][0])  # pushed by force, to begin anew
        watcher.look(time.time())
        assert watcher.diagnosis.study is None
        assert watcher.diagnosis.verdict.keep is None
        assert "OVF008" not in {f.code for f in watcher.diagnosis.findings}


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


@pytest.mark.parametrize(("status", "said"), [(1, [100]), (3, [100, 200])])
def test_what_was_saved_just_before_the_end_is_not_missed(
    status: int, said: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a run goes on a checkpoint of this very second may be half written; when it is over nobody writes."""
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    output = tmp_path / "output"
    for step in (100, 200):
        (output / f"checkpoint-{step}").mkdir(parents=True)
        for name, content in repos.adapter(step).items():
            file = output / f"checkpoint-{step}" / name
            file.write_bytes(content)
            os.utime(file, (time.time() + 3600,) * 2 if step == 200 else (1e9, 1e9))
    run = write_mlflow(tmp_path, 210, status=status)
    watcher = live.watch([str(run)], hub=str(output), watching=WatchSettings(idle_seconds=1e12))
    events = watcher.look(time.time())
    assert [e.facts["step"] for e in events if e.kind == "checkpoint"] == said
    assert watcher.ended == (status == 3)


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
