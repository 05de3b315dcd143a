"""``runscope pull`` and ``runscope stitch --find`` on a project of several runs."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import runscope as rs
from runscope.cli import main
from runscope.errors import UsageError
from runscope.sources.wandb_cloud.pull import Filters, project_of, since
from runscope.store import RunStore
from tests.servers.gate import LONGEST_SECONDS, Gate
from tests.servers.wandb import Wandb
from tests.servers.wandb_runs import StoredRun

DAY = 86_400.0
BEGUN = datetime(2026, 11, 1, tzinfo=UTC).timestamp()


@pytest.fixture
def project(service: Wandb) -> Wandb:
    """120 runs: more than the service lists at once."""
    (first,) = service.runs.pop("me/pricer").values()
    for number in range(120):
        run = replace(
            first, id=f"run{number:03}", name=f"{'sft' if number % 2 else 'dpo'}-{number}",
            created=BEGUN + number * DAY / 10,
            tags=["keep"] * (number % 3 == 0) + ["v2"] * (number % 5 == 0), group="night" if number < 10 else None,
            state="finished" if number % 4 else "crashed", rows=first.rows[:20],
        )  # fmt: skip
        service.put("me/pricer", run)
    return service


def pulled(*words: str, capsys: pytest.CaptureFixture[str], status: int = 0) -> dict[str, object]:
    assert main(["pull", *words, "--format", "json"]) == status
    told: dict[str, object] = json.loads(capsys.readouterr().out)
    return told


def test_a_whole_project_then_nothing(project: Wandb, capsys: pytest.CaptureFixture[str]) -> None:
    told = pulled("me/pricer", capsys=capsys)
    assert (told["fetched"], told["failed"], len(told["runs"])) == (120, 0, 120)
    project.operations.clear()
    again = pulled("me/pricer", capsys=capsys)
    assert (again["unchanged"], again["fetched"]) == (120, 0)
    assert project.operations == ["Runs"] * 3, "three pages of the list and nothing else"
    new = project.runs["me/pricer"]["run007"]
    new.state, new.rows, new.heartbeat = (
        "running",
        [*new.rows, new.rows[-1] | {"_step": 99}],
        new.heartbeat + 9,
    )
    third = pulled("me/pricer", capsys=capsys)
    assert (third["continued"], third["unchanged"]) == (1, 119)


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["--state", "crashed"], [n for n in range(120) if n % 4 == 0]),
        (["--state", "crashed", "--state", "finished", "--group", "night"], list(range(10))),
        (["--tag", "keep", "--tag", "v2"], [n for n in range(120) if n % 15 == 0]),
        (["--group", "night"], list(range(10))),
        (["--name", "sft-11*"], [11, 111, 113, 115, 117, 119]),
        (["--name", "run00?"], list(range(10))),
        (["--since", "2026-11-12"], list(range(110, 120))),
        (["--tag", "v2", "--state", "finished", "--since", "2026-11-11"], [105, 110, 115]),
        (["--group", "none"], []),
    ],
)
def test_filters(
    project: Wandb, capsys: pytest.CaptureFixture[str], words: list[str], numbers: list[int]
) -> None:
    told = pulled("me/pricer", *words, capsys=capsys)
    assert [run["id"] for run in told["runs"]] == [f"run{n:03}" for n in numbers]
    assert len(RunStore().all()) == len(numbers)


def test_text_has_a_summary_line(project: Wandb, capsys: pytest.CaptureFixture[str]) -> None:
    project.runs["me/pricer"]["run001"].rows = []
    assert main(["pull", "me/pricer", "--group", "night"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1].startswith("10 runs of me/pricer: 9 fetched, 1 empty; ")
    assert any(line.startswith("me/pricer/run003") for line in said)
    assert main(["pull", "me/pricer", "--group", "night", "--format", "jsonl"]) == 0
    assert {json.loads(line)["outcome"] for line in capsys.readouterr().out.splitlines()} == {
        "unchanged",
        "empty",
    }
    assert main(["pull", "me/pricer", "--group", "night", "--format", "markdown"]) == 0
    assert "| --- |" in capsys.readouterr().out
    assert main(["pull", "me/pricer", "--name", "nothing"]) == 0
    assert "no run that fits" in capsys.readouterr().out


def test_runs_are_then_read_without_the_service(
    project: Wandb, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["pull", "me/pricer", "--group", "night"]) == 0
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_BASE_URL", project.url)
    project.operations.clear()
    capsys.readouterr()
    for name in ("me/pricer/run003", "run003", "sft-3", f"{project.url}/me/pricer/runs/run003"):
        assert main(["show", name, "--format", "json"]) == 0
        assert json.loads(capsys.readouterr().out)["id"] == "run003"
    assert project.operations == []


def test_a_run_that_fails_does_not_stop_the_others(
    project: Wandb, capsys: pytest.CaptureFixture[str]
) -> None:
    project.fail, project.fail_only, project.fail_times = 418, {"RunsHistory", "HistoryPage"}, 3
    told = pulled("me/pricer", "--group", "night", capsys=capsys, status=2)
    assert (told["fetched"], told["failed"]) == (8, 2)
    assert all("418" in run["error"] and run["hint"] for run in told["runs"] if run["outcome"] == "failed")
    assert pulled("me/pricer", "--group", "night", capsys=capsys)["fetched"] == 2


def test_new_runs_are_asked_for_together(project: Wandb, capsys: pytest.CaptureFixture[str]) -> None:
    exported, large = (project.runs["me/pricer"][f"run00{n}"] for n in (1, 2))
    exported.exported = 15
    large.rows = [large.rows[0] | {"_step": step, "train/loss": step / 7} for step in range(12_000)]
    pulled("me/pricer", capsys=capsys)
    asked = Counter(project.operations)
    assert asked["RunsHistory"] == 5, "120 runs, one of which takes several pages by itself"
    assert asked["HistoryPage"] <= 4, "of the large run, and what is in no export"
    together = {run.id: rs.load(f"me/pricer/{run.id}") for run in project.runs["me/pricer"].values()}
    for store in RunStore().folder.rglob("*.parquet"):
        store.unlink()
    project.operations.clear()
    for name, run in list(together.items())[:6]:
        apart = rs.load(f"me/pricer/{name}")
        assert apart.series.keys() == run.series.keys()
        assert all(
            np.array_equal(apart.series[n].value, series.value, equal_nan=True)
            for n, series in run.series.items()
        )
    assert "RunsHistory" not in project.operations


def test_what_came_together_is_kept_where_the_rest_is_refused(
    project: Wandb, capsys: pytest.CaptureFixture[str]
) -> None:
    project.fail, project.fail_only, project.fail_after = 401, {"RunsHistory"}, 2
    assert main(["pull", "me/pricer"]) == 2
    kept = len(RunStore().all())
    assert kept in {64, 56}, "two of the lots of 32, 32, 32 and 24 that were asked for side by side"
    project.fail = None
    capsys.readouterr()
    assert pulled("me/pricer", capsys=capsys)["fetched"] == 120 - kept


@pytest.mark.parametrize("status", [401, 429, 503])
def test_a_service_that_refuses_stops_the_pull_and_what_was_finished_is_kept(
    project: Wandb, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("RUNSCOPE_PATIENCE_SECONDS", "0.2")
    project.old = True
    project.fail, project.fail_only, project.fail_after, project.retry_after = (
        status,
        {"HistoryPage"},
        30,
        "9",
    )
    assert main(["pull", "me/pricer"]) == 2
    said = capsys.readouterr()
    assert [line.partition(":")[0] for line in said.err.splitlines() if line] == ["error", "hint"]
    kept = len(RunStore().all())
    assert kept >= 26
    project.fail = None
    told = pulled("me/pricer", capsys=capsys)
    assert told["fetched"] == 120 - kept


def test_an_interrupted_pull_keeps_what_was_finished(
    project: Wandb, capsys: pytest.CaptureFixture[str]
) -> None:
    project.gate, project.old = Gate(20), True
    words = [sys.executable, "-m", "runscope", "pull", "me/pricer"]
    pull = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert project.gate.reached.wait(LONGEST_SECONDS)
    project.delay = 0.2  # from now on nothing shall be finished before the signal has arrived
    pull.send_signal(signal.SIGINT)
    project.gate.open()
    _, said = pull.communicate(timeout=LONGEST_SECONDS)
    assert pull.returncode == 130
    assert said.strip() == "interrupted: what was finished is kept"
    kept = len(RunStore().all())
    assert 16 <= kept < 120, "twenty pages were answered, of which four may have been on their way"
    project.delay = 0.0
    told = pulled("me/pricer", capsys=capsys)
    assert (told["unchanged"], told["fetched"]) == (kept, 120 - kept)


def test_a_full_disk_stops_the_pull(
    project: Wandb, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSCOPE_HOME", "/dev/full/store")
    assert main(["pull", "me/pricer"]) == 2
    assert "RUNSCOPE_HOME" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["me/nothing"],
        ["not a/project/at/all"],
        ["me/pricer", "--state", "done"],
        ["me/pricer", "--since", "soon"],
    ],
)
def test_wrong_words(project: Wandb, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", *words]) == 2
    assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == ["error", "hint"]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("me/pricer", ("me", "pricer", None)),
        ("pricer", (None, "pricer", None)),
        ("https://wandb.ai/me/pricer", ("me", "pricer", "https://wandb.ai")),
        ("https://wandb.ai/me/pricer/workspace?nw=x", ("me", "pricer", "https://wandb.ai")),
        ("https://forge.coreweave.com/wandb/me/pricer/runs", ("me", "pricer", "https://forge.coreweave.com")),
        ("http://w.example.org:8080/me/pricer/table", ("me", "pricer", "http://w.example.org:8080")),
        ("https://wandb.ai/me", None),
        ("a/b/c", None),
        (".", None),
    ],
)
def test_projects(reference: str, expected: object) -> None:
    assert project_of(reference) == expected


def test_times() -> None:
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert since("7d", now).isoformat() == "2026-11-17T12:00:00+00:00"
    assert since("36h", now).isoformat() == "2026-11-23T00:00:00+00:00"
    assert since("2026-11-01T08:00Z").isoformat() == "2026-11-01T08:00:00+00:00"
    assert since("2026-11-01").tzinfo is not None, "a day is meant where the user is"
    with pytest.raises(UsageError):
        since("yesterday-ish")


def test_what_the_service_cannot_sort_out_is_sorted_out_here() -> None:
    assert Filters(name="a*").as_query() == {}
    both = Filters(states=("running",), tags=("a", "b"), group="g").as_query()
    assert both["$and"][:2] == [{"tags": {"$in": ["a"]}}, {"tags": {"$in": ["b"]}}]


def restarted(service: Wandb) -> None:
    """A training that was killed at step 1300 and went on from the checkpoint at 1000; and a stranger."""
    rng = np.random.default_rng(5)

    def rows(first: int, last: int) -> list[dict[str, object]]:
        return [
            {
                "_step": i, "_timestamp": BEGUN + step, "train/global_step": step,
                "train/loss": 3 / (1 + step / 300) + rng.normal(0, 0.02),
                "train/learning_rate": 1e-4 * (1 - step / 3000),
                "train/epoch": step / 1000,
            }
            for i, step in enumerate(range(first, last + 1, 10))
        ]  # fmt: skip

    config = {
        "output_dir": "out",
        "save_steps": 500,
        "_wandb": {"m": [{"1": "train/global_step"}, {"2": "*", "5": 1}]},
    }
    parts = {"aaa": (rows(10, 1300), "crashed"), "bbb": (rows(1010, 3000), "finished")}
    for number, (name, (content, state)) in enumerate(parts.items()):
        service.put(
            "me/llm", StoredRun(name, "sft-pricer", state, dict(config), BEGUN + number * DAY, content, [])
        )
    other = [
        {"_step": i, "_timestamp": BEGUN + i, "epoch": i, "val/acc": i / 90, "lr": 0.1} for i in range(90)
    ]
    service.put("me/llm", StoredRun("zzz", "resnet", "finished", {}, BEGUN, other, []))
    service.put("me/llm", StoredRun("nil", "nothing", "crashed", {}, BEGUN, [], []))


def test_find_proposes_the_trainings_of_a_project(
    service: Wandb, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    restarted(service)
    for fail in (None, 503):  # the second time without the service
        monkeypatch.setenv("RUNSCOPE_PATIENCE_SECONDS", "0.1")
        service.fail = fail
        assert main(["stitch", "--find", "me/llm", "--format", "json"]) == 0
        said = capsys.readouterr()
        assert sorted(json.loads(said.out)["trainings"]) == [["me/llm/aaa", "me/llm/bbb"], ["me/llm/zzz"]]
        assert "me/llm/nil was left out" in said.err
    service.fail = None
    assert main(["stitch", "--find", "me/llm"]) == 0
    line, _, sure = capsys.readouterr().out.strip().partition("  # ")
    assert line == "runscope stitch me/llm/aaa me/llm/bbb"
    assert re.fullmatch(r"\d+% sure", sure)
    assert main([*line.split()[1:], "--format", "json"]) == 0
    segments = json.loads(capsys.readouterr().out)["segments"]
    assert [s["id"] for s in segments] == ["aaa", "bbb"]
    assert segments[0]["last_step"] == 1000


def test_help_has_two_real_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("pull", "cache"):
        assert main([command, "--help"]) == 0
        assert capsys.readouterr().out.count(f"runscope {command} ") >= 2


def test_the_store_is_where_the_user_says(project: Wandb, tmp_path: Path) -> None:
    assert main(["pull", "me/pricer", "--name", "run000", "--quiet"]) == 0
    assert [f.name for f in (tmp_path / "store" / "runs").rglob("*.parquet")] == ["run000.parquet"]
