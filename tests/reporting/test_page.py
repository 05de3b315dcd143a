"""The page in a real browser: nothing fetched, nothing run that a stranger wrote, everything to hand.

Pictures of what it looks like lie in ``test-output/`` after a run of these tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runscope.api import compare, diagnose, report
from runscope.history import Series, Timeline
from runscope.reporting import write_line
from tests.reporting.conftest import EVIL, run, whole

Open = Callable[..., Any]
FITS = """width => new Promise(done => {
    const look = () => runscope.state.plots[0].width <= width ? done() : requestAnimationFrame(look);
    look();
})"""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    facts = {"command": "runscope report a b", "inputs": [{"what": "run", "name": "a", "sha256": "ab" * 32}]}
    return report(whole(), tmp_path_factory.mktemp("page") / "report.html", facts=facts)


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
        context.set_offline(True)
        page.goto(path.as_uri())
        page.locator("html[data-ready]").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not problems


@pytest.fixture(scope="module")
def output() -> Path:
    folder = Path(__file__).parents[2] / "test-output"
    folder.mkdir(exist_ok=True)
    return folder


def ranges(page: Any) -> list[list[float]]:
    return list(page.evaluate("runscope.state.plots.map(p => [p.scales.x.min, p.scales.x.max])"))


def test_the_verdict_stands_on_top_with_what_to_do(open_page: Open) -> None:
    page = open_page()
    assert "Overfitting confirmed" in page.locator(".status").inner_text()
    assert page.locator(".status .chance").inner_text().startswith("overfitting: "), (
        "it says what the number is of"
    )
    assert page.locator("h1").inner_text().startswith("The model overfits: after step 200")
    assert "AutoPeftModelForCausalLM" in page.locator("#code").inner_text()
    assert f"revision='{200:040x}'" in page.locator("#code").inner_text()
    assert page.locator("h1").bounding_box()["y"] < 200


def test_all_charts_are_drawn_and_zoom_together(open_page: Open) -> None:
    page = open_page()
    drawn = page.locator(".chart").evaluate_all("all => all.map(c => c.id)")
    assert drawn == ["chart-loss", "chart-checkpoints", "chart-memorised", "chart-rate", "chart-norm"]
    assert page.locator(".chart canvas").count() == len(drawn)
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


def test_a_policy_shows_its_reward_first_and_a_metric_has_a_chart(open_page: Open, tmp_path: Path) -> None:
    one = run("grpo", 400, seed=3)
    step = np.arange(2, 401, 2)
    one.series["reward"] = Series.of("reward", step, 1 - np.exp(-step / 100))
    one.series["eval/accuracy"] = Series.of("eval/accuracy", step[::20], 0.5 + step[::20] / 1000)
    one.roles["reward"], one.roles["eval_metric"] = "reward", "eval/accuracy"  # type: ignore[index]
    page = open_page(report(diagnose(one), tmp_path / "report.html"))
    drawn = page.locator(".chart").evaluate_all("all => all.map(c => c.id)")
    assert drawn == ["chart-reward", "chart-loss", "chart-metric", "chart-rate", "chart-norm"]
    assert "eval/accuracy" in page.locator("#chart-metric figcaption").inner_text()


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
    offered = page.eval_on_selector_all("#axis option", "o => o.map(e => e.value)")
    assert offered == ["step", "epoch", "hours", "clock"]


def test_a_stretch_stays_in_sight_on_every_axis(open_page: Open) -> None:
    page = open_page()
    page.evaluate("runscope.zoom([200, 400])")
    page.select_option("#axis", "epoch")
    assert ranges(page)[0] == pytest.approx([2, 4], abs=0.05)
    page.select_option("#axis", "clock")
    low, high = ranges(page)[0]
    assert high - low == pytest.approx(2000, rel=0.05), "ten seconds a step"
    page.select_option("#axis", "step")
    assert ranges(page)[0] == pytest.approx([200, 400], abs=5)


def test_log_scale_and_eyes(open_page: Open) -> None:
    page = open_page()
    assert page.locator("[data-log=norm]").is_checked()
    page.locator("[data-log=loss]").check()
    assert page.evaluate("runscope.state.plots[0].scales.y.distr") == 3
    shown = "runscope.state.plots[0].series.filter(s => s.show).length"
    before = page.evaluate(shown)
    page.get_by_role("button", name="pricer-again", exact=True).click()
    assert page.evaluate(shown) < before
    assert page.locator("[data-eye=owner1]").get_attribute("aria-pressed") == "false"


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
    number, chart = pin.inner_text(), pin.evaluate("p => p.closest('.chart').id")
    pin.click()
    finding = page.evaluate("document.activeElement.id")
    assert finding == f"finding-{number}"
    assert page.locator(f"#{finding} h3").inner_text().startswith(number)
    before = ranges(page)[0]
    page.locator(f"#{finding} [data-show]").click()
    after = ranges(page)[0]
    assert after[1] - after[0] < before[1] - before[0]
    assert page.evaluate("document.activeElement.id") == chart


def test_the_code_is_copied(open_page: Open) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    for name in ("code", "command"):
        button = page.locator(f"[data-copy={name}]")
        button.click()
        page.locator(f"[data-copy={name}]", has_text="Copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == page.locator(f"#{name}").inner_text()


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
def test_it_fits_every_width_and_light(open_page: Open, width: int, scheme: str, output: Path) -> None:
    page = open_page(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate(FITS, width)
    page.screenshot(path=str(output / f"report-{scheme}-{width}.png"), full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 27)")
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != paper


def test_what_strangers_wrote_is_text(open_page: Open, tmp_path: Path) -> None:
    evil = whole(name=EVIL, title=EVIL, prompt=EVIL)
    facts = {"command": EVIL, "inputs": [{"what": EVIL, "name": EVIL, "revision": EVIL, "sha256": EVIL}]}
    page = open_page(report(evil, tmp_path / "evil.html", facts=facts | {"settings": {EVIL: EVIL}}))
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
    refused.locator("html[data-ready]").wait_for()
    assert refused.evaluate("window.hacked") is None
    assert refused.locator(".chart canvas").count() == 5


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


def test_millions_of_points_stay_small_and_keep_their_extremes(open_page: Open, tmp_path: Path) -> None:
    long = run("long", 1_000_000, seed=4, points=1_000_000)
    long.series["train/loss"].value[432_109] = 77.0
    long.series["train/loss"].value[600_000:600_003] = np.nan
    path = write_line(Timeline.of(long), tmp_path / "long.html")
    assert path.stat().st_size < 2_000_000
    page = open_page(path)
    assert page.evaluate("Math.max(...runscope.state.plots[0].data[1].filter(v => v != null))") == 77.0
    held = page.evaluate("(s => [s.x.length, s.bad])(runscope.data.charts[0].series[0])")
    steps = long.series["train/loss"].step
    assert held[0] > 100_000, "there is detail to zoom into"
    assert held[1] == [[int(steps[600_000]), int(steps[600_002]), 3]]


def test_a_zoom_shows_every_point_that_there_is(open_page: Open, tmp_path: Path) -> None:
    """From afar a column of the screen stands for many points; near by each of them is drawn."""
    fine = run("fine", 60_000, seed=5, points=60_000)
    page = open_page(report(diagnose(Timeline.of(fine)), tmp_path / "fine.html"))
    points = "runscope.state.plots[0].data[1].filter(v => v != null).length"
    assert page.evaluate(points) < 5_000
    page.evaluate("runscope.zoom([30000, 30400])")
    logged = fine.series["train/loss"]
    here = (logged.step >= 30_000) & (logged.step <= 30_400)
    drawn = "(p => p.data[0].map((x, i) => [x, p.data[1][i]]).filter(([x, y]) => y != null))"
    shown = [(x, y) for x, y in page.evaluate(f"{drawn}(runscope.state.plots[0])") if 30_000 <= x <= 30_400]
    assert [x for x, _ in shown] == logged.step[here].tolist()
    assert [y for _, y in shown] == pytest.approx(logged.value[here].tolist(), rel=2e-5)


def test_smoothing_has_degrees_and_can_be_off(open_page: Open) -> None:
    page = open_page()
    line = "runscope.state.plots[0].data[2].filter(v => v != null)"
    wiggle = f"(y => y.slice(1).reduce((sum, v, i) => sum + Math.abs(v - y[i]), 0))({line})"
    seen = []
    for level in (1, 2, 3, 4):
        page.locator("#smooth").fill(str(level))
        seen.append(page.evaluate(wiggle))
    assert seen == sorted(seen, reverse=True)
    assert seen[0] > 2 * seen[-1]
    page.locator("#smooth").fill("0")
    assert page.evaluate(line) == []
    assert page.locator("#smooth").get_attribute("aria-valuetext") == "off"


def problems_of(page: Any) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {node['target']} {node['failureSummary']}" for v in found for node in v["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_keeps_anybody_out(open_page: Open, scheme: str, width: int) -> None:
    """The axe rules: names, roles, order, contrast."""
    page = open_page(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(FITS, width)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert problems_of(page) == []


def test_it_prints_light_and_whole(open_page: Open, output: Path) -> None:
    page = open_page(color_scheme="dark")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".bar").is_hidden()
    assert page.locator(".deck").is_hidden()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.pdf(path=str(output / "report.pdf"), format="A4")
    assert (output / "report.pdf").read_bytes().startswith(b"%PDF")


def contenders() -> list[Timeline]:
    """Two trainings of the same kind, one with twice the rate; both log a held-out loss."""
    rng = np.random.default_rng(8)
    lines = []
    for name, level in (("slow", 0.0), ("fast", -0.2)):
        one = run(name, 600, seed=6, level=2.0 + level)
        step = np.arange(50, 601, 50)
        held_out = 1.7 + level + np.exp(-step / 150) + 0.005 * rng.standard_normal(len(step))
        one.series["eval/loss"] = Series.of("eval/loss", step, held_out)
        one.roles["eval_loss"] = "eval/loss"
        one.config["learning_rate"] = 1e-4 if name == "slow" else 2e-4
        lines.append(Timeline.of(one))
    return lines


def test_two_trainings_lie_side_by_side(open_page: Open, tmp_path: Path, output: Path) -> None:
    page = open_page(report(compare(contenders()), tmp_path / "compare.html"))
    assert page.locator("h1").inner_text() == "fast is better: its held-out loss got lower."
    assert page.locator("tr.kept").inner_text().startswith("fast")
    assert "seeds" in page.locator(".verdict").inner_text()
    assert "learning_rate" in page.locator("main").inner_text()
    assert page.locator(".chart canvas").count() == 4
    page.get_by_role("button", name="slow", exact=True).click()
    assert page.evaluate("runscope.state.plots[0].series.slice(1).map(s => s.show)") == [False, True]
    page.get_by_role("button", name="slow", exact=True).click()
    page.select_option("#axis", "epoch")
    assert ranges(page)[0][1] == pytest.approx(6.1, abs=0.1)
    assert problems_of(page) == []
    page.screenshot(path=str(output / "compare.png"), full_page=True)


def test_a_comparison_of_strangers_is_text(open_page: Open, tmp_path: Path) -> None:
    lines = [Timeline.of(run(f"{EVIL} {k}", 300, seed=k)) for k in (1, 2)]
    for line, value in zip(lines, (EVIL, "b"), strict=True):
        line.runs[0].config[EVIL] = value
    page = open_page(report(compare(lines), tmp_path / "evil.html"))
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    assert page.locator("body").inner_text().count("window.hacked=1") > 5


def test_a_notebook_shows_line_diagnosis_and_study(
    open_page: Open, browser: Any, tmp_path: Path, output: Path
) -> None:
    found = whole()
    cells = [what._repr_html_() for what in (found.timeline, found, found.study)]
    notebook = tmp_path / "notebook.html"
    notebook.write_text("<html><body><h1>Notebook</h1>" + "".join(map(str, cells)), encoding="utf-8")
    page = browser.new_context(offline=True).new_page()
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.goto(notebook.as_uri())
    for frame, charts in enumerate((3, 5, 2)):
        page.locator("iframe").nth(frame).scroll_into_view_if_needed()
        inside = page.frame_locator("iframe").nth(frame)
        inside.locator("html[data-ready]").wait_for()
        assert inside.locator(".chart canvas").count() == charts
    page.screenshot(path=str(output / "notebook.png"), full_page=True)
    page.context.close()
    assert complaints == []
