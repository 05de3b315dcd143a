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
        self._own: set[str] = set()
        self._held_out: set[str] = set()
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
        facts = replace(Facts(), world_size=trainer.world_size, anew=False)
        if trainer.global_step:
            facts = facts.continued(self._before, trainer.global_step)
        self.recorder = Recorder(folder=_folder(trainer), facts=facts, stop_at=self._stop_at)
        self.recorder.announce()  # now: what it loads costs no step

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep what was logged at this step, as often as Lightning logs."""
        step = trainer.global_step
        if step == self._logged or step % max(1, trainer.log_every_n_steps):
            return
        self._logged = step
        if self.recorder is not None:
            self._own |= set(trainer.callback_metrics) - self._held_out
            self._keep(trainer, self._own)
        if self._stop_at is not None and trainer.strategy.broadcast(
            self.recorder is not None and self.recorder.should_stop
        ):  # all processes stop at one step, or some would wait for the others
            trainer.should_stop = True

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """See what the training itself logs, before the validation adds its own."""
        if self.recorder is not None and not trainer.sanity_checking:
            self._own |= set(trainer.callback_metrics) - self._held_out

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Keep what the validation logged."""
        if self.recorder is not None and not trainer.sanity_checking:
            self._held_out |= set(trainer.callback_metrics) - self._own
            self._keep(trainer, self._held_out)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Judge the whole."""
        if self.recorder is not None:
            self.recorder.look()

    def _keep(self, trainer: Any, names: set[str]) -> None:
        """Keep some of what was logged: Lightning's collection holds the last held-out loss until there is another."""
        assert self.recorder is not None
        values = {name: value for name, value in trainer.callback_metrics.items() if name in names}
        self.recorder.log(trainer.global_step, {**values, "epoch": trainer.current_epoch})


def _folder(trainer: Any) -> str:
    """Where its logger writes, without ``trainer.log_dir``: that waits for all processes, and one alone records."""
    logger = trainer.logger
    place = getattr(logger, "log_dir", None) or getattr(logger, "save_dir", None)
    return str(place or trainer.default_root_dir)
