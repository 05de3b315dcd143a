"""How often made-up trainings that have nothing to do with each other are joined, and how often restarts are right.

    python benchmarks/stitch_strangers.py [--pairs 200] [--seed 0]

Trainings of seven families (tests/stitching/families.py), short and long, averaged or not, with and without settings,
times and telling names. *met*: the loss of the second begins where the first one's stood at some time, by chance.
*like logs*: both log the same metrics at the same interval. Restarts go on from a saved state, newest, second or third
as people do (75, 15, 10%), with fresh counters. *one project*: two trainings of one model and name, each from scratch.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from tests.stitching.families import project, restart, strangers

from runscope.history import Run
from runscope.stitching import stitch

EDGES = (0.0, 0.5, 0.7, 0.85, 0.95, 1.01)


def main() -> None:
    """Print how many strangers were joined, how many restarts are right, and what was said against what was so."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    numbers = [1_000_000 * given.seed + n for n in range(given.pairs)]
    print("| strangers | joined at 0.5 | at 0.9 |\n| --- | --- | --- |")
    kinds: dict[str, Callable[[int], Sequence[Run]]] = {
        "any": strangers,
        "like logs": lambda n: strangers(n, alike=True),
        "met": lambda n: strangers(n, met=True),
        "met, like logs": lambda n: strangers(n, alike=True, met=True),
        "one project": lambda n: project(n, 2),
        "one project, met": lambda n: project(n, 2, met=True),
    }
    for what, made in kinds.items():
        found = [stitch(made(n)).segments[1] for n in numbers]
        said = np.array([s.confidence if s.continues else 0.0 for s in found])
        print(f"| {what} | {np.mean(said >= 0.5):.1%} | {np.mean(said >= 0.9):.1%} |", flush=True)
    print("\n| restarts | right at 0.5 | wrong | asked |\n| --- | --- | --- | --- |")
    everything: list[tuple[float, bool]] = []
    for what, told in (("with settings", True), ("without", False)):
        rows = []
        for n in numbers:
            first, second, state, near = restart(n, told=told)
            s = stitch([first, second]).segments[1]
            rows.append((s.confidence if s.continues else 0.0, s.continues and abs(s.offset - state) <= near))
        sure, right = np.array([c for c, _ in rows]) >= 0.5, np.array([r for _, r in rows])
        print(
            f"| {what} | {np.mean(sure & right):.0%} | {np.mean(sure & ~right):.0%} | {np.mean(~sure):.0%} |",
            flush=True,
        )
        everything += [row for row in rows if row[0] > 0]
    print("\n| confidence | said | right |\n| --- | --- | --- |")
    said, hit = np.array([c for c, _ in everything]), np.array([float(r) for _, r in everything])
    for low, high in pairwise(EDGES):
        part = (said >= low) & (said < high)
        if part.any():
            told = f"{hit[part].mean():.2f} of {part.sum()}"
            print(f"| {low:.2f} to {min(high, 1):.2f} | {said[part].mean():.2f} | {told} |")


if __name__ == "__main__":
    main()
