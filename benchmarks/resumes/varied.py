"""Trainings that the libraries' own do not cover: other optimisers, schedules, tasks and habits of logging.

    python benchmarks/resumes/varied.py varied.jsonl.gz [--seeds 0 40]

Each seed draws one training of a few hundred steps, which takes seconds; the lines are those of ``make.py``, so that
``score.py`` reads them. Even seeds are ``tune``, odd ones ``holdout``.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

FAULTS: dict[str, tuple[str, ...]] = {
    "clean": ("clean",), "fresh_weights": ("weights",), "lost_head": ("weights",), "stale_weights": ("weights",),
    "lost_optimiser": ("optimiser",), "lost_both": ("schedule", "optimiser"), "schedule_anew": ("schedule",),
    "schedule_rescaled": ("schedule",), "other_rate": ("schedule",), "data_replayed": ("data",),
    "data_skipped": ("data",), "other_order": ("data",), "loss_summed": ("scale",), "larger_batch": ("scale",),
    "smaller_batch": ("scale",), "other_window": ("scale",), "other_data": ("other_data",),
}  # fmt: skip
LENGTH, CODES = 8, 12
TASKS = ("classes", "regression", "sequences", "text")
OPTIMISERS = ("sgd", "momentum", "adam", "adamw", "adafactor", "lion", "rmsprop", "adagrad")
SCHEDULES = (
    "linear", "cosine", "cosine_floor", "constant", "constant", "warm_constant", "wsd", "inverse_sqrt", "polynomial",
    "steps", "exponential", "restarts",
)  # fmt: skip
RATES = {
    "sgd": 0.1, "momentum": 0.02, "adam": 3e-3, "adamw": 3e-3, "adafactor": 1e-2, "lion": 4e-4, "rmsprop": 2e-3,
    "adagrad": 2e-2,
}  # fmt: skip


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023 (arXiv 2302.06675), algorithm 2, without weight decay."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """One update."""
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                mean = self.state[p].setdefault("mean", torch.zeros_like(p))
                p.add_((0.9 * mean + 0.1 * p.grad).sign(), alpha=-group["lr"])
                mean.lerp_(p.grad, 0.01)


MAKERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD, "momentum": lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9), "lion": Lion,
    "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "adafactor": torch.optim.Adafactor,
    "rmsprop": torch.optim.RMSprop, "adagrad": torch.optim.Adagrad,
}  # fmt: skip


@dataclass(frozen=True)
class Habit:
    """How a script logs.

    Attributes:
        every: steps between rows; ``window``: what a row averages over: the last batch, all since the last row, or a
            running mean.
        loss_digits: significant digits; ``rate_digits`` too, 0 for no rate; ``sums``: a loss is a sum over its batch.
        norm: raw, clipped or none; ``evaluates``: steps between evaluations, 0 for none.
        epochs, restarts, tail: an epoch is logged; the later run's steps count from 0; rows after the state are left.
    """

    every: int
    window: str
    loss_digits: int
    rate_digits: int
    sums: bool
    norm: str
    evaluates: int
    epochs: bool
    restarts: bool
    tail: bool


class Net(nn.Module):
    """A body and a head; sequences go through a GRU."""

    def __init__(self, inputs: int, outputs: int, width: int, drop: float, recurrent: bool) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.into: nn.Module = nn.Embedding(CODES, width) if recurrent else nn.Linear(inputs, width)
        self.core: nn.Module = (
            nn.GRU(width, width, batch_first=True) if recurrent else nn.Linear(width, width)
        )
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, …) → (batch, …, outputs)."""
        hidden = (
            self.core(self.into(x))[0] if self.recurrent else functional.relu(self.core(self.into(x).relu()))
        )
        return self.head(self.drop(hidden))  # type: ignore[no-any-return]


