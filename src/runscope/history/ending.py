"""How a run ended, and what it may have done that its log does not show: the one place that rules and joins ask.

A log can end before the training does. The Trainer logs every ``logging_steps`` and not at its last step; a killed
offline W&B run lacks what was not yet written (up to a block of 32 KiB); a run that is still going on has done more by
the time it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from runscope.history.counters import passes_at
from runscope.history.run import Run

ALL = 0.98
"""A run that did so much of its plan did it: the last steps are logged seldom, and epochs are rounded."""
PLANNED_STEPS = (
    "max_steps",
    "total_steps",
    "num_training_steps",
    "max_iters",
    "max_train_steps",
    "train_iters",
)
PLANNED_EPOCHS = ("num_train_epochs", "max_epochs", "num_epochs", "epochs", "n_epochs", "train_epochs")
CLOSING = ("train_runtime", "train/train_runtime")
"""What the Trainer logs once, when it has come to its end."""


@dataclass(frozen=True)
class Done:
    """How much of its plan a run has done.

    Attributes:
        share: 1 for all of it.
        reached, planned: in ``unit``.
        unit: ``step`` or ``epoch``.
    """

    share: float
    reached: float
    planned: float
    unit: str

    @property
    def all(self) -> bool:
        """Whether the plan was carried out."""
        return self.share >= ALL


def done(run: Run) -> Done | None:
    """How much of what its settings plan a run has done; None where no plan is recorded."""
    steps = planned(run.config, PLANNED_STEPS)
    if steps is not None:
        reached = reached_step(run)
        return Done(reached / steps, reached, steps, "step")
    epochs = planned(run.config, PLANNED_EPOCHS)
    logged = run.role("epoch")
    known = None if logged is None else logged.finite.sorted()
    if epochs is None or known is None or not len(known):
        return None
    passes = float(passes_at(known, [known.step[-1]])[0])
    return Done(passes / epochs, passes, epochs, "epoch")


def planned(config: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    """The first of the settings that is a number above 0."""
    for name in names:
        for key in (name, f"trainer.{name}", f"args.{name}", f"training.{name}"):
            value = config.get(key)
            if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < np.inf:
                return float(value)
    return None


def reached_step(run: Run) -> int:
    """The last step that a run is known to have trained: what a Trainer state says of itself, else the last log."""
    said = run.config.get("global_step") if run.source == "trainer-state" else None
    if isinstance(said, int | float) and not isinstance(said, bool) and np.isfinite(said):
        return max(int(said), run.last_step)
    return run.last_step


def summed_up(run: Run) -> bool:
    """Whether the run logged what the Trainer logs when it comes to its end, and little or nothing after it."""
    closing = next((run.series[name] for name in CLOSING if name in run.series), None)
    return closing is not None and len(closing) > 0 and int(closing.step.max()) >= ALL * run.last_step


def came_to_its_end(run: Run) -> bool:
    """Whether the log itself shows that the training ended as planned, whatever became of its process."""
    did = done(run)
    return summed_up(run) or (did is not None and did.share >= ALL and did.unit == "step") or _all_epochs(did)


def _all_epochs(did: Done | None) -> bool:
    return did is not None and did.unit == "epoch" and did.share >= 1.0


def logging_interval(run: Run) -> float:
    """Median distance between two logged training losses, in steps; 1 where it cannot be told."""
    loss = run.role("train_loss")
    gaps = np.diff(np.unique(loss.step)) if loss is not None else np.empty(0)
    return float(np.median(gaps)) if len(gaps) else 1.0
