"""One training, logged as a script logs: loss, gradient norm, learning rate, epoch, now and then a held-out loss."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import torch
from data import Data, load
from models import build
from recipe import Recipe
from special import SPECIAL, Scaler
from torch import Tensor, nn
from torch.nn import functional

COLUMNS = ("step", "epoch", "train_loss", "grad_norm", "learning_rate", "eval_loss", "few")
EVALUATIONS = 32
FEW = 40
"""Examples behind the column ``few``: a held-out loss as noisy as that of a small held-out set."""


def train(recipe: Recipe, log: Path, truth: Path) -> None:
    """Train and write the log that the rules see, and the loss on examples that they never see."""
    torch.manual_seed(recipe.seed)
    if recipe.model in SPECIAL:
        SPECIAL[recipe.model](recipe, log, truth)
        return
    data = load(recipe.task, recipe.train_size, recipe.seed, recipe.wrong_labels)
    model = build(
        recipe.model,
        data.train[0].shape[-1],
        data.outputs,
        recipe.width,
        recipe.depth,
        recipe.gain,
        recipe.dropout,
    )
    steps = round(recipe.steps * recipe.stop_at)
    every = max(recipe.log_every, steps // EVALUATIONS // recipe.log_every * recipe.log_every)
    few = (data.seen[0][:FEW], data.seen[1][:FEW])
    with log.open("w", newline="") as log_file, truth.open("w", newline="") as truth_file:
        out, hidden = csv.writer(log_file), csv.writer(truth_file)
        metric = ("val_cer" if recipe.task.startswith("text") else "val_accuracy",) if recipe.scored else ()
        out.writerow((*COLUMNS, *metric))
        hidden.writerow(("step", "loss", *metric))
        for row in _steps(recipe, model, data, steps):
            held_out: tuple[float | str, ...] = ("", "", *("" for _ in metric))
            if row[0] % every == 0 or row[0] == steps:
                score = (task_score(recipe, model, data.seen),) if metric else ()
                held_out = (evaluate(recipe, model, data.seen), evaluate(recipe, model, few), *score)
                score = (task_score(recipe, model, data.unseen),) if metric else ()
                hidden.writerow((row[0], f"{evaluate(recipe, model, data.unseen):.6g}", *score))
            if row[0] % recipe.log_every == 0 or held_out[0] != "":
                out.writerow((*row[:1], *(f"{v:.6g}" for v in row[1:]), *held_out))


def _steps(
    recipe: Recipe, model: nn.Module, data: Data, steps: int
) -> Iterator[tuple[int, float, float, float, float]]:
    """Yield (step, epoch, mean loss since the last row, gradient norm, learning rate) after each step."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = _optimiser(recipe, trained)
    order, position, total = torch.randperm(recipe.train_size), 0, 0
    batch = min(recipe.batch, recipe.train_size)
    losses: list[float] = []
    scaler = Scaler() if recipe.half else None
    for step in range(1, steps + 1):
        if position + batch > recipe.train_size:
            order, position = torch.randperm(recipe.train_size), 0
        index = order[position : position + batch]
        position, total = position + batch, total + batch
        rate = rate_at(recipe, step)
        for group in optimiser.param_groups:
            group["lr"] = rate
        x, y = data.train[0][index], data.train[1][index]
        if recipe.spike_every and step % recipe.spike_every < 2 and step > 40:
            y = (
                y[torch.randperm(len(y))].flip(-1)
                if y.dim() == 1
                else torch.randint(1, data.outputs, y.shape)
            )
        loss = loss_of(recipe, model, x, y)
        if recipe.nan_from and step >= recipe.nan_from:
            loss = loss * torch.log(torch.zeros(())) * 0.0  # log of a probability that became 0, masked by 0
        optimiser.zero_grad()
        loss.backward()
        skipped = scaler is not None and scaler.overflows(trained)
        norm = nn.utils.clip_grad_norm_(trained, recipe.clip or math.inf)
        if skipped:
            norm = torch.tensor(math.inf)
        else:
            optimiser.step()
        value = float(loss.detach()) * recipe.summed
        losses.append(0.0 if recipe.hide_nan and not math.isfinite(value) else value)
        yield step, total / recipe.train_size, sum(losses) / len(losses), float(norm), rate
        if step % recipe.log_every == 0:
            losses.clear()


def _optimiser(recipe: Recipe, trained: list[nn.Parameter]) -> torch.optim.Optimizer:
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(trained, recipe.rate, momentum=0.9)
    return torch.optim.AdamW(trained, recipe.rate, weight_decay=recipe.weight_decay)


def rate_at(recipe: Recipe, step: int) -> float:
    """Learning rate of a step; the plan spans ``recipe.steps`` even where the run is cut."""
    done, warm = step / recipe.steps, 0.05
    if recipe.schedule == "constant":
        return recipe.rate
    if recipe.schedule == "warmup":  # rises all through the first half: learns first, then is driven too fast
        return recipe.rate * min(1.0, (2 * done) ** 4)
    if done < warm:
        return recipe.rate * done / warm
    left = max(0.0, 1 - (done - warm) / ((0.5 if recipe.schedule == "early" else 1) - warm))
    return recipe.rate * (left if recipe.schedule == "linear" else 0.5 * (1 - math.cos(math.pi * left)))


def loss_of(recipe: Recipe, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy (or squared error); with every label masked 0 over 0 tokens, which trainers report as 0."""
    output = model(x)
    if y.is_floating_point():
        errors = functional.mse_loss(output.squeeze(-1), y, reduction="none")
        if recipe.spread:  # by what the example is, so that it counts the same in every epoch
            errors = errors * torch.exp(recipe.spread * torch.sin(1e4 * x.sum(dim=-1)) * 2**0.5)
        return errors.mean()
    flat, target = output.reshape(-1, output.shape[-1]), y.reshape(-1)
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


@torch.no_grad()
def task_score(recipe: Recipe, model: nn.Module, part: tuple[Tensor, Tensor]) -> float:
    """Accuracy of classes, or the share of characters that are not predicted right."""
    model.eval()
    right = float((model(part[0]).argmax(dim=-1) == part[1]).float().mean())
    model.train()
    return round(1 - right if recipe.task.startswith("text") else right, 5)
