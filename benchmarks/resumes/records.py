"""The written curves as lines that runscope reads, and what is true of each join."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runscope.history import Run, Segment, Series, Timeline
from runscope.stats.curves import heavy_noise
from runscope.stats.resumes.join import Curve
from runscope.stats.resumes.order import LEAST, bumps

ROLES = {
    "epoch": "epoch",
    "loss": "train_loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "eval_loss": "eval_loss",
}
TRACE = 0.05
"""A learning rate within 5% of the clean one everywhere leaves no trace."""


@dataclass(frozen=True, eq=False)
class Known:
    """A join whose cause is known.

    Attributes:
        about: the line of the file: library, size, split, fault.
        line: both runs, joined where they were.
        causes: what is right to name; ``clean`` where the fault left no trace that a log could show.
    """

    about: Mapping[str, Any]
    line: Timeline
    causes: tuple[str, ...]


def read(file: Path, *, tails: bool | None = None) -> list[Known]:
    """All joins of a file.

    Args:
        file: what ``make.py`` wrote.
        tails: keep what the first run logged after the state that the resume began from; None: of every other join.
    """
    runs: dict[str, Mapping[str, Any]] = {}
    joins: list[Mapping[str, Any]] = []
    with gzip.open(file) as lines:
        for line in map(json.loads, lines):
            (runs.__setitem__(line["run"], line) if "run" in line else joins.append(line))
    return [
        _known(about, runs, number % 2 == 0 if tails is None else tails) for number, about in enumerate(joins)
    ]


def _known(about: Mapping[str, Any], runs: Mapping[str, Mapping[str, Any]], tail: bool) -> Known:
    first, then = _run(runs[about["first"]]), _run(runs[about["then"]])
    start = about["start"]
    if not tail:
        series = {name: s.between(None, start) for name, s in first.series.items()}
        first = Run(**{**first.__dict__, "series": series})
    segments = (
        Segment(first, cut=start),
        Segment(then, offset=about["offset"], start=start, parent=first.id, method="checkpoint"),
    )
    return Known(about, Timeline(segments), _visible(about, runs, tail))


def _run(line: Mapping[str, Any]) -> Run:
    series = {name: Series.of(name, *points) for name, points in line["curves"].items()}
    return Run(
        line["run"],
        line["run"],
        line["run"],
        "table",
        series,
        {ROLES[n]: n for n in series},
        config=line["config"],
    )


def _visible(about: Mapping[str, Any], runs: Mapping[str, Mapping[str, Any]], tail: bool) -> tuple[str, ...]:
    """The causes that left a trace, against the clean resume of the same state; ``clean`` where none did."""
    seen, clean = runs[about["then"]]["curves"], runs[about["clean"]]["curves"]
    found = [c for c in about["causes"] if c == "clean" or _shows(c, about, runs, tail)]
    moved = _moved(seen["loss"][1], clean["loss"][1], tail)
    if not found and moved and "learning_rate" not in seen and about["fault"] != "clean":
        found = ["unlogged"]  # only the rate could have told it: whoever accuses nobody is right
    if tail and about["fault"] in ("other_data", "larger_batch", "smaller_batch"):
        found.append("data")  # the same steps took other examples, and the log may show no more
    if tail and about["library"] != "varied" and not _same_order(runs[about["first"]], runs[about["clean"]]):
        found.append("data")
    return tuple(found) or ("clean",)


def _shows(cause: str, about: Mapping[str, Any], runs: Mapping[str, Mapping[str, Any]], tail: bool) -> bool:
    """Whether a cause left a trace in what was logged."""
    seen, clean = runs[about["then"]]["curves"], runs[about["clean"]]["curves"]
    if cause == "schedule":
        if "learning_rate" not in seen:
            return False
        rate, other = (np.array(c["learning_rate"][1]) for c in (seen, clean))
        count = min(len(rate), len(other))
        return bool(np.max(np.abs(rate[:count] - other[:count])) > TRACE * np.max(other))
    if cause == "data":
        jumped = "epoch" in seen and abs(seen["epoch"][1][0] - clean["epoch"][1][0]) > 0.1
        replayed = about["fault"] == "data_replayed" and _replayed(about, runs) >= LEAST
        return tail or jumped or replayed
    if cause == "scale" and about["fault"] != "loss_summed":
        tells = "epoch" in seen and about["fault"] != "other_window"
        return tells or _scatters(seen["loss"][1], clean["loss"][1])
    if cause == "other_data" and _scatters(seen["loss"][1], clean["loss"][1]):
        return True
    if cause in ("optimiser", "weights", "other_data"):
        return _moved(seen["loss"][1], clean["loss"][1], tail)
    return True


SCATTERS = 0.5
"""Logarithm of a change of scatter that many points show: less happens in any training."""


def _scatters(seen: Sequence[float], clean: Sequence[float]) -> bool:
    one, other = (heavy_noise(np.array(v)) for v in (seen, clean))
    return one > 0 and other > 0 and abs(float(np.log(one / other))) > SCATTERS


def _same_order(first: Mapping[str, Any], clean: Mapping[str, Any]) -> bool:
    """Whether a resume without a fault makes the same bumps as the tail that was lost: not every library's does."""
    before, after = (
        Curve(*(np.array(v, dtype=float) for v in run["curves"]["loss"])) for run in (first, clean)
    )
    _, a, b = np.intersect1d(after.x, before.x, return_indices=True)
    return (
        len(a) < LEAST
        or not float(np.ptp(before.y[b]))
        or float(np.corrcoef(bumps(after.y[a]), bumps(before.y[b]))[0, 1]) > 0.5
    )


def _replayed(about: Mapping[str, Any], runs: Mapping[str, Mapping[str, Any]]) -> float:
    """How many logged points lie between the start of the epoch and the state: so many were replayed."""
    if "epoch" not in runs[about["first"]]["curves"]:
        return 0.0
    step, epoch = (np.array(v) for v in runs[about["first"]]["curves"]["epoch"])
    return float(np.interp(about["start"], step, epoch) % 1 / np.median(np.diff(epoch)))


APART = 4.0
"""Standard errors by which the first losses lie apart from those of the clean resume: less no log could show."""


def _moved(seen: Sequence[float], clean: Sequence[float], tail: bool) -> bool:
    """Whether the first losses lie measurably apart from those of the clean resume.

    With a discarded tail batch is compared with batch; without it the noise of the batches hides what is smaller.
    """
    count = min(len(seen), len(clean), 10)
    apart = np.array(seen[:count]) - np.array(clean[:count])
    first = min(5, count)
    error = heavy_noise(apart if tail else np.array(clean)) / first**0.5
    least = 0.01 * abs(float(np.median(clean)))  # no course is foretold to less, see ``level.SAME``
    return abs(float(np.mean(apart[:first]))) > max(APART * error, least)
