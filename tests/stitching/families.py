"""Trainings of many families, made up without end: pairs that have nothing to do with each other, and real restarts.

Nothing of the model of joins is used here: losses fall by an exponential, by a power, in plateaus, by stairs at epochs,
or hardly at all; they are noisy in many ways, logged short or long, with or without settings, clocks and telling names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.signal import lfilter

from runscope.history import Run, Series
from runscope.stats.arrays import Floats

Level = Callable[[Floats], Floats]
"""The loss without noise after so many steps."""
FILES = ("metrics", "log", "progress", "history", "train_log", "a", "b", "run1", "run2")
MODELS = ("tiny/llama", "tiny/qwen", "base/bert", "vit-small", "net-b")
HALVES = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "islet", "juniper")
DAY = 86400.0
LOGGING = (1, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class Training:
    """One made-up training: its loss, its noise, how it is logged, and what is told of it.

    Attributes:
        level: its loss without noise.
        length: planned steps.
        every: steps from one logged row to the next.
        saves: steps from one saved state to the next.
        epoch: steps of an epoch.
        noise: standard deviation of a logged loss; ``relative`` to it, or not.
        smooth: memory of the average that is logged from row to row; 0 logs each row for itself.
        spiky: how often a row is a spike.
        name: what it is called.
        config: its settings; empty where none are told.
        extra: metrics that it logs beside its loss.
        timed: whether its rows have times.
    """

    level: Level
    length: int
    every: int
    saves: int
    epoch: float
    noise: float
    relative: bool
    smooth: float
    spiky: float
    name: str
    config: dict[str, Any]
    extra: tuple[str, ...]
    timed: bool


def exponential(rng: np.random.Generator, length: float) -> Level:
    """Falls to a floor."""
    floor, high = 10 ** rng.uniform(-1, 0.7), 10 ** rng.uniform(-0.5, 0.8)
    tau = length * 10 ** rng.uniform(-1.7, 0)
    return lambda s: floor + high * np.exp(-s / tau)


def power(rng: np.random.Generator, length: float) -> Level:
    """Falls by a power of its steps, as language models do."""
    floor, high, by = 10 ** rng.uniform(-0.7, 0.4), 10 ** rng.uniform(-0.2, 1.0), rng.uniform(0.1, 1.0)
    first = length * 10 ** rng.uniform(-3, -1)
    return lambda s: floor + high * (1 + s / first) ** -by


def plateaus(rng: np.random.Generator, length: float) -> Level:
    """Drops where its learning rate is lowered."""
    at = length * np.sort(rng.uniform(0.15, 0.95, size=3))
    first = exponential(rng, length / 4)
    by = rng.uniform(0.05, 0.5, size=3)
    width = 0.01 * length

    def level(s: Floats) -> Floats:
        left = np.ones_like(s, dtype=float)
        for place, share in zip(at, by, strict=True):
            left = left * (1 - share * (1 - np.exp(-np.maximum(s - place, 0) / width)))
        return np.asarray(first(s) * left)

    return level


def stairs(rng: np.random.Generator, length: float) -> Level:
    """Memorises: falls where data returns."""
    inside, by, epoch = exponential(rng, length), rng.uniform(0.05, 0.4), length / rng.integers(2, 6)
    return lambda s: np.asarray(inside(s) * (1 - by) ** np.floor(s / epoch))


def flat(rng: np.random.Generator, length: float) -> Level:
    """A fine-tune that has hardly anything to learn."""
    height, by = 10 ** rng.uniform(-1, 0.7), rng.uniform(0, 0.1)
    return lambda s: height * (1 - by * s / length)


def late(rng: np.random.Generator, length: float) -> Level:
    """Stands for a while before it learns."""
    high, low = np.sort(10 ** rng.uniform(-0.7, 0.9, size=2))[::-1]
    at, width = rng.uniform(0.1, 0.7) * length, rng.uniform(0.02, 0.15) * length
    return lambda s: low + (high - low) / (1 + np.exp(np.clip((s - at) / width, -50, 50)))


def policy(rng: np.random.Generator, length: float) -> Level:
    """The surrogate loss of a policy: about zero, of either sign."""
    height, pace = 10 ** rng.uniform(-2.5, -1), rng.uniform(1, 6) / length
    return lambda s: height * np.sin(pace * s + height)


FAMILIES = (exponential, power, plateaus, stairs, flat, late, policy)


def training(rng: np.random.Generator, *, told: float = 0.5, number: int = 0) -> Training:
    """Any training.

    Args:
        rng: of all that is drawn.
        told: how often its settings are told.
        number: of its name.
    """
    every = int(rng.choice(LOGGING))
    rows = int(10 ** rng.uniform(1.5, 2.9))
    length = every * rows
    family = FAMILIES[int(rng.integers(len(FAMILIES)))]
    level = family(rng, length)
    moves = float(np.ptp(level(np.linspace(0.1 * length, length, 50))))
    relative = family is not policy and rng.random() < 0.5
    size = abs(float(level(np.array([0.5 * length]))[0])) or 1e-3
    noise = 10 ** rng.uniform(-2.3, -0.7) * (1 if relative else size) + (0 if relative else 0.1 * moves)
    config: dict[str, Any] = {}
    saves = every * max(rows // int(rng.integers(6, 20)), 1)
    if rng.random() < told:
        config = {
            "model_name_or_path": str(rng.choice(MODELS)),
            "learning_rate": float(rng.choice([1e-5, 3e-5, 1e-4, 2e-4, 1e-3])),
            "per_device_train_batch_size": int(rng.choice([1, 2, 4, 8, 16])),
            "num_train_epochs": int(rng.choice([1, 2, 3, 4, 10])),
            "logging_steps": every,
            "save_steps": saves,
        }
    name = (
        str(rng.choice(FILES))
        if rng.random() < 0.6
        else f"{rng.choice(HALVES)}-{rng.choice(HALVES)}-{number}"
    )
    extra = tuple(n for n in ("rate", "epoch", "grad") if rng.random() < 0.4)
    return Training(
        level, length, every, saves, length / float(rng.integers(1, 6)), noise, relative,
        float(rng.choice([0.0, 0.0, 0.0, 0.8, 0.95])), float(rng.choice([0.0, 0.0, 0.01])), name, config, extra,
        rng.random() < 0.5,
    )  # fmt: skip


def logged(
    what: Training,
    ident: str,
    rng: np.random.Generator,
    *,
    begins: int = 0,
    steps: int,
    at: float,
    planned: float | None = None,
    name: str | None = None,
    state: str = "killed",
) -> Run:
    """One run of a training, its counters at zero when it began.

    Args:
        what: the training.
        ident: id of the run.
        rng: of its noise.
        begins: steps of the training before it.
        steps: how many it does.
        at: Unix seconds of its start.
        planned: where its learning rate reaches zero, in its own steps; its length where not given.
        name: another name than that of the training.
        state: how it ended.
    """
    own = np.arange(what.every, max(steps, 4 * what.every) + 1, what.every)
    level = what.level((begins + own).astype(float))
    scatter = rng.normal(size=len(own)) * what.noise
    scatter *= np.where(rng.random(len(own)) < what.spiky, 8.0, 1.0)
    loss = level * np.maximum(1 + scatter, 0.05) if what.relative else level + scatter
    if what.smooth:
        loss = lfilter([1 - what.smooth], [1, -what.smooth], loss, zi=[what.smooth * loss[0]])[0]
    time = at + 1.1 * own if what.timed else np.full(len(own), np.nan)
    values = {"loss": loss}
    if "rate" in what.extra:
        values["lr"] = what.config.get("learning_rate", 1e-4) * np.clip(
            1 - own / (planned or what.length), 0, 1
        )
    if "epoch" in what.extra:
        values["epoch"] = own / what.epoch
    if "grad" in what.extra:
        values["grad_norm"] = np.exp(0.2 * rng.normal(size=len(own))) * (0.5 + np.abs(level))
    roles = {"train_loss": "loss", "learning_rate": "lr", "epoch": "epoch", "grad_norm": "grad_norm"}
    return Run(
        ident,
        ident,
        name or what.name,
        "wandb-file" if what.timed else "table",
        {n: Series.of(n, own, v, time) for n, v in values.items()},
        {role: n for role, n in roles.items() if n in values},
        "step",
        dict(what.config),
        at if what.timed else None,
        float(time[-1]) + 1 if what.timed else None,
        state,
    )


def strangers(seed: int, *, alike: bool = False, met: bool = False) -> tuple[Run, Run]:
    """Two runs of two trainings that have nothing to do with each other, each from scratch.

    Args:
        seed: of all that is drawn.
        alike: they log the same metrics at the same interval, as two logs of one tool do.
        met: the second one's loss begins where the first one's stood at some time: by chance.
    """
    rng = np.random.default_rng([seed, 1])
    one, other = training(rng, told=0.3, number=1), training(rng, told=0.3, number=2)
    if alike:
        other = replace(other, every=one.every, extra=one.extra, timed=one.timed)
        other = replace(other, length=max(other.length // other.every, 30) * other.every)
    if met:
        place = one.length * float(rng.choice([1.0, rng.uniform(0.3, 1.0)]))
        # Losses that are logged for the first time are of the first interval.
        target = float(one.level(np.array([place]))[0])
        begun = float(other.level(np.array([float(other.every)]))[0])
        factor = target / begun if begun else 1.0
        level = other.level
        other = replace(other, level=lambda s: factor * level(s))
        if not other.relative:
            other = replace(other, noise=other.noise * abs(factor))
    end = int(one.length * rng.choice([1.0, rng.uniform(0.3, 1.0)]))
    state = str(rng.choice(["killed", "finished", "unknown"]))
    first = logged(one, "aaaa", rng, steps=end, at=1e9, state=state)
    pause = float(rng.choice([600, 7200, 86400, 1e6]))
    second = logged(
        other,
        "bbbb",
        rng,
        steps=int(other.length * rng.uniform(0.3, 1)),
        at=1e9 + 1.1 * end + pause,
        state=state,
    )
    return first, second


def restart(seed: int, *, told: bool = True, back: int | None = None) -> tuple[Run, Run, int, int]:
    """A training that was killed and went on from a saved state with fresh counters.

    Args:
        seed: of all that is drawn.
        told: its settings are told.
        back: from which state, counted from the newest; as people do where not given.

    Returns:
        Both runs, the step of the state, and the logging interval.
    """
    rng = np.random.default_rng([seed, 2])
    what = training(rng, told=1.0 if told else 0.0)
    what = replace(what, timed=bool(told or what.timed))
    end = int(rng.uniform(0.4, 0.95) * what.length) // what.every * what.every
    end = max(end, 8 * what.every)
    states = list(range(what.saves, end + 1, what.saves)) or [end]
    which = int(rng.choice(3, p=(0.75, 0.15, 0.10))) if back is None else back
    begins = states[max(-1 - which, -len(states))]
    first = logged(what, "aaaa", rng, steps=end, at=1e9)
    shifted = what.level
    shift = 1 + 0.3 * what.noise * rng.normal() if what.relative else 1.0
    second = replace(what, level=lambda s: shift * shifted(s))
    # Planned as long as before, for the rest of the first plan, for whole epochs, or for anything.
    plans = (
        what.length,
        what.length - begins,
        what.epoch * int(rng.integers(1, 4)),
        what.length * rng.uniform(0.3, 1.5),
    )
    planned = max(float(plans[int(rng.choice(4, p=(0.35, 0.15, 0.3, 0.2)))]), 12.0 * what.every)
    rest = int(planned * rng.choice([1.0, rng.uniform(0.3, 1.0)]))
    name = what.name if rng.random() < 0.5 else f"{what.name}-resumed"
    at = 1e9 + 1.1 * end + float(rng.choice([600, 7200, 86400]))
    later = logged(second, "bbbb", rng, begins=begins, steps=rest, at=at, planned=planned, name=name)
    return first, later, begins, what.every


def project(seed: int, count: int, *, met: bool = False) -> list[Run]:
    """Trainings of one project, one a day, each from scratch: one model, settings that differ in a seed or two, losses
    of one kind that begin and fall a little or much otherwise.

    Args:
        seed: of all that is drawn.
        count: how many.
        met: each begins where the one before it stood at some time, by chance.
    """
    rng = np.random.default_rng([seed, 3])
    one = training(rng, told=1.0)
    apart, kept = float(rng.choice([0.02, 0.1, 0.4])), bool(rng.random() < 0.5)
    runs: list[Run] = []
    factor = 1.0
    for number in range(count):
        pace = float(np.exp(apart * rng.normal()))
        if met and runs:
            place = one.length * float(rng.uniform(0.3, 1.0))
            start, stood = (float(one.level(np.array([p]))[0]) for p in (float(one.every), place))
            factor = factor * stood / start if start else 1.0
        elif runs:
            factor = float(np.exp(apart * rng.normal()))

        def level(s: Floats, factor: float = factor, pace: float = pace) -> Floats:
            return np.asarray(factor * one.level(pace * s))

        changed = {} if kept else {"learning_rate": float(rng.choice([1e-5, 3e-5, 1e-4, 3e-4]))}
        config = {**one.config, "seed": int(rng.integers(5)), "output_dir": "out", **changed}
        noise = one.noise if one.relative else one.noise * abs(factor)
        own = replace(one, level=level, noise=noise, config=config)
        ended = rng.random() < 0.6
        steps = one.length if ended else int(one.length * rng.uniform(0.3, 1))
        runs.append(
            logged(
                own, f"run-{number}", rng, steps=steps, at=1e9 + DAY * number, name=f"{one.name}-{number}",
                state="finished" if ended else "killed",
            )
        )  # fmt: skip
    return runs
