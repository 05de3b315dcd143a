"""The page in a real browser: nothing fetched, nothing run that a stranger wrote, everything to hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runscope.api import diagnose, report
from runscope.history import Timeline
from runscope.reporting import write_line
from tests.reporting.conftest import EVIL, run, whole

Open = Callable[..., Any]
FITS = """width => new Promise(done => {
    const look = () => runscope.state.plots[0].width <= width ? done() : requestAnimationFrame(look);
    look();
})"""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(whole(), tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture
def open_page(browser: Any, page_file: Path) -> Iterator[Open]:
    """Open a file; any request beside it, any error on the console, fails the test."""
    problems: list[str] = []
    contexts = []

    def opened(path: Path = page_file, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda r: None if r.url == path.as_uri() else problems.append(r.url))
        page.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: problems.append(str(e)))
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not problems


def ranges(page: Any) -> list[list[float]]:
    return list(page.evaluate("runscope.state.plots.map(p => [p.scales.x.min, p.scales.x.max])"))


def test_the_verdict_stands_on_top_with_what_to_do(open_page: Open) -> None:
    page = open_page()
    assert "Overfitting confirmed" in page.locator(".status").inner_text()
    assert page.locator("h1").inner_text().startswith("The model overfits: after step 200")
    assert "AutoPeftModelForCausalLM" in page.locator("#code").inner_text()
    assert f"revision='{200:040x}'" in page.locator("#code").inner_text()
    assert page.locator("h1").bounding_box()["y"] < 200


def test_all_charts_are_drawn_and_zoom_together(open_page: Open) -> None:
    page = open_page()
    assert page.locator(".chart canvas").count() == 4
    before = ranges(page)
    assert all(r == before[0] for r in before)
    page.locator("#chart-rate").scroll_into_view_if_needed()
    box = page.locator("#chart-rate .u-over").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 20, steps=4)
    page.mouse.up()
    after = ranges(page)
    assert all(r == after[0] for r in after)
    assert after[0][1] - after[0][0] < (before[0][1] - before[0][0]) / 2
    page.get_by_role("button", name="Whole").click()
    assert ranges(page) == before


def test_the_keyboard_zooms_and_moves(open_page: Open) -> None:
    page = open_page()
    (before, *_) = ranges(page)
    page.locator("#chart-loss").focus()
    page.keyboard.press("+")
    (near, *_) = ranges(page)
    assert near[1] - near[0] == pytest.approx((before[1] - before[0]) / 2)
    page.keyboard.press("ArrowRight")
    assert ranges(page)[0][0] > near[0]
    page.keyboard.press("0")
    assert ranges(page)[0] == before


def test_another_axis_shows_the_same_line(open_page: Open) -> None:
    page = open_page()
    page.select_option("#axis", "epoch")
    low, high = ranges(page)[0]
    assert -0.5 < low < 0.5
    assert 5.5 < high < 6.5
    assert {"epoch", "hours", "step"} == set(
        page.eval_on_selector_all("#axis option", "o => o.map(e => e.value)")
    )


def test_log_scale_and_eyes(open_page: Open) -> None:
    page = open_page()
    assert page.locator("[data-log=norm]").is_checked()
    page.locator("[data-log=loss]").check()
    assert page.evaluate("runscope.state.plots[0].scales.y.distr") == 3
    shown = "runscope.state.plots[0].series.filter(s => s.show).length"
    before = page.evaluate(shown)
    page.get_by_role("button", name="pricer-again", exact=True).click()
    assert page.evaluate(shown) < before
    assert page.locator("[data-eye=run1]").get_attribute("aria-pressed") == "false"


def test_values_under_the_cursor(open_page: Open) -> None:
    page = open_page()
    page.locator("#chart-loss").scroll_into_view_if_needed()
    box = page.locator("#chart-loss .u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    said = page.locator("#readout").inner_text()
    assert said.startswith("step 3"), said
    assert "training loss, smoothed" in said
    assert "held-out examples 1.5" in said


def test_a_mark_leads_to_its_finding_and_back(open_page: Open) -> None:
    page = open_page()
    pin = page.locator(".pin").first
    code, chart = pin.inner_text(), pin.evaluate("p => p.closest('.chart').id")
    pin.click()
    finding = page.evaluate("document.activeElement.id")
    assert finding.startswith("finding-")
    assert code in page.locator(f"#{finding} h3").inner_text()
    before = ranges(page)[0]
    page.locator(f"#{finding} [data-show]").click()
    after = ranges(page)[0]
    assert after[1] - after[0] < before[1] - before[0]
    assert page.evaluate("document.activeElement.id") == chart


def test_the_code_is_copied(open_page: Open) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#code").inner_text()


def test_the_table_sorts_both_ways_with_blanks_last(open_page: Open) -> None:
    page = open_page()
    heading = page.get_by_role("button", name="Held-out loss")
    column = "rows => rows.map(r => r.cells[4].dataset.v)"
    heading.click()
    up = page.eval_on_selector_all("#table tbody tr", column)
    assert up[-1] == ""
    assert up[:-1] == sorted(up[:-1], key=float)
    heading.click()
    down = page.eval_on_selector_all("#table tbody tr", column)
    assert down[-1] == ""
    assert down[:-1] == up[:-1][::-1]
    assert "keep" in page.locator("tr.kept").inner_text()
    assert page.locator("#table tbody").inner_text().count("not evaluated") == 1


@pytest.mark.parametrize("width", [1280, 768, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_width_and_light(open_page: Open, width: int, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate(FITS, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 27)")
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != paper


def test_what_strangers_wrote_is_text(open_page: Open, tmp_path: Path) -> None:
    evil = whole(name=EVIL, title=EVIL, prompt=EVIL)
    page = open_page(report(evil, tmp_path / "evil.html", facts={"command": EVIL, "sha256": {EVIL: EVIL}}))
    assert page.evaluate("window.hacked") is None
    text = page.locator("body").inner_text()
    assert text.count("window.hacked=1") > 10, "it is shown as it is"
    assert page.locator("img").count() == 0


def test_every_series_has_an_eye(open_page: Open) -> None:
    page = open_page()
    shown = "runscope.state.plots[1].series.filter(s => s.show).length"
    before = page.evaluate(shown)
    eye = page.locator("#chart-checkpoints").get_by_role("button", name="training examples")
    eye.focus()
    page.keyboard.press("Enter")
    assert page.evaluate(shown) == before - 1
    assert eye.get_attribute("aria-pressed") == "false"
    page.keyboard.press("Enter")
    assert page.evaluate(shown) == before


def test_only_our_own_scripts_may_run(open_page: Open, page_file: Path, tmp_path: Path) -> None:
    """Were a stranger's text to become markup after all, the browser would still refuse to run it."""
    hurt = tmp_path / "hurt.html"
    hurt.write_text(
        page_file.read_text(encoding="utf-8").replace("</main>", "<script>window.hacked=1</script></main>"),
        encoding="utf-8",
    )
    page = open_page()
    page.goto("about:blank")
    refused = page.context.new_page()
    refused.goto(hurt.as_uri())
    assert refused.evaluate("window.hacked") is None
    assert refused.locator(".chart canvas").count() == 4


