"""Checkpoints that give no numbers, or that nothing can be compared with."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from runscope import api
from runscope.errors import InputError
from runscope.evaluation import EvaluateSettings, Study, evaluate
from runscope.evaluation.models.loading import config_of
from runscope.hub import fetch, list_checkpoints
from tests.evaluation import tiny
from tests.evaluation.conftest import Place
from tests.hub import repos

STEPS = (100, 200, 300, 400, 500, 600)


def study(place: Place, output: Path, data: Path | None = None, **settings: object) -> Study:
    words = {"sample": 0, "device": "cpu"} | settings
    return evaluate(
        list_checkpoints(str(output)), data or place.held_out, fetch=fetch, base=place.base,
        settings=EvaluateSettings(**words),  # type: ignore[arg-type]
    )  # fmt: skip


def with_nan(place: Place, output: Path, *broken: int) -> Path:
    """The checkpoints, some of which have weights that are no numbers."""
    shutil.copytree(place.output, output)
    for step in broken:
        file = output / f"checkpoint-{step}" / "adapter_model.safetensors"
        save_file({k: v * math.nan if "lora_B" in k else v for k, v in load_file(file).items()}, file)
    return output


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("broken", [(100,), (300,), (600,), (100, 400, 500, 600)])
def test_one_without_numbers_is_left_out_and_said(
    broken: tuple[int, ...], full: bool, place: Place, tmp_path: Path
) -> None:
    found = study(place, with_nan(place, tmp_path / "output", *broken), full=full)
    assert found.best is not None
    assert found.best.step in {100, 200} - set(broken)
    evaluated = {s.checkpoint.step: s for s in found.scores if s.examples}
    assert not evaluated.keys() & set(broken)
    assert all(math.isfinite(s.mean or 0.0) for s in evaluated.values())
    last = max(set(STEPS) - set(broken))
    assert last in evaluated, "the question is about the last one that gives numbers"
    assert found.outcome == ("overfit" if last > 300 else "not_worse" if last == 200 else found.outcome)
    said = " ".join(found.notes)
    asked = broken if full else (broken[-1],) if 600 in broken else [s for s in broken if s != 300]
    for step in asked:
        assert f"step {step} was left out: its loss is no finite number on" in said
    if 600 in broken:
        assert "step 600 was left out" in found.reason


def test_where_none_gives_numbers_it_is_an_error(place: Place, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finite number"):
        study(place, with_nan(place, tmp_path / "output", *STEPS))


def test_the_likeliest_of_no_numbers_is_no_answer(place: Place, tmp_path: Path) -> None:
    questions = tiny.write_questions(tmp_path / "q.jsonl", 70, 3, "a", ["a", "b", "c"])
    found = study(place, with_nan(place, tmp_path / "output", 600), questions, task="choice")
    assert not found.scores[-1].examples
    assert "step 600 was left out: its accuracy" in " ".join(found.notes)


def test_a_single_checkpoint_decides_nothing(place: Place, tmp_path: Path) -> None:
    output = tmp_path / "output"
    shutil.copytree(place.output / "checkpoint-600", output / "checkpoint-600")
    found = study(place, output)
    assert found.outcome == "undecided"
    assert "nothing to compare" in found.reason
    (output / "checkpoint-600" / "trainer_state.json").write_bytes(_memorised())
    line = api.as_line(str(output))
    alone = api.diagnose(line, hub=str(output)).verdict.overfitting
    judged = api.diagnose(line, hub=str(output), study=found).verdict.overfitting
    assert (judged.status, judged.basis, judged.probability) == (
        alone.status, alone.basis, alone.probability,
    )  # fmt: skip
    assert alone.basis == "eval_curve"


def _memorised() -> bytes:
    """A log whose held-out loss turns."""
    state = json.loads(repos.state(600, 6.0, every=10))
    for entry in state["log_history"]:
        entry["loss"] = 2 * math.exp(-entry["step"] / 200)
    state["log_history"] += [
        {"step": s, "epoch": s / 100, "eval_loss": 1.5 + abs(s - 150) / 300} for s in range(25, 601, 25)
    ]
    return json.dumps(state).encode()


def cut(file: Path) -> None:
    """As a kill leaves it: the first half."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json"])
@pytest.mark.parametrize("step", [100, 600])
def test_one_that_was_cut_is_left_out_and_said(step: int, name: str, place: Place, tmp_path: Path) -> None:
    output = tmp_path / "output"
    shutil.copytree(place.output, output)
    cut(output / f"checkpoint-{step}" / name)
    found = study(place, output, full=True)
    assert [s.checkpoint.step for s in found.scores if s.examples] == [s for s in STEPS if s != step]
    assert f"step {step} was left out: {name} was cut off" in " ".join(found.notes)


def test_a_whole_model_with_a_missing_shard_is_left_out(place: Place, tmp_path: Path) -> None:
    model = tiny.train(tiny.llama(), place.train, steps=5)
    for step in (100, 200, 300):
        model.save_pretrained(tmp_path / f"checkpoint-{step}", max_shard_size="20KB")
    shards = sorted((tmp_path / "checkpoint-200").glob("model-*.safetensors"))
    assert len(shards) > 2
    shards[1].unlink()
    found = study(place, tmp_path, full=True)
    assert {s.checkpoint.step for s in found.scores if s.examples} == {100, 300}
    assert f"{shards[1].name} is missing, one of {len(shards)} files of weights" in " ".join(found.notes)


def test_where_all_were_cut_it_is_an_error(place: Place, tmp_path: Path) -> None:
    output = tmp_path / "output"
    shutil.copytree(place.output, output)
    for step in STEPS:
        cut(output / f"checkpoint-{step}" / "adapter_model.safetensors")
    with pytest.raises(InputError, match="was cut off"):
        study(place, output)


def test_a_configuration_of_brackets_within_brackets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama", "x": ' + "[" * 700 + "]" * 700 + "}")
    with pytest.raises(InputError, match="cannot be loaded: maximum recursion depth"):
        config_of(str(tmp_path))


@pytest.mark.parametrize("config", [{"num_hidden_layers": 100_000}, {"text_config": {"n_layer": 2**40}}])
def test_a_configuration_of_layers_without_end_is_refused(config: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    with pytest.raises(InputError, match=r"layers? is 1"):
        config_of(str(tmp_path))


def test_sizes_of_a_layer_are_no_number_of_layers(tmp_path: Path) -> None:
    told = {"model_type": "gemma3n_text", "vocab_size_per_layer_input": 262_144, "num_hidden_layers": 30}
    (tmp_path / "config.json").write_text(json.dumps(told))
    assert config_of(str(tmp_path)) == told
