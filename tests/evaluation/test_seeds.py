"""Groups of seeds: mean and spread, and which recipe is better, the training being what is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runscope.cli import main
from tests.evaluation import tiny


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``long-N`` saw 40 and 60 examples in an order of its own, ``short-N`` 4 and 8."""
    folder = tmp_path_factory.mktemp("seeds")
    lessons = tiny.write_examples(folder / "lessons.jsonl", 60, 3)
    tiny.write_examples(folder / "heldout.jsonl", 80, 1)
    for recipe, saved in (("long", (40, 60)), ("short", (4, 8))):
        for seed in (1, 2, 3):
            for steps in saved:
                model = tiny.train(tiny.llama(), lessons, steps=steps, order=seed)
                tiny.save_base(model, folder / f"{recipe}-{seed}" / f"checkpoint-{steps}")
    return folder


@pytest.fixture(autouse=True)
def there(seeds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(seeds)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    call = ["evaluate", *words, "--data", "heldout.jsonl", "--format", "json", "--quiet"]
    assert main(call) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_the_better_recipe_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    answer = told(capsys, "short-1,short-2,short-3", "long-1, long-2,long-3")
    assert (answer["schema"], answer["outcome"]) == ("runscope.seeds/1", "worse")
    short, long = ([t["value"] for t in group["trainings"]] for group in answer["groups"])
    assert answer["effect"] == pytest.approx(np.mean(short) - np.mean(long))
    assert 0 < answer["effect_low"] < answer["effect"] < answer["effect_high"]
    assert answer["groups"][0]["spread"] == pytest.approx(np.std(short, ddof=1))
    assert answer["examples"] == 80
    assert told(capsys, "long-1,long-2,long-3", "short-1,short-2,short-3")["outcome"] == "better"


def test_values_are_those_of_each_training_alone(capsys: pytest.CaptureFixture[str]) -> None:
    alone = told(capsys, "long-2")
    group = told(capsys, "long-1,long-2,long-3")
    assert group["outcome"] is None
    assert group["groups"][0]["trainings"][1]["value"] == pytest.approx(alone["best_corrected"])
    assert "Standard deviation between seeds" in group["headline"]


def test_of_two_seeds_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    answer = told(capsys, "short-1,short-2", "long-1,long-2,long-3")
    assert (answer["outcome"], answer["effect"], answer["groups"][0]["spread"]) == ("unknown", None, None)
    assert "of 2 seeds nothing can be said" in answer["reason"]
    assert "of 1 seed nothing can be said" in told(capsys, "short-1", "long-1,long-2,long-3")["reason"]


def test_people_see_every_training_and_the_mean(capsys: pytest.CaptureFixture[str]) -> None:
    call = [
        "evaluate",
        "short-1,short-2,short-3",
        "long-1,long-2,long-3",
        "--data",
        "heldout.jsonl",
        "--quiet",
    ]
    assert main(call) == 0
    text = capsys.readouterr().out
    assert text.startswith("short-1 and 2 more are worse than long-1 and 2 more.")
    assert text.count("mean of 3 seeds") == 2
    assert main([*call, "--format", "markdown"]) == 0
    assert "| long-3 |" in capsys.readouterr().out
    assert main([*call, "--output", "seeds.csv"]) == 0
    assert len(Path("seeds.csv").read_text().splitlines()) == 7


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["long-1,long-2,long-1"], "long-1 is named twice"), (["long-1,long-2", "long-2"], "long-2 is named twice"),
        (["long-1,long-2", "--plan"], "--plan asks about one training"),
        (["long-1,long-2", "--average", "last:2"], "--average asks about one training"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_of_groups(
    words: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *words, "--data", "heldout.jsonl"]) == 2
    assert error in capsys.readouterr().err


def test_a_folder_with_a_comma_in_its_name_is_one_training(capsys: pytest.CaptureFixture[str]) -> None:
    Path("long-1,again").symlink_to("long-1")
    assert told(capsys, "long-1,again")["schema"] == "runscope.evaluation/1"
