"""Trainings of other kinds: detection with several losses, preference tuning, policy gradients, fp16 with a scaler.

Each writes a log with the names that its trainers use (Ultralytics, TRL, Stable-Baselines3), so that roles are found as
in the wild, and (where there is one) the hidden truth of examples that no rule sees.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from data import load
from recipe import Recipe
from torch import Tensor, nn
from torch.nn import functional

CANVAS, DIGIT = 14, 8
IOUS = torch.arange(0.5, 1.0, 0.05)
LARGEST_HALF = 65504.0


def write(path: Path, rows: Iterator[Mapping[str, float]]) -> None:
    """A CSV with a column for every name of the first row."""
    with path.open("w", newline="") as file:
        out: csv.DictWriter[str] | None = None
        for row in rows:
            if out is None:
                out = csv.DictWriter(file, list(row))
                out.writeheader()
            out.writerow({name: f"{value:.6g}" for name, value in row.items()})


def boxes(recipe: Recipe, log: Path, truth: Path) -> None:
    """Find a digit on a larger canvas and name it: losses of its box and of its class, and mAP, once an epoch."""
    data = load("digits", recipe.train_size, recipe.seed, recipe.wrong_labels)
    parts = [_placed(x, y, recipe.seed + n) for n, (x, y) in enumerate((data.train, data.seen, data.unseen))]
    width = recipe.width
    model = nn.Sequential(
        nn.Unflatten(1, (1, CANVAS, CANVAS)), nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(16 * (CANVAS // 2) ** 2, width), nn.ReLU(), nn.Linear(width, data.outputs + 2),
    )  # fmt: skip
    optimiser = torch.optim.AdamW(model.parameters(), recipe.rate, weight_decay=recipe.weight_decay)
    hidden: list[tuple[int, float]] = []

    def epochs() -> Iterator[Mapping[str, float]]:
        count = len(parts[0][0])
        for epoch in range(1, recipe.steps + 1):
            rate = recipe.rate * (1 - 0.99 * epoch / recipe.steps)
            for group in optimiser.param_groups:
                group["lr"] = rate
            sums = torch.zeros(2)
            for index in torch.randperm(count).split(recipe.batch):
                losses = _box_losses(model, *(t[index] for t in parts[0]))
                optimiser.zero_grad()
                torch.stack(losses).sum().backward()
                optimiser.step()
                sums += torch.stack(losses).detach() * len(index)
            with torch.no_grad():
                held, unseen = (torch.stack(_box_losses(model, *part)) for part in parts[1:])
                hidden.append((epoch, float(unseen.sum())))
                score = _mean_precision(model, *parts[1])
            yield {
                "epoch": epoch, "train/box_loss": float(sums[0] / count), "train/cls_loss": float(sums[1] / count),
                "metrics/mAP50(B)": float(score[0]), "metrics/mAP50-95(B)": float(score.mean()),
                "val/box_loss": float(held[0]), "val/cls_loss": float(held[1]), "lr/pg0": rate,
            }  # fmt: skip

    write(log, epochs())
    write(truth, iter([{"step": step, "loss": loss} for step, loss in hidden]))


def _placed(x: Tensor, y: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Digits at random places of a noisy canvas, their class, and the place of their corner in 0 to 1."""
    rng = torch.Generator().manual_seed(seed)
    canvas = 0.3 * torch.randn(len(x), CANVAS, CANVAS, generator=rng)
    corner = torch.randint(0, CANVAS - DIGIT + 1, (len(x), 2), generator=rng)
    for n, (row, column) in enumerate(corner.tolist()):
        canvas[n, row : row + DIGIT, column : column + DIGIT] += x[n].reshape(DIGIT, DIGIT)
    return canvas.flatten(1), y, corner / (CANVAS - DIGIT)


def _box_losses(model: nn.Module, x: Tensor, y: Tensor, corner: Tensor) -> list[Tensor]:
    out = model(x)
    return [5 * functional.l1_loss(out[:, :2], corner), functional.cross_entropy(out[:, 2:], y)]


def _mean_precision(model: nn.Module, x: Tensor, y: Tensor, corner: Tensor) -> Tensor:
    """Share of digits named right whose box overlaps enough, at each threshold: mAP with one object an image."""
    out = model(x)
    off = (out[:, :2] - corner).abs() * (CANVAS - DIGIT)
    inner = ((DIGIT - off).clamp(min=0)).prod(dim=1)
    overlap = inner / (2 * DIGIT**2 - inner)
    right = out[:, 2:].argmax(dim=1) == y
    return ((overlap[:, None] >= IOUS) & right[:, None]).float().mean(dim=0)


