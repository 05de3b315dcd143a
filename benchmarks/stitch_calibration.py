"""How often a join is right, and how well its confidence says so, by kind of restart.

    python benchmarks/stitch_calibration.py FOLDER [--cases 20] [--kinds KIND ...]

FOLDER holds runs in any form that runscope reads; those with at least 60 logged training losses are used, each equally
often. Each case takes such a curve, parts it into its local level and what lies around it, cuts it at a random place,
and makes a second run of the rest from a saved state on: the level with other noise of the same kind, a transient after
the restart, a walk of its own. All counters of the second run begin at zero. The kinds say what else is so; what is not
named is as people mostly have it: the newest state, the same settings, a new schedule of its own length.

A case is right if the place is right to one logging interval, or if it is said that nothing is continued where that is
so. ``said`` is the probability that was given to the truth's side of that.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.ndimage import median_filter, uniform_filter1d
from scipy.signal import lfilter

from runscope import load
from runscope.errors import RunscopeError
from runscope.history import Run, Series
from runscope.sources import list_references
from runscope.stitching import stitch

LEAST_POINTS, MOST_POINTS = 60, 400
DAY = 86400.0


@dataclass
class Plan:
    """How the second run of a case differs from what is usual. Lengths are in logged points of the first run."""

    back: int = 0
    same_order: bool = False
    level: float = 1.0
    rate: float = 1.0
    every: int = 1
    smooth: float = 0.0
    spikes: float = 1.0
    pause: float = 2 * 3600.0
    lost: int = 0
    saves_per_epoch: int = 0
    zero_based: bool = False
    kin: bool = True
    from_start: bool = False
    beside: bool = False
    pace: float = 1.0
    held_out: bool = False
    other: bool = False
    settings: dict[str, object] = field(default_factory=dict)


KINDS: dict[str, Callable[[np.random.Generator], Plan]] = {
    "reshuffled": lambda _: Plan(),
    "as people do": lambda rng: Plan(back=int(rng.choice(3, p=(0.75, 0.15, 0.10)))),
    "same order": lambda _: Plan(same_order=True),
    "second newest state": lambda _: Plan(back=1),
    "third newest state": lambda _: Plan(back=2),
    "other learning rate": lambda rng: Plan(rate=float(rng.choice([0.2, 0.5, 2, 5])), level=1 + 0.05 * rng.random()),
    "other interval": lambda _: Plan(every=2),
    "smoothed log": lambda _: Plan(smooth=0.8),
    "last batch logged": lambda _: Plan(spikes=3.0),
    "long pause": lambda rng: Plan(pause=DAY * float(rng.choice([30, 90, 300]))),
    "last rows lost": lambda rng: Plan(lost=int(rng.integers(1, 4))),
    "whole epochs, 1 save each": lambda _: Plan(saves_per_epoch=1),
    "whole epochs, 2 saves each": lambda _: Plan(saves_per_epoch=2),
    "whole epochs, 3 saves each": lambda _: Plan(saves_per_epoch=3),
    "zero-based steps": lambda _: Plan(zero_based=True),
    "clock of the second run behind": lambda rng: Plan(pause=-DAY * float(rng.choice([30, 300]))),
    "other batch": lambda _: Plan(pace=2.0, settings={"per_device_train_batch_size": 8}),
    "held-out loss logged": lambda _: Plan(held_out=True),
    "other data": lambda _: Plan(kin=False, other=True),
    "again from scratch": lambda _: Plan(kin=False, from_start=True),
    "seeds side by side": lambda _: Plan(kin=False, from_start=True, beside=True),
}  # fmt: skip


def curves(folder: Path) -> list[np.ndarray]:
    """Training losses of all runs below a folder."""
    found = []
    for reference in list_references(str(folder)):
        try:
            loss = load(reference).role("train_loss")
        except RunscopeError:
            continue
        if (
            loss is not None
            and len(value := loss.finite.sorted().value) >= LEAST_POINTS
            and np.ptp(value) > 0
        ):
            found.append(value)
    return found


def rates(step: np.ndarray, length: float, peak: float) -> np.ndarray:
    """A cosine with 3% warm-up."""
    warm = max(1.0, 0.03 * length)
    falling = 0.5 * (1 + np.cos(np.pi * np.clip((step - warm) / (length - warm), 0, 1)))
    return np.asarray(peak * np.minimum(step / warm, 1.0) * falling)


def as_run(
    ident: str,
    logged: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    at: float,
    plan: Plan,
    config: dict[str, object],
) -> Run:  # fmt: skip
    """A run in memory, of logged steps, losses, rates and epochs, as the W&B SDK would have written it."""
    step, loss, rate, epoch = logged
    time = at + 1.2 * step
    step = step - 1 if plan.zero_based else step
    if plan.smooth:
        loss = lfilter([1 - plan.smooth], [1, -plan.smooth], loss, zi=[plan.smooth * loss[0]])[0]
    values = {"train/loss": loss, "train/learning_rate": rate, "train/epoch": epoch}
    roles = {"train_loss": "train/loss", "learning_rate": "train/learning_rate", "epoch": "train/epoch"}
    series = {n: Series.of(n, step, v, time) for n, v in values.items()}
    ended = float(time[-1]) + 1 if len(time) else at
    return Run(
        ident, ident, "model", "wandb-file", series, roles, "train/global_step", config, at, ended, "killed"
    )


def _parts(value: np.ndarray, points: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Local level of a curve at so many points, and what lies around it."""
    value = value[np.rint(np.linspace(0, len(value) - 1, points)).astype(int)]
    window = int(rng.choice([5, 9, 15]))
    level = uniform_filter1d(median_filter(value, window, mode="nearest"), 3, mode="nearest")
    return level, value - level


