"""Scorers: what counts as right, in all the forms that answers come in; a user's own is imported by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from runscope.errors import InputError, UsageError
from runscope.evaluation import EvaluateSettings
from runscope.evaluation.tasks.kinds import extracted, weighted_number
from runscope.evaluation.tasks.scorers import find_scorer, read_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("178", 178), ("178.99 and more", 178.99), ("$1,234.50", 1234.5), ("about -3", -3), ("1e3", 1000), (".5", 0.5),
        ("7.", 7), ("12, 13", 12), ("1,2", 1), ("no number", None), ("", None), (".", None), ("-", None),
        ("v2 costs 5", 2),
    ],
)  # fmt: skip
def test_the_first_number_of_a_text(text: str, number: float | None) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize(
    ("scorer", "answer", "target", "score"),
    [
        ("exact", " Paris\n", "Paris", 1), ("exact", "Paris, France", "Paris", 0),
        ("regex", "it is 42.", r"\b42\b", 1), ("regex", "it is 421", r"\b42\b", 0),
        ("json", 'Sure: {"b": [1, 2.0], "a": null} there', '{"a": null, "b": [1, 2]}', 1),
        ("json", '{"a": 1}', '{"a": 2}', 0), ("json", "no JSON at all", "{}", 0), ("json", "3", "3", 1),
        ("json", "{broken [1]", "[1]", 1),
        ("number", "$140", "100", 1), ("number", "141", "100", 0), ("number", "960", "1000", 1),
        ("number", "1200", "1000", 1), ("number", "1201", "1000", 0), ("number", "nothing", "0", 0),
    ],
)  # fmt: skip
def test_scores(scorer: str, answer: str, target: str, score: float) -> None:
    settings = EvaluateSettings(scorer=scorer, tolerance=40, relative_tolerance=0.2)
    assert find_scorer(settings)(answer, target) == score


def test_a_users_own_scorer_is_imported_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_scorers.py").write_text(
        "from runscope.evaluation import scorer\n"
        "def length(answer, target):\n    return len(answer) == len(target)\n"
        "@scorer(lower_is_better=True, unit='letters', min_effect=1.0)\n"
        "def excess(answer, target):\n    return abs(len(answer) - len(target))\n"
        "def broken(answer, target):\n    return 1 / 0\n"
        "number = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    length = find_scorer(EvaluateSettings(scorer="my_scorers:length"))
    assert (length("abc", "xyz"), length.name, length.lower_is_better) == (1.0, "length", False)
    excess = find_scorer(EvaluateSettings(scorer="my_scorers:excess"))
    assert (excess("abc", "x"), excess.unit, excess.lower_is_better) == (2.0, "letters", True)
    with pytest.raises(InputError, match="ZeroDivisionError"):
        find_scorer(EvaluateSettings(scorer="my_scorers:broken"))("a", "b")
    for wrong in ("my_scorers:number", "my_scorers:absent", "no_such_module:x"):
        with pytest.raises(UsageError):
            find_scorer(EvaluateSettings(scorer=wrong))


def test_a_misspelt_scorer_gets_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        find_scorer(EvaluateSettings(scorer="exakt"))
    assert "'exact'" in caught.value.hint


def test_what_is_extracted_is_scored() -> None:
    settings = EvaluateSettings(extract=r"#### (.*)")
    assert extracted("2 and 2 is 4\n#### 4", settings) == "4"
    assert extracted("I do not know", settings) == ""
    with pytest.raises(UsageError, match="regular expression"):
        extracted("x", EvaluateSettings(extract="(("))


def test_the_weighted_number_is_the_mean_of_the_tokens_that_are_numbers() -> None:
    assert weighted_number([["100", 0.5], [" 200", 0.25], ["the", 0.25]]) == pytest.approx(400 / 3)
    assert weighted_number([["the", 0.9]]) is None


def test_a_target_without_a_number_is_said() -> None:
    with pytest.raises(InputError, match="contains no number"):
        find_scorer(EvaluateSettings(scorer="number", tolerance=1))("3", "cheap")