def preference(recipe: Recipe, log: Path, truth: Path) -> None:
    """Direct preference optimisation of a small policy over answers (Rafailov et al. 2023), logged as TRL does."""
    rng = torch.Generator().manual_seed(recipe.seed)
    prompts, answers, size = recipe.train_size, 32, recipe.width
    prompt, answer = torch.randn(prompts, size, generator=rng), torch.randn(answers, size, generator=rng)
    taste = torch.randn(size, size, generator=rng) / size
    liked = prompt @ taste @ answer.T
    one = torch.randint(0, answers, (prompts,), generator=rng)
    other = (
        one + torch.randint(1, answers, (prompts,), generator=rng)
    ) % answers  # a pair of one answer costs ln 2
    pair = torch.stack([one, other], dim=1)
    wins = torch.sigmoid(
        recipe.gain * 4 * (liked.gather(1, pair[:, :1]) - liked.gather(1, pair[:, 1:]))
    ).squeeze(1)
    first = torch.rand(prompts, generator=rng) < wins
    chosen = torch.where(first, pair[:, 0], pair[:, 1])
    rejected = torch.where(first, pair[:, 1], pair[:, 0])
    policy = nn.Linear(size, answers)
    before = nn.Linear(size, answers)
    before.load_state_dict(policy.state_dict())
    optimiser = torch.optim.AdamW(policy.parameters(), recipe.rate)
    beta = 0.1

    def steps() -> Iterator[Mapping[str, float]]:
        for step in range(1, recipe.steps + 1):
            index = torch.randint(0, prompts, (recipe.batch,))
            rate = recipe.rate * max(0.0, 1 - step / recipe.steps)
            for group in optimiser.param_groups:
                group["lr"] = rate
            x = prompt[index]
            now, then = policy(x).log_softmax(-1), before(x).log_softmax(-1).detach()
            rewards = [
                beta * (now - then).gather(1, side[index, None]).squeeze(1) for side in (chosen, rejected)
            ]
            loss = -functional.logsigmoid(rewards[0] - rewards[1]).mean()
            optimiser.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(policy.parameters(), math.inf)
            optimiser.step()
            if step % recipe.log_every == 0:
                yield {
                    "step": step, "epoch": step * recipe.batch / prompts, "loss": round(float(loss.detach()), 4),
                    "grad_norm": float(norm), "learning_rate": rate, "rewards/chosen": float(rewards[0].mean()),
                    "rewards/rejected": float(rewards[1].mean()),
                    "rewards/accuracies": float((rewards[0] > rewards[1]).float().mean()),
                    "rewards/margins": float((rewards[0] - rewards[1]).mean()),
                }  # fmt: skip

    write(log, steps())
    truth.write_text("step,loss\n1,1\n")


def policy_gradient(recipe: Recipe, log: Path, truth: Path) -> None:
    """Group-relative policy gradients (GRPO, Shao et al. 2024) on a choice of answers with a reward."""
    rng = torch.Generator().manual_seed(recipe.seed)
    size, answers, group_size = recipe.width, 16, 8
    prompt = torch.randn(recipe.train_size, size, generator=rng)
    best = (prompt @ torch.randn(size, answers, generator=rng)).argmax(dim=1)
    policy = nn.Linear(size, answers)
    optimiser = torch.optim.AdamW(policy.parameters(), recipe.rate)

    def steps() -> Iterator[Mapping[str, float]]:
        for step in range(1, recipe.steps + 1):
            index = torch.randint(0, recipe.train_size, (recipe.batch,))
            logs = policy(prompt[index]).log_softmax(-1)
            said = torch.multinomial(logs.exp().detach(), group_size, replacement=True)
            reward = (said == best[index, None]).float() if not recipe.masked else torch.ones(said.shape)
            spread = reward.std(dim=1, keepdim=True)
            advantage = (reward - reward.mean(dim=1, keepdim=True)) / (spread + 1e-4)
            taken = logs.gather(1, said)
            loss = -((taken - taken.detach()).exp() * advantage).mean()
            optimiser.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(policy.parameters(), math.inf)
            optimiser.step()
            if step % recipe.log_every == 0:
                yield {
                    "step": step, "epoch": step * recipe.batch / recipe.train_size, "loss": float(loss.detach()),
                    "grad_norm": float(norm), "learning_rate": recipe.rate, "reward": float(reward.mean()),
                    "reward_std": float(spread.mean()), "completions/mean_length": 1.0,
                    "frac_reward_zero_std": float((spread < 1e-6).float().mean()),
                }  # fmt: skip

    write(log, steps())
    truth.write_text("step,loss\n1,1\n")


class Scaler:
    """Loss scaling for fp16 (Micikevicius et al. 2018) as PyTorch does it: halve on overflow, double after a while."""

    def __init__(self, scale: float = 2.0**24) -> None:
        self.scale, self.good = scale, 0

    def overflows(self, parameters: list[nn.Parameter]) -> bool:
        """Whether a gradient, scaled, does not fit in half precision; the scale is halved then."""
        largest = max(float(p.grad.abs().max()) for p in parameters if p.grad is not None)
        if not largest * self.scale < LARGEST_HALF:
            self.scale, self.good = self.scale / 2, 0
            return True
        self.good += 1
        if self.good >= 200:
            self.scale, self.good = self.scale * 2, 0
        return False


SPECIAL: dict[str, Callable[[Recipe, Path, Path], None]] = {
    "boxes": boxes,
    "preference": preference,
    "policy": policy_gradient,
}
"""By ``Recipe.model``."""
