"""The training loss went up and stayed up.

*What it sees.* The smoothed training loss of the last tenth lies above the best level reached before by
more than half of all that it had fallen, and by more than five times its noise.

*Why it matters.* The training undid itself; the last checkpoint is worse than an early one.

*Example.* 4.2 → 1.9 over 3,000 steps, then 5.0 until the end.

*What to try.* Go back to the checkpoint before it; lower the learning rate, warm up longer, clip gradients.

*Reference.* Chowdhery et al. 2022 (PaLM), section 5.1: restarting before the spike and skipping batches.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.finding import Finding, View
from runscope.stats.curves import noise, smooth

CODE = "LOS002"
NAME = "divergence"


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the loss ends high above its best level."""
    loss = view.need("train_loss", points=12)
    level = smooth(loss.value, 0.02 * len(loss))
    best = int(np.argmin(level))
    end = float(np.mean(level[-max(1, len(level) // 10) :]))
    fall = float(np.max(level[: best + 1]) - level[best])
    rise = end - float(level[best])
    if rise <= 0.5 * fall or rise <= 5 * noise(loss.value) or rise <= 0.1 * abs(float(level[best])):
        return
    above = np.flatnonzero(level[best:] <= level[best] + 0.25 * rise)
    first = best + (int(above[-1]) if len(above) else 0)
    yield Finding(
        code=CODE,
        name=NAME,
        severity="critical",
        probability=0.9,
        first_step=int(loss.step[first]),
        last_step=int(loss.step[-1]),
        message=(
            f"The training loss rose from {level[best]:.3g} (step {loss.step[best]:,}) to {end:.3g} and stayed "
            "there: the training diverged."
        ),
        evidence={"best": float(level[best]), "end": end, "best_step": int(loss.step[best])},
        fix=(
            f"Go back to a checkpoint near step {loss.step[best]:,}.",
            "Lower the learning rate, warm up longer, clip with max_grad_norm=1.0.",
        ),
    )
