"""Lines, diagnoses and studies as axes and as tables; the page's packing."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import runscope as rs
from runscope.history import Series
from runscope.reporting.view.curves import shares
from runscope.reporting.view.packing import Packer
from tests.reporting.conftest import whole
from tests.survey.test_survey_page import survey


@pytest.fixture(autouse=True)
def _no_window() -> None:
    mpl.use("agg")


def test_plots_are_drawn_on_axes_that_are_given_or_made() -> None:
    import matplotlib.pyplot as plt

    found = whole()
    given = Figure().subplots()
    for what in (found.timeline, found, found.study):
        assert what is not None
        assert what.plot(given) is given
        made = what.plot()
        assert isinstance(made, Axes)
        assert made.get_xlabel() == "step"
        assert len(made.lines) > 1
        plt.close(made.figure)


def test_tables_have_a_row_for_each_finding_and_checkpoint() -> None:
    found = whole()
    findings, study = found.to_pandas(), found.study
    assert isinstance(findings, pd.DataFrame)
    assert list(findings.code) == [f.code for f in found.findings]
    assert study is not None
    scores = study.to_pandas()
    assert list(scores.step) == [s.checkpoint.step for s in study.scores]
    assert scores.loc[scores.standing == "skipped", "mean"].isna().all()


def test_whoever_has_a_line_can_have_it_drawn() -> None:
    """Without a verb of the library having been called: the name alone is enough."""
    import subprocess
    import sys

    code = (
        "import runscope as rs; run = rs.Run(reference='a', id='a', name='a', source='made', series={}); "
        "print(rs.Timeline.of(run)._repr_html_()[:7])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "<iframe"
    assert rs.Timeline.__name__ == "Timeline"


@pytest.mark.parametrize("first", [0, 7, 1_700_000_000_000])
def test_packed_curves_come_out_as_they_went_in(first: int) -> None:
    """Read as the page reads them."""
    rng = np.random.default_rng(3)
    step = first + np.cumsum(rng.integers(1, 5000, 3000))
    value = rng.standard_normal(3000) * 10.0 ** rng.integers(-300, 300, 3000)
    packer = Packer()
    packer.add(Series.of("before", [1, 2], [0.5, 0.25]))
    place = packer.add(Series.of("x", step, value))
    content = np.frombuffer(gzip.decompress(base64.b64decode(packer.text())), np.uint8)
    n, at = place["n"], place["at"]
    planes = content[at : at + place["xb"] * n].reshape(place["xb"], n).astype(np.int64)
    distance = sum(plane << (8 * k) for k, plane in enumerate(planes))
    assert np.array_equal(place["x0"] + np.cumsum(distance), step)
    halves = content[at + place["xb"] * n :][: 4 * n].reshape(4, n)
    whole_bytes = np.zeros((n, 8), np.uint8)
    whole_bytes[:, :4] = halves.T
    assert whole_bytes.view(">f8")[:, 0] == pytest.approx(value, rel=1e-5)


def test_room_is_shared_and_short_curves_keep_all() -> None:
    assert shares([10, 100, 100_000, 100_000], 50_000, 200) == [10, 100, 24_945, 24_945]
    assert shares([5, 6], 1000, 200) == [5, 6]
    assert shares([10_000] * 100, 1000, 200) == [200] * 100


HOSTS = {
    # As JupyterLab and VS Code put an output in: scripts of markup that is set do not run, so each is made again.
    "jupyter": """<html><body><div id=out></div><script>
        out.innerHTML = OUTPUT;
        for (const old of out.querySelectorAll("script")) {
            const made = document.createElement("script"); made.textContent = old.textContent; old.replaceWith(made);
        }</script></body></html>""",
    # As Colab does: every output in a frame of its own.
    "colab": "<html><body><iframe id=cell sandbox='allow-scripts' width=900 height=1200></iframe>"
    "<script>cell.srcdoc = OUTPUT;</script></body></html>",
    # As GitHub and nbviewer do: no script of an output runs.
    "no scripts": "<html><body><div id=out></div><script>out.innerHTML = OUTPUT;</script></body></html>",
}


GROWN = """frame => new Promise(done => {
    const look = () => frame.style.height !== "720px" ? done() : requestAnimationFrame(look);
    look();
})"""


@pytest.mark.parametrize("host", HOSTS)
def test_a_frame_ends_after_a_whole_chart(browser: Any, tmp_path: Path, host: str) -> None:
    found = whole()
    quoted = json.dumps(f"{found._repr_html_()}{found._repr_html_()}").replace("</", "<\\/")
    place = tmp_path / "notebook.html"
    place.write_text(HOSTS[host].replace("OUTPUT", quoted), encoding="utf-8")
    page = browser.new_context(offline=True, viewport={"width": 900, "height": 1400}).new_page()
    page.goto(place.as_uri())
    outer = page.frame_locator("#cell") if host == "colab" else page
    for number in range(1 if host == "colab" else 2):
        frame = outer.locator("iframe.runscope").nth(number)
        frame.scroll_into_view_if_needed()
        inside = outer.frame_locator("iframe.runscope").nth(number)
        inside.locator("html[data-ready]").wait_for()
        if host == "no scripts":
            assert frame.bounding_box()["height"] == pytest.approx(720, abs=3)
            continue
        frame.evaluate(GROWN)
        height = frame.evaluate("f => f.clientHeight")
        ends = inside.locator(".chart").evaluate_all(
            "all => all.map(c => c.getBoundingClientRect().bottom + scrollY)"
        )
        assert any(0 <= height - end <= 12 for end in ends), (height, ends)
        assert height <= max(1000, ends[0] + 12), "no higher than a screen, but for the first chart"
    page.context.close()


def test_the_frame_of_a_survey_ends_after_a_list_or_a_chart(browser: Any, tmp_path: Path) -> None:
    found = survey(40)
    place = tmp_path / "notebook.html"
    quoted = json.dumps(found._repr_html_()).replace("</", "<\\/")
    place.write_text(HOSTS["jupyter"].replace("OUTPUT", quoted), encoding="utf-8")
    page = browser.new_context(offline=True, viewport={"width": 900, "height": 1400}).new_page()
    page.goto(place.as_uri())
    frame, inside = page.locator("iframe.runscope"), page.frame_locator("iframe.runscope")
    inside.locator("html[data-ready]").wait_for()
    frame.evaluate(GROWN)
    height = frame.evaluate("f => f.clientHeight")
    ends = inside.locator("#list, #overlay, #legend").evaluate_all(
        "all => all.map(c => c.getBoundingClientRect().bottom + scrollY)"
    )
    assert any(0 <= height - end <= 12 for end in ends), (height, ends)
    page.context.close()
