"""Spikes of the training loss.

*What it sees.* Points that stand more than eight times the noise, and more than half the loss's own
level, above the running median of their neighbours. Points at the join of two runs do not count.

*Why it matters.* Single spikes heal. Periodic ones point to a bad shard or batch that returns; many of them
are the forerunners of a divergence.

*Example.* A loss of 1.8 that reads 5.1 at step 2,410 and 1.9 at step 2,450.

*What to try.* For isolated ones nothing, if the loss returns. For periodic ones look at the data that
returns with that period. With many: lower the learning rate, clip gradients.

*Reference.* Chowdhery et al. 2022 (PaLM), section 5.1.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.ndimage import median_filter

from runscope.rules.finding import Finding, View
from runscope.stats.curves import noise

CODE = "LOS003"
NAME = "loss-spikes"
NOISES, SHARE, MANY = 8.0, 0.5, 0.02


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where spikes stand out; a warning where they are many."""
    loss = view.need("train_loss", points=20)
    level = median_filter(loss.value, min(15, len(loss) | 1), mode="nearest")
    above = loss.value - level
    spikes = (above > NOISES * max(noise(loss.value), 1e-12)) & (above > SHARE * np.abs(level))
    for segment in view.timeline.line[1:]:
        spikes &= np.abs(loss.step - segment.first_step) > 0
    spikes[:2] = False
    where = np.flatnonzero(spikes)
    if not len(where):
        return
    worst = int(where[np.argmax(above[where])])
    many = len(where) >= 5 and len(where) > MANY * len(loss)
    kind = _kind(loss.step[where], view.timeline.epoch_at(loss.step[where]))
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning" if many else "info",
        probability=0.9 if many else 0.8,
        first_step=int(loss.step[where[0]]),
        last_step=int(loss.step[where[-1]]),
        message=(
            f"{len(where)} spike{'s' if len(where) > 1 else ''} of the training loss, the highest at step "
            f"{loss.step[worst]:,} ({loss.value[worst]:.3g} over {level[worst]:.3g}); {kind}."
        ),
        evidence={"spikes": len(where), "worst_step": int(loss.step[worst]), "kind": kind},
        fix=(
            "Lower the learning rate or clip gradients (max_grad_norm).",
            "Look at the batches of these steps.",
        )
        if many
        else (),
    )


def _kind(steps: np.ndarray, epochs: np.ndarray) -> str:
    if len(steps) < 3:
        return "isolated"
    gaps = np.diff(steps)
    if np.isfinite(epochs).all():
        near = np.abs(epochs - np.rint(epochs)) < 0.03
        if near.mean() > 0.7:
            return "at the ends of epochs: a short last batch or the order of the data"
    if np.std(gaps) < 0.1 * np.mean(gaps):
        return f"every {int(np.median(gaps)):,} steps: something in the data returns"
    return "isolated"
