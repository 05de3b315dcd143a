"""Train a zoo of small models with known faults, diagnose each, and repeat the calibration.

usage: python benchmarks/zoo/zoo.py [--cache FOLDER] [--fit] [--verbose]

Needs scikit-learn (a requirement of this benchmark only). The trainings take a few minutes on one core and
are kept as CSV in the cache folder; the diagnosis takes seconds. Every training is diagnosed twice: with the
held-out curve, and with the training curve only. Whether it truly overfits is read from examples that no
rule sees: their loss at the end is 10% above its lowest (yes), within 3% of it (no), or between (not scored).
A training that diverged, exploded or met NaN is no overfitting, whatever its loss did.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fit import BROKEN, report_fit
from recipes import NAMED_BY, Recipe, recipes

from runscope.history import Timeline
from runscope.rules import View
from runscope.sources import load
from runscope.verdict import diagnose
from runscope.verdict.types import Diagnosis

YES, NO = 0.10, 0.03


@dataclass
class Case:
    """One training, its truth, and what is said of it."""

    recipe: Recipe
    overfits: bool | None
    best_step: int
    full: Diagnosis
    train_only: Diagnosis


def main() -> None:
    """Train what is not in the cache, diagnose, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "runscope-zoo")
    parser.add_argument("--fit", action="store_true", help="fit the calibration's terms on the zoo")
    parser.add_argument("--verbose", action="store_true", help="one line a training")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    run_all(args.cache)
    cases = [case(args.cache, recipe) for recipe in recipes()]
    report_faults(cases, args.verbose)
    report_overfitting(cases)
    if args.fit:
        report_fit(cases)


def run_all(cache: Path) -> None:
    """Run the trainings that the cache does not hold yet."""
    started, trained = time.perf_counter(), 0
    for recipe in recipes():
        log, truth = cache / f"{recipe.name}.csv", cache / f"{recipe.name}.truth"
        mark = cache / f"{recipe.name}.recipe"
        if mark.exists() and mark.read_text() == repr(recipe):
            continue
        import torch
        from training import train

        torch.set_num_threads(1)
        train(recipe, log, truth)
        mark.write_text(repr(recipe))
        trained += 1
    print(f"{len(recipes())} trainings, {trained} run now in {time.perf_counter() - started:.0f} s")


def case(cache: Path, recipe: Recipe) -> Case:
    """Diagnose one training with and without its held-out curve."""
    run = load(cache / f"{recipe.name}.csv")
    line = Timeline.of(run)
    overfits, best = truth_of(cache / f"{recipe.name}.truth")
    if recipe.fault in BROKEN:
        overfits = False
    return Case(
        recipe, overfits, best, diagnose(View(line)), diagnose(View(line.with_roles({"eval_loss": None})))
    )


def truth_of(path: Path) -> tuple[bool | None, int]:
    """Whether the loss on unseen examples ends above its lowest; None between yes and no; and its best step."""
    with path.open(newline="") as file:
        rows = [(int(r["step"]), float(r["loss"])) for r in csv.DictReader(file)]
    step, loss = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    if not np.isfinite(loss).all() or loss.max() <= 0:
        return False, int(step[0])
    end, low = float(np.median(loss[-3:])), float(loss.min())
    rise = end / low - 1
    return (True if rise >= YES else False if rise <= NO else None), int(step[loss.argmin()])


def alarms(diagnosis: Diagnosis) -> set[str]:
    """Codes at warning or above."""
    return {f.code for f in diagnosis.findings if f.severity != "info"}


def report_faults(cases: list[Case], verbose: bool) -> None:
    """Which faults were named, and how many healthy trainings got a warning."""
    named: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for c in cases:
        fault = c.recipe.fault
        codes = {f.code for f in c.full.findings}
        hit = (
            c.full.verdict.overfitting.status == "likely"
            if fault == "overfit"
            else bool(codes & set(NAMED_BY.get(fault, ())))
        )
        total[fault] += 1
        named[fault] += hit
        if verbose or (fault != "none" and not hit):
            print(
                f"   {c.recipe.name:18s} {fault:14s} {'named ' if hit else '------'} truth {c.overfits!s:5s} "
                f"{c.full.verdict.overfitting.status} {c.full.verdict.overfitting.probability} "
                f"{c.train_only.verdict.overfitting.probability} {sorted(alarms(c.full))}"
            )
    for fault in total:
        if fault != "none":
            print(f"{fault:14s} named {named[fault]} of {total[fault]}")
    for label, pick in (("held-out curve", "full"), ("training curve only", "train_only")):
        healthy = [c for c in cases if c.recipe.fault == "none" and not c.overfits]
        loud = [
            (c.recipe.name, sorted(alarms(getattr(c, pick)))) for c in healthy if alarms(getattr(c, pick))
        ]
        print(f"healthy trainings with a warning ({label}): {len(loud)} of {len(healthy)} {loud or ''}")


def report_overfitting(cases: list[Case]) -> None:
    """How right the probability is, against examples that no rule saw."""
    for label, pick in (("held-out curve", "full"), ("training curve only", "train_only")):
        rows = [(getattr(c, pick).verdict.overfitting, c) for c in cases if c.overfits is not None]
        p = np.array([o.probability or 0.0 for o, _ in rows])
        y = np.array([bool(c.overfits) for _, c in rows])
        called = p >= 0.5
        print(
            f"overfitting from the {label}: {y.sum()} of {len(y)} overfit; right {np.mean(called == y):.3f}, "
            f"AUC {auc(p, y):.3f}, Brier {np.mean((p - y) ** 2):.4f}; wrong: "
            f"{[c.recipe.name for (_, c), a, b in zip(rows, called, y, strict=True) if a != b]}"
        )


def auc(p: np.ndarray, y: np.ndarray) -> float:
    """Share of pairs (one that overfits, one that does not) ranked right."""
    a, b = p[y], p[~y]
    return float(np.mean((a[:, None] > b) + 0.5 * (a[:, None] == b))) if len(a) and len(b) else float("nan")


if __name__ == "__main__":
    main()
