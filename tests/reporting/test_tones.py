"""Grey, green, amber and red mean: cannot be told, fine, look, act."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from runscope.api import compare, diagnose
from runscope.history import Run, Series, Timeline
from runscope.reporting.page.comparing import comparison_page
from runscope.reporting.page.report import chance, page
from runscope.reporting.view.tones import tone_of
from runscope.verdict import diagnose as judge
from tests.reporting.conftest import whole
from tests.rules.case import Case, all_cases

STEP = np.arange(10, 2001, 10)
FALLING = 1 + np.exp(-STEP / 300)
HELD_OUT = STEP[9::10]


def training(name: str, seed: int, train: Any, held_out: Any = None, epochs: float = 3.0) -> Timeline:
    noise = np.random.default_rng(seed).standard_normal(len(STEP))
    series = {"train/loss": Series.of("train/loss", STEP, train + 0.01 * noise)}
    series["train/epoch"] = Series.of("train/epoch", STEP, STEP / STEP[-1] * epochs)
    roles = {"train_loss": "train/loss", "epoch": "train/epoch"}
    if held_out is not None:
        value = held_out[9::10] + 0.001 * noise[9::10]
        series["eval/loss"] = Series.of("eval/loss", HELD_OUT, value)
        roles["eval_loss"] = "eval/loss"
    return Timeline.of(
        Run(id=name, name=name, source="table", reference=name, series=series, roles=roles, step_key="step")
    )


@pytest.mark.parametrize("case", list(all_cases()), ids=lambda case: f"{case.file} {case.title}")
def test_green_is_never_said_of_the_training_loss_alone(case: Case) -> None:
    found = judge(case.view)
    tone = tone_of(found)
    if tone.kind == "good":
        assert found.verdict.overfitting.basis in ("eval_curve", "checkpoints")
        assert not [f for f in found.findings if f.severity == "critical"]
    if found.verdict.overfitting.status in ("confirmed", "likely"):
        assert tone.kind == "bad"


def test_one_pass_is_grey_a_falling_held_out_loss_green_a_rising_one_red() -> None:
    rising = FALLING + 0.8 * np.maximum(STEP - 800, 0) / 1200
    assert tone_of(diagnose(training("a", 1, FALLING, epochs=1.0))).kind == "unknown"
    assert tone_of(diagnose(training("b", 1, FALLING, FALLING + 0.1))).kind == "good"
    assert tone_of(diagnose(training("c", 1, FALLING, rising))).kind == "bad"


def test_a_comparison_by_training_losses_has_no_percent_and_no_green() -> None:
    text = comparison_page(compare([training("low", 1, FALLING - 0.3), training("high", 2, FALLING)]), {})
    body = text[text.index("<body>") : text.index("<script")]
    assert "training losses alone" in body
    assert 'class="chance"' not in body
    assert 'class="kept"' not in body
    assert not re.search(r'class="(verdict|tone) good"', body)


def test_an_overfit_training_gets_no_green_row_though_it_is_the_best() -> None:
    rising = FALLING + 0.8 * np.maximum(STEP - 800, 0) / 1200
    lines = [training("best", 1, FALLING, rising - 0.4), training("other", 2, FALLING, FALLING + 0.4)]
    found = compare(lines)
    assert found.better == 0
    body = comparison_page(found, {}).partition("<body>")[2]
    assert 'class="kept"' not in body
    assert 'class="verdict doubt"' in body


def test_checkpoints_that_nobody_evaluated_are_folded_and_no_table_has_a_whole_hash() -> None:
    found = whole()
    study = found.study
    assert study is not None
    few = replace(found, study=replace(study, scores=study.scores[3:7]))
    digits = "0123456789abcdef" * 3
    facts = {"inputs": [{"what": "run", "name": f"hf://me/pricer@{digits[:40]}"}]}
    body = page(few, facts).partition("<body>")[2].partition("<script")[0]
    assert "8 checkpoints were not evaluated" in body
    main, _, folded = body.partition('<details id="idle">')
    assert folded.partition("</table>")[0].count("<tr>") == 1 + 8
    assert "not evaluated</td>" not in main
    assert [
        table for table in re.findall(r"<table.*?</table>", body, re.S) if re.search(r"[0-9a-f]{40}", table)
    ] == []
    assert not re.search(r">[^<]*\s-\d", body), "a hyphen stands for a minus"


def test_even_odds_are_said_as_even() -> None:
    assert chance(0.5) == "50%, as likely as not"
    assert chance(0.6) == "60%, more likely than not"
