"""The callback inside real trainings of Lightning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.callbacks.test_callbacks import rows

lightning = pytest.importorskip("lightning.pytorch", reason="lightning is an extra of the tests")
pytestmark = pytest.mark.filterwarnings("ignore")


class Module(lightning.LightningModule):  # type: ignore[misc,name-defined]
    """A straight line with a held-out loss."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        loss = ((self.layer(batch["x"]) - batch["labels"]) ** 2).mean()
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        self.log("val_loss", ((self.layer(batch["x"]) - batch["labels"]) ** 2).mean(), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def fit(folder: Path, callbacks: list[Any], steps: int, *, checkpoint: str | None = None, **more: Any) -> Any:
    """A training of so many steps that validates after every fourth."""
    trainer = lightning.Trainer(
        max_steps=steps, callbacks=callbacks, logger=False, enable_progress_bar=False, accelerator="cpu",
        default_root_dir=str(folder), enable_model_summary=False, log_every_n_steps=1, enable_checkpointing=False,
        val_check_interval=4, **more,
    )  # fmt: skip
    loader = torch.utils.data.DataLoader
    trainer.fit(Module(), loader(rows(), batch_size=8), loader(rows(), batch_size=32), ckpt_path=checkpoint)
    return trainer


def test_lightning_writes_the_same(tmp_path: Path) -> None:
    from runscope.callbacks import LightningCallback

    first = LightningCallback()
    fit(tmp_path, [first], 12).save_checkpoint(tmp_path / "kept.ckpt")
    second = LightningCallback()
    fit(tmp_path, [second], 24, checkpoint=str(tmp_path / "kept.ckpt"))
    assert first.recorder is not None
    assert second.recorder is not None
    assert second.recorder.facts.parent == first.recorder.facts.run
    assert second.recorder.facts.start_step == 12
    run = second.recorder.run()
    assert run is not None
    assert run.series["train_loss"].step.tolist() == list(range(13, 25))
    assert run.series["val_loss"].step.tolist() == [16, 20, 24], (
        "a held-out loss is kept where it was measured"
    )


def test_the_process_that_records_asks_nothing_of_the_others(tmp_path: Path) -> None:
    """Of processes that train together one records; what one alone asks of all is waited for until the end of days."""
    from lightning.pytorch.strategies import SingleDeviceStrategy

    from runscope.callbacks import LightningCallback

    class Counted(SingleDeviceStrategy):  # type: ignore[misc]
        """Writes down what goes to all processes."""

        def __init__(self) -> None:
            super().__init__(device="cpu")
            self.asked: list[str] = []

        def broadcast(self, obj: Any, src: int = 0) -> Any:
            self.asked.append("broadcast")
            return super().broadcast(obj, src)

        def reduce(self, tensor: Any, *args: Any, **kwargs: Any) -> Any:
            self.asked.append("reduce")
            return super().reduce(tensor, *args, **kwargs)

        def all_gather(self, tensor: Any, group: Any = None, sync_grads: bool = False) -> Any:
            self.asked.append("gather")
            return super().all_gather(tensor, group, sync_grads)

        def barrier(self, name: str | None = None) -> None:
            self.asked.append("barrier")
            super().barrier(name)

    asked = []
    for callbacks in ([], [LightningCallback()]):
        strategy = Counted()
        fit(tmp_path, callbacks, 12, strategy=strategy)
        asked.append(strategy.asked)
    assert asked[0] == asked[1]
