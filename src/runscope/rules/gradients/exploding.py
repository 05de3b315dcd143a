"""The gradient norm grew out of hand and stayed there.

*What it sees.* The running median of the gradient norm (window of 9) exceeds twenty times its early
level, and the loss went up with it or stopped being a number.

*Why it matters.* Such steps throw the model far away from what it had learned. Single peaks are clipped and
harmless; a level that grows is not.

*Example.* A norm around 1 for 2,000 steps, then 60, then 4,000, and the loss from 1.8 to 7.

*What to try.* Go back to the checkpoint before it. Lower the learning rate, warm up longer, clip
(``max_grad_norm=1.0``), look at the batches of these steps.

*Reference.* Pascanu, Mikolov & Bengio 2013.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.ndimage import median_filter

from runscope.rules.finding import Finding, View

CODE = "GRD003"
NAME = "exploding-gradients"
TIMES = 20.0


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the level of the norm explodes and the loss suffers."""
    norm = view.need("grad_norm", points=10)
    early = float(np.median(norm.value[max(1, len(norm) // 50) : max(6, len(norm) // 5)]))
    level = median_filter(norm.value, min(9, len(norm)), mode="nearest")
    high = level > TIMES * max(early, 1e-12)
    if not high.any() or not _harmed(view, int(norm.step[np.argmax(high)])):
        return
    first = int(np.argmax(high))
    yield Finding(
        code=CODE,
        name=NAME,
        severity="critical",
        probability=0.95,
        first_step=int(norm.step[first]),
        last_step=int(norm.step[-1]),
        message=(
            f"The gradients explode at step {norm.step[first]:,}: their norm grows from {early:.3g} to "
            f"{float(level.max()):.3g}, and the loss goes up with it."
        ),
        evidence={"early_norm": early, "highest_level": float(level.max())},
        fix=(
            f"Go back to a checkpoint before step {norm.step[first]:,}.",
            "Lower the learning rate, warm up longer, clip with max_grad_norm=1.0.",
        ),
    )


def _harmed(view: View, step: int) -> bool:
    loss = view.get("train_loss")
    if loss is None:
        return True
    before, after = loss.between(None, step).value[:-1], loss.between(step, None).value
    if not np.isfinite(after).all():
        return True
    before = before[np.isfinite(before)]
    if len(before) < 2 or not len(after):
        return True
    return float(np.median(after)) > float(np.median(before[-5:])) + 2 * float(np.std(before[-20:]))
