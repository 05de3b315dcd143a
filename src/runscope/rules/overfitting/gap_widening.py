"""The held-out loss lies far above the training loss, or further and further.

*What it sees.* Both losses at the evaluations. The gap is wide when the training loss ends below half the held-out
loss and did not lie so far below it from the first evaluation on (that is LOS008's). It widens when the held-out loss
has stood still for three tenths of the run, within what cannot be told from its lowest value, while the training loss,
below it, fell by more than its noise and by a fifth of the held-out loss.

*Why it matters.* A gap is what the model knows only of its training examples. By itself it harms nobody; a
gap that widens while the held-out loss stands still says that further training only memorises. It is no
warning: what harms is a held-out loss that rises, and OVF001 says so.

*Example.* Training 0.9 and held-out 1.45 at epoch 2; training 0.3 and held-out 1.46 at epoch 5.

*What to try.* Stop where the held-out loss stopped falling; more or more varied data, dropout, weight decay.

*Reference.* Goodfellow, Bengio & Courville 2016, «Deep Learning», 5.2: the generalisation gap.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.context import coarse
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.overfitting.comparable import off_from_the_start
from runscope.rules.overfitting.eval_loss_rising import measure
from runscope.stats.curves import heavy_noise, smooth

CODE = "OVF002"
NAME = "gap-widening"
WIDE = 0.5
"""Half of the held-out loss is known only of the training examples."""
GROWN = 0.2
LEARNED = 0.05
"""A held-out loss under a twentieth of its highest value is learned: that the other is smaller still tells nothing."""
IDLE = 0.3
"""Share of the run that the held-out loss has to stand still for."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the gap is wide or has widened."""
    seen, steps = measure(view)
    loss = coarse(view, "train_loss", points=8)
    curve = coarse(view, "eval_loss", points=5)
    held = float(np.median(curve.value[-3:]))
    last = float(np.median(loss.value[-max(1, len(loss) // 10) :]))
    if held <= 0 or last < 0:
        raise CouldNotLook("a loss at or below zero has no gap in shares")
    if last >= held or off_from_the_start(view) is not None or held < LEARNED * float(np.max(curve.value)):
        return
    level = smooth(loss.value, 0.02 * len(loss))

    def train_at(step: int) -> float:
        return float(level[min(int(np.searchsorted(loss.step, step)), len(level) - 1)])

    since = int(steps[seen.turn.as_good[0]])
    share, grown = (held - last) / held, (train_at(since) - last) / held
    noise = heavy_noise(loss.value) / max(1.0, len(loss) / 10) ** 0.5 / held
    idle = (int(steps[-1]) - since) / max(int(steps[-1]) - view.timeline.first_step, 1)
    widens = grown >= max(GROWN, 3 * noise) and idle >= IDLE
    if share < WIDE and not widens:
        return
    how = f"the training loss has fallen to {last:.3g}, the held-out loss is {held:.3g}"
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=round(float(np.clip(0.5 + 0.5 * share, 0.5, 0.95)), 3) if widens else 0.7,
        first_step=since if widens else None,
        last_step=int(steps[-1]),
        message=f"The gap widens: since step {since:,} {how}." if widens else f"The gap is wide: {how}.",
        evidence={
            "gap": round(held - last, 6),
            "gap_share": round(share, 3),
            "grown_share": round(grown, 3),
            "held_out": round(held, 6),
            "train": round(last, 6),
        },
        fix=("More or more varied data, dropout or weight decay narrow it.",),
    )
