"""Everything else that was logged: folded, drawn when opened, on the axis and zoom of the charts above."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runscope.api import diagnose, report
from runscope.history import Run, Series, Timeline
from runscope.reporting.view.rest import MOST, rest
from tests.reporting.conftest import run
from tests.reporting.test_page import FITS, problems_of

N = 400


def logged(metrics: int = 6) -> Run:
    """A run that logged more than its loss."""
    one = run("pricer", N, seed=3)
    step = np.arange(2, N + 1, 2)
    for k in range(metrics):
        one.series[f"train/reward_{k}"] = Series.of(f"train/reward_{k}", step, np.sin(step / 50 + k))
    one.series["tokens"] = Series.of("tokens", step, step * 512.0)
    machine = Series.of("gpu.0.gpu", step, 90 + np.cos(step))
    return replace(one, system={"gpu.0.gpu": machine})


def test_every_metric_has_a_place_and_none_has_two() -> None:
    one = logged()
    groups, left_out = rest(Timeline.of(one), 10_000)
    named = [chart.title for group in groups for chart in group.charts]
    charted = {one.roles[role] for role in ("train_loss", "learning_rate", "grad_norm")}
    assert sorted(named) == sorted(({*one.series} - charted) | {*one.system})
    assert [group.name for group in groups] == ["train", "other", "machine"]
    assert left_out == 0


@pytest.mark.parametrize("metrics", [5, 3000])
def test_however_many_the_page_stays_small_and_says_what_has_no_room(metrics: int, tmp_path: Path) -> None:
    path = report(Timeline.of(logged(metrics)), tmp_path / "line.html")
    assert path.stat().st_size <= 2_000_000
    assert ("have no room on this page" in path.read_text(encoding="utf-8")) == (metrics > MOST)


def test_a_group_is_drawn_when_it_is_opened_and_zooms_along(browser: Any, tmp_path: Path) -> None:
    path = report(diagnose(Timeline.of(logged())), tmp_path / "report.html")
    page = browser.new_context(offline=True).new_page()
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.goto(path.as_uri())
    page.locator("html[data-ready]").wait_for()
    above = page.locator(".chart canvas").count()
    page.locator("#rest > summary").click()
    assert page.locator(".chart canvas").count() == above, "nothing is drawn before it is looked at"
    page.locator("#rest summary", has_text="train").click()
    page.locator("#rest .chart canvas").nth(6).wait_for()
    wide = page.locator("#rest .plot").evaluate_all("plots => plots.map(p => [p.scrollWidth, p.clientWidth])")
    assert all(inner <= outer for inner, outer in wide), "a chart is cut"
    whole = page.evaluate("runscope.state.range")
    page.evaluate("runscope.zoom([100, 200])")
    ranges = page.evaluate("runscope.state.plots.map(p => [p.scales.x.min, p.scales.x.max])")
    assert len(ranges) > above
    assert all(r == [100, 200] for r in ranges)
    page.select_option("#axis", "epoch")
    assert page.locator("#rest .chart canvas").count() == len(ranges) - above
    page.select_option("#axis", "step")
    figure = page.locator("#rest .chart").first
    figure.focus()
    page.keyboard.press("0")
    assert page.evaluate("runscope.state.range") == pytest.approx(whole)
    page.set_viewport_size({"width": 360, "height": 800})
    page.evaluate(FITS, 360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert problems_of(page) == []
    page.locator("#rest summary", has_text="train").click()
    figure.wait_for(state="detached")
    assert page.locator(".chart canvas").count() == above
    assert complaints == []
    page.context.close()
