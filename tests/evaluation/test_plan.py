"""A plan says what would be run, downloaded and needed in memory, and loads nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runscope.cli import main
from runscope.evaluation import EvaluateSettings, evaluate
from runscope.evaluation.plan import plan
from runscope.hub import fetch, list_checkpoints
from runscope.store import ResultTable
from tests.evaluation.conftest import Place


def test_a_plan_counts_what_is_left_to_do(place: Place, tmp_path: Path) -> None:
    saved, results = list_checkpoints(str(place.output)), ResultTable(tmp_path / "r.sqlite")
    settings = EvaluateSettings(sample=0, full=True)

    before = plan(saved, place.held_out, base=place.base, train_data=place.train, results=results)
    assert (before.checkpoints, before.starting, before.examples) == (6, 3, 120)
    assert (before.at_least, before.at_most, before.kept) == (3 * 64 + 2 * 56, 6 * 120, 0)
    assert before.train_examples == 40
    assert before.download_at_most_bytes == 0, "they lie on this disk"
    assert before.base == str(place.base)
    assert before.base_bytes == (place.base / "model.safetensors").stat().st_size
    assert before.memory_bytes is not None
    assert before.memory_bytes > before.base_bytes
    assert before.detectable is None
    evaluate(
        saved[:1] + saved[-1:],
        place.held_out,
        fetch=fetch,
        base=place.base,
        settings=settings,
        results=results,
    )
    after = plan(saved, place.held_out, base=place.base, settings=settings, results=results)
    assert after.kept == 2 * 120
    assert after.detectable is not None
    assert after.detectable > 0


def test_the_command_prints_the_plan_and_loads_no_torch(place: Place, tmp_path: Path) -> None:
    script = (
        "import sys\nfrom runscope.cli import main\n"
        "status = main(sys.argv[1:])\n"
        "print('torch' in sys.modules, file=sys.stderr)\nsys.exit(status)"
    )
    words = [
        "evaluate",
        str(place.output),
        "--data",
        str(place.held_out),
        "--base",
        str(place.base),
        "--plan",
    ]
    environment = {**os.environ, "RUNSCOPE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, check=True, env=environment
    )
    assert "held-out examples  120, the first look is after 64" in done.stdout
    assert "304 to 720 example evaluations" in done.stdout
    assert done.stderr.splitlines()[-1] == "False"


def test_the_plan_as_json(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path))
    words = ["evaluate", str(place.output), "--data", str(place.held_out), "--plan", "--format", "json"]
    assert main([*words, "--base", "/no/such/base"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "runscope.evaluation-plan/1"
    assert told["base_bytes"] is None
    assert "the size of the base" in told["notes"][0]
