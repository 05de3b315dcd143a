"""For Lightning."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from runscope.callbacks.facts import KEY, Facts
from runscope.callbacks.recorder import Recorder, StopAt

_package = "lightning.pytorch" if find_spec("lightning") is not None else "pytorch_lightning"
Callback: Any = import_module(_package).Callback


class LightningCallback(Callback):  # type: ignore[misc]
    """``Trainer(callbacks=[LightningCallback()])``.

    Args:
        stop_at: severity of a finding at which the training is stopped; never where None.
    """

    def __init__(self, stop_at: StopAt | None = None) -> None:
        self._stop_at = stop_at
        self._before: object = None
        self._logged = -1
        self.recorder: Recorder | None = None

    def state_dict(self) -> dict[str, Any]:
        """What Lightning keeps in each checkpoint."""
        return {KEY: {} if self.recorder is None else self.recorder.facts.as_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The run that a checkpoint comes from."""
        self._before = state_dict.get(KEY)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Find out who this run is."""
        if not trainer.is_global_zero:
            return
        facts = replace(Facts(), world_size=trainer.world_size)
        if trainer.global_step:
            facts = facts.continued(self._before, trainer.global_step)
        folder = trainer.log_dir or trainer.default_root_dir
        self.recorder = Recorder(folder=folder, facts=facts, stop_at=self._stop_at)
        self.recorder.announce()  # now: what it loads costs no step

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep what was logged at this step, as often as Lightning logs."""
        step = trainer.global_step
        if self.recorder is None or step == self._logged or step % max(1, trainer.log_every_n_steps):
            return
        self._keep(trainer)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Keep what the validation logged."""
        if self.recorder is not None and not trainer.sanity_checking:
            self._keep(trainer)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Judge the whole."""
        if self.recorder is not None:
            self.recorder.look()

    def _keep(self, trainer: Any) -> None:
        assert self.recorder is not None
        self._logged = trainer.global_step
        self.recorder.log(trainer.global_step, {**trainer.callback_metrics, "epoch": trainer.current_epoch})
        if self.recorder.should_stop:
            trainer.should_stop = True
