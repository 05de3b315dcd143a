"""Train a zoo of small models with known faults, diagnose each, and repeat the calibration.

usage: python benchmarks/zoo/zoo.py [--cache FOLDER] [--split tune|holdout|all] [--fit] [--verbose]

Needs scikit-learn (a requirement of this benchmark only). There are two splits: ``tune`` (recipes.py), which the
calibration is fitted on, and ``holdout`` (holdout.py), with other tasks, models and seeds, which nothing was fitted
on. The trainings take half an hour on one core and are kept as CSV in the cache folder; the diagnosis takes seconds.

Whether a training truly overfits is read from examples that no rule sees: their loss at the end is at least 5% above
its lowest (yes), at most 2% (no), or between (not scored). A training that diverged, exploded or met NaN is no
overfitting, whatever its loss did. Each is looked at in four ways: with the held-out loss of all held-out examples or
of only 40, at all evaluations or at every fourth; and without any held-out loss.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import holdout
import recipes as tuning
from fit import Row, compare, held_out_terms, score, train_terms
from recipe import NAMED_BY, Recipe

from runscope.history import Timeline
from runscope.rules import View
from runscope.sources import load
from runscope.stats.calibration import HELD_OUT, TRAIN_ONLY
from runscope.verdict import diagnose
from runscope.verdict.types import Diagnosis

SPLITS = {"tune": tuning.recipes, "holdout": holdout.recipes}
YES, NO = 0.05, 0.02
LOOKS = (("eval_loss", 1), ("eval_loss", 4), ("few", 1), ("few", 4))
"""Column of the held-out loss, and which of its evaluations: every one or every fourth."""
BROKEN = ("divergence", "exploding", "nan", "hidden_nan", "masked_labels")
"""What both losses do together is told apart before the calibration, so it is fitted without them."""


@dataclass
class Case:
    """One training, its truth, what is said of it, and the four ways to look at it."""

    recipe: Recipe
    overfits: bool | None
    full: Diagnosis
    train_only: Diagnosis
    looks: list[View]


def main() -> None:
    """Train what is not in the cache, diagnose, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "runscope-zoo")
    parser.add_argument("--split", choices=(*SPLITS, "all"), default="all")
    parser.add_argument("--fit", action="store_true", help="fit the calibrations on the split tune")
    parser.add_argument("--verbose", action="store_true", help="one line a training")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    for split in SPLITS if args.split == "all" else (args.split,):
        recipes = SPLITS[split]()
        run_all(args.cache, recipes)
        cases = [case(args.cache, recipe) for recipe in recipes]
        print(f"\n{split}: {len(cases)} trainings")
        report_faults(cases, args.verbose)
        report_healthy(cases)
        report_overfitting(cases)
        if args.fit and split == "tune":
            compare("held-out curve", HELD_OUT, held_out_rows(cases))
            compare("training curve only", TRAIN_ONLY, train_rows(cases))


def run_all(cache: Path, recipes: list[Recipe]) -> None:
    """Run the trainings that the cache does not hold yet."""
    started, trained = time.perf_counter(), 0
    for recipe in recipes:
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
    if trained:
        print(f"{trained} trainings run in {time.perf_counter() - started:.0f} s")


def case(cache: Path, recipe: Recipe) -> Case:
    """Diagnose one training with and without its held-out curve."""
    line = Timeline.of(load(cache / f"{recipe.name}.csv"))
    overfits = truth_of(cache / f"{recipe.name}.truth")
    return Case(
        recipe,
        False if recipe.fault in BROKEN else overfits,
        diagnose(View(line)),
        diagnose(View(line.with_roles({"eval_loss": None}))),
        [look_at(line, column, every) for column, every in LOOKS],
    )


def look_at(line: Timeline, column: str, every: int) -> View:
    """A view whose held-out loss is that of a column, at every so many evaluations."""
    run = line.runs[0]
    curve = run.series[column]
    thin = curve.where(np.arange(len(curve)) % every == (len(curve) - 1) % every)
    return View(
        Timeline.of(replace(run, series={**run.series, column: thin}).with_roles({"eval_loss": column}))
    )


