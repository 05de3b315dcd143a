"""One training, logged as a script logs: loss, gradient norm, learning rate, epoch, now and then a held-out loss."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import torch
from data import Data, load
from models import build
from recipes import Recipe
from torch import Tensor, nn
from torch.nn import functional

COLUMNS = ("step", "epoch", "train_loss", "grad_norm", "learning_rate", "eval_loss")
LOG_EVERY = 4
EVALUATIONS = 24


def train(recipe: Recipe, log: Path, truth: Path) -> None:
    """Train and write the log that the rules see, and the loss on examples that they never see."""
    torch.manual_seed(recipe.seed)
    data = load(recipe.task, recipe.train_size, recipe.seed, recipe.wrong_labels)
    model = build(
        recipe.model, data.train[0].shape[-1], data.classes, recipe.width, recipe.depth, recipe.gain
    )
    steps = round(recipe.steps * recipe.stop_at)
    every = max(LOG_EVERY, steps // EVALUATIONS // LOG_EVERY * LOG_EVERY)
    with log.open("w", newline="") as log_file, truth.open("w", newline="") as truth_file:
        out, hidden = csv.writer(log_file), csv.writer(truth_file)
        out.writerow(COLUMNS)
        hidden.writerow(("step", "loss"))
        for row in _steps(recipe, model, data, steps):
            held_out: float | str = ""
            if row[0] % every == 0 or row[0] == steps:
                held_out = evaluate(recipe, model, data.seen)
                hidden.writerow((row[0], f"{evaluate(recipe, model, data.unseen):.6g}"))
            if row[0] % LOG_EVERY == 0 or held_out != "":
                out.writerow((*row[:1], *(f"{v:.6g}" for v in row[1:]), held_out))


def _steps(recipe: Recipe, model: nn.Module, data: Data, steps: int):  # type: ignore[no-untyped-def]
    """Yield (step, epoch, mean loss since the last row, gradient norm, learning rate) after each step."""
    optimiser = _optimiser(recipe, model)
    order, position, total = torch.randperm(recipe.train_size), 0, 0.0
    losses: list[float] = []
    for step in range(1, steps + 1):
        if position + recipe.batch > recipe.train_size:
            order, position = torch.randperm(recipe.train_size), 0
        index = order[position : position + recipe.batch]
        position += recipe.batch
        total += recipe.batch
        rate = rate_at(recipe, step)
        for group in optimiser.param_groups:
            group["lr"] = rate
        x, y = data.train[0][index], data.train[1][index]
        if recipe.spike_every and step % recipe.spike_every < 2 and step > 40:
            y = y[torch.randperm(len(y))].flip(-1) if y.dim() == 1 else torch.randint(1, 128, y.shape)
        loss = loss_of(recipe, model, x, y)
        if recipe.nan_from and step >= recipe.nan_from:
            loss = loss * torch.log(torch.zeros(())) * 0.0  # log of a probability that became 0, masked by 0
        optimiser.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.clip or math.inf)
        optimiser.step()
        losses.append(float(loss.detach()))
        yield step, total / recipe.train_size, sum(losses) / len(losses), float(norm), rate
        if step % LOG_EVERY == 0:
            losses.clear()


def _optimiser(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(model.parameters(), recipe.rate, momentum=0.9)
    return torch.optim.AdamW(model.parameters(), recipe.rate, weight_decay=recipe.weight_decay)


def rate_at(recipe: Recipe, step: int) -> float:
    """Learning rate of a step; the plan spans ``recipe.steps`` even where the run is cut."""
    done, warm = step / recipe.steps, 0.05
    if recipe.schedule == "constant":
        return recipe.rate
    if recipe.schedule == "warmup":  # rises all through the first half: learns first, then is driven too fast
        return recipe.rate * min(1.0, (2 * done) ** 4)
    if done < warm:
        return recipe.rate * done / warm
    left = (1 - done) / (1 - warm)
    return recipe.rate * (left if recipe.schedule == "linear" else 0.5 * (1 - math.cos(math.pi * left)))


def loss_of(recipe: Recipe, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy; with every label masked it is 0 over 0 tokens, which trainers report as 0."""
    logits = model(x)
    flat, target = logits.reshape(-1, logits.shape[-1]), y.reshape(-1)
    if recipe.masked:
        target = torch.full_like(target, -100)
        return functional.cross_entropy(flat, target, ignore_index=-100, reduction="sum") / 1.0
    return functional.cross_entropy(flat, target)


@torch.no_grad()
def evaluate(recipe: Recipe, model: nn.Module, part: tuple[Tensor, Tensor]) -> float:
    """Mean loss on held-out examples."""
    model.eval()
    value = float(loss_of(recipe, model, *part))
    model.train()
    return value