def test_a_line_alone_has_curves_and_no_verdict(open_page: Open, tmp_path: Path) -> None:
    page = open_page(write_line(whole().timeline, tmp_path / "line.html"))
    assert page.locator(".verdict").count() == 0
    assert page.locator(".chart canvas").count() == 3
    assert "2 runs, steps 2 to 600" in page.locator("h1").inner_text()


def test_a_page_without_curves_or_checkpoints(open_page: Open, tmp_path: Path) -> None:
    bare = run("bare", 40, seed=3)
    empty = diagnose(Timeline.of(type(bare)(**{**bare.__dict__, "series": {}, "roles": {}})))
    page = open_page(report(empty, tmp_path / "bare.html"))
    assert "Cannot be told" in page.locator(".status").inner_text()
    assert "No curve was logged" in page.locator("main").inner_text()


def test_a_million_points_stay_small_and_keep_their_extremes(open_page: Open, tmp_path: Path) -> None:
    long = run("long", 1_000_000, seed=4, points=1_000_000)
    long.series["train/loss"].value[432_109] = 77.0
    long.series["train/loss"].value[600_000:600_003] = np.nan
    path = report(diagnose(Timeline.of(long)), tmp_path / "long.html")
    assert path.stat().st_size < 2_000_000
    page = open_page(path)
    values = page.evaluate("JSON.parse(document.getElementById('data').textContent).charts[0].series[0]")
    assert max(values["y"]) == 77.0
    steps = long.series["train/loss"].step
    assert values["bad"] == [[int(steps[600_000]), int(steps[600_002]), 3]]
