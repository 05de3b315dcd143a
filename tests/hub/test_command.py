"""``runscope checkpoints`` as somebody calls it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runscope.api.example import folder
from tests.hub import repos
from tests.hub.conftest import REPO
from tests.servers.hub import Hub


def checkpoints(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runscope", "checkpoints", *words], capture_output=True, text=True, cwd=place,
        env=dict(os.environ), check=False,
    )  # fmt: skip


@pytest.fixture
def training(hub: Hub, tmp_path: Path) -> Path:
    """A pushed training, the base it stands on, and a folder with the run that made it beside another."""
    repos.training(hub, REPO, tmp_path / "output")
    hub.now = None
    repos.push(hub, "me/base", "base", {"config.json": json.dumps(repos.LLAMA).encode()}, tmp_path / "base")
    for name in ("2024-09-13_13.04.39", "another"):
        place = tmp_path / "runs" / name / "checkpoint-400"
        place.mkdir(parents=True)
        (place / "trainer_state.json").write_bytes(repos.state(400, 2.0))
    return tmp_path


def test_a_newcomer_sees_what_there_is(hub: Hub, training: Path) -> None:
    done = checkpoints(training, REPO, "--norms")
    assert (done.returncode, done.stderr) == (0, "")
    rows = done.stdout.splitlines()
    assert rows[0].split()[:3] == ["step", "epoch", "known"]
    assert [row.split()[0] for row in rows[1:5]] == ["100", "200", "300", "400"]
    text = done.stdout
    assert "4 checkpoints in 6 commits; last commit" in text
    assert "days ago" in text
    assert "base me/base, rank 4, alpha 8 (scale 2), on q_proj v_proj" in text
    assert "896 parameters in the file, the same by arithmetic, F32" in text
    assert "norms by layer" in text
    assert "steps go back" not in text
    store = hub.store(REPO)
    assert store is not None
    assert str(store.git("rev-list", "main").decode().split()[1]) in text  # a hash that can be loaded by


def test_a_repository_that_goes_on_says_how_old_its_newest_commit_is(hub: Hub, tmp_path: Path) -> None:
    hub.now = time.time() - 5.5 * 3600
    repos.push(hub, "me/alive", "Training in progress, step 10", repos.adapter(1), tmp_path / "output")
    assert "last commit 5 hours ago" in checkpoints(tmp_path, "me/alive").stdout


def test_every_form(training: Path) -> None:
    whole = json.loads(checkpoints(training, REPO, "--format", "json").stdout)
    assert whole["schema"] == "runscope.checkpoints/1"
    assert [c["step"] for c in whole["checkpoints"]] == [100, 200, 300, 400]
    assert whole["checkpoints"][0]["adapter"]["expected_parameters"] == 896
    lines = checkpoints(training, REPO, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["revision"] for line in lines] == [c["revision"] for c in whole["checkpoints"]]
    table = checkpoints(training, REPO, "--format", "markdown").stdout
    assert "| 300 |" in table
    assert checkpoints(training, REPO, "--output", "c.csv").returncode == 0
    with (training / "c.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["100", "200", "300", "400"]


def test_a_folder_of_runs_is_searched_for_the_one_that_made_it(training: Path) -> None:
    done = checkpoints(training, REPO, "--run", "runs", "--format", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (match,) = found["runs"]
    assert match["name"] == "2024-09-13_13.04.39"
    assert [c["epoch"] for c in found["checkpoints"]] == [0.5, 1.0, 1.5, 2.0]


def test_a_persons_repositories(training: Path) -> None:
    done = checkpoints(training, "--user", "me", "--name", "pricer-*", "--run", "runs", "--format", "json")
    assert done.returncode == 0, done.stderr
    (only,) = json.loads(done.stdout)["repositories"]
    assert (only["name"], only["project"]) == (REPO, "pricer")
    assert [r["name"] for r in only["runs"]] == ["2024-09-13_13.04.39"]
    shown = checkpoints(training, "--user", "me").stdout
    assert REPO in shown
    assert "2 repositories" in shown


@pytest.mark.parametrize("words", [(), (REPO, "--user", "me")])
def test_one_or_the_other(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = checkpoints(tmp_path, *words)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith("error: name either a repository or --user")


def test_steps_of_two_runs_are_said_to_be_their_own(tmp_path: Path) -> None:
    """The demo's repository, which a killed run and its resumption wrote; with the runs they are on one line."""
    bundle, *runs = (str(folder() / name) for name in ("pricer.bundle", "killed.wandb", "resumed.wandb"))
    said = checkpoints(tmp_path, bundle).stdout
    assert "note: steps go back: they are each run's own; name the runs with --run" in said
    both = checkpoints(tmp_path, bundle, "--run", runs[0], "--run", runs[1])
    assert both.returncode == 0, both.stderr
    assert "steps go back" not in both.stdout
