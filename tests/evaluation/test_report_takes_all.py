"""``report`` takes everything that ``evaluate`` takes, and its recipe makes the same report again."""

from __future__ import annotations

import json
import shutil
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
import typer

from runscope.api.recipe import Recipe
from runscope.cli import main
from runscope.cli.app import app
from runscope.errors import InputError
from runscope.evaluation import EvaluateSettings
from tests.evaluation.conftest import Place
from tests.hub import repos


@pytest.fixture
def output(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Checkpoints with the log of the run that saved them."""
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    folder = tmp_path / "output"
    shutil.copytree(place.output, folder)
    (folder / "checkpoint-600" / "trainer_state.json").write_bytes(repos.state(600, 6.0, every=10))
    return folder


def test_no_option_of_the_evaluation_is_missing() -> None:
    group = typer.main.get_command(app)
    known = {f.name for f in fields(EvaluateSettings)}
    taken = {
        name: {p.name: p.default for p in group.commands[name].params if p.name in known}  # type: ignore[attr-defined]
        for name in ("evaluate", "report")
    }
    assert taken["evaluate"] == taken["report"]
    assert len(taken["report"]) > 20
    usual = EvaluateSettings()
    assert taken["report"] == {name: getattr(usual, name) for name in taken["report"]}


def test_a_report_by_answers_and_its_recipe(place: Place, output: Path, tmp_path: Path) -> None:
    torn = output / "checkpoint-400" / "adapter_model.safetensors"
    torn.write_bytes(torn.read_bytes()[:-100])
    words = [
        "report", str(output), "--hub", str(output), "--data", str(place.held_out), "--base", str(place.base),
        "--task", "answer", "--max-examples", "12", "--max-new-tokens", "3", "--device", "cpu", "--full",
        "--metric", "exact_match", "--min-effect", "0.05", "--quiet",
    ]  # fmt: skip
    assert main([*words, "--output", str(tmp_path / "one")]) == 0
    recipe = tomllib.loads((tmp_path / "one" / "recipe.toml").read_text())
    assert recipe["investigation"]["settings"] == {
        "task": "answer", "max_examples": 12, "max_new_tokens": 3, "device": "cpu", "full": True,
        "min_effect": 0.05,
    }  # fmt: skip
    assert main(["report", str(tmp_path / "one" / "recipe.toml"), "--output", str(tmp_path / "two")]) == 0
    one, two = (json.loads((tmp_path / n / "findings.json").read_text()) for n in ("one", "two"))
    assert one["verdict"] == two["verdict"]
    assert {c["step"] for c in one["checkpoints"] if c["examples"]} == {100, 200, 300, 500, 600}
    assert all(c["examples"] in (None, 0, 12) for c in one["checkpoints"])
    assert all("exact_match" in c["scores"] for c in one["checkpoints"] if c["examples"])
    assert "step 400 was left out: adapter_model.safetensors was cut off" in " ".join(one["notes"])
    for word in ("--task answer", "--max-examples 12", "--full", "--metric exact_match"):
        assert word in recipe["made_from"]["command"]


def test_an_option_without_examples_is_refused(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(output), "--task", "number"]) == 2
    error = capsys.readouterr().err.splitlines()
    assert error[0].startswith("error: --task")
    assert "--data" in error[1]


def test_an_option_beside_a_recipe_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Recipe(("run.csv",)).write(tmp_path / "recipe.toml", facts={})
    assert main(["report", str(tmp_path / "recipe.toml"), "--max-examples", "7"]) == 2
    assert "decides --max-examples itself" in capsys.readouterr().err


def test_a_recipe_keeps_metric_data_set_and_settings(tmp_path: Path) -> None:
    here = tmp_path / "held.jsonl"
    here.touch()
    for data in ("me/prices:test", "hf://datasets/me/prices", str(here)):
        given = Recipe(("r",), data=data, metric="eval_wer", settings={"task": "number", "tolerance": 40.0})
        given.write(tmp_path / "recipe.toml", facts={})
        read = Recipe.read(tmp_path / "recipe.toml")
        assert (read.data, read.metric, read.settings) == (data, "eval_wer", given.settings)


@pytest.mark.parametrize("line", ["device = 3", 'full = "yes"', 'tolerance = "much"', "nothing = 1"])
def test_a_recipe_with_a_wrong_setting_is_refused(line: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(
        f'schema = "runscope.recipe/1"\n[investigation]\nruns = ["a"]\n[investigation.settings]\n{line}\n'
    )
    with pytest.raises(InputError, match="settings"):
        Recipe.read(path)


def test_a_metric_that_nobody_has_is_refused(
    place: Place, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "report",
        str(output),
        "--hub",
        str(output),
        "--data",
        str(place.held_out),
        "--metric",
        "elegance",
    ]
    assert main(words) == 2
    error = capsys.readouterr().err.splitlines()
    assert "no metric 'elegance' was logged, and the task has none" in error[0]
    assert "of the task: loss" in error[1]


def test_a_task_in_a_file_is_looked_for_from_its_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "own.yaml").write_text("task: own\n")
    monkeypatch.chdir(tmp_path / "tasks")
    given = {"task": "lm-eval:own.yaml", "max_examples": 5}
    Recipe(("run.csv",), settings=given).write(tmp_path / "recipe.toml", facts={})
    written = tomllib.loads((tmp_path / "recipe.toml").read_text())["investigation"]["settings"]
    assert written == {"task": "lm-eval:tasks/own.yaml", "max_examples": 5}
    monkeypatch.chdir("/")
    read = Recipe.read(tmp_path / "recipe.toml").settings
    assert read == {"task": f"lm-eval:{tmp_path / 'tasks' / 'own.yaml'}", "max_examples": 5}
    Recipe(("run.csv",), settings={"task": "lm-eval:arc_easy"}).write(tmp_path / "named.toml", facts={})
    assert Recipe.read(tmp_path / "named.toml").settings == {"task": "lm-eval:arc_easy"}
