"""The gradient norm shrank to next to nothing.

*What it sees.* The median gradient norm of the last fifth is below a ten-thousandth of its early level, or
below 1e-6, while the loss stays well above zero.

*Why it matters.* Without gradient nothing is learned; every further step costs money and changes nothing.

*Example.* A gradient norm of 0.8 in the first hundred steps and 2e-6 after step 400, loss stuck at 2.3.

*What to try.* Look for saturated activations, a learning rate so high that it killed units, a wrong loss
mask, frozen parameters; normalise layers; start from a better initialisation.

*Reference.* Pascanu, Mikolov & Bengio 2013, «On the difficulty of training recurrent neural networks».
A model that has learned its data has small gradients as well: a loss under 5% of its start is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.context import coarse, loss_tells, not_preference
from runscope.rules.finding import Finding, View
from runscope.stats.stretches import lasting_from

CODE = "GRD001"
NAME = "vanishing-gradients"
SHARE = 1e-4
FLOOR, CEILING = 1e-6, 1e-3
"""A norm under the floor moves nothing in float32 (steps of rate × norm are lost to rounding); one above the
ceiling is not called vanished even after a start in the tens."""
LOSS_LEFT = 0.05
"""A loss below this share of its first value was learned: small gradients are then as they should be."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the late gradient is tiny and the loss is not."""
    loss_tells(view)
    not_preference(view)
    norm = coarse(view, "grad_norm", points=10)
    early = float(np.median(norm.value[: max(3, len(norm) // 10)]))
    late = float(np.median(norm.value[-max(3, len(norm) // 5) :]))
    bar = min(max(FLOOR, SHARE * early), CEILING)
    if late >= bar or _learned(view):
        return
    small = norm.value < 10 * bar
    begins = norm.step[lasting_from(small) or 0]
    was = f" (it was {early:.2g} at first)" if early >= bar else " from the start"
    yield Finding(
        code=CODE,
        name=NAME,
        severity="critical",
        probability=0.95,
        first_step=int(begins),
        last_step=int(norm.step[-1]),
        message=(
            f"The gradients have vanished: from step {begins:,} their norm is about {late:.2g}{was}, "
            "and the model no longer learns."
        ),
        evidence={"late_norm": late, "early_norm": early, "bar": bar},
        fix=(
            f"Go back to a checkpoint before step {begins:,}."
            if early >= bar and begins > norm.step[0]
            else "Check that parameters are trainable and that the loss depends on them.",
            "Look for saturated activations, a wrong loss mask or frozen parameters.",
            "Start again with a lower learning rate, warm-up, and normalised layers.",
        ),
    )


def _learned(view: View) -> bool:
    loss = view.get("train_loss")
    if loss is None or len(loss.finite) < 4:
        return False
    value = loss.finite.value
    return float(np.median(value[-5:])) < LOSS_LEFT * float(np.max(value[:5]))
