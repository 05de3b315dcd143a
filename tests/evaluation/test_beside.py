"""A second task beside the one that decides: equal to what it says alone, on the same examples, and said in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runscope.cli import main
from runscope.errors import InputError, UsageError
from runscope.evaluation import EvaluateSettings, Study, evaluate
from runscope.hub import fetch, list_checkpoints
from tests.evaluation import tiny
from tests.evaluation.conftest import Place


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_questions(tmp_path_factory.mktemp("questions") / "held.jsonl", 80, 4, "a")


def study(place: Place, data: Path, **settings: Any) -> Study:
    return evaluate(
        list_checkpoints(str(place.output)), data, fetch=fetch, base=place.base,
        settings=EvaluateSettings(sample=0, device="cpu", max_new_tokens=1, **settings),
    )  # fmt: skip


def test_it_is_what_the_task_says_alone(place: Place, questions: Path) -> None:
    beside = study(place, questions, task="loss", beside="answer", average="last:2", full=True)
    alone = study(place, questions, task="answer", average="last:2", full=True)
    assert beside.metric == "loss"
    assert beside.beside is not None
    assert (beside.beside.task, beside.beside.metric) == ("answer", "exact_match")
    assert [s.beside_mean for s in beside.scores] == [s.mean for s in alone.scores]
    assert [s.beside_low for s in beside.scores] == [s.low for s in alone.scores]
    assert [e.beside_mean for e in beside.extras] == pytest.approx([e.mean for e in alone.extras])
    assert len({s.beside_mean for s in beside.scores}) > 1, "checkpoints that say the same show nothing"


def test_it_decides_nothing(place: Place, questions: Path) -> None:
    beside = study(place, questions, task="loss", beside="answer")
    alone = study(place, questions, task="loss")
    for name in ("outcome", "reason", "best", "example_evaluations", "effect", "p_value"):
        assert getattr(beside, name) == getattr(alone, name)


def test_differences_are_paired_with_the_best_by_what_decides(place: Place, questions: Path) -> None:
    found = study(place, questions, task="loss", beside="answer", full=True)
    best = next(s for s in found.scores if s.standing == "best")
    assert best.beside_mean is not None
    assert best.beside_difference is None
    for score in found.scores:
        if score is not best:
            assert score.beside_mean is not None
            assert score.beside_difference == pytest.approx(best.beside_mean - score.beside_mean, abs=1e-9)
            assert score.beside_difference_low <= score.beside_difference <= score.beside_difference_high  # type: ignore[operator]


def test_a_last_one_that_says_other_things_is_worse_by_it_too(place: Place, questions: Path) -> None:
    found = study(place, questions, task="loss", beside="answer")
    assert found.outcome == "overfit"
    assert found.beside is not None
    assert found.beside.outcome == "worse"
    assert "By it too, the last, step 600, is worse" in found.beside.reason
    assert "(the base: " in found.beside.reason


def test_the_same_answers_rule_out_that_it_is_worse(place: Place, questions: Path, tmp_path: Path) -> None:
    lessons = tiny.write_examples(tmp_path / "lessons.jsonl", 60, 3)
    out = tiny.save_adapters(
        tiny.train(tiny.llama(), lessons), place.base, tmp_path / "out", ["q_proj"], [1e-6, 2e-6]
    )
    settings = EvaluateSettings(sample=0, device="cpu", beside="choice", task="loss", full=True)
    data = tiny.write_questions(tmp_path / "held.jsonl", 500, 4, "a", ["a", "b"])
    found = evaluate(list_checkpoints(str(out)), data, fetch=fetch, settings=settings)
    assert found.beside is not None
    if found.best is not None and found.best.step == 100:
        assert found.beside.outcome == "as_good"
        assert "is ruled out" in found.beside.reason


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"beside": "anser"}, UsageError, "no task 'anser'"),
        ({"beside": "loss"}, UsageError, "is the task that decides"),
        ({"beside": "number"}, InputError, "contains no number"),
        ({"beside": "classify"}, UsageError, "for models that write"),
    ],
)
def test_what_cannot_stand_beside_is_refused(
    place: Place, questions: Path, settings: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        study(place, questions, task="loss", **settings)


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_every_form_shows_it(
    place: Place, questions: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(place.output), "--data", str(questions), "--beside", "answer", "--format", form]
    assert main([*words, "--max-new-tokens", "1", "--quiet"]) == 0
    said = capsys.readouterr().out
    if form == "json":
        found = json.loads(said)
        assert found["beside"]["outcome"] == "worse"
        assert any(c["beside_mean"] is not None for c in found["checkpoints"])
    else:
        assert "exact match" in said
        assert "By it too, the last, step 600, is worse" in said.replace("\n", " ")


def test_a_recipe_that_names_code_for_it_is_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'schema = "runscope.recipe/1"\n[investigation]\nruns = ["x"]\n[investigation.settings]\nbeside = "evil:Task"\n'
    )
    assert main(["report", str(recipe), "--quiet"]) == 2
    assert "beside = evil:Task imports and runs that" in capsys.readouterr().err
