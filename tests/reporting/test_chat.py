"""What people paste: messages for Slack and for everything that reads Markdown, and a card for links."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from runscope.api import compare, diagnose, report
from runscope.cli.app import app
from runscope.history import Run, Timeline
from runscope.reporting.text.chat import MARKDOWN, SLACK, chat
from tests.reporting.conftest import EVIL, run, whole
from tests.rules.case import all_cases, make_run

DEMO = Path(__file__).parents[2] / "src" / "runscope" / "demo_data"


def test_a_message_says_what_happened_how_sure_and_what_to_do() -> None:
    text = chat(whole(), SLACK)
    first, *rest = text.splitlines()
    assert first.startswith("🔴 *The model overfits: after step 200")
    assert "*Do now:* Keep step 200" in text
    assert "Overfitting has a probability of" in text
    assert "•" in text
    assert "**" not in text
    assert not any(line.startswith(("|", "#")) for line in rest), "no chat draws tables or headings"
    assert "**Do now:** Keep step 200" in chat(whole(), MARKDOWN)


@pytest.mark.parametrize(
    "name",
    [
        EVIL,
        "<!channel> @everyone *bold* _x_ `code`",
        "[a](http://b) | c\n# d",
        "\x1b[31m",
        "https://b www.b.c",
    ],
)
def test_names_of_strangers_are_no_markup_and_call_nobody(name: str) -> None:
    slack, markdown = chat(whole(name), SLACK), chat(whole(name), MARKDOWN)
    for text in (slack, markdown):
        assert "<" not in text
        assert not re.search(r"@\w", text)
        assert "\x1b" not in text
        assert not re.search(r"https?:/|www\.", text), (
            "Slack makes a link of a bare address, and shows what is there"
        )
    for line in slack.splitlines():
        if "bold" in line:
            assert not re.search(r"(?<![\w\u2060])[*_`](?=\w)", line)
    assert "](http:" not in markdown


def test_every_training_has_a_message_of_few_lines() -> None:
    for case in list(all_cases())[::7]:
        found = diagnose(Timeline.of(make_run(case.run)))
        for dialect in (SLACK, MARKDOWN):
            lines = chat(found, dialect).splitlines()
            assert lines[0][0] in "🔴🟠🟢⚪"
            assert len(lines) <= 24
            assert not any("  " in line for line in lines)


def test_a_message_on_a_comparison_names_each_and_what_is_not_known() -> None:
    both = compare(
        [Timeline.of(run("small", 400, seed=1)), Timeline.of(run("large", 400, seed=2, level=3.0))]
    )
    text = chat(both, SLACK)
    assert both.headline in text
    assert "*small*" in text
    assert "*large*" in text
    assert "What cannot be told" in text


@pytest.mark.parametrize("name", ["pricer", "_hidden $x^", "قطار 列車 \x07"])
def test_a_card_has_the_size_that_links_show(tmp_path: Path, name: str) -> None:
    found = whole(name)
    verdict = replace(found.verdict, headline="A long sentence that " * 20)
    both = compare([found.timeline, Timeline.of(run("other", 400, seed=2))])
    for number, what in enumerate(
        (found, replace(found, verdict=verdict), diagnose(Timeline.of(_empty())), both)
    ):
        path = report(what, tmp_path / f"{number}.png", form="card")
        with Image.open(path) as picture:
            assert (picture.format, picture.size) == ("PNG", (1200, 630))


def _empty() -> Run:
    return replace(run("nothing", 40, seed=1), series={}, roles={})


@pytest.mark.parametrize("verb", ["diagnose", "report"])
def test_the_command_line_prints_messages_and_writes_cards(verb: str, tmp_path: Path) -> None:
    reference = str(DEMO / "vanishing.wandb")
    for form, bold in (("slack", "*Do now:*"), ("chat", "**Do now:**")):
        done = CliRunner().invoke(app, [verb, reference, "--format", form, "--quiet"])
        assert done.exit_code == 0, done.output
        assert bold in done.stdout
    card = tmp_path / "card.png"
    done = CliRunner().invoke(app, [verb, reference, "--format", "card", "--output", str(card), "--quiet"])
    assert done.exit_code == 0, done.output
    with Image.open(card) as picture:
        assert picture.size == (1200, 630)
