"""What ``runscope show`` says of a run, in each form."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import runscope.sources
from runscope.api import example
from runscope.cli import main
from runscope.history import Run, Series
from runscope.reporting import markdown_run, print_run, run_json
from runscope.reporting.text.run import SOURCES, sparkline


def _run(**changes: object) -> Run:
    step = np.arange(10, 1010, 10)
    loss = 3.0 - 0.002 * step
    loss[[4, 50]] = np.nan, np.inf
    facts: dict[str, object] = {
        "reference": "x", "id": "2x9f1k3a", "name": "[bold]pricer", "source": "wandb-file", "project": "me/pricer",
        "series": {
            "train/loss": Series.of("train/loss", step, loss),
            "train/epoch": Series.of("train/epoch", step, step / 500),
            "odd|name": Series.of("odd|name", [7], [1.0]),
        },
        "roles": {"train_loss": "train/loss", "epoch": "train/epoch"},
        "step_key": "train/global_step", "state": "killed", "started_at": 1.7e9, "ended_at": 1.7e9 + 3600,
        "config": {"lr": 1e-4}, "notes": ("3 records were lost",),
    }  # fmt: skip
    return Run(**(facts | changes))  # type: ignore[arg-type]


def _text(run: Run, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_run(console, run)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_text_tells_what_was_found() -> None:
    lines = _text(_run()).splitlines()
    assert lines[0] == "[bold]pricer", "names are text, not markup"
    assert lines[1].strip() == "offline W&B run, id 2x9f1k3a in me/pricer; killed"
    assert lines[2].strip() == "steps 7 to 1,000, counted by train/global_step; 2 epochs"
    assert lines[3].strip() == "2023-11-14 22:13 to 23:13 UTC (60 min)"
    assert lines[5].split() == ["role", "metric", "points", "steps", "first", "last", "lowest", "curve"]
    assert lines[6].split()[:6] == ["train_loss", "train/loss", "100", "10", "to", "1,000"]
    assert lines[8].split()[:3] == ["odd|name", "1", "7"]
    assert "not recognised: eval_loss, learning_rate, grad_norm" in lines[9]
    assert lines[10] == "train/loss: 2 of 100 values are NaN or infinite, the first at step 50"
    assert lines[11] == "also there: 1 settings"
    assert lines[12] == "note: 3 records were lost"


def test_a_narrow_terminal_keeps_every_row_on_its_line() -> None:
    text = _text(_run(), width=90)
    assert max(map(len, text.splitlines())) <= 110
    assert "lowest" not in text
    assert sum("train/loss" in line for line in text.splitlines()) == 2, "one row, one remark"


def test_json_holds_every_metric_and_no_bare_nan() -> None:
    data = json.loads(json.dumps(run_json(_run()), allow_nan=False))
    assert data["schema"] == "runscope.run/1"
    assert (data["state"], data["epochs"], data["tokens"]) == ("killed", 2.0, None)
    loss = data["metrics"][0]
    assert (loss["name"], loss["role"], loss["points"], loss["non_finite"]) == (
        "train/loss",
        "train_loss",
        100,
        2,
    )
    assert (loss["first_step"], loss["last_step"], loss["last"]) == (10, 1000, 1.0)
    assert json.loads(json.dumps(run_json(_run(config={"x": float("nan")})), allow_nan=False))["config"] == {
        "x": "NaN"
    }


def test_markdown_escapes_foreign_names() -> None:
    text = markdown_run(_run())
    assert r"odd\|name" in text
    assert r"\[bold\]pricer" in text


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([1.0, 2.0, 3.0], "▁▄█"), ([1.0, 1.0], "▁▁"), ([], ""), ([float("nan")], "!"),
        ([0.0, float("inf"), 1.0], "▁!█"), ([-1.7e308, 1.7e308], "▁█"), ([0.0, 5e-324], "▁▁"),
    ],
)  # fmt: skip
def test_sparkline(values: list[float], drawn: str) -> None:
    assert sparkline(Series.of("x", range(len(values)), values)) == drawn


def test_sparkline_is_in_order_of_step() -> None:
    assert sparkline(Series.of("x", [3, 1, 2], [3.0, 1.0, 2.0])) == "▁▄█"


def test_show_of_several_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("step,loss,other\n1,2.0,5\n2,1.0,6\n")
    words = ["show", str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    assert main([*words, "--format", "json"]) == 0
    assert [r["name"] for r in json.loads(capsys.readouterr().out)["runs"]] == ["a", "b"]
    assert main([*words, "--format", "jsonl"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main([*words, "--map", "eval_loss=other"]) == 0
    assert sum("eval_loss" in line for line in capsys.readouterr().out.splitlines()) == 2
    assert main([*words, "--output", str(tmp_path / "runs.md"), "--quiet"]) == 0
    assert (tmp_path / "runs.md").read_text().count("| metric |") == 2


def test_show_suggests_the_nearest_metric(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("step,loss,val_nll\n1,2.0,5\n")
    assert main(["show", str(tmp_path / "a.csv"), "--map", "eval_loss=val_nl"]) == 2
    assert "did you mean 'val_nll'?" in capsys.readouterr().err


def test_every_source_has_its_words_and_no_other() -> None:
    folder = Path(runscope.sources.__file__).parent
    made = re.findall(r'\bsource="([a-z-]+)"', "".join(f.read_text("utf-8") for f in folder.rglob("*.py")))
    assert set(made) == set(SOURCES)


def test_what_a_terminal_shows_needs_no_pandas() -> None:
    """It takes a third of a second to load; a table to write is what it is there for."""
    words = ["show", str(example.folder() / "killed.wandb")]
    code = f"import sys; from runscope.cli import main; main({words!r}); sys.exit('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "offline W&B run" in done.stdout
