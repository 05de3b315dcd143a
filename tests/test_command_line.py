"""The commands on real offline W&B runs that the SDK writes: one killed training and its resumption."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runscope.cli import main

WRITE = """
import math, random, sys, wandb
first, last, offset, name, seed = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
random.seed(seed)
config = {"save_steps": 100, "logging_steps": 5, "learning_rate": 1e-4, "model_name_or_path": "tiny"}
with wandb.init(project="p", name=name, config=config, settings=wandb.Settings(console="off")) as run:
    run.define_metric("*", step_metric="train/global_step")
    for own in range(5, last - first + 1, 5):
        step = first + own
        loss = 1 + 2 * math.exp(-step / 300) + random.gauss(0, 0.01)
        run.log({"train/loss": float("nan") if own == 50 else loss, "train/global_step": own + offset})
"""


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("runs")
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DIR": str(folder)}
    for words in (("0", "660", "0", "pricer-a", "1"), ("600", "1200", "0", "pricer-a-resumed", "2")):
        subprocess.run([sys.executable, "-c", WRITE, *words], env=environment, cwd=folder, check=True)
    files = sorted((folder / "wandb").glob("offline-run-*/*.wandb"), key=lambda f: f.stat().st_mtime)
    return files[0], files[1]


def test_a_restarted_run_joins_at_the_last_saved_step(
    runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = runs
    for order in ((first, second), (second, first)):
        assert main(["stitch", *map(str, order), "--format", "json"]) == 0
        segments = json.loads(capsys.readouterr().out)["segments"]
        assert [s["offset"] for s in segments] == [0, 600]
        assert segments[0]["last_step"] == 600
        assert segments[0]["dropped_points"] > 0
        assert segments[1]["method"] == "checkpoint"


def test_a_logged_nan_is_found_and_is_valid_json(
    runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diagnose", str(runs[0]), "--format", "json"]) == 0
    text = capsys.readouterr().out
    found = {f["code"] for f in json.loads(text, parse_constant=pytest.fail)["findings"]}
    assert "LOS001" in found


def test_fail_on_sets_the_exit_status(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", str(runs[0]), "--fail-on", "info"]) == 1


def test_each_answers_for_every_run_and_goes_on_after_a_bad_one(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.wandb"
    bad.write_bytes(b"nothing of the kind")
    assert main(["diagnose", "--each", "--format", "jsonl", str(runs[0]), str(bad), str(runs[1])]) == 2
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [a["run"] for a in answers] == [str(runs[0]), str(bad), str(runs[1])]
    assert "error" in answers[1]
    assert "hint" in answers[1]


@pytest.mark.parametrize(
    "words", [["show", "no-such-run"], ["diagnos"], ["stitch", "--nonsense"], ["rule", "OVF999"], ["stitch"]]
)
def test_wrong_words_give_one_error_and_one_hint(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["error", "hint"]


def test_a_cut_file_is_read_as_far_as_it_goes(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = tmp_path / "cut.wandb"
    cut.write_bytes(runs[1].read_bytes()[:-3000])
    assert main(["show", str(cut), "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert any("ends inside a record" in note for note in shown["notes"])
    assert 0 < shown["last_step"] < 600


def test_importing_runscope_loads_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "wandb", "plotly", "ray", "numpy")
    code = f"import sys, runscope; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
