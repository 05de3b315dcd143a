"""The report of a very long training: how large the page is, how long it takes to write and to show.

``python benchmarks/page.py [POINTS ...]`` makes a line of two runs with that many points of loss and as many of
gradient norm and learning rate, spikes and NaN among them, writes the page and opens it in Chromium. The first
picture is the time from navigation until all charts are on the screen, the median of five; a browser that is just
starting is not measured.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from runscope.history import Run, Segment, Series, Timeline
from runscope.reporting import write_line

CHROMIUM = "/usr/bin/chromium"
TIMES = 5
_DRAWN = """() => new Promise(done => requestAnimationFrame(() => setTimeout(
    () => done(performance.getEntriesByName("drawn")[0] ? performance.now() : -1))))"""


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


def first_picture(page: Path) -> float:
    """Seconds from navigation until all charts are drawn."""
    from playwright.sync_api import sync_playwright

    seconds = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        for _ in range(TIMES):
            tab = browser.new_page(viewport={"width": 1280, "height": 900})
            tab.goto(page.as_uri(), wait_until="load")
            seconds.append(tab.evaluate(_DRAWN) / 1000)
            tab.close()
        browser.close()
    return statistics.median(seconds)


def main() -> None:
    """Print one row a size."""
    print("points of loss | page, kB | written in, s | first picture, s")
    for points in [int(word) for word in sys.argv[1:]] or [10_000, 1_000_000, 10_000_000]:
        line = training(points)
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            page = write_line(line, Path(folder) / "line.html")
            written = time.perf_counter() - begun
            print(
                f"{points:14,} | {page.stat().st_size / 1e3:8.0f} | {written:13.2f} | {first_picture(page):.2f}"
            )


if __name__ == "__main__":
    main()
