"""Several answers for each example: drawn as probable as the model says, whatever the batch, and pass@k of them."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runscope.api import evaluate
from runscope.cli import main
from runscope.errors import InputError, UsageError
from runscope.evaluation.examples.reading import read_examples
from runscope.evaluation.held_out import held_out_examples
from runscope.evaluation.models.backend import Draws
from runscope.evaluation.models.writing import WritingModels
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.tasks.kinds import find_task
from runscope.evaluation.tasks.passing import pass_at, passes_of
from runscope.evaluation.tasks.scorers import find_scorer
from tests.evaluation import letters
from tests.evaluation.conftest import Place


@pytest.mark.parametrize(("k", "right"), [(1, 0), (1, 3), (2, 3), (3, 1), (4, 3), (7, 1), (7, 7), (5, 2)])
def test_the_estimate_is_the_share_of_all_choices_of_k(k: int, right: int) -> None:
    answers = [True] * right + [False] * (7 - right)
    share = np.mean([any(chosen) for chosen in combinations(answers, k)])
    assert pass_at(k, 7, right) == pytest.approx(share)


def test_the_k_that_are_shown() -> None:
    assert [passes_of(n) for n in (1, 2, 7, 10, 30)] == [
        (),
        (1, 2),
        (1, 5, 7),
        (1, 5, 10),
        (1, 5, 10, 25, 30),
    ]


def models(place: Place, **settings: Any) -> WritingModels:
    found = WritingModels(EvaluateSettings(device="cpu", **settings), str(place.base))
    found.use(place.output / "checkpoint-600")
    return found


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_words_are_drawn_as_often_as_they_are_probable(place: Place, temperature: float) -> None:
    asked = read_examples(place.held_out)[:1]
    model = models(place)
    likely = dict(model.next_tokens(asked, 40)[0])
    weights = {word: p ** (1 / temperature) for word, p in likely.items()}
    (said,) = model.drawn(asked, 1, Draws(3000, temperature, 0))
    counts = Counter(map(str, said))
    for word, weight in sorted(weights.items(), key=lambda pair: -pair[1])[:5]:
        share = weight / sum(weights.values())
        error = np.sqrt(share * (1 - share) / len(said))
        assert abs(counts[word] / len(said) - share) < 4 * error + 1e-3, word


def test_draws_do_not_depend_on_the_batch_but_on_the_seed(place: Place) -> None:
    asked = read_examples(place.held_out)[:6]
    said = models(place, batch_tokens=4000).drawn(asked, 4, Draws(3, 1.0, 0))
    assert models(place, batch_tokens=1).drawn(asked[::-1], 4, Draws(3, 1.0, 0))[::-1] == said
    assert models(place).drawn(asked, 4, Draws(3, 1.0, 1)) != said
    assert any(len(set(own)) > 1 for own in said)


def test_at_a_temperature_near_zero_the_greedy_answer_is_drawn(place: Place) -> None:
    asked, model = read_examples(place.held_out)[:8], models(place)
    assert model.drawn(asked, 4, Draws(1, 1e-5, 0)) == [[a] for a in model.answers(asked, 4)]


def test_pass_at_k_decides_where_it_is_named(place: Place) -> None:
    how: dict[str, Any] = {
        "task": "answer",
        "samples": 5,
        "temperature": 1.5,
        "max_new_tokens": 1,
        "full": True,
    }
    study = evaluate(str(place.output), place.held_out, metric="pass_at_5", max_examples=20, **how)
    for score in study.scores:
        assert score.scores["pass_at_1"] == pytest.approx(score.scores["exact_match"])
        assert score.scores["pass_at_5"] >= score.scores["pass_at_1"]
    best = next(s for s in study.scores if s.standing == "best")
    assert best.mean == pytest.approx(best.scores["pass_at_5"])
    again = evaluate(str(place.output), place.held_out, scorer="regex", max_examples=20, **how)
    assert all(e.seconds == 0 for e in again.evaluations), "answers are kept, whatever scores them"


@pytest.mark.parametrize("option", ["temperature", "tolerance", "relative_tolerance", "min_effect"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_what_is_no_size_is_refused(option: str, value: float) -> None:
    words: dict[str, Any] = {option: value}
    with pytest.raises(UsageError, match=f"--{option.replace('_', '-')} .* is no size"):
        EvaluateSettings(**words)


def test_options_for_answers_that_nobody_asked_for_are_named(place: Place) -> None:
    how: dict[str, Any] = {"max_examples": 10, "device": "cpu", "sample": 0}
    study = evaluate(str(place.output), place.held_out, samples=3, temperature=0.5, scorer="number", **how)
    said = "--scorer number and --samples 3 and --temperature 0.5 had no effect: the task was loss"
    assert any(note.startswith(said) for note in study.notes)
    assert not any("no effect" in n for n in evaluate(str(place.output), place.held_out, **how).notes)


def test_where_all_answers_are_wrong_nothing_is_kept(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(place.output), "--data", str(place.held_out), "--device", "cpu", "--quiet"]
    assert main([*words, "--task", "answer", "--extract", "never", "--max-examples", "12"]) == 0
    said = capsys.readouterr().out
    assert "this shows nothing about which is better" in " ".join(said.split())
    assert "Keep" not in said
    assert "would decide" not in said


def test_several_answers_need_a_temperature() -> None:
    with pytest.raises(UsageError, match="temperature above 0"):
        EvaluateSettings(samples=4)
    with pytest.raises(UsageError, match="has no metric 'pass_at_2'"):
        _ = find_task(EvaluateSettings(task="answer", metric="pass_at_2")).metric


def test_a_scorer_sees_the_whole_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.jsonl").write_text(
        '{"prompt": "a", "completion": "b", "also_right": ["c", "d"], "source": "x"}\n'
        '{"prompt": "e", "completion": "f", "also_right": [], "source": "x"}\n'
    )
    (tmp_path / "by_row.py").write_text(
        "def any_of(answer, target, row):\n    return answer in [target, *row['also_right']]\n"
        "def plain(answer, target):\n    return answer == target\n"
    )
    monkeypatch.chdir(tmp_path)
    first, second = read_examples("rows.jsonl")
    assert first.row["also_right"] == ["c", "d"]
    task = find_task(EvaluateSettings(task="answer", scorer="by_row:any_of"))
    assert [task.scores({"answer": said}, first)["any_of"] for said in "bcdx"] == [1, 1, 1, 0]
    assert task.scores({"answer": "c"}, second)["any_of"] == 0
    assert find_scorer(EvaluateSettings(scorer="by_row:plain"))("b", "b", first.row) == 1
    with pytest.raises(InputError, match="KeyError"):
        find_scorer(EvaluateSettings(scorer="by_row:any_of"))("b", "b")


def test_the_row_is_no_part_of_what_an_example_is(tmp_path: Path) -> None:
    for name, more in (("one", ""), ("two", ', "note": "new"')):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"prompt": "a", "completion": "b"{more}}}\n')
    (one,), (two,) = (read_examples(tmp_path / f"{name}.jsonl") for name in ("one", "two"))
    assert one.id == two.id
    assert one == two
    assert one.row != two.row


def test_rows_that_differ_for_the_scorer_alone_are_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"prompt": "a", "completion": "b", "tests": tests} for tests in ("1", "2", "1")]
    letters.write(tmp_path / "rows.jsonl", [*rows, {"prompt": "c", "completion": "d", "tests": "3"}])
    letters.write(tmp_path / "train.jsonl", [{"prompt": "c", "completion": "d"}])
    (tmp_path / "own_tests.py").write_text(
        "def passes(answer, target, row):\n    return answer == row['tests']\n"
    )
    monkeypatch.chdir(tmp_path)
    for scorer, count in (("exact", 2), ("own_tests:passes", 3)):
        for settings in (
            EvaluateSettings(task="answer", scorer=scorer), EvaluateSettings(scorer=scorer, beside="answer")
        ):  # fmt: skip
            notes: list[str] = []
            found, _ = held_out_examples("rows.jsonl", (), settings, notes)
            assert len(found) == len({e.id for e in found}) == count
            assert any(f"{4 - count} row" in note and "equal to another one" in note for note in notes)
    by_row = EvaluateSettings(task="answer", scorer="own_tests:passes")
    left, seen = held_out_examples("rows.jsonl", read_examples("train.jsonl"), by_row)
    assert (len(left), seen) == (2, 1), "what was trained on is told by its words"
