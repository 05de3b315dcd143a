"""A second set of examples: what each checkpoint lost on it, equal to a plain loop, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from runscope.cli import main
from runscope.evaluation import EvaluateSettings, Study, evaluate
from runscope.hub import fetch, list_checkpoints
from tests.evaluation import tiny
from tests.evaluation.conftest import Place
from tests.evaluation.test_base_row import plain_loss

QUIET = EvaluateSettings(sample=0, device="cpu", full=True)


@pytest.fixture(scope="module")
def general(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prompts of letters that all go on with digits: what the base learned, and the fine-tune did not see."""
    folder = tmp_path_factory.mktemp("general")
    return tiny.write_questions(folder / "general.jsonl", 150, 5, "7 8 9")


@pytest.fixture(scope="module")
def trained(place: Place, general: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that knows the digits, and whole models that go on from it until they know something else."""
    folder = tmp_path_factory.mktemp("forgetful")
    model = tiny.train(tiny.llama(), general, steps=40)
    tiny.save_base(model, folder / "base")
    for step in (5, 10, 40):
        tiny.save_base(tiny.train(model, place.train, steps=step), folder / f"out/checkpoint-{step}")
    return folder


def study(trained: Path, place: Place, general: Path | None, base: bool = True) -> Study:
    return evaluate(
        list_checkpoints(str(trained / "out")), place.held_out, fetch=fetch, settings=QUIET, also=general,
        base=trained / "base" if base else None,
    )  # fmt: skip


def test_rows_are_what_a_plain_loop_gives(trained: Path, place: Place, general: Path) -> None:
    from transformers import AutoModelForCausalLM

    found = study(trained, place, general)
    names = ["base", *(f"out/checkpoint-{n}" for n in (5, 10, 40))]
    expected = [plain_loss(AutoModelForCausalLM.from_pretrained(trained / n), general) for n in names]
    assert found.forgetting is not None
    assert found.forgetting.base_mean == pytest.approx(expected[0], abs=1e-5)
    assert [s.also_mean for s in found.scores] == pytest.approx(expected[1:], abs=1e-5)
    assert [s.forgotten for s in found.scores] == pytest.approx(
        np.subtract(expected[1:], expected[0]), abs=1e-5
    )
    for s in found.scores:
        assert s.forgotten_low <= s.forgotten <= s.forgotten_high  # type: ignore[operator]


def test_a_training_that_forgot_is_told(trained: Path, place: Place, general: Path) -> None:
    found = study(trained, place, general)
    assert found.base is not None
    assert found.base.outcome == "helped"
    assert found.forgetting is not None
    assert found.forgetting.outcome == "forgot"
    assert "general.jsonl" in found.forgetting.reason
    assert [s.trade_off for s in found.scores][-1], "the best on the first set is beaten by none on both"
    assert found.scores[0].forgotten < found.scores[-1].forgotten  # type: ignore[operator]


def test_without_a_base_it_is_measured_from_the_first(trained: Path, place: Place, general: Path) -> None:
    found = study(trained, place, general, base=False)
    assert found.forgetting is not None
    assert found.forgetting.reference == "step 5"
    assert found.forgetting.base_mean is None
    assert found.scores[0].forgotten == 0.0
    assert any("from step 5, as the base is not at hand" in note for note in found.notes)


def test_what_changed_nothing_is_said_to_have_kept(place: Place, tmp_path: Path, general: Path) -> None:
    tiny.save_adapters(
        tiny.train(tiny.llama(), place.train), place.base, tmp_path / "out", ["q_proj"], [1e-5, 2e-5]
    )
    settings = EvaluateSettings(sample=0, device="cpu", min_effect=0.5)
    found = evaluate(
        list_checkpoints(str(tmp_path / "out")), place.held_out, fetch=fetch, settings=settings, also=general
    )
    assert found.forgetting is not None
    assert found.forgetting.outcome == "kept"


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_every_form_shows_the_trade_off(
    trained: Path, place: Place, general: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(trained / "out"), "--data", str(place.held_out), "--base", str(trained / "base")]
    assert main([*words, "--also", str(general), "--format", form, "--quiet"]) == 0
    said = capsys.readouterr().out
    if form == "json":
        found = json.loads(said)
        assert found["forgetting"]["outcome"] == "forgot"
        assert all(c["forgotten"] is not None for c in found["checkpoints"])
    else:
        assert "it forgot" in said
        assert "forgot" in said
        assert "no other checkpoint is as good on both sets" in said


def test_a_report_shows_the_trade_off_and_its_recipe_keeps_it(
    trained: Path, place: Place, general: Path, tmp_path: Path
) -> None:
    from tests.hub import repos

    state = trained / "out/checkpoint-40/trainer_state.json"
    state.write_bytes(repos.state(40, 4.0, every=5))
    words = ["report", str(trained / "out"), "--hub", str(trained / "out"), "--data", str(place.held_out)]
    words += ["--base", str(trained / "base"), "--also", str(general), "--quiet"]
    assert main([*words, "--output", str(tmp_path / "one")]) == 0
    page = (tmp_path / "one" / "report.html").read_text()
    assert "What was forgotten" in page
    assert "it forgot" in page
    recipe = tmp_path / "one" / "recipe.toml"
    assert "general.jsonl" in recipe.read_text()
    assert main(["report", str(recipe), "--output", str(tmp_path / "two"), "--quiet"]) == 0
    assert "it forgot" in (tmp_path / "two" / "report.html").read_text()
