"""Files that came with a project decide nothing that runs code: each of these would leave a mark if they did."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from runscope.api.recipe import Recipe
from runscope.cli import main
from runscope.cli.settings import defaults
from runscope.errors import InputError, RunscopeError, UnsafeFile
from runscope.rules import Finding
from runscope.watching import Event, run_command

RUNS_CODE = (
    "[watch]\non-finding = 'touch it-ran'",
    "on-finding = 'touch it-ran'",
    "[watch]\nwebhook = 'https://evil.example/take'",
    "[evaluate]\ntrust-remote-code = true",
    "[evaluate]\ntrust-task-code = true",
    "[evaluate]\nallow-pickle = true",
    "[evaluate]\nscorer = 'evil:score'",
    "[evaluate]\ntask = 'evil:T'",
    "[watch]\ntask = 'evil:T'",
    "[report]\ntrust-recipe = true",
    "[report]\noutput = '../elsewhere.html'",
    "[report]\noutput = '/elsewhere/report.html'",
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder below a project's; the user's own settings are beside both."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "project" / "below"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    (folder / "log.csv").write_text("step,loss\n" + "".join(f"{s},{1 / (1 + s)}\n" for s in range(20)))
    (folder / "evil.py").write_text("open('it-ran', 'w').close()\nclass T: pass\ndef score(a, b): return 0\n")
    return folder


@pytest.mark.parametrize("content", RUNS_CODE)
def test_a_project_file_runs_nothing(project: Path, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    (project.parent / "runscope.toml").write_text(content)
    assert main(["show", "log.csv"]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert "a project's file may not" in error
    assert "command line" in hint
    assert not (project / "it-ran").exists()


@pytest.mark.parametrize("content", RUNS_CODE[:10])
def test_the_user_s_own_file_may(project: Path, content: str, tmp_path: Path) -> None:
    own = tmp_path / "config" / "runscope"
    own.mkdir(parents=True)
    (own / "runscope.toml").write_text(content)
    assert any(defaults(project, {}).values())


def test_a_project_file_still_sets_what_is_harmless(project: Path, tmp_path: Path) -> None:
    own = tmp_path / "config" / "runscope"
    own.mkdir(parents=True)
    (own / "runscope.toml").write_text("project = 'me/mine'\nquiet = true\n")
    (project / "runscope.toml").write_text(
        "project = 'me/pricer'\n[evaluate]\ntask = 'number'\nallow-pickle = false\n[report]\noutput = 'reports/x'\n"
    )
    found = defaults(project, {})
    assert found["report"] == {"project": "me/pricer", "quiet": True, "output": "reports/x"}
    assert found["evaluate"]["task"] == "number"


@pytest.mark.parametrize("mode", [0o666, 0o622])
def test_a_file_that_others_can_write_is_refused(project: Path, mode: int) -> None:
    file = project / "runscope.toml"
    file.write_text("project = 'me/pricer'")
    file.chmod(mode)
    with pytest.raises(UnsafeFile, match="others can write it"):
        defaults(project, {})


def test_a_file_that_others_can_replace_is_refused(project: Path) -> None:
    (project / "runscope.toml").write_text("project = 'me/pricer'")
    project.chmod(0o777)
    with pytest.raises(UnsafeFile, match="replace"):
        defaults(project, {})
    project.chmod(0o1777)
    assert defaults(project, {})["show"] == {"project": "me/pricer"}, (
        "as in /tmp: nobody else can take it away"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(project: Path) -> None:
    (project / "runscope.toml").write_text("project = 'me/pricer'")
    os.chown(project / "runscope.toml", 12345, 12345)
    with pytest.raises(UnsafeFile, match="another user"):
        defaults(project, {})


@pytest.mark.parametrize(
    "content",
    [b"project = 2020-01-01", b"\xff\xfe", b"a = " + b"[" * 5000, b"[show]\nproject = {a = 1}", b"\0" * 99],
)
def test_a_damaged_file_is_refused_in_words(project: Path, content: bytes) -> None:
    (project / "runscope.toml").write_bytes(content)
    with pytest.raises(InputError) as caught:
        defaults(project, {})
    assert caught.value.hint


def test_what_a_command_is_told_of_a_finding_sets_no_option_of_a_runscope_in_it(project: Path) -> None:
    event = Event("finding", 0.0, "loss", Finding("LOS001", "nan-loss", "critical", 1.0, "loss", 1, 2), {})
    command = "env -0 > told"
    assert run_command(command, event, "me/pricer/abc") is None
    told = dict(
        line.partition("=")[::2]
        for line in (project / "told").read_text().split("\0")
        if line.startswith("RUNSCOPE_")
    )
    assert told["RUNSCOPE_RUN"] == "me/pricer/abc"
    assert "run" not in defaults(project, told)["checkpoints"]
    assert defaults(project, {"RUNSCOPE_RUN": "mine"})["checkpoints"]["run"] == ["mine"], (
        "without one it does"
    )


def recipe(place: Path, **settings: object) -> Path:
    lines = "\n".join(f"{k} = {json.dumps(v)}" for k, v in settings.items())
    path = place / "recipe.toml"
    path.write_text(
        f'schema = "runscope.recipe/1"\n[investigation]\nruns = ["log.csv"]\n[investigation.settings]\n{lines}\n'
    )
    return path


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"task": "evil:T"}, "evil:T"),
        ({"task": "answer", "scorer": "evil:score"}, "evil:score"),
        ({"trust_remote_code": True}, "repository"),
        ({"allow_pickle": True}, "can run code"),
    ],
)
def test_a_recipe_runs_nothing_until_it_is_trusted(
    project: Path, settings: dict[str, object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recipe(project, **settings)
    assert main(["report", str(path), "--output", "out"]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert said in error
    assert "--trust-recipe" in hint
    assert not (project / "it-ran").exists()
    assert Recipe.read(path, trust=True).settings == settings


def test_a_recipe_of_plain_settings_needs_no_trust(project: Path) -> None:
    assert (
        main(["report", str(recipe(project, task="number", max_examples=5)), "--output", "out", "--quiet"])
        == 0
    )


@pytest.mark.parametrize(
    "line",
    [
        "runs = 5", "runs = []", "runs = [1]", "runs = ['a']\nat = 'x'", "runs = ['a']\nroles = [1]",
        "runs = ['a']\nsettings = {no_such = 1}", "runs = ['a']\nsettings = {task = {a = 1}}", "runs = ['a']\ndata = 3",
        "runs = ['a']\nmade_from = 1", "runs = ['a']\nat = [2020-01-01]",
    ],
)  # fmt: skip
def test_a_recipe_of_another_shape_is_refused_in_words(project: Path, line: str) -> None:
    path = project / "recipe.toml"
    path.write_text(f'schema = "runscope.recipe/1"\n[investigation]\n{line}\n')
    with pytest.raises(RunscopeError) as caught:
        Recipe.read(path)
    assert caught.value.hint
