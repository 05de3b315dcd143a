"""The bundled example from one end to the other, as a user runs it, and its sisters: healthy, vanishing, exploding."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runscope.api.example import folder
from runscope.cli import main

DATA = folder()
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reports") / "demo"
    assert main(["demo", "--output", str(out), "--quiet"]) == 0
    return out


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    return tmp_path


def findings(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (folder / "findings.json").read_text(encoding="utf-8"), parse_constant=pytest.fail
    )
    return found


def asked(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main([*words, "--format", "json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    return answer


def test_overfitting_is_confirmed_and_the_commit_to_keep_is_one_of_the_repository(demo: Path) -> None:
    verdict = findings(demo)["verdict"]
    assert verdict["overfitting"]["status"] == "confirmed"
    assert verdict["overfitting"]["basis"] == "checkpoints"
    assert verdict["overfitting"]["best_step"] < verdict["overfitting"]["onset_step"]
    subprocess.run(
        ["git", "clone", "-q", str(DATA / "pricer.bundle"), str(demo.parent / "clone")], check=True
    )
    log = subprocess.run(
        ["git", "-C", str(demo.parent / "clone"), "log", "--format=%H %s"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert f"{verdict['keep_revision']} Training in progress, step {verdict['keep_step']}\n" in log


def test_the_page_names_what_to_keep_and_the_lines_that_load_it(demo: Path) -> None:
    verdict, page = findings(demo)["verdict"], (demo / "report.html").read_text(encoding="utf-8")
    assert "Overfitting confirmed" in page
    assert "from_pretrained" in page
    assert verdict["keep_revision"][:8] in page


def test_the_story_is_told_with_price_errors_base_forgetting_and_average(demo: Path) -> None:
    found, page = findings(demo), (demo / "report.html").read_text(encoding="utf-8")
    assert found["beside"]["metric"] == "price_error"
    assert sum(c["beside_mean"] is not None for c in found["checkpoints"]) >= 4
    assert found["base"]["outcome"] == "helped"
    assert found["base"]["beside_mean"] > 0
    assert found["forgetting"]["outcome"] == "forgot"
    assert found["averages"][0]["outcome"] in ("better", "as_good", "worse", "undecided")
    for told in (found["beside"], found["base"], found["forgetting"], *found["averages"]):
        assert told["reason"][1:40] in page


def test_the_recipe_makes_the_same_findings_again(demo: Path, home: Path) -> None:
    assert main(["report", str(demo / "recipe.toml"), "--output", str(home / "again"), "--quiet"]) == 0
    first, second = findings(demo), findings(home / "again")
    assert first["verdict"] == second["verdict"]
    assert first["findings"] == second["findings"]


def test_the_second_run_goes_on_from_the_last_push(capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(DATA / "resumed.wandb"), str(DATA / "killed.wandb")]
    first, second = asked(["stitch", *runs, "--hub", str(DATA / "pricer.bundle")], capsys)["segments"]
    assert (second["offset"], second["method"], second["continues"]) == (750, "checkpoint", True)
    assert first["last_step"] == 750
    assert first["dropped_points"] > 0


def test_the_training_loss_alone_asks_for_held_out_examples(
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = [str(DATA / "killed.wandb"), str(DATA / "resumed.wandb")]
    diagnosis = asked(["diagnose", *runs, "--hub", str(DATA / "pricer.bundle")], capsys)
    overfitting = diagnosis["verdict"]["overfitting"]
    assert (overfitting["status"], overfitting["basis"]) == ("unknown", "train_curve")
    assert "runscope evaluate" in diagnosis["verdict"]["recommendation"]
    stairs = next(f for f in diagnosis["findings"] if f["code"] == "OVF003")
    assert "the schedule restarted instead of being restored" in diagnosis["verdict"]["headline"]
    assert "from epoch 5 on" in stairs["message"], "both count the epochs that are done"


def test_the_healthy_sister_is_told_healthy(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, hub = str(DATA / "healthy.wandb"), str(DATA / "healthy.bundle")
    curves = asked(["diagnose", run, "--hub", hub], capsys)
    words = ["report", run, "--hub", hub, "--data", str(DATA / "heldout.jsonl"), "--base", str(DATA / "base")]
    assert main([*words, "--output", str(home / "healthy"), "--quiet"]) == 0
    for found, status in ((curves, "unknown"), (findings(home / "healthy"), "none")):
        assert found["verdict"]["overfitting"]["status"] == status, "curves alone never say that all is well"
        assert found["verdict"]["gradients"]["status"] == "healthy"
        assert {f["severity"] for f in found["findings"]} <= {"info"}
    verdict = findings(home / "healthy")["verdict"]
    assert verdict["keep_step"] == verdict["overfitting"]["last_step"], (
        "the last checkpoint is the one to keep"
    )


@pytest.mark.parametrize(("name", "code"), [("vanishing", "GRD001"), ("exploding", "GRD004")])
def test_the_broken_sisters_are_named(name: str, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    diagnosis = asked(["diagnose", str(DATA / f"{name}.wandb")], capsys)
    assert diagnosis["verdict"]["gradients"]["status"] == name
    assert code in {f["code"] for f in diagnosis["findings"] if f["severity"] == "critical"}


WITHOUT_TORCH = """
class WithoutTorch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, WithoutTorch())
"""


def complaint(words: list[str], *, before: str = "", **environment: str) -> list[str]:
    """The lines on stderr of the command, which must refuse; ``before`` is run first in the same process."""
    code = f"import sys\n{before}\nfrom runscope.cli import main\nsys.exit(main({words!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()


def refused(lines: list[str]) -> str:
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"], lines
    return "\n".join(lines)


def test_a_run_whose_file_is_gone(tmp_path: Path) -> None:
    shutil.copyfile(DATA / "killed.wandb", tmp_path / "killed.wandb")
    text = refused(complaint(["stitch", str(tmp_path / "killed.wandb"), str(tmp_path / "resumed.wandb")]))
    assert "resumed.wandb is not there" in text


def test_a_run_cut_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "cut.wandb").write_bytes((DATA / "killed.wandb").read_bytes()[:100])
    refused(complaint(["diagnose", str(tmp_path / "cut.wandb")]))


def test_an_unknown_run_names_every_form() -> None:
    text = refused(complaint(["show", "no such run"]))
    for form in (
        "W&B path or URL",
        ".wandb file",
        "Trainer output",
        "hf://",
        "TensorBoard",
        "CSV, JSON lines",
    ):
        assert form in text


def test_a_missing_extra_says_what_to_install(tmp_path: Path) -> None:
    words = [
        "evaluate",
        str(DATA / "pricer.bundle"),
        "--data",
        str(DATA / "heldout.jsonl"),
        "--base",
        str(DATA / "base"),
    ]
    lines = complaint(words, before=WITHOUT_TORCH, RUNSCOPE_HOME=str(tmp_path))
    assert "pip install 'runscope[eval]'" in refused(lines)


def test_a_hub_that_cannot_be_reached() -> None:
    text = refused(complaint(["checkpoints", "me/pricer"], HF_ENDPOINT="http://127.0.0.1:9", HF_TOKEN="hf_x"))
    assert "did not answer" in text


def test_a_wandb_service_that_cannot_be_reached(tmp_path: Path) -> None:
    lines = complaint(
        ["show", "me/pricer/2x9f1k3a"], WANDB_BASE_URL="http://127.0.0.1:9", WANDB_API_KEY="0" * 40,
        WANDB_CACHE_DIR=str(tmp_path), RUNSCOPE_HOME=str(tmp_path),
    )  # fmt: skip
    assert "reach" in refused(lines)
