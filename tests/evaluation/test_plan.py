"""A plan says what would be run, downloaded and needed in memory, and loads nothing."""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import struct
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
    assert (before.at_least, before.at_most, before.kept) == (3 * 32 + 2 * 88, 6 * 120, 0)
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
    assert "held-out examples  120, the first look is after 32" in done.stdout
    assert "272 to 720 example evaluations" in done.stdout
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


def test_memory_is_told_by_precision(place: Place) -> None:
    """Plain arithmetic over the tensors themselves."""
    from safetensors import safe_open

    def shapes(folder: Path) -> dict[str, tuple[int, ...]]:
        with safe_open(next(folder.glob("*.safetensors")), "np") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118

    base, adapter = shapes(place.base), shapes(place.output / "checkpoint-600")
    elements = sum(math.prod(s) for s in base.values())
    beside = sum(math.prod(s) for s in adapter.values())
    saved = list_checkpoints(str(place.output))
    found = plan(saved, place.held_out, base=place.base).memory
    assert found["float32"] == 4 * (elements + beside)
    assert found["bfloat16"] == 2 * (elements + beside)
    layers = sum(math.prod(s) for n, s in base.items() if ".layers." in n and len(s) == 2)
    bits = 4 + 8 / 64 + 32 / (64 * 256)
    assert found["4bit"] == round(layers * bits / 8 + 2 * (elements - layers)) + 2 * beside
    asked = plan(saved, place.held_out, base=place.base, settings=EvaluateSettings(dtype="float16"))
    assert asked.memory == {"float16": found["bfloat16"]}


def test_time_and_price_are_arithmetic(place: Place) -> None:
    from transformers import AutoModelForCausalLM

    saved = list_checkpoints(str(place.output))
    found = plan(saved, place.held_out, base=place.base, price=36.0)
    rows = [json.loads(line) for line in place.held_out.read_text().splitlines()]
    letters = sum(len(r["prompt"]) + len(r["completion"]) for r in rows)
    elements = sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(place.base).parameters())
    own = (place.output / "checkpoint-600/adapter_model.safetensors").stat().st_size
    assert found.seconds_at_most is not None
    assert found.seconds_at_least is not None
    assert found.base_bytes is not None
    loading = (6 * own + found.base_bytes) / 2e9
    reading = 2 * elements * 6 * letters / 4 / 300e12
    assert found.seconds_at_most == pytest.approx(loading + reading, rel=1e-3)
    assert found.seconds_at_least < found.seconds_at_most
    assert found.price_at_most == pytest.approx(found.seconds_at_most * 0.01)
    said = plan(saved, place.held_out, base=place.base, settings=EvaluateSettings(task="answer"), price=36.0)
    assert said.price_at_most is None
    assert "how long answers take is not estimated" in said.notes


def test_a_base_is_not_read_to_learn_its_size(place: Place, tmp_path: Path) -> None:
    """A sparse file of 40 GB, of which only the header is there: hashing it would take minutes, and fails by memory."""
    base = tmp_path / "base"
    shutil.copytree(place.base, base)
    weights = base / "model.safetensors"
    header = json.dumps({"model.layers.0.w": {"dtype": "BF16", "shape": [200_000, 100_000],
                                              "data_offsets": [0, 40_000_000_000]}}).encode()  # fmt: skip
    with weights.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + 40_000_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF)
    found = plan(list_checkpoints(str(place.output)), place.held_out, base=base)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert found.base_bytes == weights.stat().st_size
    assert found.memory["float32"] > 80_000_000_000
    assert after.ru_inblock - before.ru_inblock < 1_000_000, "512-byte blocks read: not a tenth of the file"
    assert not list(tmp_path.rglob("digests.sqlite"))


def test_whole_models_are_not_read_to_plan(place: Place, tmp_path: Path) -> None:
    """Sparse files of 4 TB each: were one of them read, the test would not end."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}).encode()
    for step in (100, 200, 300):
        shutil.copytree(place.base, tmp_path / f"checkpoint-{step}")
        with (tmp_path / f"checkpoint-{step}" / "model.safetensors").open("wb") as file:
            file.write(struct.pack("<Q", len(header)) + header + bytes([step % 7]))
            file.truncate(8 + len(header) + 4 * 10**12)
    found = plan(list_checkpoints(str(tmp_path)), place.held_out)
    assert (found.checkpoints, found.kept) == (3, 0)
    assert found.memory["bfloat16"] == 2 * 10**12


def test_what_is_fetched_counts_and_no_optimiser(place: Place) -> None:
    from runscope.history.checkpoint import Checkpoint, File

    def saved(step: int) -> Checkpoint:
        names = {
            "model.safetensors": (1000, f"w{step}"), "config.json": (10, "c"), "tokenizer.json": (100, "t"),
            "optimizer.pt": (9000, f"o{step}"), "trainer_state.json": (50, f"s{step}"), "scheduler.pt": (5, "x"),
        }  # fmt: skip
        files = tuple(File(name, size, content) for name, (size, content) in names.items())
        return Checkpoint("me/x", "a" * 39 + str(step), f"step {step}", step, step, "title", files=files)

    found = plan([saved(step) for step in (1, 2, 3)], place.held_out)
    assert found.download_at_most_bytes == 3 * 1000 + 10 + 100, (
        "tokenizer and configuration are the same file"
    )


def test_a_price_without_a_plan_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", str(place.output), "--data", str(place.held_out), "--price", "2.5"]
    assert main(words) == 2
    assert "--price belongs to --plan" in capsys.readouterr().err
    assert main([*words, "--base", str(place.base), "--plan"]) == 0
    said = capsys.readouterr().out
    assert "in float32 (usual on a CPU)" in said
    assert "would last" in said
    assert "dollars" in said
