"""The base as row 0: equal to a plain loop over it, whatever the adapters are, and said in words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runscope.cli import main
from runscope.evaluation import EvaluateSettings, Study, evaluate
from runscope.evaluation.models.local import LocalModels
from runscope.hub import fetch, list_checkpoints
from tests.evaluation import tiny
from tests.evaluation.conftest import Place

QUIET = EvaluateSettings(sample=0, device="cpu")


def study(output: Path, data: Path, settings: EvaluateSettings = QUIET, **others: Any) -> Study:
    return evaluate(list_checkpoints(str(output)), data, fetch=fetch, settings=settings, **others)


def plain_loss(model: Any, examples: Path) -> float:
    """Mean over all completion tokens, one example at a time."""
    import torch

    words, sums = tiny.tokenizer(), []
    for row in map(json.loads, examples.read_text().splitlines()):
        before = len(words(row["prompt"])["input_ids"])
        ids = torch.tensor([words(row["prompt"] + row["completion"])["input_ids"]])
        with torch.inference_mode():
            logits = model(input_ids=ids).logits[0].log_softmax(-1)
        sums.append([-float(logits[i - 1, ids[0, i]]) for i in range(before, ids.shape[1])])
    return float(np.mean(np.concatenate(sums)))


def test_the_base_is_what_a_plain_loop_over_it_gives(place: Place) -> None:
    from transformers import AutoModelForCausalLM

    found = study(place.output, place.held_out, base=place.base)
    assert found.base is not None
    expected = plain_loss(AutoModelForCausalLM.from_pretrained(place.base), place.held_out)
    assert found.base.mean == pytest.approx(expected, abs=1e-5)
    assert found.base.examples == 120
    best = next(s for s in found.scores if s.standing == "best")
    assert best.mean is not None
    assert found.base.difference == pytest.approx(expected - best.mean, abs=1e-5)
    assert found.base.difference_low <= found.base.difference <= found.base.difference_high
    assert found.full_grid == 6 * 120, "the base is no checkpoint"


@pytest.fixture(scope="module")
def idle(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Adapters that change next to nothing."""
    folder = tmp_path_factory.mktemp("idle")
    return tiny.save_adapters(
        tiny.train(tiny.llama(), place.train), place.base, folder, ["q_proj", "down_proj"], [1e-4, 2e-4, 3e-4]
    )


def test_adapters_that_change_nothing_did_not_help(place: Place, idle: Path) -> None:
    found = study(idle, place.held_out, replace(QUIET, min_effect=0.2), base=place.base)
    assert found.base is not None
    assert found.base.outcome == "did_not_help"
    assert "is ruled out" in found.base.reason


def test_whole_models_that_were_trained_helped_and_the_base_is_the_one_that_is_named(
    place: Place, tmp_path: Path
) -> None:
    base = tiny.save_base(tiny.llama(), tmp_path / "base")
    for step in (30, 60):
        tiny.save_base(tiny.train(tiny.llama(), place.train, steps=step), tmp_path / f"out/checkpoint-{step}")
    found = study(tmp_path / "out", place.held_out, base=base)
    assert found.base is not None
    assert found.base.outcome == "helped"
    assert found.base.mean == pytest.approx(plain_loss(tiny.llama().eval(), place.held_out), abs=1e-5)
    assert found.base.difference_low > 0
    assert study(tmp_path / "out", place.held_out).base is None, "nothing names it"
    little = study(tmp_path / "out", place.held_out, replace(QUIET, min_effect=50.0), base=base).base
    assert little is not None
    assert little.outcome == "helped_little", "it is shown, and less than what matters"
    assert "less than the 50 nats per token that matter" in little.reason


def test_a_training_that_went_wrong_is_said_to_have_harmed(place: Place, tmp_path: Path) -> None:
    tiny.save_adapters(
        tiny.train(tiny.llama(), place.train),
        place.base,
        tmp_path / "out",
        ["q_proj", "down_proj"],
        [8.0, 9.0],
    )
    found = study(tmp_path / "out", place.held_out, base=place.base)
    assert found.base is not None
    assert found.base.outcome == "harmed"
    assert found.base.difference_high < 0


def test_adapters_come_back_after_the_base_was_asked(place: Place) -> None:
    from runscope.evaluation.examples.reading import read_examples

    examples = read_examples(place.held_out)[:10]
    first, last = place.output / "checkpoint-100", place.output / "checkpoint-600"
    models = LocalModels(QUIET, place.base)
    said = []
    for turn, folder in (("base", last), ("use", first), ("base", last), ("use", last), ("use", first)):
        (models.use_base if turn == "base" else models.use)(folder)
        said.append(np.concatenate(models.token_losses(examples)))
    alone = LocalModels(QUIET, place.base)
    alone.use(last)
    np.testing.assert_allclose(said[0], said[2], atol=1e-6)
    np.testing.assert_allclose(said[1], said[4], atol=1e-6)
    np.testing.assert_allclose(said[3], np.concatenate(alone.token_losses(examples)), atol=1e-6)
    assert np.abs(said[0] - said[3]).max() > 0.01


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_every_form_says_what_the_base_is(
    place: Place, idle: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "evaluate",
        str(idle),
        "--data",
        str(place.held_out),
        "--base",
        str(place.base),
        "--min-effect",
        "0.2",
    ]
    assert main([*words, "--format", form, "--quiet"]) == 0
    said = capsys.readouterr().out
    if form == "json":
        base = json.loads(said)["base"]
        assert base["outcome"] == "did_not_help"
        assert base["mean"] is not None
    else:
        assert "ine-tuning did not help" in said
        assert "the base" in said


def test_two_trainings_on_the_same_examples(
    place: Place, idle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoilt = tiny.save_adapters(
        tiny.train(tiny.llama(), place.train),
        place.base,
        tmp_path / "spoilt",
        ["q_proj", "down_proj"],
        [8.0, 9.0],
    )
    words = [
        "--data",
        str(place.held_out),
        "--base",
        str(place.base),
        "--average",
        "last:2",
        "--format",
        "json",
    ]
    for one, other, outcome in ((spoilt, idle, "worse"), (idle, spoilt, "not_worse")):
        assert main(["evaluate", str(one), str(other), *words, "--quiet"]) == 0, (
            "which is better is a question"
        )
        assert json.loads(capsys.readouterr().out)["baseline"]["status"] == outcome
    assert main(["evaluate", str(spoilt), "--baseline", str(idle), *words, "--quiet"]) == 1, (
        "a baseline is a demand"
    )
