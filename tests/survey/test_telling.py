"""Settings that go with a verdict: found where they do, silent where nothing does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runscope.rules.codes import RULES
from runscope.survey.card import Card
from runscope.survey.grouping import groups
from runscope.survey.telling import DIVERGED, NEVER_LEARNED, STOPPED_EARLY, tellings


def cards(size: int, seed: int, *, effect: bool) -> list[Card]:
    rng = np.random.default_rng(seed)
    found = []
    for k in range(size):
        rate = float(rng.choice([1e-5, 5e-5, 1e-4, 2e-4, 5e-4]))
        settings = {
            "learning_rate": rate, "lora_r": int(rng.choice([4, 8, 16, 32])), "batch": int(rng.choice([1, 2, 4])),
            "optim": str(rng.choice(["adamw", "lion"])), "seed": k, "model": "tiny", "warmup": 0.03,
        }  # fmt: skip
        share = (0.9 if rate >= 2e-4 else 0.1) if effect else 0.4
        over = bool(rng.random() < share)
        found.append(
            Card(
                (f"run-{k}",),
                f"sweep-{k}",
                ids=(f"{k}",),
                sources=("table",),
                project="p",
                config=settings,
                overfitting="likely" if over else "none",
                need="act" if over else "fine",
            )
        )
    return found


def test_the_setting_that_decides_is_named_with_its_counts_and_interval() -> None:
    told = tellings(cards(80, 1, effect=True))
    assert told[0].setting == "learning_rate"
    assert told[0].condition == "≥ 0.0002"
    assert told[0].hits / told[0].of > 0.75
    assert told[0].low > 0
    assert told[0].low < told[0].difference < told[0].high


def test_where_nothing_decides_something_is_named_in_one_survey_of_twenty_at_most() -> None:
    alarms = sum(bool(tellings(cards(60, 100 + k, effect=False))) for k in range(60))
    assert alarms <= 7  # 5% of 60 is 3; more than 7 has a probability of 1%


def others(size: int, seed: int) -> list[Card]:
    """Trainings that another program started: their settings have other names."""
    return [
        replace(card, references=(f"other-{n}",), config={"lr": card.config["learning_rate"]})
        for n, card in enumerate(cards(size, seed, effect=False))
    ]


def test_trainings_without_a_setting_hide_nothing_of_those_that_have_it() -> None:
    told = tellings([*others(40, 7), *cards(80, 1, effect=True)])
    assert told[0].setting == "learning_rate"
    assert told[0].condition == "≥ 0.0002"
    assert told[0].of + told[0].other_of == 80
    alone = tellings(cards(80, 1, effect=True))[0]
    assert (told[0].hits, told[0].other_hits) == (alone.hits, alone.other_hits)
    alarms = sum(bool(tellings([*others(30, k), *cards(60, 100 + k, effect=False)])) for k in range(60))
    assert alarms <= 7


@pytest.mark.parametrize("size", [0, 1, 11])
def test_few_trainings_tell_nothing(size: int) -> None:
    assert tellings(cards(size, 3, effect=True)) == []


def test_a_sweep_is_one_group_and_seeds_are_named() -> None:
    swept = [
        Card((f"{r}{s}",), f"sweep-{r}-{s}", project="p", config={"learning_rate": r, "seed": s, "a": 1, "b": 2})
        for r in (1e-4, 2e-4) for s in range(3)
    ]  # fmt: skip
    other = [
        Card(
            ("o",),
            "other",
            project="p",
            config={"learning_rate": 1, "seed": 9, "a": 7, "b": 8, "c": 9, "d": 1},
        )
    ]
    found = groups([*swept, *other])
    assert [g.members for g in found] == [tuple(range(6))]
    assert dict(found[0].varied) == {"learning_rate": 2, "seed": 3}
    assert not found[0].seeds
    assert groups(swept[:3])[0].seeds


def test_codes_of_verdicts_are_those_of_their_rules() -> None:
    for code, name in (DIVERGED | NEVER_LEARNED | STOPPED_EARLY).items():
        assert RULES[code].name == name


def test_how_often_a_training_logs_makes_no_sweep() -> None:
    alike = [
        Card(
            (f"{n}",),
            f"fit-{n}",
            config={"logging_steps": n, "eval_steps": 5 * n, "save_steps": 5 * n, "lr": 1e-4},
        )
        for n in range(1, 9)
    ]
    assert groups(alike) == []
