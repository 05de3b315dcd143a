"""How often two recipes are told apart by their seeds: where they are equal, and where they are not.

    python benchmarks/seeds.py [REPETITIONS]

Examples are as hard for both recipes, up to a part of their own; seeds of the first spread ``wider`` times as far
as those of the second. 5% are promised. In the last rows a difference is there: of four spreads of a seed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from runscope.stats.comparing.seeds import Apart, apart

SPREAD, EXAMPLES = 0.05, 100
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
SHAPES: dict[str, Draw] = {
    "normal": lambda chance, size: chance.normal(size=size),
    "heavy tails": lambda chance, size: chance.standard_t(5, size=size) / np.sqrt(5 / 3),
    "lopsided": lambda chance, size: chance.exponential(size=size) - 1,
}


def drawn(
    chance: np.random.Generator,
    seeds: tuple[int, int],
    wider: float,
    recipe: float,
    shape: str,
    worse: float = 0.0,
) -> Apart:
    """Two groups of trainings on the same examples."""
    hard = chance.normal(0, 1, EXAMPLES)
    groups = []
    for count, spread, shift in zip(seeds, (wider * SPREAD, SPREAD), (worse, 0.0), strict=True):
        own = hard + chance.normal(0, recipe, EXAMPLES) + shift + spread * SHAPES[shape](chance, (count, 1))
        groups.append(own + chance.normal(0, 0.3, (count, EXAMPLES)))
    first, second = groups
    return apart(
        list(first.mean(axis=1)), list(second.mean(axis=1)), first.mean(axis=0) - second.mean(axis=0),
        np.ones(EXAMPLES), np.arange(EXAMPLES),
    )  # fmt: skip


def main(repetitions: int) -> None:
    """Print one row a case."""
    chance = np.random.default_rng(0)
    print(f"{'seeds':8} {'wider':>6} {'recipe':>7} {'shape':12} {'told apart':>10}")
    for shape in SHAPES:
        for seeds in ((3, 3), (3, 6), (6, 3), (5, 5)):
            for wider, recipe in ((1.0, 0.0), (1.0, 0.2), (3.0, 0.0), (4.0, 0.2)):
                found = [
                    drawn(chance, seeds, wider, recipe, shape).p_value < 0.05 for _ in range(repetitions)
                ]
                print(f"{seeds!s:8} {wider:6.1f} {recipe:7.1f} {shape:12} {np.mean(found):10.1%}")
    for seeds in ((3, 3), (4, 4), (5, 5)):
        found = [
            drawn(chance, seeds, 1.0, 0.1, "normal", 4 * SPREAD).p_value < 0.05 for _ in range(repetitions)
        ]
        print(f"{seeds!s:8} {1:6.1f} {0.1:7.1f} {'worse by 4':12} {np.mean(found):10.1%}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000)
