"""How often the verdict on evaluated checkpoints is wrong: results are drawn whose true means are known, and judged.

*false*: overfitting is said where no checkpoint is better than the last. *missed*: no overfitting is said where it
is worse by more than matters. *found*: overfitting is said where it is. *covers*: the interval of the effect holds the
truth. *corrected*: which share of what picking the best flatters ``best_corrected`` takes back.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

import runscope as rs
from runscope.stats.arrays import Floats, Ints

MIN_EFFECT = 0.02
Drawn = tuple[Floats, Floats, Ints | None]
Draw = Callable[[np.random.Generator], Drawn]


def sisters(rng: np.random.Generator, n: int, k: int, own: float) -> Floats:
    """Losses of k checkpoints on n examples that are hard or easy for all of them."""
    return np.asarray(2.0 + rng.standard_normal((n, 1)) + own * rng.standard_normal((n, k)))


def equal(n: int, k: int) -> Draw:
    """All are as good."""
    return lambda rng: (sisters(rng, n, k, 0.4), np.zeros(k), None)


def right_or_wrong(n: int, k: int) -> Draw:
    """All answer one in eight wrong."""
    return lambda rng: ((sisters(rng, n, k, 0.5) > 3.29).astype(float), np.zeros(k), None)


def heavy(n: int, k: int) -> Draw:
    """Differences have heavy tails: t with three degrees of freedom."""
    return lambda rng: (
        2.0 + rng.standard_normal((n, 1)) + 0.25 * rng.standard_t(3, (n, k)), np.zeros(k), None
    )  # fmt: skip


def clustered(n: int, k: int, sources: int) -> Draw:
    """Some sources suit some checkpoints."""

    def draw(rng: np.random.Generator) -> Drawn:
        source = rng.integers(0, sources, n)
        suits = 0.3 * rng.standard_normal((sources, k))[source]
        return sisters(rng, n, k, 0.3) + suits, np.zeros(k), source

    return draw


def rare(n: int, k: int, share: float, size: float) -> Draw:
    """All but the last fail badly on a few examples, and are a little better on all others."""

    def draw(rng: np.random.Generator) -> Drawn:
        values = sisters(rng, n, k, 0.08)
        values[:, :-1] += np.where(rng.random((n, 1)) < share, size, 0.0) - share * size
        return values, np.zeros(k), None

    return draw


def rare_last(n: int, k: int, share: float, size: float, worse: float) -> Draw:
    """The last fails badly on a few examples, which makes it worse on average."""

    def draw(rng: np.random.Generator) -> Drawn:
        values = sisters(rng, n, k, 0.08)
        values[:, -1] += np.where(rng.random(n) < share, size, 0.0) - share * size + worse
        return values, np.append(np.zeros(k - 1), worse), None

    return draw


def u_shape(n: int, k: int, depth: float) -> Draw:
    """The loss falls and rises again."""

    def draw(rng: np.random.Generator) -> Drawn:
        best = int(rng.integers(k // 4, 3 * k // 4))
        mean = depth * ((np.arange(k) - best) / max(best, k - 1 - best)) ** 2
        return mean + sisters(rng, n, k, 0.3), mean, None

    return draw


SCENARIOS: dict[str, Draw] = {
    "equal, 24 examples × 6": equal(24, 6),
    "equal, 300 × 12": equal(300, 12),
    "right or wrong, 150 × 8": right_or_wrong(150, 8),
    "heavy tails, 200 × 8": heavy(200, 8),
    "30 sources, 240 × 6": clustered(240, 6, 30),
    "5 sources, 240 × 6": clustered(240, 6, 5),
    "earlier ones fail on 1% by 5, 600 × 4": rare(600, 4, 0.01, 5.0),
    "earlier ones fail on 2% by 2, 250 × 8": rare(250, 8, 0.02, 2.0),
    "the last fails on 1% by 8, worse by 0.06, 800 × 4": rare_last(800, 4, 0.01, 8.0, 0.06),
    "the last fails on 3% by 4, worse by 0.08, 200 × 8": rare_last(200, 8, 0.03, 4.0, 0.08),
    "U of 0.1, 1000 × 16": u_shape(1000, 16, 0.1),
    "U of 0.3, 1000 × 16": u_shape(1000, 16, 0.3),
}


def simulate(draw: Draw, repeats: int, *, race: bool) -> Floats:
    """Shares over repetitions: the columns that :func:`main` prints."""
    rows = []
    for seed in range(repeats):
        values, means, clusters = draw(np.random.default_rng(seed))
        steps = range(1, len(means) + 1)
        said = rs.judge_scores(values, steps=steps, min_effect=MIN_EFFECT, clusters=clusters, race=race)
        best = (said.best_step or len(means)) - 1
        gap, worse = means[-1] - means.min(), means[-1] - means[best]
        luck = values.mean(axis=0) - means
        luck -= luck.mean()  # what all have in common is no flattery
        flattered = -luck[best]
        left = flattered - ((said.best_corrected or 0.0) - values[:, best].mean())
        rows.append(
            (
                said.outcome == "overfit" and gap == 0,
                said.outcome == "not_worse" and gap > MIN_EFFECT,
                said.outcome == "overfit" and gap > MIN_EFFECT,
                (said.effect_low or 0.0) <= worse <= (said.effect_high or 0.0),
                said.example_evaluations / said.full_grid,
                flattered,
                left,
            )
        )
    shares = np.asarray(np.mean(np.array(rows, dtype=float), axis=0))
    # Of binary results the means that are called 0 differ from the drawn ones by a constant, which luck has not.
    return np.append(shares[:5], 1 - shares[6] / shares[5] if shares[5] > 0 else np.nan)


def main() -> None:
    """Print two rows a scenario: raced and in full."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    options = parser.parse_args()
    print(f"{'scenario':50} {'':4}  false  missed  found  covers  cost  corrected")
    for name, draw in SCENARIOS.items():
        for race in (True, False):
            false, missed, found, covers, cost, back = simulate(draw, options.repeats, race=race)
            print(
                f"{name:50} {'race' if race else 'full'}  {false:5.3f}  {missed:6.3f}  {found:5.3f}  {covers:6.3f}"
                f"  {cost:4.2f}  {back:9.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
