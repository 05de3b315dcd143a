"""The best point of the run was never saved.

*What it sees.* The step of the lowest (smoothed) held-out loss, and the steps of the checkpoints: at the best saved
one the held-out loss is higher by more than 1% and by more than its noise.

*Why it matters.* What is not saved cannot be used. The loss between what was reached and what can be loaded is the
price of saving too seldom, or of a limit that deleted it.

*Example.* Held-out loss 1.412 at step 1,300; checkpoints at 1,000 (1.447) and 2,000 (1.466).

*What to try.* ``load_best_model_at_end=True`` keeps the best one; set ``save_steps`` to ``eval_steps``; raise
``save_total_limit``.

*Reference.* transformers, ``TrainingArguments.load_best_model_at_end``.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.checkpoints.saved import placed
from runscope.rules.finding import Finding, View
from runscope.stats.curves import noise, smooth

CODE = "CKP001"
NAME = "best-not-saved"
WORSE, MUCH_WORSE = 0.01, 0.05


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where no checkpoint is as good as the best evaluation."""
    saved = placed(view)
    curve = view.need("eval_loss", points=3)
    level = smooth(curve.value, 0.0)
    best = int(np.argmin(level))
    lowest = float(level[best])
    steps = np.array([c.step for c in saved], dtype=np.float64)
    inside = (steps >= curve.step[0]) & (steps <= curve.step[-1])
    at = np.interp(steps, curve.step, level)
    at[~inside] = np.inf
    nearest = int(np.argmin(at))
    if not np.isfinite(at[nearest]):
        nearest = int(np.argmin(np.abs(steps - curve.step[best])))
        at[nearest] = float(np.interp(steps[nearest], curve.step, level))
    lost = float(at[nearest]) - lowest
    if lost <= max(WORSE * abs(lowest), noise(curve.value)):
        return
    named = int(np.argmin(curve.value))  # what is smoothed decides; what was logged is named
    step = int(curve.step[named])
    if step in steps:
        return
    lowest, kept = float(curve.value[named]), float(np.interp(steps[nearest], curve.step, curve.value))
    share = (kept - lowest) / max(abs(lowest), 1e-12)
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning" if share > MUCH_WORSE else "info",
        probability=0.9,
        first_step=step,
        last_step=step,
        message=(
            f"The held-out loss was lowest at step {step:,} ({lowest:.4g}), where nothing was saved; the best saved "
            f"point is step {int(steps[nearest]):,} ({kept:.4g}, {100 * share:.1f}% worse)."
        ),
        evidence={
            "best_step": step,
            "best": lowest,
            "saved_step": int(steps[nearest]),
            "saved": kept,
        },
        fix=(
            "Next time: load_best_model_at_end=True, with save_steps equal to eval_steps.",
            f"Raise save_total_limit, if the checkpoint of step {step:,} was deleted.",
        ),
    )
