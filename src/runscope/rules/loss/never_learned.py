"""The training loss never fell.

*What it sees.* The level of the last fifth is not below that of the first tenth by more than its noise.

*Why it matters.* Nothing was learned: the model is as it was, or worse.

*Example.* A loss that stays at 2.303 (= ln 10) on ten classes for the whole run.

*What to try.* Check that the parameters are trainable and given to the optimiser, that labels are not
masked or shuffled; raise the learning rate; overfit a single batch first.

*Reference.* Karpathy 2019, «A recipe for training neural networks».
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.finding import Finding, View
from runscope.stats.curves import noise

CODE = "LOS005"
NAME = "never-learned"


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the loss ends where it began."""
    loss = view.need("train_loss", points=12)
    early = loss.value[: max(3, len(loss) // 10)]
    late = loss.value[-max(3, len(loss) // 5) :]
    begun, ended = float(np.median(early)), float(np.median(late))
    lowest = float(np.min(loss.value))
    fell = begun - ended
    error = noise(loss.value) * float(np.sqrt(1 / len(early) + 1 / len(late)))
    if begun <= 1e-6 or fell > max(2 * error, 0.01 * abs(begun)) or lowest < 0.8 * begun:
        return
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning",
        probability=0.8,
        first_step=int(loss.step[0]),
        last_step=int(loss.step[-1]),
        message=f"The training loss never fell: {begun:.4g} at the start, {ended:.4g} at the end.",
        evidence={"first": begun, "last": ended},
        fix=(
            "Check that the parameters are trainable and that labels are not masked or shuffled.",
            "Try to overfit one batch; then raise the learning rate.",
        ),
    )
