"""``runscope stitch`` where it is not sure: a script is refused with the alternatives, JSON still comes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runscope.api.example import folder
from runscope.cli import main
from runscope.history import Timeline
from runscope.sources.wandb_push import push
from tests.stitching.trainings import CONFIG, session


@pytest.fixture(scope="module")
def unsure(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two runs of a flat curve whose saved states nobody knows; only a name says that one continues the other."""
    folder = tmp_path_factory.mktemp("unsure")
    blind = {k: v for k, v in CONFIG.items() if k != "save_steps"}
    runs = [
        session(
            n, begins=9000 + 800 * i, ends=9990 + 800 * i, at=9e8 + 9e4 * i, noise=0.5, seed=i, config=blind
        )
        for i, n in enumerate(("p", "p-resumed"))
    ]
    return [push(Timeline.of(run), offline=folder, name=run.name).place for run in runs]


def test_a_script_is_refused_with_the_alternatives(
    unsure: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stitch", *unsure, "--format", "json"]) == 2
    said = capsys.readouterr()
    second = json.loads(said.out)["segments"][1]
    assert second["confidence"] < 0.5
    assert second["alternatives"]
    assert "only" in said.err
    assert "--at" in said.err


def test_a_hand_decides(unsure: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stitch", *unsure, "--at", "800", "--scale", "0.5", "--format", "json"]) == 0
    second = json.loads(capsys.readouterr().out)["segments"][1]
    assert (second["offset"], second["scale"], second["method"]) == (800, 0.5, "given")
    assert main(["stitch", *unsure, "--force", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["segments"][1]["continues"]


def test_find_proposes_which_runs_of_a_folder_belong_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = {**CONFIG, "model_name_or_path": "other/model"}
    runs = [
        session("p", begins=0, ends=1070, at=1e9),
        session("p-2", begins=1000, ends=2000, at=1.1e9, seed=1),
        session("tagger", begins=0, ends=500, at=1.05e9, config=other, seed=2),
    ]
    for run in runs:
        push(Timeline.of(run), offline=tmp_path, name=run.name)
    assert main(["stitch", "--find", str(tmp_path / "wandb"), "--format", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    groups = said["trainings"]
    assert sorted(len(g) for g in groups) == [1, 2]
    assert [0.6 <= sure <= 1 for sure in said["confidence"]] == [True, True]
    assert main(["stitch", "--find", str(tmp_path / "wandb")]) == 0
    command, sure = capsys.readouterr().out.splitlines()[0].split("  # ")
    assert command.startswith("runscope stitch ")
    assert sure == f"{max(c for c, g in zip(said['confidence'], groups, strict=True) if len(g) > 1):.0%} sure"


def test_a_refusal_gives_its_reason_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stitch", str(folder() / "killed.wandb"), str(folder() / "healthy.wandb")]) == 2
    said = capsys.readouterr()
    assert (said.out + said.err).count("continues none of the other") == 1
    assert (said.out + said.err).count(
        "its losses begin where the first run's began: it starts from scratch"
    ) == 1


@pytest.mark.parametrize("axis", ["step", "epoch", "samples", "hours", "time"])
def test_the_table_comes_on_every_axis(unsure: list[str], axis: str, tmp_path: Path) -> None:
    import pandas as pd

    target = tmp_path / "line.parquet"
    status = main(["stitch", *unsure, "--at", "800", "--axis", axis, "--output", str(target)])
    if axis == "samples":
        assert status == 2  # no batch size is configured, and no samples were counted
        return
    assert status == 0
    table = pd.read_parquet(target)
    assert table.columns[0] == axis
    assert table[axis].notna().any()


@pytest.mark.parametrize("other", ["healthy", "vanishing", "exploding"])
def test_runs_of_the_same_model_that_continue_nothing_are_refused(
    other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Same name, same model, same settings page: only what the runs logged tells that they are other trainings."""
    killed = str(folder() / "killed.wandb")
    assert main(["stitch", killed, str(folder() / f"{other}.wandb"), "--format", "json"]) == 2
    assert json.loads(capsys.readouterr().out)["segments"][1]["continues"] is False
    assert main(["stitch", killed, str(folder() / "resumed.wandb"), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["segments"][1]["offset"] == 750


def notes(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """Notes of the demo's two runs, stitched with these words."""
    names = [str(folder() / f"{n}.wandb") for n in ("killed", "resumed")]
    assert main(["stitch", *names, *words, "--format", "json"]) == 0
    found: list[str] = json.loads(capsys.readouterr().out)["notes"]
    return found


def test_a_run_that_is_named_twice_is_said_to_be_taken_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert notes(capsys) == []
    (said,) = notes(capsys, str(folder() / "killed.wandb"))
    assert said == "pricer-2024-09-13_13.04.39 was named more than once, and is taken once"


@pytest.mark.parametrize(("step", "said"), [("0", "nothing of it is kept"), ("99999", "beyond step 760")])
def test_a_join_by_hand_outside_what_was_logged_is_said(
    step: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert notes(capsys, "--at", "750") == notes(capsys, "--at", "764") == []
    (note,) = notes(capsys, "--at", step)
    assert said in note


def test_an_axis_is_that_of_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = str(folder() / "killed.wandb")
    for more in ([], ["--output", str(tmp_path / "line.html")]):
        assert main(["stitch", killed, "--axis", "epoch", *more]) == 2
        assert "--output line.csv" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("RUNSCOPE_STITCH_AXIS", "epoch")
    assert main(["stitch", killed]) == 0, "a setting is for when a table is written"
