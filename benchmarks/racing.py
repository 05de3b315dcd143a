"""What a race between checkpoints costs and how often it is wrong: simulated losses, no model.

Sixteen checkpoints, 2,000 examples, losses that fall and rise again along the training (a U of the given depth in
nats), correlated at 0.8 between checkpoints.
"""

from __future__ import annotations

import argparse

import numpy as np

from runscope.stats.arrays import Floats
from runscope.stats.racing import Race, starting_arms

ARMS, EXAMPLES, CORRELATION = 16, 2000, 0.8


def losses(depth: float, seed: int, noise: float) -> tuple[Floats, int]:
    """(examples, arms) losses and the truly best arm."""
    rng = np.random.default_rng(seed)
    best = int(rng.integers(3, ARMS - 3))
    mean = 1.5 + depth * ((np.arange(ARMS) - best) / max(best, ARMS - 1 - best)) ** 2
    common = np.sqrt(CORRELATION) * rng.standard_normal((EXAMPLES, 1))
    return mean + noise * (common + np.sqrt(1 - CORRELATION) * rng.standard_normal((EXAMPLES, ARMS))), best


def run(values: Floats) -> Race:
    """One race to its end."""
    race = Race(ARMS, np.arange(EXAMPLES), start=starting_arms(ARMS), min_effect=0.02)
    while not race.done:
        for arm, (begin, end) in race.wanted.items():
            race.tell(arm, values[begin:end, arm])
        race.look()
    return race


def main() -> None:
    """Print one row a depth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=120)
    repeats = parser.parse_args().repeats
    print("noise  depth  share of the full grid  best dropped  last called worse  survivors")
    for noise in (1.0, 0.5):
        for depth in (0.0, 0.05, 0.1, 0.2, 0.4, 0.8):
            rows = []
            for seed in range(repeats):
                values, best = losses(depth, seed, noise)
                race = run(values)
                lost = best in race.dropped or best not in race.started
                rows.append(
                    (race.reached.sum() / values.size, lost, ARMS - 1 in race.dropped, len(race.alive))
                )
            share, lost, called, left = np.mean(np.array(rows, dtype=float), axis=0)
            print(f"{noise:5.1f}  {depth:5.2f}  {share:22.2f}  {lost:12.3f}  {called:17.3f}  {left:9.1f}")


if __name__ == "__main__":
    main()
