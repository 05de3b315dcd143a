"""Train a zoo of small models with known faults, diagnose each, and repeat the calibration.

usage: python benchmarks/zoo/zoo.py [--cache FOLDER] [--split tune|holdout|all] [--fit] [--verbose]

Needs scikit-learn (a requirement of this benchmark only). There are two splits: ``tune`` (recipes.py), which the
calibration is fitted on, and ``holdout`` (holdout.py), with other tasks, models and seeds, which nothing was fitted
on. The trainings take half an hour on one core and are kept as CSV in the cache folder; the diagnosis takes seconds.

Whether a training truly overfits is read from examples that no rule sees: their loss at the end is at least 5% above
its lowest (yes), at most 2% (no), or between (not scored). A training that diverged, exploded or met NaN is no
overfitting, whatever its loss did. Each is looked at in twelve ways: with the held-out loss of all held-out examples
or of only 40, at all evaluations or at every fourth, at its end or when 70% or 45% of it had been run (with the truth
of that moment); and without any held-out loss.
"""

from __future__ import annotations

import argparse
import csv
import itertools
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
from runscope.stats.curves import noise
from runscope.stats.overfitting.calibration import HELD_OUT, TRAIN_ONLY
from runscope.verdict import diagnose
from runscope.verdict.types import Diagnosis

SPLITS = {"tune": tuning.recipes, "holdout": holdout.recipes}
YES, NO = 0.05, 0.02
LOOKS = tuple(itertools.product(("eval_loss", "few"), (1, 4), (1.0, 0.7, 0.45)))
"""Column of the held-out loss, which of its evaluations (every one or every fourth), and at what share of the run."""
SPECIAL = ("boxes", "preference", "policy")
"""Kinds that log by other names: judged as they are, and looked at in one way only."""
BROKEN = (
    "divergence",
    "exploding",
    "nan",
    "hidden_nan",
    "masked_labels",
    "saturated_margins",
    "no_reward_variance",
)
"""What both losses do together is told apart before the calibration, so it is fitted without them."""


@dataclass
class Case:
    """One training, its truth, what is said of it, and the four ways to look at it."""

    recipe: Recipe
    overfits: bool | None
    full: Diagnosis
    train_only: Diagnosis
    looks: list[Look]


@dataclass
class Look:
    """One way to look at a training, and the truth of that moment."""

    column: str
    every: int
    share: float
    view: View
    overfits: bool | None


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
    truth = cache / f"{recipe.name}.truth"
    broken = recipe.fault in BROKEN
    looks = (
        []
        if recipe.model in SPECIAL
        else [
            Look(column, every, share, look_at(line, column, every, share), truth_of(truth, share))
            for column, every, share in LOOKS
        ]
    )
    return Case(
        recipe,
        False if broken else truth_of(truth, 1.0),
        diagnose(View(line)),
        diagnose(View(line.with_roles({"eval_loss": None}))),
        [] if broken else looks,
    )


def look_at(line: Timeline, column: str, every: int, share: float) -> View:
    """A view of the first part of a run whose held-out loss is that of a column, at every so many evaluations."""
    run = line.runs[0]
    until = int(share * run.last_step)
    series = {name: curve.between(None, until) for name, curve in run.series.items()}
    curve = series[column]
    series[column] = curve.where(np.arange(len(curve)) % every == (len(curve) - 1) % every)
    return View(Timeline.of(replace(run, series=series).with_roles({"eval_loss": column})))


def truth_of(path: Path, share: float) -> bool | None:
    """Whether the loss on unseen examples lay above its lowest at a share of the run; None between yes and no.

    Medians of five evaluations in a row are compared: the last five, and the lowest five. Where the curve is so noisy
    that 5% would be nothing, two standard deviations of its noise make a rise, and one makes none.
    """
    with path.open(newline="") as file:
        rows = [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file)]
    loss = np.array([value for step, value in rows if step <= share * rows[-1][0]])
    if not np.isfinite(loss).all() or loss.max() <= 0:
        return False
    level = np.median(np.lib.stride_tricks.sliding_window_view(loss, min(5, len(loss))), axis=1)
    low = float(level.min())
    rise, sigma = float(level[-1]) / low - 1, noise(np.log(np.maximum(loss, 1e-300)))
    return True if rise >= max(YES, 2 * sigma) else False if rise <= max(NO, sigma) else None


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
    meant = [c for c in cases if c.recipe.fault == "overfit" and not c.overfits]
    cases = [c for c in cases if c not in meant]
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
    without = f"; {len(meant)} meant to overfit did not, by their truth" if meant else ""
    print(", ".join(f"{fault} {hit[fault]}/{total[fault]}" for fault in faults) + without)


def report_healthy(cases: list[Case]) -> None:
    """How many healthy trainings got a warning: no fault, and not overfit by their truth."""
    healthy = [c for c in cases if c.recipe.fault == "none" and c.overfits is False]
    for label, pick in (("held-out curve", "full"), ("training curve only", "train_only")):
        loud = [(c.recipe.name, alarms(getattr(c, pick))) for c in healthy if alarms(getattr(c, pick))]
        print(f"healthy trainings with a warning, {label}: {len(loud)} of {len(healthy)} {loud or ''}")


def report_overfitting(cases: list[Case]) -> None:
    """How right the probability is, against examples that no rule saw."""
    for column, every, share in LOOKS:
        looks = [k for c in cases for k in c.looks if (k.column, k.every, k.share) == (column, every, share)]
        looks = [k for k in looks if k.overfits is not None]
        p = np.array([diagnose(k.view).verdict.overfitting.probability or 0.0 for k in looks])
        examples = "40 held-out examples" if column == "few" else "all held-out examples"
        often = "every fourth evaluation" if every > 1 else "all evaluations"
        truth = np.array([bool(k.overfits) for k in looks])
        print(f"overfitting, {examples}, {often}, at {100 * share:.0f}% of the run: {score(p, truth)}")
    scored = [c for c in cases if c.overfits is not None]
    p = np.array([c.train_only.verdict.overfitting.probability or 0.0 for c in scored])
    print(f"overfitting, training curve only: {score(p, np.array([bool(c.overfits) for c in scored]))}")


def held_out_rows(cases: list[Case]) -> list[Row]:
    """Terms of all looks at each training that the calibration is about; together they count as one."""
    looks = [k for c in cases for k in c.looks if k.overfits is not None]
    rows = [(held_out_terms(k.view), bool(k.overfits), 1 / len(LOOKS)) for k in looks]
    return [(terms, truth, count) for terms, truth, count in rows if terms is not None]


def train_rows(cases: list[Case]) -> list[Row]:
    """Terms of each training curve that the calibration is about, at its end.

    Not at 70% or 45% of it: a training that is cut off in the middle of its schedule has not had the time to overfit,
    and people ask about trainings that are over.
    """
    looks = [
        k
        for c in cases
        for k in c.looks
        if (k.column, k.every, k.share) == LOOKS[0] and k.overfits is not None
    ]
    rows = [(train_terms(k.view), bool(k.overfits), 1.0) for k in looks]
    return [(terms, truth, count) for terms, truth, count in rows if terms is not None]


if __name__ == "__main__":
    main()