class World:
    """One training, drawn from a seed."""

    def __init__(self, seed: int) -> None:
        draw = random.Random(f"varied {seed}")
        self.seed, self.draw = seed, draw
        self.task, self.optimiser, self.schedule = (draw.choice(c) for c in (TASKS, OPTIMISERS, SCHEDULES))
        every = draw.choice((1, 1, 1, 2, 5, 10))
        points = draw.choice((24, 40, 80, 120)) if every < 5 else draw.choice((20, 30))
        self.total = every * points * 2
        self.batch = draw.choice((2, 8, 8, 32))
        self.streams = draw.random() < 0.3
        self.epoch_steps = every * max(2, round(points * draw.choice((0.15, 0.3, 0.45, 1.3, 2.5))))
        self.save_at = every * round(points * draw.uniform(0.6, 1.4))
        if (
            draw.random() < 0.35 and self.save_at > self.epoch_steps
        ):  # a state that was saved where an epoch ends
            self.save_at = self.save_at // self.epoch_steps * self.epoch_steps
        self.until = self.save_at + every * draw.choice((6, 12, 25, 40))
        self.drop, self.warmup = draw.choice((0.0, 0.0, 0.1)), draw.choice((0, 0.03, 0.1)) * self.total
        self.rate = RATES[self.optimiser] * draw.choice((0.5, 1, 2))
        self.unit = draw.choice((1.0, 1.0, 1e3, 1e-3)) if self.task == "regression" else 1.0
        self.habit = Habit(
            every, draw.choice(("last", "mean", "mean", "running")), draw.choice((4, 5, 8)),
            draw.choice((0, 2, 3, 8, 8, 8)), draw.random() < 0.1, draw.choice(("raw", "raw", "clipped", "none")),
            draw.choice((0, 0, every * 5, self.epoch_steps)), not self.streams and draw.random() < 0.7,
            draw.random() < 0.4, draw.random() < 0.5,
        )  # fmt: skip

    @property
    def killed_at(self) -> int:
        """Last step of the first run."""
        return self.save_at + (self.habit.every * 12 if self.habit.tail else 0)

    def share(self, step: float, total: float) -> float:
        """Learning rate as a share of its peak."""
        if self.schedule != "constant" and step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        done = min(1.0, max(step - self.warmup, 0) / max(1.0, total - self.warmup))
        cosine = 0.5 * (1 + math.cos(math.pi * done))
        return {
            "linear": 1 - done, "cosine": cosine, "cosine_floor": 0.1 + 0.9 * cosine,
            "wsd": min(1.0, (1 - done) / 0.2),
            "inverse_sqrt": (max(self.warmup, 10) / max(step, self.warmup, 10)) ** 0.5,
            "polynomial": (1 - done) ** 2, "steps": 0.1 ** math.floor(done * 3), "exponential": 0.05**done,
            "restarts": 0.5 * (1 + math.cos(math.pi * (done * 3 % 1))),
        }.get(self.schedule, 1.0)  # fmt: skip

    def net(self, seed: int = 0) -> Net:
        """The model at its beginning."""
        torch.manual_seed(1000 * self.seed + seed)
        recurrent = self.task in ("sequences", "text")
        outputs = {"classes": 10, "regression": 1}.get(self.task, CODES)
        return Net(16, outputs, 32, self.drop, recurrent)

    @cached_property
    def rows(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Training, other and held-out examples."""
        count = self.batch * self.epoch_steps
        return {
            n: self._rows(count if n != "held_out" else 128, k)
            for k, n in enumerate(("train", "other", "held_out"))
        }

    def _rows(self, count: int, kind: int) -> tuple[Tensor, Tensor]:
        made = torch.Generator().manual_seed(7 + kind)
        law = torch.Generator().manual_seed(self.seed * 2 + (kind == 1))
        if self.task in ("classes", "regression"):
            x = torch.randn(count, 16, generator=made)
            first, then = torch.randn(16, 16, generator=law), torch.randn(16, 10, generator=law)
            out = torch.tanh(x @ first / 2) @ then
            noise = torch.randn(count, 10, generator=made) * 0.7
            y = (out + noise).argmax(1) if self.task == "classes" else self.unit * (out + noise)[:, :1]
            return x, y
        # A chain whose next symbol depends on the last two; or a sequence and its reverse.
        table = torch.softmax(2.5 * torch.randn(CODES, CODES, CODES, generator=law), -1)
        x = torch.randint(0, CODES, (count, LENGTH + 1), generator=made)
        if self.task == "sequences":
            shift = int(torch.randint(1, CODES, (1,), generator=law))
            return x[:, :LENGTH], (x[:, :LENGTH].cumsum(1) + shift) % CODES
        for k in range(2, LENGTH + 1):
            x[:, k] = torch.multinomial(table[x[:, k - 2], x[:, k - 1]], 1, generator=made)[:, 0]
        return x[:, :-1], x[:, 1:]

    def loss(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Mean over the batch."""
        out = model(x)
        if self.task == "regression":
            return functional.mse_loss(self.unit * out, y) / (self.unit**2)
        return functional.cross_entropy(out.flatten(0, -2), y.flatten())


def batch_at(w: World, step: int, fault: str) -> tuple[Tensor, float]:
    """Indices of the batch of a step, and the epoch that is logged after it."""
    size = w.batch
    if fault in ("larger_batch", "smaller_batch"):
        size = w.batch * 4 if fault == "larger_batch" else max(1, w.batch // 4)
    an_epoch = w.batch * w.epoch_steps // size
    place = step
    if size != w.batch:
        place = w.save_at * w.batch // size + step - w.save_at
    if fault == "data_replayed":
        place = (w.save_at // an_epoch * an_epoch if not w.streams else 0) + step - w.save_at
    if fault == "data_skipped":
        place = step + round(0.4 * an_epoch)
    made = torch.Generator().manual_seed(w.seed * 977 + place // an_epoch + 7919 * (fault == "other_order"))
    order = torch.randperm(w.batch * w.epoch_steps, generator=made)
    at = place % an_epoch * size
    logged = step + 1 if fault == "data_replayed" else place + 1
    return order[at : at + size], logged / an_epoch


def train(
    w: World, model: Net, optimiser: torch.optim.Optimizer, first: int, last: int, fault: str, at: int, total: int,
    save: dict[str, Any] | None = None,
) -> list[dict[str, float]]:  # fmt: skip
    """Train from a step to another, the schedule from step ``at`` of ``total`` on; what was logged."""
    h, logged, sums, running = w.habit, [], [], None
    x, y = w.rows["other" if fault == "other_data" else "train"]
    factor, peak = 4.0 if fault == "loss_summed" else 1.0, w.rate * (3 if fault == "other_rate" else 1)
    window = (
        {"last": "mean", "mean": "last", "running": "last"}[h.window] if fault == "other_window" else h.window
    )
    for step in range(first, last):
        picked, epoch = batch_at(w, step, fault)
        rate = peak * w.share(step - first + at, total)
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = factor * w.loss(model, x[picked], y[picked])
        optimiser.zero_grad()
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(model.parameters(), 1.0))
        optimiser.step()
        value = loss.item() * (w.unit**2) * (len(picked) if h.sums else 1)
        running = value if running is None else 0.9 * running + 0.1 * value
        sums.append(value)
        if (step + 1) % h.every == 0:
            row = {
                "step": step + 1,
                "loss": {"last": value, "mean": sum(sums) / len(sums), "running": running}[window],
            }
            row |= {"epoch": epoch} if h.epochs else {}
            row |= {"learning_rate": float(f"{rate:.{h.rate_digits}g}")} if h.rate_digits else {}
            row |= {"grad_norm": min(norm, 1.0) if h.norm == "clipped" else norm} if h.norm != "none" else {}
            logged.append(row)
            sums = []
        if h.evaluates and (step + 1) % h.evaluates == 0:
            model.eval()
            with torch.no_grad():
                value = float(w.loss(model, *w.rows["held_out"])) * w.unit**2
            logged.append({"step": step + 1, "eval_loss": value})
            model.train()
        if save is not None and step + 1 in (w.save_at, w.save_at // 4):
            save[step + 1] = copy.deepcopy((model.state_dict(), optimiser.state_dict()))
    return logged


def joins(w: World) -> Iterator[tuple[str, list[dict[str, float]]]]:
    """The first run under the name ``first``, then each resume under the name of its fault."""
    model = w.net()
    states: dict[str, Any] = {}
    yield (
        "first",
        train(
            w,
            model,
            MAKERS[w.optimiser](model.parameters(), lr=w.rate),
            0,
            w.killed_at,
            "clean",
            0,
            w.total,
            states,
        ),
    )
    for fault in FAULTS:
        if (fault == "data_skipped" and not w.habit.epochs) or (fault == "smaller_batch" and w.batch < 4):
            continue
        if fault == "other_window" and w.habit.every == 1 and w.habit.window != "running":
            continue
        model = w.net(5)
        if fault != "fresh_weights":
            model.load_state_dict(states[w.save_at // 4 if fault == "stale_weights" else w.save_at][0])
        if fault == "lost_head":
            torch.manual_seed(77)
            model.head.reset_parameters()
        optimiser = MAKERS[w.optimiser](model.parameters(), lr=w.rate)
        if fault not in ("fresh_weights", "lost_optimiser", "lost_both"):
            optimiser.load_state_dict(copy.deepcopy(states[w.save_at][1]))
        at = 0 if fault in ("lost_both", "schedule_anew") else w.save_at
        total = round(w.total * 1.6) if fault == "schedule_rescaled" else w.total
        yield fault, train(w, model, optimiser, w.save_at, w.until, fault, at, total)


def lines(seed: int) -> Iterator[dict[str, Any]]:
    """All lines of one training."""
    w = World(seed)
    name = f"{w.task}-{w.optimiser}-{w.schedule}-{w.habit.every}-{seed}"
    for fault, rows in joins(w):
        config: dict[str, Any] = {}
        shift = w.save_at if w.habit.restarts and fault != "first" else 0
        curves: dict[str, list[list[float]]] = {}
        for row in rows:
            for key in row.keys() - {"step"}:
                digits = w.habit.loss_digits if "loss" in key else 8
                points = curves.setdefault(key, [[], []])
                points[0].append(row["step"] - shift)
                points[1].append(float(f"{row[key]:.{digits}g}"))
        yield {"run": f"{name}-{fault}", "config": config, "curves": curves}
        if fault != "first":
            yield {
                "join": f"{name}-{fault}", "library": "varied", "size": w.task, "fault": fault,
                "split": "holdout" if seed % 2 else "tune", "causes": FAULTS[fault], "first": f"{name}-first",
                "then": f"{name}-{fault}", "start": w.save_at, "offset": shift, "clean": f"{name}-clean",
            }  # fmt: skip


def main() -> None:
    """Make all of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", nargs=2, type=int, default=(0, 40))
    given = parser.parse_args()
    torch.set_num_threads(1)
    with gzip.GzipFile(given.file, "wb", mtime=0) as out:
        for seed in range(*given.seeds):
            out.writelines(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines(seed))


if __name__ == "__main__":
    main()
