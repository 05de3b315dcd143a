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


@pytest.fixture(scope="session")
def output_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Adapters, their base and held-out examples."""
    from tests.evaluation import tiny

    folder = tmp_path_factory.mktemp("tiny")
    base = tiny.save_base(tiny.llama(), folder / "base")
    saved = tiny.save_adapters(
        tiny.llama(), base, folder / "output", ["q_proj", "v_proj"], [0.01, 0.02, 0.03]
    )
    return saved, base, tiny.write_examples(folder / "heldout.jsonl", 70, 1)


def test_evaluate_prints_and_writes(
    output_folder: tuple[Path, Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    saved, base, data = output_folder
    words = ["evaluate", str(saved), "--data", str(data), "--base", str(base), "--quiet"]
    assert main([*words, "--format", "json"]) == 0
    study = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert study["schema"] == "runscope.evaluation/1"
    assert study["outcome"] in ("not_worse", "undecided"), "such weak adapters change nothing that matters"
    assert [c["step"] for c in study["checkpoints"]] == [100, 200, 300]
    assert main([*words, "--output", str(tmp_path / "scores.csv")]) == 0
    assert (tmp_path / "scores.csv").read_text().startswith("step,epoch,revision")
    assert main(words) == 0
    assert "held-out loss" in capsys.readouterr().out


def test_report_writes_a_folder_and_makes_it_again(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *map(str, runs), "--output", str(tmp_path / "out")]) == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"report.html", "findings.json", "recipe.toml"}
    assert main(["report", str(tmp_path / "out" / "recipe.toml"), "--output", str(tmp_path / "again")]) == 0
    both = [json.loads((tmp_path / f / "findings.json").read_text()) for f in ("out", "again")]
    assert both[0]["findings"] == both[1]["findings"]
    assert both[0]["verdict"] == both[1]["verdict"]


@pytest.mark.parametrize("ending", ["png", "svg", "md", "csv", "parquet", "json", "html"])
def test_report_in_every_form(runs: tuple[Path, Path], ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"report.{ending}"
    assert main(["report", *map(str, runs), "--output", str(path), "--quiet"]) == 0
    assert path.stat().st_size > 100
    begins = {
        "png": b"\x89PNG",
        "svg": b"<?xml",
        "md": b"**",
        "html": b"<!doctype",
        "json": b"{",
        "parquet": b"PAR1",
    }
    assert path.read_bytes().startswith(begins.get(ending, b""))


def test_data_without_checkpoints_is_a_usage_error(
    runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(runs[0]), "--data", "heldout.jsonl"]) == 2
    error = capsys.readouterr().err.splitlines()
    assert error[0].startswith("error:")
    assert "--hub" in error[1]


def test_each_as_json_is_one_document(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", "--each", "--format", "json", str(runs[0]), "no-such-run"]) == 2
    shown = capsys.readouterr()
    answers = json.loads(shown.out, parse_constant=pytest.fail)
    assert [("verdict" in a, "error" in a) for a in answers] == [(True, False), (False, True)]
    assert [line.partition(":")[0] for line in shown.err.splitlines()] == ["error", "hint"]


@pytest.mark.parametrize("words", [["--scale", "0"], ["--scale", "nan"], ["--scale", "-1"], ["--at", "-5"]])
def test_places_that_cannot_be_are_refused(
    runs: tuple[Path, Path], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stitch", *map(str, runs), *words]) == 2
    assert capsys.readouterr().err.startswith("error:")


def test_a_reader_that_leaves_early_is_no_finding(runs: tuple[Path, Path]) -> None:
    words = [sys.executable, "-m", "runscope", "show", str(runs[0])]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as shown:
        assert shown.stdout is not None
        shown.stdout.close()
        assert shown.wait(timeout=60) == 0
