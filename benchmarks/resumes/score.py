"""Fit the model of a join on the tune split, and score it on the holdout.

python benchmarks/resumes/score.py curves.jsonl.gz varied.jsonl.gz [--fit] [--split holdout] [--each]
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from records import Known, read
from scipy.optimize import minimize
from simulated import simulated

from runscope.rules import View
from runscope.rules.resume.joins import resumes
from runscope.stats.resumes.causes import CAUSES, judge
from runscope.stats.resumes.join import Curve, Join

RIDGE = 0.0002
"""Of the mean log-likelihood for a weight of 1: the terms are bounded, and few trainings speak for each."""
CLEAN = 0.4
"""Share of resumes that are taken to be clean. Nothing is known of it; the zoo breaks nearly all of its own."""


def variants(join: Join, cause: str, rng: np.random.Generator) -> Iterator[Join]:
    """The join as other scripts would have logged it: without one or the other curve, thinner, shorter.

    What shows the cause stays: a discarded tail, an epoch counter or a batch size without which nothing could tell it.
    """
    shows = cause in ("data", "optimiser")
    yield join
    for _ in range(5):
        gone = {r for r in ("grad_norm", "eval_loss", "epoch") if rng.random() < 0.4}
        gone -= {"epoch"} if shows or cause == "scale" else set()
        every = 1 if shows else int(rng.choice([1, 1, 2]))
        points = int(rng.choice([8, 15, 100]))

        def logged(
            curves: Mapping[str, Curve], points: int, gone: set[str] = gone, every: int = every
        ) -> dict[str, Curve]:
            return {
                r: (c if r == "eval_loss" else Curve(c.x[every - 1 :: every], c.y[every - 1 :: every])).first(
                    points
                )
                for r, c in curves.items()
                if r not in gone
            }

        yield replace(
            join, before=logged(join.before, 10**6), after=logged(join.after, points),
            tail={} if rng.random() < 0.5 and not shows else logged(join.tail, 10**6),
            batch=None if rng.random() < 0.5 else join.batch,
        )  # fmt: skip


def rows(known: Sequence[Known], *, more: bool) -> tuple[list[dict[str, float]], list[str], np.ndarray]:
    """Terms, loss causes and weights of joins; several ways to log one count together as one."""
    rng = np.random.default_rng(0)
    terms, causes, weight = [], [], []
    for one in known:
        join = resumes(View(one.line))[0].join
        cause = next((c for c in one.causes if c in CAUSES), "clean")
        made = [a for j in (variants(join, cause, rng) if more else [join]) if (a := judge(j)) is not None]
        for answer in made:
            terms.append(dict(answer.terms))
            causes.append(cause)
            weight.append(1 / len(made))
    return terms, causes, np.array(weight)


SHARES = {"libraries": 0.45, "simulated": 0.5, "varied": 0.05}
"""Of the weight of all joins: those of the libraries are what people have; ``varied.py`` makes many hard ones."""


def tuned(known: Sequence[Known]) -> tuple[list[dict[str, float]], list[str], np.ndarray]:
    """Terms, causes and weights of all that is fitted on; where only the rate could tell, nothing is learned."""
    varied = [k for k in known if k.about["library"] == "varied" and k.causes != ("unlogged",)]
    groups = {
        "libraries": [k for k in known if k.about["library"] != "varied"], "simulated": simulated(1), "varied": varied,
    }  # fmt: skip
    terms, causes, weight = [], [], []
    for name, group in groups.items():
        if group:
            some = rows(group, more=True)
            terms += some[0]
            causes += some[1]
            weight.append(SHARES[name] * some[2] / some[2].sum())
    return terms, causes, np.concatenate(weight)


def fit(
    terms: Sequence[Mapping[str, float]], causes: Sequence[str], weight: np.ndarray
) -> dict[str, dict[str, float]]:
    """Weights of a softmax with a ridge penalty on all but the biases."""
    names = list(terms[0])
    x = np.array([[t[n] for n in names] + [1.0] for t in terms])
    y = np.array([CAUSES.index(c) for c in causes])
    clean = y == CAUSES.index("clean")
    weight = np.where(
        clean, CLEAN * weight / weight[clean].sum(), (1 - CLEAN) * weight / weight[~clean].sum()
    )

    def cost(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = flat.reshape(x.shape[1], len(CAUSES))
        score = x @ w
        score -= score.max(axis=1, keepdims=True)
        p = np.exp(score)
        p /= p.sum(axis=1, keepdims=True)
        value = -float(weight @ np.log(p[np.arange(len(y)), y] + 1e-12)) + RIDGE * float(np.sum(w[:-1] ** 2))
        p[np.arange(len(y)), y] -= 1
        slope = x.T @ (p * weight[:, None])
        slope[:-1] += 2 * RIDGE * w[:-1]
        return value, slope.ravel()

    found = minimize(cost, np.zeros(x.shape[1] * len(CAUSES)), jac=True, method="L-BFGS-B").x
    w = found.reshape(x.shape[1], len(CAUSES))
    w -= w[:, :1]  # all scores are against clean
    return {
        cause: {
            n: round(float(v), 2)
            for n, v in zip([*names, "bias"], w[:, k], strict=True)
            if abs(v) >= 0.05 or n == "bias"
        }
        for k, cause in enumerate(CAUSES)
    }


def main() -> None:
    """Fit, or score."""
    parser = argparse.ArgumentParser()
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--split", default="holdout")
    parser.add_argument("--each", action="store_true")
    given = parser.parse_args()
    known = [k for file in given.files for k in read(file)]
    if given.fit:
        weights = fit(*tuned([k for k in known if k.about["split"] == "tune"]))
        for cause, terms in weights.items():
            print(f'    "{cause}": {{')
            for name, value in terms.items():
                print(f'        "{name}": {value},')
            print("    },")
        return
    others = [k for k in known if k.about["split"] == given.split]
    score(simulated(2) if given.split == "simulated" else others, each=given.each)


def named(one: Known) -> tuple[str, float, Mapping[str, float]]:
    """The first cause that runscope names, and how sure it is."""
    from runscope.rules.resume.joins import cause_of

    seen = resumes(View(one.line))[0]
    cause, sure = cause_of(seen)
    return cause, sure, seen.answer.probability if seen.answer else {}


def score(known: Sequence[Known], *, each: bool = False) -> None:
    """Print how often the cause is right, by fault, and how well the probability says so."""
    right, sure, by, wrong = [], [], {}, Counter()
    for one in known:
        cause, said, probability = named(one)
        hit = cause in one.causes
        right.append(hit)
        sure.append(said)
        by.setdefault(
            one.about["fault"]
            + (" (no trace)" if one.causes == ("clean",) and one.about["fault"] != "clean" else ""),
            [],
        ).append(hit)
        if not hit:
            wrong[(one.causes, cause)] += 1
        if each and not hit:
            shown = {c: round(p, 2) for c, p in probability.items() if p > 0.05}
            print(f"  {one.about['join']:44s} {one.causes} named {cause} {said:.2f} {shown}")
    hits, said = np.array(right, float), np.array(sure)
    print(
        f"{len(known)} joins: right {hits.mean():.3f}, said {said.mean():.3f}, Brier {np.mean((said - hits) ** 2):.3f}"
    )
    for fault, some in sorted(by.items()):
        print(f"  {fault:32s} {sum(some):3d} of {len(some)}")
    for low, high in pairwise((0.0, 0.5, 0.7, 0.85, 0.95, 1.01)):
        some = (said >= low) & (said < high)
        if some.any():
            print(f"  said {said[some].mean():.2f}: right {hits[some].mean():.2f} of {int(some.sum())}")
    for (causes, cause), count in wrong.most_common(12):
        print(f"  {' or '.join(causes)} named {cause}: {count}")


if __name__ == "__main__":
    main()
