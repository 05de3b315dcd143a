"""How often a join is right, and how well its confidence says so, on simulated restarts of real trainings.

    python benchmarks/stitch_calibration.py FOLDER [--joins 600] [--plan]

FOLDER holds runs in any form that runscope reads; those with at least 60 logged training losses are used. Each is
cut at a random place, and a second run is made of the rest from a saved state on: the local level of the real
curve with its residuals shuffled, a transient after the restart, a walk of its own, sometimes another logging
interval. Three in five begin from the newest state, the others from one of the four before. All counters of the
second run begin at zero and nothing but the curves tells the state; with ``--plan`` its learning rate is planned
to end where the first plan ended. Every run is drawn equally often, so that a long log counts no more than a
short one.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.ndimage import median_filter, uniform_filter1d

from runscope import load
from runscope.errors import RunscopeError
from runscope.history import Run, Series
from runscope.sources import list_references
from runscope.stitching import stitch

LEAST_POINTS, MOST_POINTS = 60, 400


def curves(folder: Path) -> list[np.ndarray]:
    """Training losses of all runs below a folder."""
    found = []
    for reference in list_references(str(folder)):
        try:
            loss = load(reference).role("train_loss")
        except RunscopeError:
            continue
        if loss is not None and len(value := loss.finite.sorted().value) >= LEAST_POINTS:
            found.append(value)
    return found


def rates(step: np.ndarray, length: float) -> np.ndarray:
    """A cosine with 3% warm-up."""
    warm = max(1.0, 0.03 * length)
    falling = 0.5 * (1 + np.cos(np.pi * np.clip((step - warm) / (length - warm), 0, 1)))
    return np.asarray(1e-4 * np.minimum(step / warm, 1.0) * falling)


def as_run(name: str, step: np.ndarray, loss: np.ndarray, rate: np.ndarray, saves: int, at: float) -> Run:
    """A run in memory."""
    time = at + np.arange(len(step), dtype=np.float64)
    series = {
        "train/loss": Series.of("train/loss", step, loss, time),
        "lr": Series.of("lr", step, rate, time),
    }
    roles = {"train_loss": "train/loss", "learning_rate": "lr"}
    return Run(name, name, name, "table", series, roles, "train/global_step", {"save_steps": saves}, at)


def restart(value: np.ndarray, rng: np.random.Generator, plan: bool) -> tuple[list[Run], int, int] | None:
    """Two runs, the true offset, and the second one's logging interval; None where too few states were saved."""
    points = min(int(rng.integers(200, MOST_POINTS + 1)), max(len(value), 200))
    value = value[np.rint(np.linspace(0, len(value) - 1, points)).astype(int)]
    every = int(rng.choice([1, 5, 10, 50]))
    saves = int(points / rng.integers(6, 17)) * every
    length = points * every
    step = np.arange(1, points + 1) * every
    end = int(rng.uniform(0.4, 0.7) * length)
    states = range(saves, end + 1, saves)
    if len(states) < 3:
        return None
    back = int(rng.integers(1, min(4, len(states) - 1) + 1)) if rng.random() < 0.4 else 0
    offset = states[-1 - back]
    level = uniform_filter1d(
        median_filter(value, int(rng.choice([5, 9, 15])), mode="nearest"), 3, mode="nearest"
    )
    rest, begin = value - level, offset // every
    later = level[begin:] + rng.permutation(rest[begin:])
    count = len(later)
    bump = np.exp(-((np.arange(count) / (0.05 * points) - 1) ** 2))
    later = later + 0.5 * rng.normal() * np.std(rest[points // 4 :]) * bump
    walk = float(np.median(np.abs(np.diff(level[points // 4 :]))))
    later = later + 0.5 * walk * np.cumsum(rng.normal(size=count))
    other = int(rng.choice([1, 1, 2]))
    own = np.arange(1, count + 1)[other - 1 :: other] * every
    seen = len(own) if plan else int(rng.uniform(0.5, 1) * len(own))
    first = as_run(
        "p", step[: end // every], value[: end // every], rates(step, length)[: end // every], saves, 0.0
    )
    planned = rates(own, length - offset if plan else 2 * length)
    second = as_run("p-resumed", own[:seen], later[other - 1 :: other][:seen], planned[:seen], saves, 1e6)
    return [first, second], offset, every * other


def main() -> None:
    """Print how often joins are right, and a table of confidence against that."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--joins", type=int, default=600)
    parser.add_argument("--plan", action="store_true")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    known = curves(given.folder)
    right, sure, newest = [], [], []
    while len(right) < given.joins:
        made = restart(known[len(right) % len(known)], rng, given.plan)
        if made is None:
            continue
        runs, offset, interval = made
        found = stitch(runs).segments[1]
        right.append(found.continues and abs(found.offset - offset) <= interval)
        sure.append(found.confidence if found.continues else 0.0)
        newest.append(offset == max(range(0, runs[0].last_step + 1, int(runs[0].config["save_steps"]))))
    hit, said, last = np.array(right, float), np.array(sure), np.array(newest)
    print(f"{len(known)} curves, {len(hit)} joins: right {hit.mean():.3f}, said {said.mean():.3f}, ", end="")
    print(
        f"Brier {np.mean((said - hit) ** 2):.4f}; newest state {hit[last].mean():.3f}, earlier {hit[~last].mean():.3f}"
    )
    edges = (0.0, 0.5, 0.7, 0.85, 0.95, 1.01)
    for low, high in pairwise(edges):
        some = (said >= low) & (said < high)
        if some.any():
            print(f"  said {said[some].mean():.2f}: right {hit[some].mean():.2f} of {int(some.sum())}")


if __name__ == "__main__":
    main()
