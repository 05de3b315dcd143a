"""What a race between checkpoints costs and how often it is wrong: simulated losses, no model.

Sixteen checkpoints, 2,000 examples (or ``--examples``), losses that fall and rise again along the training (a U of
the given depth in nats). What an example has beyond that is correlated at 0.8 between any two checkpoints, or, as in
real trainings, the more the nearer they are: 0.97 between neighbours, 0.63 between the first and the last.
"""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path

import numpy as np

from runscope.evaluation.decide import decide
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.tasks.kinds import find_task
from runscope.stats.arrays import Floats
from runscope.stats.comparing.racing import Race, starting_arms

ARMS, MIN_EFFECT = 16, 0.02
CORRELATION, NEIGHBOURS = 0.8, 0.97


def losses(depth: float, seed: int, noise: float, examples: int, *, near: bool = False) -> tuple[Floats, int]:
    """(examples, arms) losses and the truly best arm."""
    rng = np.random.default_rng(seed)
    best = int(rng.integers(3, ARMS - 3))
    mean = 1.5 + depth * ((np.arange(ARMS) - best) / max(best, ARMS - 1 - best)) ** 2
    apart = np.abs(np.subtract.outer(np.arange(ARMS), np.arange(ARMS)))
    shared = NEIGHBOURS**apart if near else np.where(apart, CORRELATION, 1.0)
    return mean + noise * rng.standard_normal((examples, ARMS)) @ np.linalg.cholesky(shared).T, best


def run(values: Floats, *, full: bool = False) -> Race:
    """One race to its end."""
    start = range(ARMS) if full else starting_arms(ARMS)
    race = Race(ARMS, np.arange(len(values)), start=start, min_effect=MIN_EFFECT, full=full)
    while not race.done:
        for arm, (begin, end) in race.wanted.items():
            race.tell(arm, values[begin:end, arm])
        race.look()
    return race


def simulate(depth: float, noise: float, repeats: int, examples: int, *, near: bool) -> Floats:
    """Means over repetitions: the columns that :func:`main` prints."""
    names, metric = [str(a) for a in range(ARMS)], find_task(EvaluateSettings()).metric
    rows = []
    for seed in range(repeats):
        values, best = losses(depth, seed, noise, examples, near=near)
        truth = depth * ((np.arange(ARMS) - best) / max(best, ARMS - 1 - best)) ** 2
        race = run(values)
        off, off_full = float(truth[race.leader]), float(truth[values.mean(axis=0).argmin()])
        share = race.reached.sum() / values.size
        said = [decide(r, names, metric).outcome == "overfit" for r in (race, run(values, full=True))]
        lost = off > MIN_EFFECT >= off_full
        rows.append((share, 1 - share, *said, off, off_full, off > MIN_EFFECT, lost))
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
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--demo", type=Path, help="folder of the demo's data; the bundled one otherwise")
    options = parser.parse_args()
    print(
        "correlated  noise  depth  of full grid  fewer  last called worse  by full grid"
        "  pick off by  full's  by > 0.02  and full's not"
    )
    for near, noise in ((False, 1.0), (False, 0.5), (True, 1.0)):
        for depth in (0.0, 0.05, 0.1, 0.2, 0.4, 0.8):
            share, fewer, called, called_full, off, off_full, much, lost = simulate(
                depth, noise, options.repeats, options.examples, near=near
            )
            print(
                f"{'neighbours' if near else 'all alike':10}  {noise:5.1f}  {depth:5.2f}  {share:12.2f}"
                f"  {fewer:5.0%}  {called:17.3f}  {called_full:12.3f}  {off:11.4f}"
                f"  {off_full:6.4f}  {much:9.3f}  {lost:14.3f}",
                flush=True,
            )
    place = options.demo or Path(str(files("runscope"))) / "demo_data"
    if (place / "pricer.bundle").exists():
        demo(place)


if __name__ == "__main__":
    main()