def truth_of(path: Path) -> bool | None:
    """Whether the loss on unseen examples ends above its lowest; None between yes and no."""
    with path.open(newline="") as file:
        loss = np.array([float(row["loss"]) for row in csv.DictReader(file)])
    if not np.isfinite(loss).all() or loss.max() <= 0:
        return False
    rise = float(np.median(loss[-3:])) / float(loss.min()) - 1
    return True if rise >= YES else False if rise <= NO else None


def alarms(diagnosis: Diagnosis) -> list[str]:
    """Codes at warning or above."""
    return sorted({f.code for f in diagnosis.findings if f.severity != "info"})


def named(c: Case) -> bool:
    """Whether the fault was named."""
    if c.recipe.fault == "overfit":
        return c.full.verdict.overfitting.status == "likely"
    return bool({f.code for f in c.full.findings} & set(NAMED_BY.get(c.recipe.fault, ())))


def report_faults(cases: list[Case], verbose: bool) -> None:
    """Which faults were named."""
    total, hit = Counter(c.recipe.fault for c in cases), Counter(c.recipe.fault for c in cases if named(c))
    for c in cases:
        if verbose or (c.recipe.fault != "none" and not named(c)):
            how = "named" if named(c) else "-----"
            print(
                f"   {c.recipe.name:20s} {c.recipe.fault:16s} {how} truth {c.overfits!s:5s} "
                f"{c.full.verdict.overfitting.probability} {c.train_only.verdict.overfitting.probability} "
                f"{alarms(c.full)} {alarms(c.train_only)}"
            )
    faults = [fault for fault in total if fault != "none"]
    print(f"faults named: {sum(hit[f] for f in faults)} of {sum(total[f] for f in faults)}: ", end="")
    print(", ".join(f"{fault} {hit[fault]}/{total[fault]}" for fault in faults))


def report_healthy(cases: list[Case]) -> None:
    """How many healthy trainings got a warning: no fault, and not overfit by their truth."""
    healthy = [c for c in cases if c.recipe.fault == "none" and c.overfits is False]
    for label, pick in (("held-out curve", "full"), ("training curve only", "train_only")):
        loud = [(c.recipe.name, alarms(getattr(c, pick))) for c in healthy if alarms(getattr(c, pick))]
        print(f"healthy trainings with a warning, {label}: {len(loud)} of {len(healthy)} {loud or ''}")


def report_overfitting(cases: list[Case]) -> None:
    """How right the probability is, against examples that no rule saw."""
    scored = [c for c in cases if c.overfits is not None]
    y = np.array([bool(c.overfits) for c in scored])
    for number, (column, every) in enumerate(LOOKS):
        verdicts = [diagnose(c.looks[number]).verdict.overfitting for c in scored]
        p = np.array([o.probability or 0.0 for o in verdicts])
        examples = "40 held-out examples" if column == "few" else "all held-out examples"
        print(
            f"overfitting, {examples}, {'every fourth evaluation' if every > 1 else 'all evaluations'}: {score(p, y)}"
        )
    p = np.array([c.train_only.verdict.overfitting.probability or 0.0 for c in scored])
    print(f"overfitting, training curve only: {score(p, y)}")


def held_out_rows(cases: list[Case]) -> list[Row]:
    """Terms of all four looks at each training that the calibration is about; together they count as one."""
    kept = [c for c in cases if c.overfits is not None and c.recipe.fault not in BROKEN]
    rows = [(held_out_terms(view), bool(c.overfits), 1 / len(LOOKS)) for c in kept for view in c.looks]
    return [(terms, truth, count) for terms, truth, count in rows if terms is not None]


def train_rows(cases: list[Case]) -> list[Row]:
    """Terms of each training curve that the calibration is about."""
    kept = [c for c in cases if c.overfits is not None and c.recipe.fault not in BROKEN]
    rows = [(train_terms(c.looks[0]), bool(c.overfits), 1.0) for c in kept]
    return [(terms, truth, count) for terms, truth, count in rows if terms is not None]


if __name__ == "__main__":
    main()
