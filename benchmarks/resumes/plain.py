"""A loop as people write it, and the same under Accelerate."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from setup import Log, Setup, share
from torch import Tensor, nn
from world import examples, gpt, held_out_loss, loss_of, order, recurrent

CLIP = 1.0
SUMMED = 4


@dataclass
class Training:
    """What a script holds while it trains."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LambdaLR


def build(setup: Setup, *, seed: int = 0, total: int | None = None) -> Training:
    """Everything from scratch."""
    model = recurrent(setup, seed) if setup.library == "plain" else gpt(setup, seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=setup.rate, weight_decay=0.01)
    length = total or setup.total
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: share(step, length, setup.warmup, setup.schedule)
    )
    return Training(model, optimiser, scheduler)


def batch_of(setup: Setup, data: Tensor, step: int, fault: str) -> tuple[Tensor, float]:
    """The batch of a step (counted from 0) and the epoch that the script logs after it."""
    size = setup.batch * (4 if fault == "larger_batch" else 1)
    an_epoch = len(data) // size
    place, epoch = step, (step + 1) / an_epoch
    if fault == "larger_batch":
        place = setup.save_at // 4 + step - setup.save_at
        epoch = setup.save_at / setup.epoch_steps + (step + 1 - setup.save_at) / an_epoch
    if fault == "data_replayed":  # the loader begins at the start of the epoch again; the counter goes on
        place = setup.save_at // an_epoch * an_epoch + step - setup.save_at
    indices = order(setup, place // an_epoch, len(data), seed=int(fault == "other_order"))
    first = place % an_epoch * size
    return data[indices[first : first + size]], epoch


def steps(setup: Setup, made: Training, first: int, last: int, fault: str, log: Log) -> Iterator[int]:
    """Train; yields after each step."""
    data, held_out = examples(setup, setup.other_corpus if fault == "other_data" else None)
    factor = float(SUMMED) if fault == "loss_summed" else 1.0
    sums: list[float] = []
    for step in range(first, last):
        batch, epoch = batch_of(setup, data, step, fault)
        rate = made.optimiser.param_groups[0]["lr"]
        loss = factor * loss_of(made.model, batch)
        made.optimiser.zero_grad()
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(made.model.parameters(), CLIP))
        made.optimiser.step()
        made.scheduler.step()
        sums = [] if fault == "other_window" else sums
        sums.append(loss.item())
        if (step + 1) % setup.log_every == 0:
            row = {"step": step + 1, "epoch": epoch, "loss": sum(sums) / len(sums), "grad_norm": norm}
            row["learning_rate"] = rate
            if (step + 1) % setup.eval_every == 0:
                row["eval_loss"] = held_out_loss(made.model, held_out)
            log.rows.append(row)
            sums = []
        yield step + 1


def config(setup: Setup, fault: str = "clean") -> dict[str, Any]:
    """What such a script writes down of itself."""
    return {"learning_rate": setup.rate, "batch_size": setup.batch * (4 if fault == "larger_batch" else 1)}


def _fresh_optimiser(setup: Setup, made: Training, from_step: int) -> None:
    empty = torch.optim.AdamW(made.model.parameters(), lr=setup.rate, weight_decay=0.01)
    made.optimiser.state.clear()
    made.optimiser.load_state_dict({**made.optimiser.state_dict(), "state": empty.state_dict()["state"]})
    _set_schedule(setup, made, from_step, setup.total)


def _set_schedule(setup: Setup, made: Training, from_step: int, total: int) -> None:
    for group in made.optimiser.param_groups:
        group["initial_lr"] = setup.rate
    made.scheduler = torch.optim.lr_scheduler.LambdaLR(
        made.optimiser,
        lambda step: share(step, total, setup.warmup, setup.schedule),
        last_epoch=from_step - 1,
    )


def resumed(setup: Setup, saved: dict[str, Any], fault: str) -> Training:
    """Restore a state, and make one mistake."""
    made = build(setup, seed=5 if fault == "fresh_weights" else 0)
    if fault != "fresh_weights":
        made.model.load_state_dict(saved["model"])
    if fault == "lost_head":
        torch.manual_seed(77)
        made.model.head.reset_parameters()  # type: ignore[union-attr,operator]
    if fault not in ("fresh_weights", "lost_optimiser", "lost_both"):
        made.optimiser.load_state_dict(saved["optimiser"])
    at = 0 if fault in ("lost_both", "schedule_anew") else setup.save_at
    total = round(1.6 * setup.total) if fault == "schedule_rescaled" else setup.total
    if fault in ("lost_both", "schedule_anew", "schedule_rescaled", "fresh_weights", "lost_optimiser"):
        _set_schedule(setup, made, at, total)
    else:
        made.scheduler.load_state_dict(saved["scheduler"])
    return made


def joins(setup: Setup, faults: tuple[str, ...]) -> Iterator[tuple[str, Log]]:
    """The first run under the name ``first``, then each resume under the name of its fault."""
    made, log, saved = build(setup), Log(config(setup)), {}
    for step in steps(setup, made, 0, setup.killed_at, "clean", log):
        if step == setup.save_at:
            saved = {
                "model": copy.deepcopy(made.model.state_dict()),
                "optimiser": copy.deepcopy(made.optimiser.state_dict()),
                "scheduler": copy.deepcopy(made.scheduler.state_dict()),
            }
    yield "first", log
    for fault in faults:
        log = Log(config(setup, fault))
        made = resumed(setup, copy.deepcopy(saved), fault)
        for _ in steps(setup, made, setup.save_at, setup.until, fault, log):
            pass
        yield fault, log


def accelerated(setup: Setup, faults: tuple[str, ...]) -> Iterator[tuple[str, Log]]:
    """The same with ``Accelerator.prepare``, ``save_state`` and ``load_state``."""
    with tempfile.TemporaryDirectory() as folder:
        made, log = build(setup), Log(config(setup))
        accelerator = _accelerator(made)
        for step in steps(setup, made, 0, setup.killed_at, "clean", log):
            if step == setup.save_at:
                accelerator.save_state(folder)
        yield "first", log
        for fault in faults:
            log = Log(config(setup, fault))
            made = build(setup, total=round(1.6 * setup.total) if fault == "schedule_rescaled" else None)
            accelerator = _accelerator(made)
            accelerator.load_state(folder)
            if fault == "fresh_weights":
                made.model.load_state_dict(gpt(setup, 5).state_dict())
            if fault == "lost_optimiser":
                _fresh_optimiser(setup, made, setup.save_at)
            elif fault == "schedule_anew":
                _set_schedule(setup, made, 0, setup.total)
            for _ in steps(setup, made, setup.save_at, setup.until, fault, log):
                pass
            yield fault, log


def _accelerator(made: Training) -> Any:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    made.model, made.optimiser, made.scheduler = accelerator.prepare(
        made.model, made.optimiser, made.scheduler
    )
    return accelerator
