"""Joins made by formulas, with more kinds of loss than a quarter of an hour of training gives.

A loss that falls exponentially or with a power of the step, with noise and with stairs at epochs where data returns;
a resume that does one thing wrong, by a random amount. Half of the gradient norms know nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from records import Known

from runscope.history import Run, Segment, Series, Timeline


@dataclass
class _World:
    """The training that is interrupted, in points."""

    rng: np.random.Generator

    def __post_init__(self) -> None:
        rng = self.rng
        self.every = int(rng.choice([1, 5, 10, 50, 100]))
        self.points = int(rng.integers(40, 260))
        self.total = int(self.points / rng.uniform(0.35, 0.8))
        self.after = min(self.total - self.points, int(rng.integers(12, 120)))
        self.floor = rng.uniform(0.3, 2.5)
        self.height = rng.uniform(0.4, 3.0)
        self.tau = rng.uniform(0.08, 0.5) * self.points
        self.power = rng.random() < 0.4
        self.noise = rng.uniform(0.006, 0.06) * (self.floor + 0.4 * self.height)
        self.epoch = self.points / rng.choice([0.6, 1, 1.5, 1.7, 2, 2.5, 3, 3.4])
        self.stairs = rng.choice([0.0, 0.0, 0.1, 0.25])
        self.peak = 10 ** rng.uniform(-5, -3)
        self.kind = rng.choice(["linear", "cosine", "constant"])
        self.warmup = rng.choice([0.0, 0.03, 0.1]) * self.total
        self.grads, self.held_out = rng.random() < 0.7, rng.random() < 0.4
        self.linked = rng.random() < 0.5
        self.tail = int(rng.uniform(0.3, 1) * self.after) if rng.random() < 0.5 else 0
        self.bumps = self.noise * rng.standard_normal(self.points + self.after)
        self.exact = rng.choice([0.0, 0.05, 0.2])

    def level(self, place: np.ndarray) -> np.ndarray:
        """Mean loss at points, without stairs."""
        fall = (1 + place / self.tau) ** -0.7 if self.power else np.exp(-place / self.tau)
        return np.asarray(self.floor + self.height * fall)

    def stair(self, place: np.ndarray, extra: float = 0.0) -> np.ndarray:
        """What returning data takes off."""
        return np.asarray((1 - self.stairs) ** np.floor(place / self.epoch + extra - 1e-9))

    def rate(self, place: np.ndarray, total: float) -> np.ndarray:
        """Learning rate at points."""
        done = np.clip((place - self.warmup) / max(total - self.warmup, 1), 0, 1)
        share = {
            "linear": 1 - done,
            "cosine": 0.5 * (1 + np.cos(np.pi * done)),
            "constant": np.ones(len(place)),
        }
        return np.asarray(
            self.peak * share[str(self.kind)] * np.minimum(1, (place + 1) / max(self.warmup, 1e-9))
        )

    def run(
        self, name: str, place: np.ndarray, loss: np.ndarray, grad: np.ndarray, rate: np.ndarray, epoch: np.ndarray,
        held: np.ndarray,
    ) -> Run:  # fmt: skip
        """A run with what this training logs."""
        step = np.rint(place * self.every).astype(np.int64)
        curves = {
            "train_loss": np.round(np.maximum(loss, 1e-3), 4),
            "learning_rate": rate,
            "epoch": np.round(epoch, 3),
        }
        if self.grads:
            curves["grad_norm"] = grad * np.exp(0.12 * self.rng.standard_normal(len(grad)))
        series = {n: Series.of(n, step, v) for n, v in curves.items()}
        if self.held_out:
            noise = 0.3 * self.noise * self.rng.standard_normal(len(held))
            series["eval_loss"] = Series.of("eval_loss", step[4::6], (held + noise)[4::6])
        return Run(name, name, name, "table", series, {n: n for n in series})


@dataclass
class _Later:
    """What the resumed run logs, at points after the join."""

    own: np.ndarray
    place: np.ndarray
    loss: np.ndarray
    noise: np.ndarray
    grad: np.ndarray
    rate: np.ndarray
    epoch: np.ndarray
    held: np.ndarray


def _weights(w: _World, later: _Later, learned: float) -> None:
    """From scratch, or (two in five) from a state that was saved long before."""
    old = w.points * w.rng.uniform(0.02, 0.25) if w.rng.random() < 0.4 else 0.0
    begun = w.level(old + later.own * w.rng.uniform(0.6, 1.4))
    later.loss = begun if begun[0] - w.level(later.place)[0] > 0.45 * learned else w.level(later.own)
    later.held = later.loss * 1.05
    later.grad = 1 + 1.5 * np.exp(-later.own / w.tau) * w.linked


def _optimiser(w: _World, later: _Later, learned: float) -> None:
    fade = np.exp(-later.own / (w.rng.uniform(0.03, 0.3) * w.points))
    later.loss = later.loss + max(w.rng.uniform(0.08, 0.5) * learned, 3 * w.noise) * fade
    later.grad = 1 + w.rng.uniform(0.5, 3) * fade * w.linked
    later.held = later.loss * 1.05


def _replay(w: _World, later: _Later, _learned: float) -> None:
    later.noise = w.noise * w.rng.standard_normal(w.after)
    until = np.ceil(w.points / w.epoch) * w.epoch
    seen = later.loss * (1 - w.stairs * w.rng.uniform(0.8, 1.6))
    later.loss = np.where(later.place <= until, seen, later.loss)


def _repeated(w: _World, later: _Later, _learned: float) -> None:
    begun = int(np.floor(w.points / w.epoch) * w.epoch) if w.points / w.epoch % 1 > 0.2 else w.points // 2
    same = w.bumps[begun : min(begun + w.after, w.points)]
    later.noise = w.noise * w.rng.standard_normal(w.after)
    later.noise[: len(same)] = 0.95 * same + 0.3 * later.noise[: len(same)]


def _order(w: _World, later: _Later, _learned: float) -> None:
    w.tail = max(w.tail, min(w.after, 10))
    later.noise = w.noise * w.rng.standard_normal(w.after)


def _skip(w: _World, later: _Later, _learned: float) -> None:
    later.noise = w.noise * w.rng.standard_normal(w.after)
    later.epoch = later.epoch + w.rng.choice([-1, 1, 1]) * w.rng.uniform(0.12, 0.8)


def _summed(w: _World, later: _Later, _learned: float) -> None:
    factor = float(w.rng.choice([2, 4, 8, 16, 32, 0.5, 0.25, 0.125, 3, 1 / 16]))
    later.loss, later.noise, later.grad = later.loss * factor, later.noise * factor, later.grad * factor


def _batch(w: _World, later: _Later, _learned: float) -> None:
    factor = float(w.rng.choice([2, 4, 8, 0.5, 0.25]))
    later.noise = w.noise * w.rng.standard_normal(w.after)
    later.noise, later.epoch = later.noise / factor**0.5, w.points / w.epoch + later.own * factor / w.epoch
    later.loss = w.level(later.place) * w.stair(later.epoch * w.epoch)
    later.grad = later.grad / (factor**0.5 if w.linked else 1)


def _other(w: _World, later: _Later, learned: float) -> None:
    shift = w.rng.choice([-1, 1, 1, 1, 1]) * max(w.rng.uniform(0.12, 0.8) * learned, 4 * w.noise)
    later.noise = w.noise * w.rng.standard_normal(w.after)
    adapted = 1 - w.rng.uniform(0, 0.4) * (1 - np.exp(-later.own / w.tau))
    later.loss = np.maximum(later.loss + shift * adapted, 0.05)
    later.grad = later.grad * (w.rng.uniform(0.7, 2.2) if w.linked else 1)


def _anew(w: _World, later: _Later, learned: float) -> None:
    later.rate = w.rate(later.own, w.total)
    rise = w.rng.uniform(0, 0.15) * learned if w.rng.random() < 0.5 else 0.0
    later.loss = later.loss + rise * np.exp(-later.own / 30)


def _rescaled(w: _World, later: _Later, _learned: float) -> None:
    later.rate = w.rate(later.place, w.total * w.rng.choice([0.75, 1.3, 1.6, 2, 3]))


FAULTS: dict[str, tuple[str, Callable[[_World, _Later, float], None] | None]] = {
    "clean": ("clean", None), "weights": ("weights", _weights), "optimiser": ("optimiser", _optimiser),
    "replay": ("data", _replay), "repeated bumps": ("data", _repeated),
    "skip": ("data", _skip), "other order": ("data", _order),
    "summed": ("scale", _summed),
    "batch": ("scale", _batch), "other data": ("other_data", _other), "anew": ("schedule", _anew),
    "rescaled": ("schedule", _rescaled),
}  # fmt: skip


def simulated(seed: int, count: int = 300) -> list[Known]:
    """So many joins."""
    rng = np.random.default_rng(seed)
    return [_one(rng, list(FAULTS)[n % len(FAULTS)], n) for n in range(count)]


def _one(rng: np.random.Generator, fault: str, number: int) -> Known:
    w = _world(rng, fault)
    before, place = np.arange(1, w.points + 1.0), w.points + np.arange(1, w.after + 1.0)
    level = w.level(place) * w.stair(place)
    same = w.bumps[w.points :] + w.exact * w.noise * rng.standard_normal(w.after)
    later = _Later(
        place - w.points, place, level, same, np.ones(w.after),
        w.rate(place, w.total), place / w.epoch, level * 1.05,
    )  # fmt: skip
    cause, change = FAULTS[fault]
    if change is not None:
        change(w, later, float(w.level(np.zeros(1))[0] - level[0]))
    causes = [cause]
    if fault in ("weights", "optimiser") and w.kind != "constant" and rng.random() < 0.3:
        later.rate = w.rate(later.own, w.total)
        causes += ["schedule"] * (fault == "optimiser")
    seen = np.concatenate([before, place[: w.tail]])
    loss = w.level(seen) * w.stair(seen)
    first = w.run(
        "a",
        seen,
        loss + w.bumps[: len(seen)],
        np.ones(len(seen)),
        w.rate(seen, w.total),
        seen / w.epoch,
        loss * 1.05,
    )
    then = w.run("b", place, later.loss + later.noise, later.grad, later.rate, later.epoch, later.held)
    start = w.points * w.every
    line = Timeline((Segment(first, cut=start), Segment(then, start=start, parent="a", method="global_step")))
    about = {"join": f"simulated-{number}", "fault": fault, "split": "simulated"}
    return Known(about, line, tuple(causes))


def _world(rng: np.random.Generator, fault: str) -> _World:
    w = _World(rng)
    if (
        fault not in ("replay", "repeated bumps") and rng.random() < 0.3
    ):  # a state saved at the end of an epoch
        w.epoch = w.points / max(1.0, np.rint(w.points / w.epoch))
    if fault == "replay":
        w.stairs = w.stairs or 0.15
        if abs(w.points / w.epoch % 1 - 0.5) > 0.35:
            w.epoch = w.points / (np.floor(w.points / w.epoch) + 0.5)
    if fault in ("anew", "rescaled") and w.kind == "constant":
        w.kind = "linear"
    return w
