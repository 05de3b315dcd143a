"""What a resume did: in a line, in JSON, and as a close-up on the page."""

from __future__ import annotations

import re
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from runscope.api import diagnose, stitch
from runscope.history import Run, Series, Timeline
from runscope.reporting.data import timeline_json
from runscope.reporting.page.report import line_page, page
from runscope.reporting.text.markdown import markdown_timeline
from runscope.reporting.text.terminal import print_timeline
from runscope.reporting.view.resumes import close_ups

FACTS = {"command": "runscope report a b"}


def part(name: str, first: int, level: np.ndarray, rate: np.ndarray, seed: int) -> Run:
    step = first + 10 * np.arange(1, len(level) + 1)
    rng = np.random.default_rng(seed)
    bumps = 0.02 * np.random.default_rng(0).standard_normal(300)  # the same batches come at the same steps
    values = {
        "train_loss": level + bumps[step // 10 - 1],
        "learning_rate": rate,
        "grad_norm": np.exp(0.1 * rng.standard_normal(len(step))),
    }  # fmt: skip
    series = {n: Series.of(n, step, v) for n, v in values.items()}
    return Run(name, name, name, "table", series, {n: n for n in series}, "step", {"save_steps": 500})


def line(*, weights: bool) -> Timeline:
    """150 points, the last 50 of them a discarded tail, then 100 more: from scratch where the weights were lost."""
    place = np.arange(200.0)
    fall = 1 + 2 * np.exp(-place / 25)
    rate = 1e-4 * (1 - place / 200)
    first = part("first", 0, fall[:150], rate[:150], 1)
    later = part("again", 1000, fall[:100] if weights else fall[100:], rate[100:], 2)
    return stitch([first, later], at=[1000])


@pytest.mark.parametrize("weights", [True, False])
def test_stitch_says_it_in_a_line(weights: bool) -> None:
    out = StringIO()
    print_timeline(Console(file=out, width=200), line(weights=weights))
    said = next(row for row in out.getvalue().splitlines() if "resumed at step 1,000" in row)
    assert ("the weights were not restored" in said) is weights
    assert ("weights, optimiser, schedule and data order went on" in said) is not weights
    assert re.search(r"\d+% sure", said)
    assert said.split("resumed at")[1] in markdown_timeline(line(weights=weights)).replace("\\", "")


def test_json_has_every_cause_with_its_probability() -> None:
    (found,) = timeline_json(line(weights=True))["resumes"]
    assert (found["run"], found["step"], found["cause"]) == ("again", 1000, "weights")
    assert sum(found["causes"].values()) == pytest.approx(1)
    assert found["probability"] > 0.8
    assert found["schedule_lost"] < 0.1
    assert timeline_json(stitch([part("one", 0, np.ones(30), np.ones(30), 1)]))["resumes"] == []


def test_a_close_up_shows_what_was_expected_beside_what_was_seen() -> None:
    (close,) = close_ups(line(weights=True))
    assert close.tone == "bad"
    assert [p.title for p in close.pictures] == ["Training loss", "Learning rate", "Gradient norm"]
    loss, rate, norm = close.pictures
    assert len(loss.after.split()) == len(loss.expected.split()) == 40
    assert loss.tail
    assert rate.expected
    assert not norm.expected
    assert "expected" in loss.label


def test_the_page_has_a_close_up_of_each_join() -> None:
    judged = page(diagnose(line(weights=True)), FACTS)
    unjudged = line_page(line(weights=False), FACTS)
    for text, title in ((judged, "weights not restored"), (unjudged, "resumed as it should be")):
        assert text.count('class="closeups"') == 1
        assert title in text
        assert text.count("<svg") >= 3
    alone = page(diagnose(part("one", 0, np.linspace(2, 1, 60), np.ones(60), 1)), FACTS)
    assert "resumes-title" not in alone


def test_the_answer_stands_on_top() -> None:
    diagnosis = diagnose(line(weights=True))
    assert diagnosis.findings[0].code == "RES001"
    assert diagnosis.verdict.headline == diagnosis.findings[0].message
