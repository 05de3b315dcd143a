"""A stitched line, written back by the real SDK and read again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runscope import api, load
from runscope.cli import main
from runscope.errors import UsageError
from runscope.history import Run, Timeline
from runscope.sources.wandb_push import push, push_id
from runscope.stitching import stitch
from tests.servers.wandb import KEY, Wandb, serve
from tests.stitching.test_properties import broken
from tests.stitching.trainings import session


@pytest.fixture
def line() -> Timeline:
    return stitch(
        [
            broken(session("p", begins=0, ends=870, at=1e9), seed=3),
            session("p-2", begins=800, ends=1400, at=1.1e9, seed=1),
        ]
    )


def assert_same_points(found: Run, wanted: Run) -> None:
    assert set(found.series) - {"_step"} == set(wanted.series)
    for name, series in wanted.series.items():
        np.testing.assert_array_equal(found.series[name].step, series.step)
        np.testing.assert_array_equal(found.series[name].value, series.value)
        np.testing.assert_allclose(found.series[name].time, series.time)


def test_an_offline_run_reads_back_equal_nan_included(line: Timeline, tmp_path: Path) -> None:
    pushed = push(line, offline=tmp_path, project="me/pricer")
    assert pushed.written
    found = load(pushed.place)
    assert_same_points(found, line.to_run())
    assert int(np.sum(~np.isfinite(found.series["train/loss"].value))) == 3
    assert (found.id, found.state, found.step_key) == (push_id(line), "finished", "train/global_step")
    assert found.roles["train_loss"] == "train/loss"


def test_the_parts_stand_in_its_configuration(line: Timeline, tmp_path: Path) -> None:
    found = load(push(line, offline=tmp_path, name="whole").place)
    assert found.name == "whole"
    assert found.config["save_steps"] == 200
    parts = found.config["runscope"]["stitched_from"]
    assert [(p["id"], p["offset"], p["last_step"]) for p in parts] == [("p", 0, 800), ("p-2", 800, 1400)]
    assert str(tmp_path) not in json.dumps(parts)


def test_pushed_twice_it_is_there_once(line: Timeline, tmp_path: Path) -> None:
    first = push(line, offline=tmp_path)
    again = push(line, offline=tmp_path)
    assert (again.place, again.written) == (first.place, False)
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 1


def test_a_push_that_was_killed_is_made_anew(line: Timeline, tmp_path: Path) -> None:
    first = Path(push(line, offline=tmp_path).place)
    whole = first.read_bytes()
    first.write_bytes(whole[: len(whole) // 2])
    again = push(line, offline=tmp_path)
    assert again.written
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 1
    assert_same_points(load(again.place), line.to_run())


def test_another_line_is_another_run(line: Timeline) -> None:
    moved = replace(line, segments=(line.segments[0], replace(line.segments[1], offset=600)))
    assert push_id(moved) != push_id(line)


def test_a_service_that_another_process_left_is_not_asked(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("step,loss\n" + "".join(f"{step},{3 / step}\n" for step in range(1, 60)))
    words = [
        sys.executable,
        "-m",
        "runscope",
        "push",
        str(log),
        "--offline",
        str(tmp_path / "pushed"),
        "--quiet",
    ]
    environment = {**os.environ, "WANDB_SERVICE": "of-another-version"}
    done = subprocess.run(words, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_what_was_pushed_is_a_line_of_its_own(line: Timeline, tmp_path: Path) -> None:
    found = load(push(line, offline=tmp_path).place)
    again = stitch([found])
    assert again.last_step == line.last_step
    assert len(again.segments) == 1


def test_an_empty_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to push"):
        push(Timeline(()), offline=tmp_path)


def test_the_command_writes_prints_the_place_and_says_when_it_is_there(
    line: Timeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [
        str(push(Timeline.of(run), offline=tmp_path / "parts", name=run.name).place) for run in line.runs
    ]
    arguments = ["push", *parts, "--at", "800", "--offline", str(tmp_path / "out"), "--to", "me/pricer"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert load(said.out.strip()).last_step == 1400
    assert "wandb sync" in said.err
    assert main([*arguments, "--format", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["written"] is False
    assert api.load(facts["place"]).id == facts["id"]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Wandb]:
    with serve() as running:
        settings = {"WANDB_BASE_URL": running.url, "WANDB_API_KEY": KEY, "NETRC": str(tmp_path / "netrc"),
                    "RUNSCOPE_HOME": str(tmp_path / "store"), "RUNSCOPE_PATIENCE_SECONDS": "0"}  # fmt: skip
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        for name in ("WANDB_ENTITY", "WANDB_PROJECT", "WANDB_MODE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.chdir(tmp_path)
        yield running


def test_a_run_that_was_sent_reads_back_equal_nan_included(line: Timeline, service: Wandb) -> None:
    pushed = push(line, project="me/pricer")
    assert pushed.place == f"{service.url}/me/pricer/runs/{push_id(line)}"
    found = load(pushed.place)
    assert_same_points(found, line.to_run())
    assert int(np.sum(~np.isfinite(found.series["train/loss"].value))) == 3
    assert (found.id, found.state, found.step_key) == (push_id(line), "finished", "train/global_step")
    assert [p["id"] for p in found.config["runscope"]["stitched_from"]] == ["p", "p-2"]
    assert service.runs["me/pricer"][found.id].tags == ["stitched"]


def test_sent_twice_it_is_there_once(line: Timeline, service: Wandb) -> None:
    push(line, project="me/pricer")
    again = push(line, project="me/pricer", name="whole")
    assert list(service.runs["me/pricer"]) == [again.id]
    found = load(again.place, refresh=True)
    assert found.name == "whole"
    assert_same_points(found, line.to_run())


def test_a_project_that_may_not_be_written_is_an_error(
    line: Timeline, service: Wandb, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    part = push(Timeline.of(line.runs[1]), offline=tmp_path).place
    service.fail, service.fail_only = 403, {"UpsertBucket"}
    assert main(["push", part, "--to", "me/pricer"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-2].startswith("error: W&B did not take the run")
    assert "--offline" in said[-1]
    assert (
        main(["push", part, "--to", "me/pricer"]) == 2
    )  # the SDK holds on to the id: that too is said in words
    assert capsys.readouterr().err.splitlines()[-2].startswith("error: W&B did not take the run")


def test_the_command_sends_and_prints_the_address(
    line: Timeline, service: Wandb, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    part = push(Timeline.of(line.runs[0]), offline=tmp_path).place
    assert main(["push", part, "--to", "me/pricer", "--quiet"]) == 0
    (run,) = service.runs["me/pricer"]
    assert capsys.readouterr().out.strip() == f"{service.url}/me/pricer/runs/{run}"


def test_without_a_key_and_offline_it_says_what_to_do(
    line: Timeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    part = push(Timeline.of(line.runs[1]), offline=tmp_path).place
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["push", part, "--to", "me/pricer"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "--offline" in said
