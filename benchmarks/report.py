"""The report of a very long training: how large the page is, how long it takes to write and to show.

``python benchmarks/report.py [POINTS ...]`` makes a line of two runs with that many points of loss and as many of
gradient norm and learning rate, spikes and NaN among them, writes the page and opens it in Chromium. The first
picture is the time from navigation until all charts are on the screen, a zoom that from a call until all charts are
drawn again, each the median of five; a browser that is just starting is not measured. Detail is how many points of
the loss the page holds for each column of a screen of 1,000: so many times can one zoom in before a point stands for
others. Writing is in seconds of one core.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runscope.history import Run, Segment, Series, Timeline
from runscope.reporting import write_line

CHROMIUM = "/usr/bin/chromium"
TIMES = 5
_DRAWN = """() => new Promise(done => { const look = () => {
    const mark = performance.getEntriesByName("drawn")[0];
    mark ? requestAnimationFrame(() => setTimeout(() => done(performance.now()))) : setTimeout(look, 2);
}; look(); })"""
_ZOOMED = """() => new Promise(done => {
    const begun = performance.now(), [a, b] = runscope.state.range;
    runscope.zoom([a + (b - a) * .3, a + (b - a) * .6]);
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - begun)));
})"""
_HELD = (
    "runscope.data.charts[0].series.filter(s => s.style === 'raw').reduce((sum, s) => sum + s.x.length, 0)"
)


def training(points: int) -> Timeline:
    """Two runs, the second from where three quarters of the first were kept."""
    rng = np.random.default_rng(0)
    first, second = _run("first", 0, points * 5 // 8, rng), _run("second", points // 2, points // 2, rng)
    return Timeline((Segment(first, cut=points // 2), Segment(second, offset=points // 2, method="given")))


def _run(name: str, begin: int, points: int, rng: np.random.Generator) -> Run:
    step = np.arange(1, points + 1)
    loss = 1 + 2 * np.exp(-(step + begin) / (0.3 * points)) + 0.1 * rng.standard_normal(points)
    loss[rng.integers(0, points, 50)] += 5
    loss[rng.integers(0, points, 50)] = np.nan
    values = {
        "loss": loss, "grad_norm": np.exp(0.3 * rng.standard_normal(points)), "lr": 1e-3 * (1 - step / (points + 1)),
        "epoch": step / points * 3,
    }  # fmt: skip
    return Run(
        reference=name, id=name, name=name, source="made", state="finished",
        series={key: Series.of(key, step, v, 1.7e9 + step * 0.5) for key, v in values.items()},
        roles={"train_loss": "loss", "grad_norm": "grad_norm", "learning_rate": "lr", "epoch": "epoch"},
    )  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """What the browser took: seconds, and points of loss that it holds."""

    first_picture: float
    zoom: float
    held: int


def show(page: Path) -> Shown:
    """Open a page several times, and zoom into it."""
    from playwright.sync_api import sync_playwright

    pictures, zooms, held = [], [], 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        for _ in range(TIMES):
            tab = browser.new_page(viewport={"width": 1280, "height": 900})
            tab.goto(page.as_uri(), wait_until="commit")
            pictures.append(tab.evaluate(_DRAWN) / 1000)
            zooms.append(tab.evaluate(_ZOOMED) / 1000)
            held = tab.evaluate(_HELD)
            tab.close()
        browser.close()
    return Shown(statistics.median(pictures), statistics.median(zooms), held)


def main() -> None:
    """Print one row a size."""
    print(
        "points of loss | page, MB | written in, s | first picture, s | zoom, s | loss points held | detail"
    )
    for points in [int(word) for word in sys.argv[1:]] or [10_000, 1_000_000, 10_000_000]:
        line = training(points)
        with tempfile.TemporaryDirectory() as folder:
            begun = time.process_time()
            page = write_line(line, Path(folder) / "line.html")
            written = time.process_time() - begun
            seen = show(page)
            print(
                f"{points:14,} | {page.stat().st_size / 1e6:8.2f} | {written:13.2f} | {seen.first_picture:16.2f} | "
                f"{seen.zoom:7.3f} | {seen.held:16,} | {seen.held / 1000:5.0f}x",
                flush=True,
            )


if __name__ == "__main__":
    main()
