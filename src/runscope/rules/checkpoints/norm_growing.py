"""The norm of the weights keeps growing.

*What it sees.* The Euclidean norm of the weights (of the adapter, for LoRA) of five or more checkpoints: in the second
half it grows with every checkpoint, at no slower pace than in the first half, and by half or more.

*Why it matters.* A norm that settles is a model that settles. One that grows at the same pace to the end is driven by
a rate that is too high, or by examples that are fitted ever more exactly; such adapters overfit and merge badly.

*Example.* 4.1, 6.0, 7.9, 9.8, 11.9 at steps 200 to 1,000.

*What to try.* A lower learning rate or a schedule that decays, weight decay (0.01 to 0.1), fewer epochs.

*Reference.* Soudry et al. 2018: on data that is fitted exactly the norm grows without end; Merrill et al. 2021.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.checkpoints.weights import NORM, with_fact
from runscope.rules.finding import CouldNotLook, Finding, View

CODE = "CKP006"
NAME = "norm-growing"
ENOUGH = 5
GROWTH = 1.5


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the norm grew to the end."""
    known = [c for c in with_fact(view, NORM, count=ENOUGH) if c.step is not None]
    norm = np.array([c.extra[NORM] for c in known])
    steps = np.array([c.step for c in known], dtype=np.float64)
    if len(known) < ENOUGH or not np.isfinite(norm).all() or not (np.diff(steps) > 0).all():
        raise CouldNotLook(f"fewer than {ENOUGH} checkpoints with a known step and a finite norm")
    half = len(norm) // 2
    if norm[half] <= 0 or norm[0] <= 0 or not (np.diff(norm[half:]) > 0).all():
        return
    early = (norm[half] - norm[0]) / (steps[half] - steps[0])
    late = (norm[-1] - norm[half]) / (steps[-1] - steps[half])
    if late < early or norm[-1] < GROWTH * norm[half]:
        return
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=0.7,
        first_step=int(steps[half]),
        last_step=int(steps[-1]),
        message=(
            f"The norm of the weights grew from {norm[half]:.3g} (step {int(steps[half]):,}) to {norm[-1]:.3g} and did "
            "not slow down: the training had not settled."
        ),
        evidence={"norm": norm.tolist()[:100], "steps": steps.astype(int).tolist()[:100]},
        fix=("Lower the learning rate or let it decay; add weight decay; train fewer epochs.",),
    )