def case(
    known: list[np.ndarray], which: int, plan: Plan, rng: np.random.Generator
) -> tuple[list[Run], int, float]:
    """Two runs, the true offset (-1 where nothing is continued), and how near a place must be to be right."""
    points = int(rng.integers(200, MOST_POINTS + 1))
    level, rest = _parts(known[which], points, rng)
    rest = rest * plan.spikes
    each = int(rng.choice([5, 10, 50]))
    length, epoch = points * each, points * each / 4
    saves = each * int(points / rng.integers(8, 17))
    if plan.saves_per_epoch:
        points = points // (4 * plan.saves_per_epoch) * 4 * plan.saves_per_epoch
        level, rest, length = level[:points], rest[:points], points * each
        epoch = length / 4
        saves = int(epoch / plan.saves_per_epoch)
    end = (
        int(rng.uniform(0.76, 0.98) * points)
        if plan.saves_per_epoch
        else int(rng.uniform(0.45, 0.75) * points)
    )
    states = list(range(saves, end * each + 1, saves))
    state = 0 if plan.from_start else states[max(-1 - plan.back, -len(states))]
    begin = state // each
    config = {
        "save_steps": saves, "logging_steps": each, "learning_rate": 1e-4, "per_device_train_batch_size": 4,
        "num_train_epochs": 4, "model_name_or_path": "tiny/llama",
    }  # fmt: skip
    seen = min(end, state // each - plan.lost) if plan.lost else end
    step = np.arange(1, points + 1) * each
    logged = (step, level + rest, rates(step, length, 1e-4), step / epoch)
    shown = tuple(x[:seen] for x in logged)
    first = as_run("aaaa", (shown[0], shown[1], shown[2], shown[3]), 1e9, plan, config)
    first = replace(first, ended_at=1e9 + 1.2 * end * each)
    later = _second(known, level, rest, begin, plan, rng)
    planned = (
        int(rng.integers(1, 4)) * epoch
        if plan.saves_per_epoch
        else (length if plan.from_start else 2 * length)
    )
    own = np.arange(1, len(later) + 1) * each
    if plan.pace != 1:  # a step is so many times the data: every so-manieth point, at the same distance
        later = later[int(plan.pace) - 1 :: int(plan.pace)]
        own = np.arange(1, len(later) + 1) * each
        planned, epoch = planned / plan.pace, epoch / plan.pace
    kept = slice(plan.every - 1, max(int(rng.uniform(0.5, 1.0) * len(own)), 12), plan.every)
    changed = {
        **config,
        "learning_rate": 1e-4 * plan.rate,
        "logging_steps": each * plan.every,
        **plan.settings,
    }
    at = 1e9 + (60.0 if plan.beside else 1.2 * end * each + plan.pause)
    shown = tuple(x[kept] for x in (own, later, rates(own, planned, 1e-4 * plan.rate), own / epoch))
    second = as_run("bbbb", (shown[0], shown[1], shown[2], shown[3]), at, plan, changed)
    runs = [first, second]
    if plan.held_out:
        runs = [_with_held_out(r, level, each, b, rng) for r, b in zip(runs, (0, begin), strict=True)]
    return runs, state if plan.kin else -1, each * max(plan.every, plan.pace)


def _second(
    known: list[np.ndarray],
    level: np.ndarray,
    rest: np.ndarray,
    begin: int,
    plan: Plan,
    rng: np.random.Generator,
) -> np.ndarray:
    """The later run's losses, one for each logged point of the first run's axis."""
    points = len(level)
    if plan.other:
        value, around = _parts(known[int(rng.integers(len(known)))], points, rng)
        scale = float(np.median(level[-points // 4 :]) / (np.median(value[: points // 4]) or 1.0))
        return scale * float(rng.uniform(1.3, 2.5)) * (value + plan.spikes * around)
    noise = rest[: points - begin] if plan.same_order else rng.permutation(rest[begin:])
    later = plan.level * level[begin:] + noise
    count = len(later)
    bump = np.exp(-((np.arange(count) / (0.05 * points) - 1) ** 2))
    later = later + 0.5 * rng.normal() * np.std(rest[points // 4 :]) * bump
    walk = float(np.median(np.abs(np.diff(level[points // 4 :]))))
    return np.asarray(later + 0.5 * walk * np.cumsum(rng.normal(size=count)))


def _with_held_out(run: Run, level: np.ndarray, each: int, begin: int, rng: np.random.Generator) -> Run:
    """The run with a held-out loss every tenth point, which jumps by a third of a percent at a restart."""
    steps = run.series["train/loss"].step[9::10]
    value = 1.05 * np.interp(begin + steps / each, np.arange(len(level)), level) * (1 + 0.003 * rng.normal())
    series = {**run.series, "eval/loss": Series.of("eval/loss", steps, value, np.full(len(steps), np.nan))}
    return replace(run, series=series, roles={**run.roles, "eval_loss": "eval/loss"})


def score(runs: list[Run], offset: int, near: float) -> tuple[bool, float]:
    """Whether the answer is right, and the probability that it gave to what it said."""
    line = stitch(runs)
    found = next((s for s in line.segments if s.run.id == "bbbb"), None)
    if found is None:
        return False, 1.0
    if found.parent is None and found.continues:  # what is said is said of the other run
        return False, min(segment.confidence for segment in line.segments)
    if offset < 0:
        return not found.continues, found.confidence
    return found.continues and abs(found.offset - offset) <= near, found.confidence


def main() -> None:
    """Print a table by kind, and one of confidence against what was right."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    given = parser.parse_args()
    known = curves(given.folder)
    print(f"{len(known)} curves, {given.cases} cases a kind")
    print("| kind | right | said | Brier score |\n| --- | --- | --- | --- |")
    everything: list[tuple[bool, float]] = []
    for kind in given.kinds:
        rng = np.random.default_rng(zlib.crc32(kind.encode()))
        some = [score(*case(known, n % len(known), KINDS[kind](rng), rng)) for n in range(given.cases)]
        everything += some
        hit, said = np.array([r for r, _ in some], float), np.array([s for _, s in some])
        print(
            f"| {kind} | {hit.mean():.0%} | {said.mean():.2f} | {np.mean((said - hit) ** 2):.3f} |",
            flush=True,
        )
    hit, said = np.array([r for r, _ in everything], float), np.array([s for _, s in everything])
    print("\n| confidence | said | right |\n| --- | --- | --- |")
    for low, high in pairwise((0.0, 0.5, 0.7, 0.85, 0.95, 1.01)):
        part = (said >= low) & (said < high)
        if part.any():
            told = f"{hit[part].mean():.2f} of {int(part.sum())}"
            print(f"| {low:.2f} to {min(high, 1):.2f} | {said[part].mean():.2f} | {told} |")


if __name__ == "__main__":
    main()
