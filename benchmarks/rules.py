"""How long the rules take on one million logged points.

``python benchmarks/rules.py [POINTS]`` makes a run in memory (training loss, norm and rate at every point, one
hundred evaluations), lets all rules look five times, and prints the median and the slowest rules. Data is made
anew for each round, as nothing may be remembered from the round before. It counts processor time, which other work
on the machine does not change much.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time

import numpy as np

from runscope.history import Run, Series, Timeline
from runscope.rules import CouldNotLook, View, look
from runscope.rules.codes import RULES


def make_view(points: int) -> View:
    """A fine-tune of five epochs with a million points, slightly overfit."""
    rng = np.random.default_rng(0)
    t = np.linspace(0, 1, points)
    step = np.arange(1, points + 1)
    at = np.linspace(0, points - 1, 100).astype(int)
    loss = 2 * np.exp(-4 * t) + 0.7 + 0.05 * rng.standard_normal(points)
    series = {
        "train_loss": Series.of("train_loss", step, loss, 1.7e9 + 0.1 * step),
        "grad_norm": Series.of("grad_norm", step, np.exp(0.3 * rng.standard_normal(points))),
        "learning_rate": Series.of("learning_rate", step, 2e-4 * (0.5 + 0.5 * np.cos(np.pi * t))),
        "epoch": Series.of("epoch", step, 5 * t),
        "eval_loss": Series.of("eval_loss", step[at], 1.2 - 0.5 * t[at] + 0.6 * t[at] ** 2),
    }
    run = Run(
        reference="bench",
        id="bench",
        name="bench",
        source="made",
        series=series,
        roles={n: n for n in series},
    )
    return View(Timeline.of(run))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Time of the rules on a long run.")
    parser.add_argument("points", type=int, nargs="?", default=1_000_000)
    points = parser.parse_args().points
    whole = []
    for _ in range(5):
        view = make_view(points)
        begun = time.process_time()
        look(view)
        whole.append(time.process_time() - begun)
    seconds = statistics.median(whole)
    print(f"{len(RULES)} rules on {points:,} points: {seconds:.3f} s of one core (median of 5)")
    view = make_view(points)
    look(view)
    alone = {}
    for code, rule in RULES.items():
        begun = time.process_time()
        with contextlib.suppress(CouldNotLook):
            list(rule.look(view))
        alone[code] = time.process_time() - begun
    for code in sorted(alone, key=lambda c: -alone[c])[:8]:
        print(f"  {code} {RULES[code].name}: {alone[code] * 1000:.0f} ms")


if __name__ == "__main__":
    main()
