"""How often does ``diagnose --baseline`` call a training worse that differs from its baseline by the seed alone?

Small networks are trained on one task with many seeds (weights, order of the data), and with recipes that are worse.
Every training is held against every other seed of the good recipe, and against groups of three and six of them.

    python benchmarks/baseline.py [--seeds 20]
"""

from __future__ import annotations

import argparse
from itertools import islice, permutations

import numpy as np
import torch
from torch import nn

from runscope.history import Run, Series, Timeline
from runscope.rules import View
from runscope.sources.base import finish
from runscope.verdict import Diagnosis, diagnose
from runscope.verdict.baseline import hold_against

STEPS, EVERY = 1200, 30
RECIPES = {
    "the same": {},
    "half of the data": {"rows": 512},
    "a tenth of the learning rate": {"rate": 3e-4},
    "labels of one in ten rows wrong": {"wrong": 0.1},
}


def data(rows: int, seed: int, wrong: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Points on a plane of 16 dimensions, labelled by a fixed network with noise."""
    noise = torch.Generator().manual_seed(seed)
    teacher = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 16, generator=noise)
    first, second = torch.randn(16, 32, generator=teacher), torch.randn(32, 4, generator=teacher)
    logits = torch.tanh(x @ first / 4) @ second
    y = torch.multinomial(torch.softmax(logits, 1), 1, generator=noise)[:, 0]
    odd = torch.rand(rows, generator=noise) < wrong
    return x, torch.where(odd, torch.randint(0, 4, (rows,), generator=noise), y)


def trained(name: str, seed: int, *, rows: int = 1024, rate: float = 3e-3, wrong: float = 0.0) -> Diagnosis:
    """One training, as its log reads."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(16, 64), nn.Tanh(), nn.Linear(64, 4))
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    train, held = data(rows, 1, wrong), data(1000, 2)
    steps, losses, evals = [], [], []
    for step in range(1, STEPS + 1):
        batch = torch.randint(0, rows, (32,))
        loss = nn.functional.cross_entropy(model(train[0][batch]), train[1][batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % EVERY == 0:
            with torch.no_grad():
                evals.append(float(nn.functional.cross_entropy(model(held[0]), held[1])))
            steps.append(step)
            losses.append(float(loss.detach()))
    axis = np.array(steps)
    series = {n: Series.of(n, axis, np.array(v)) for n, v in (("train/loss", losses), ("eval/loss", evals))}
    run = Run(reference=name, id=name, name=name, source="csv", series=series, state="finished")
    return diagnose(View(Timeline.of(finish(run, where=name))))


def main() -> None:
    """Train, hold against one another, count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    runs = {
        recipe: [trained(f"{recipe} {s}", s + 100 * n, **how) for s in range(seeds)]  # type: ignore[arg-type]
        for n, (recipe, how) in enumerate(RECIPES.items())
    }
    good = runs["the same"]
    best = np.array([float(d.timeline.role("eval_loss").value.min()) for d in good])  # type: ignore[union-attr]
    print(
        f"lowest held-out loss of {seeds} seeds: {best.mean():.4f}, sd {best.std(ddof=1) / best.mean():.2%}"
    )
    for recipe, trainings in runs.items():
        lows = np.mean([float(d.timeline.role("eval_loss").value.min()) for d in trainings])  # type: ignore[union-attr]
        print(f"{recipe} ({lows / best.mean() - 1:+.1%}):")
        for several in (1, 3, 6):
            said = {"worse": 0, "not_worse": 0, "unknown": 0}
            for one in trainings:
                others = [g for g in good if g is not one]
                for group in islice(permutations(others, several), 0, 400, 400 // 16 if several > 1 else 1):
                    said[hold_against(one, group).status] += 1
            total = sum(said.values())
            shares = ", ".join(f"{k.replace('_', ' ')} {v / total:.1%}" for k, v in said.items())
            print(f"  against {several}: {shares} of {total:,}")


if __name__ == "__main__":
    main()
