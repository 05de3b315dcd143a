"""The page of thousands of trainings in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runscope.reporting import survey_page
from runscope.survey.card import Card, Curve, Found
from runscope.survey.grouping import groups
from runscope.survey.survey import Survey
from tests.reporting.conftest import EVIL

MANY = 5000
NEEDS = ("act", "look", "fine", "unknown")
LARGEST_BYTES = 5_000_000


def survey(size: int) -> Survey:
    rng = np.random.default_rng(0)
    found = []
    for k in range(size):
        need = NEEDS[k * len(NEEDS) // size]
        step = tuple(range(10, 610, 10))
        value = tuple((3 * np.exp(-np.array(step) / 200) + 0.1 * rng.standard_normal(60)).round(4).tolist())
        config = {
            "learning_rate": float(rng.choice([1e-4, 2e-4, 5e-4])),
            "lora_r": int(rng.choice([8, 16])),
            "data": "d",
            "x": 1,
            "seed": k,
        }
        found.append(
            Card(
                (f"runs/{k}",),
                EVIL if k == 0 else f"training-{k:04d}",
                project=f"group {k % 7}",
                need=need,  # type: ignore[arg-type]
                headline=f"What happened in {k}.",
                advice="Keep it.",
                last_step=600 + k,
                best=float(rng.random()),
                probability=float(rng.random()),
                config=config,
                train=Curve(step, value),
                heldout=Curve(step[::6], value[::6]),
                findings=(Found("OVF001", "warning", "The held-out loss rises."),),
                hours=1.5,
            )
        )
    return Survey(("runs",), tuple(found), tuple(groups(found)), new=(1,), first=False)


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("survey") / "scan.html"
    file.write_text(survey_page(survey(MANY)), encoding="utf-8")
    return file


@pytest.fixture
def page(browser: Any, page_file: Path) -> Iterator[Any]:
    problems: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.on("request", lambda r: None if r.url == page_file.as_uri() else problems.append(r.url))
    opened.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
    opened.on("pageerror", lambda e: problems.append(str(e)))
    context.set_offline(True)
    opened.goto(page_file.as_uri())
    opened.locator("html[data-ready]").wait_for()
    yield opened
    context.close()
    assert not problems


def test_thousands_fit_into_one_file(page_file: Path) -> None:
    assert page_file.stat().st_size < LARGEST_BYTES


def test_rows_are_filtered_sorted_grouped_and_only_those_in_sight_stand_in_the_document(page: Any) -> None:
    assert page.locator("#count").inner_text() == "5,000 of 5,000 shown"
    assert page.locator("#body tr.row").count() < 100
    page.locator("#search").fill("training-4321")
    assert page.locator("#count").inner_text() == "1 of 5,000 shown"
    page.locator("#search").fill("lora_r=16")
    assert 2000 < int(page.locator("#count").inner_text().split(" of ")[0].replace(",", "")) < 3000
    page.locator("#search").fill("")
    page.locator("#needs button", has_text="fine").click()
    assert page.locator("#count").inner_text() == "3,750 of 5,000 shown"
    page.get_by_role("button", name="Last step").click()
    assert page.locator("#body tr.row button.link").first.inner_text() == "training-4999"
    page.locator("#group").select_option("project")
    assert page.locator("#body tr.grouped").first.inner_text().startswith("group")


def test_scrolling_reaches_the_last_row(page: Any) -> None:
    page.locator("#list").evaluate("list => { list.scrollTop = list.scrollHeight; }")
    page.get_by_role("button", name="training-4999").wait_for()


def test_curves_are_overlaid_by_their_eyes(page: Any) -> None:
    assert page.locator("#legend li").count() == 3, "the first that need somebody are drawn at once"
    page.locator("#clear").click()
    boxes = page.locator("#body input[type=checkbox]")
    boxes.nth(1).check()
    boxes.nth(2).check()
    assert page.locator("#chosen").inner_text() == "2 drawn."
    assert page.locator("#overlay canvas").count() == 1
    assert page.locator("#legend li").count() == 2
    boxes.nth(1).uncheck()
    assert page.locator("#legend li").count() == 1


def test_a_row_opens_and_names_its_report(page: Any) -> None:
    page.locator("#search").fill("training-0007")
    page.get_by_role("button", name="training-0007").click()
    assert "runscope report runs/7" in page.locator("tr.open").inner_text()
    assert "OVF001" in page.locator("tr.open").inner_text()


def test_an_axis_of_the_settings_filters(page: Any) -> None:
    canvas = page.locator("#parallel")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 18)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 120)
    page.mouse.up()
    shown = int(page.locator("#count").inner_text().split(" of ")[0].replace(",", ""))
    assert 0 < shown < 5000


def test_names_of_runs_are_text(page: Any) -> None:
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(page: Any, theme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
