"""Averages as rows beside the checkpoints: what ``keep`` writes, on the same examples, held against selection."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runscope import api
from runscope.cli import main
from runscope.errors import UsageError
from runscope.evaluation import EvaluateSettings, Study, evaluate
from runscope.hub import fetch, list_checkpoints
from tests.evaluation import tiny
from tests.evaluation.conftest import Place
from tests.evaluation.test_base_row import plain_loss

QUIET = EvaluateSettings(sample=0, device="cpu", full=True)


def study(output: Path, data: Path, average: str, **others: Any) -> Study:
    return evaluate(
        list_checkpoints(str(output)), data, fetch=fetch, settings=replace(QUIET, average=average), **others
    )


@pytest.fixture(scope="module")
def around(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints that lie around good weights, each off in another direction: their average is better."""
    import torch

    folder = tmp_path_factory.mktemp("around")
    for number in range(1, 5):
        model = tiny.train(tiny.llama(), place.train, steps=80)
        torch.manual_seed(number)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "norm" not in name:
                    weight.add_(0.1 * torch.randn_like(weight))
        tiny.save_base(model, folder / f"checkpoint-{100 * number}")
    return folder


def test_rows_are_the_averages_that_keep_writes(place: Place, around: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    found = study(around, place.held_out, "last:3 100,400 ema:0.5")
    assert [e.steps for e in found.extras] == [(200, 300, 400), (100, 400), (100, 200, 300, 400)]
    for extra, words in zip(found.extras, ("last:3", "100,400", "ema:0.5"), strict=True):
        api.keep(str(around), tmp_path / words, average=words)
        expected = plain_loss(AutoModelForCausalLM.from_pretrained(tmp_path / words), place.held_out)
        assert extra.mean == pytest.approx(expected, abs=1e-5)
        assert extra.examples == 120


def test_an_adapter_s_average_is_that_of_its_products(place: Place, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    found = study(place.output, place.held_out, "last:2", base=place.base)
    api.keep(str(place.output), tmp_path / "kept", average="last:2")
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(place.base), tmp_path / "kept")
    assert found.extras[1].mean == pytest.approx(plain_loss(model, place.held_out), abs=1e-5)
    assert found.base is not None


def test_an_average_that_is_better_is_said_to_be(place: Place, around: Path, tmp_path: Path) -> None:
    many = tiny.write_examples(tmp_path / "many.jsonl", 800, 11)
    (found,) = study(around, many, "last:4").extras
    assert found.outcome == "better", found.reason
    assert "runscope keep writes it: --average 100,200,300,400" in found.reason
    assert found.difference_high < 0


def test_those_as_good_are_picked_on_other_examples_than_they_are_compared_on(
    place: Place, around: Path
) -> None:
    found = study(around, place.held_out, "as-good")
    (average,) = found.extras
    assert average.examples == 60
    assert any("picked on the first 60 examples, and compared on the others" in n for n in found.notes)
    assert len(average.steps) >= 2
    alone = study(place.output, place.held_out, "as-good", base=place.base)
    kept = [e for e in alone.extras if e.kind == "average"]
    assert all(600 not in e.steps for e in kept), "step 600 is far behind"


def test_what_cannot_be_averaged_is_said_before_anything_is_measured(place: Place) -> None:
    work: list[str] = []
    for words in ("last:9", "100,150", "the-best"):
        with pytest.raises(UsageError):
            study(place.output, place.held_out, words, progress=lambda label, *_: work.append(label))
    assert not work


def test_an_average_of_what_is_not_linear_is_left_out_and_said(place: Place, tmp_path: Path) -> None:
    for folder in sorted(place.output.iterdir())[:2]:
        target = tmp_path / folder.name
        target.mkdir()
        for file in folder.iterdir():
            (target / file.name).write_bytes(file.read_bytes())
        config = json.loads((target / "adapter_config.json").read_text())
        (target / "adapter_config.json").write_text(json.dumps(config | {"init_lora_weights": "olora"}))
    found = study(tmp_path, place.held_out, "last:2", base=place.base)
    assert not [e for e in found.extras if e.kind == "average"]
    assert any("was not evaluated" in n and "cannot be averaged" in n for n in found.notes)


def test_it_stands_in_table_and_json(place: Place, around: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", str(around), "--data", str(place.held_out), "--average", "last:2", "--quiet"]
    assert main(words) == 0
    assert "average of the last 2 (steps 300, 400)" in capsys.readouterr().out
    assert main([*words, "--format", "json"]) == 0
    (average,) = json.loads(capsys.readouterr().out)["averages"]
    assert average["steps"] == [300, 400]


def test_keep_writes_those_as_good_and_the_card_says_why(place: Place, around: Path, tmp_path: Path) -> None:
    file = tmp_path / "evaluation.json"
    words = [
        "evaluate",
        str(around),
        "--data",
        str(place.held_out),
        "--average",
        "as-good",
        "--full",
        "--quiet",
    ]
    assert main([*words, "--output", str(file)]) == 0
    found = json.loads(file.read_text())["averages"][0]
    words = ["keep", str(around), "--evaluated", str(file), "--average", "as-good", "--quiet"]
    assert main([*words, "--output", str(tmp_path / "kept")]) == 0
    api.keep(str(around), tmp_path / "expected", average=",".join(map(str, found["steps"])))
    name = "model.safetensors"
    assert (tmp_path / "kept" / name).read_bytes() == (tmp_path / "expected" / name).read_bytes()
    why = (tmp_path / "kept/README.md").read_text().split("## Why this one")[1]
    assert "average of those as good" in why
    assert "paired on 60 examples" in why
