"""What a race between checkpoints costs and how often it is wrong: simulated losses, no model.

Sixteen checkpoints, 2,000 examples, losses that fall and rise again along the training (a U of the given depth in
nats), correlated at 0.8 between checkpoints.
"""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path

import numpy as np

from runscope.stats.arrays import Floats
from runscope.stats.racing import Race, starting_arms

ARMS, EXAMPLES, CORRELATION, MIN_EFFECT = 16, 2000, 0.8, 0.02


def losses(depth: float, seed: int, noise: float) -> tuple[Floats, int]:
    """(examples, arms) losses and the truly best arm."""
    rng = np.random.default_rng(seed)
    best = int(rng.integers(3, ARMS - 3))
    mean = 1.5 + depth * ((np.arange(ARMS) - best) / max(best, ARMS - 1 - best)) ** 2
    common = np.sqrt(CORRELATION) * rng.standard_normal((EXAMPLES, 1))
    return mean + noise * (common + np.sqrt(1 - CORRELATION) * rng.standard_normal((EXAMPLES, ARMS))), best


def run(values: Floats) -> Race:
    """One race to its end."""
    race = Race(ARMS, np.arange(EXAMPLES), start=starting_arms(ARMS), min_effect=MIN_EFFECT)
    while not race.done:
        for arm, (begin, end) in race.wanted.items():
            race.tell(arm, values[begin:end, arm])
        race.look()
    return race


def picked(race: Race, truth: Floats) -> float:
    """How much worse than the truly best one the arm is that the race ends with."""
    furthest = race.reached[sorted(race.alive)].max()
    arms = [a for a in sorted(race.alive) if race.reached[a] == furthest]
    return float(truth[arms[int(race.values[:furthest, arms].mean(axis=0).argmin())]] - truth.min())


def simulate(depth: float, noise: float, repeats: int) -> Floats:
    """Means over repetitions: the columns that :func:`main` prints."""
    rows = []
    for seed in range(repeats):
        values, best = losses(depth, seed, noise)
        truth = depth * ((np.arange(ARMS) - best) / max(best, ARMS - 1 - best)) ** 2
        race = run(values)
        lost = best in race.dropped or best not in race.started
        off, off_full = picked(race, truth), float(truth[values.mean(axis=0).argmin()])
        share = race.reached.sum() / values.size
        rows.append((share, 1 - share, lost, ARMS - 1 in race.dropped, off, off_full, off > MIN_EFFECT))
    return np.asarray(np.mean(np.array(rows, dtype=float), axis=0))


def demo(folder: Path) -> None:
    """The bundled training: its real checkpoints, raced and in full."""
    from runscope.evaluation import EvaluateSettings, evaluate
    from runscope.hub import fetch, list_checkpoints

    saved = list_checkpoints(str(folder / "pricer.bundle"))
    found = [
        evaluate(
            saved, folder / "heldout.jsonl", fetch=fetch, base=folder / "base",
            settings=EvaluateSettings(sample=0, full=full),
        )
        for full in (False, True)
    ]  # fmt: skip
    for name, study in zip(("race", "full grid"), found, strict=True):
        share = study.example_evaluations / study.full_grid
        best = study.best.step if study.best else None
        print(f"demo, {name}: {share:.2f} of the full grid, best step {best}, {study.outcome}")


def main() -> None:
    """Print one row a depth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--demo", type=Path, help="folder of the demo's data; the bundled one otherwise")
    options = parser.parse_args()
    print(
        "noise  depth  of full grid  fewer  best dropped  last called worse  pick off by  full's  by > 0.02"
    )
    for noise in (1.0, 0.5):
        for depth in (0.0, 0.05, 0.1, 0.2, 0.4, 0.8):
            share, fewer, lost, called, off, off_full, much = simulate(depth, noise, options.repeats)
            print(
                f"{noise:5.1f}  {depth:5.2f}  {share:12.2f}  {fewer:5.0%}  {lost:12.3f}  {called:17.3f}"
                f"  {off:11.4f}  {off_full:6.4f}  {much:9.3f}",
                flush=True,
            )
    place = options.demo or Path(str(files("runscope"))) / "demo_data"
    if (place / "pricer.bundle").exists():
        demo(place)


if __name__ == "__main__":
    main()
