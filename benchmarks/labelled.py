"""How right the probability of overfitting is on a folder of labelled logs, by set and by repository.

``python benchmarks/labelled.py DIR``: DIR holds ``index.jsonl``, one log a line with ``file`` (below DIR), ``overfit``
(``yes``, ``no``, anything else is not scored), ``repo`` (logs of one repository are sisters) and, where it has several
parts, ``set``. Three figures each, with the held-out curve and with the training curve only: the calibration in use
(fitted on the zoo); one fitted on the other repositories of DIR (leave one repository out), which shows what the choice
of coefficients costs; and each repository counted as one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent / "zoo"))

from fit import Row, fit, held_out_terms, probabilities, score, train_terms

from runscope.history import Timeline
from runscope.rules import View
from runscope.sources import load
from runscope.stats.overfitting.calibration import HELD_OUT, TRAIN_ONLY
from runscope.verdict import diagnose


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description="How right the probability of overfitting is on labelled logs."
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    logs = [json.loads(line) for line in (folder / "index.jsonl").read_text(encoding="utf-8").splitlines()]
    sets: dict[str, list[tuple[dict[str, Any], Timeline]]] = defaultdict(list)
    for log in logs:
        if log["overfit"] in ("yes", "no"):
            sets[log.get("set", "")].append((log, Timeline.of(load(folder / log["file"]))))
    for name, members in sets.items():
        y = np.array([log["overfit"] == "yes" for log, _ in members])
        repos = [log["repo"] for log, _ in members]
        for label, hide, weights, terms in (
            ("held-out curve", {}, HELD_OUT, held_out_terms),
            ("training curve only", {"eval_loss": None}, TRAIN_ONLY, train_terms),
        ):
            lines = [line.with_roles(hide) for _, line in members]
            p = np.array([diagnose(View(line)).verdict.overfitting.probability or 0.0 for line in lines])
            print(f"{name}, {label}: {score(p, y)}")
            if len(set(repos)) > 1:
                print(f"   mean over {len(set(repos))} repositories: {by_repository(p, y, repos)}")
                print(f"   {without_own(lines, y, repos, weights, terms)}")


def by_repository(p: np.ndarray, y: np.ndarray, repos: list[str]) -> str:
    """Brier score and accuracy where each repository counts as one."""
    groups = [np.array([r == repo for r in repos]) for repo in dict.fromkeys(repos)]
    right = np.mean([np.mean((p[g] >= 0.5) == y[g]) for g in groups])
    return f"right {right:.3f}, Brier {np.mean([np.mean((p[g] - y[g]) ** 2) for g in groups]):.3f}"


def without_own(
    lines: list[Timeline],
    y: np.ndarray,
    repos: list[str],
    weights: Mapping[str, float],
    terms: Callable[[View], Mapping[str, float] | None],
) -> str:
    """The terms, fitted on the other repositories: the calibration's own step, before what the verdict adds."""
    known = [(t, bool(o), r) for line, o, r in zip(lines, y, repos, strict=True) if (t := terms(View(line)))]
    rows: list[Row] = [(t, o, 1.0) for t, o, _ in known]
    names = [n for n in weights if n != "bias"]
    left_out = np.zeros(len(rows))
    for repo in {r for *_, r in known}:
        own = np.array([r == repo for *_, r in known])
        others = [row for row, mine in zip(rows, own, strict=True) if not mine]
        left_out[own] = probabilities(
            fit(names, others), [r for r, mine in zip(rows, own, strict=True) if mine]
        )
    truth = np.array([o for _, o, _ in rows])
    return (
        f"terms alone: in use {score(probabilities(weights, rows), truth)}\n"
        f"   terms alone: fitted on the other repositories {score(left_out, truth)}"
    )


if __name__ == "__main__":
    main()
