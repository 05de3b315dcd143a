"""The same with Lightning: a module, a CSV logger's values, and checkpoints at the ends of epochs."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
import torch
from setup import Log, Setup, share
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from world import examples, held_out_loss, loss_of, order, recurrent

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")


class Module(lightning.LightningModule):
    """A GRU with AdamW and a schedule a step."""

    def __init__(self, setup: Setup, total: int, log: Log, held_out: Tensor) -> None:
        super().__init__()
        self.setup_, self.total, self.log_, self.held_out = setup, total, log, held_out
        self.model = recurrent(setup)
        self.sums: list[float] = []
        self.norm, self.an_epoch, self.first_epoch, self.first_step = 0.0, 1, 0.0, 0

    def training_step(self, batch: Tensor) -> Tensor:
        """Loss of a batch."""
        loss = loss_of(self.model, batch)
        self.sums.append(loss.item())
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Gradient norm before it is clipped."""
        norms = [p.grad.norm() for p in self.model.parameters() if p.grad is not None]
        self.norm = float(torch.stack(norms).norm())
        self.rate = optimizer.param_groups[0]["lr"]

    def on_train_batch_end(self, *_: Any) -> None:
        """Log as the Trainer would."""
        step = self.trainer.global_step
        if step % self.setup_.log_every:
            return
        epoch = self.first_epoch + (step - self.first_step) / self.an_epoch
        row = {"step": step, "epoch": epoch, "loss": sum(self.sums) / len(self.sums), "grad_norm": self.norm}
        row["learning_rate"] = self.rate
        if step % self.setup_.eval_every == 0:
            row["eval_loss"] = held_out_loss(self.model, self.held_out)
        self.log_.rows.append(row)
        self.sums = []

    def configure_optimizers(self) -> Any:
        """AdamW and a schedule that is asked every step."""
        optimiser = torch.optim.AdamW(self.model.parameters(), lr=self.setup_.rate, weight_decay=0.01)
        setup, total = self.setup_, self.total
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: share(step, total, setup.warmup, setup.schedule)
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class Order(Sampler[int]):
    """An order for each epoch; Lightning tells it which."""

    def __init__(self, setup: Setup, count: int) -> None:
        self.setup, self.count, self.epoch = setup, count, 0

    def set_epoch(self, epoch: int) -> None:
        """Called at the start of each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        return iter(order(self.setup, self.epoch, self.count).tolist())

    def __len__(self) -> int:
        return self.count


def _fit(setup: Setup, log: Log, last: int, fault: str, checkpoint: Path | None, folder: str) -> Module:
    data, held_out = examples(setup, setup.other_corpus if fault == "other_data" else None)
    batch = setup.batch * (4 if fault == "larger_batch" else 1)
    total = round(1.6 * setup.total) if fault == "schedule_rescaled" else setup.total
    log.config = {"learning_rate": setup.rate, "batch_size": batch}
    module = Module(setup, total, log, held_out)
    module.an_epoch = len(data) // batch
    if checkpoint is not None and fault != "from_weights_alone":
        module.first_epoch, module.first_step = setup.save_at / setup.epoch_steps, setup.save_at
    if fault == "from_weights_alone" and checkpoint is not None:
        module.load_state_dict(torch.load(checkpoint, weights_only=False)["state_dict"])
        checkpoint, last = None, last - setup.save_at
    save = lightning.pytorch.callbacks.ModelCheckpoint(folder, "{step}", save_top_k=-1, every_n_epochs=1)
    trainer = lightning.Trainer(
        accelerator="cpu", max_steps=last, callbacks=[save], logger=False, enable_progress_bar=False,
        enable_model_summary=False, gradient_clip_val=1.0, use_distributed_sampler=False, max_epochs=-1,
    )  # fmt: skip
    loader = DataLoader(data, batch, sampler=Order(setup, len(data)))  # type: ignore[arg-type]
    trainer.fit(module, loader, ckpt_path=checkpoint, weights_only=False)
    return module


def _spoiled(setup: Setup, checkpoint: Path, fault: str) -> Path:
    state = torch.load(checkpoint, weights_only=False)
    if fault == "fresh_weights":
        fresh = recurrent(setup, 5).state_dict()
        state["state_dict"] = {f"model.{name}": value for name, value in fresh.items()}
        state["optimizer_states"][0]["state"] = {}
    if fault == "lost_head":
        torch.manual_seed(77)
        for name in ("weight", "bias"):
            old = state["state_dict"][f"model.head.{name}"]
            state["state_dict"][f"model.head.{name}"] = 0.1 * torch.randn_like(old)
    if fault == "lost_optimiser":
        state["optimizer_states"][0]["state"] = {}
    if fault == "schedule_anew":
        state["lr_schedulers"][0] |= {"last_epoch": 0, "_step_count": 1, "_last_lr": [0.0]}
        for group in state["optimizer_states"][0]["param_groups"]:
            group["lr"] = 0.0
    spoiled = checkpoint.with_name(f"{fault}.ckpt")
    torch.save(state, spoiled)
    return spoiled


def joins(setup: Setup, faults: tuple[str, ...]) -> Iterator[tuple[str, Log]]:
    """The first run under the name ``first``, then each resume under the name of its fault."""
    with tempfile.TemporaryDirectory() as folder:
        log = Log()
        _fit(setup, log, setup.killed_at, "clean", None, folder)
        checkpoint = Path(folder) / f"step={setup.save_at}.ckpt"
        yield "first", log
        for fault in faults:
            log = Log()
            with tempfile.TemporaryDirectory() as other:
                _fit(setup, log, setup.until, fault, _spoiled(setup, checkpoint, fault), other)
            yield fault, log
