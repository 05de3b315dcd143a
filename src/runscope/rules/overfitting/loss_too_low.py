"""The training loss is too low to believe.

*What it sees.* A training loss that ends below 0.05, was ordinary at first, and went over the data more than
once, while no held-out loss says that the task is that easy.

*Why it matters.* Natural text and most labels are not that predictable: 0.05 nats is 95% certainty on every
token. What makes it possible is that the examples are known by heart, or that the answer stands in the input.

*Example.* A fine-tuning on 2,000 examples whose loss is 0.01 in its fifth epoch.

*What to try.* Evaluate the checkpoints on held-out examples; look for the answer inside the prompt; look for
duplicates; check which tokens are masked.

It is no warning by itself, because an easy task looks the same; the verdict weighs it.

*Reference.* Shannon 1951, «Prediction and entropy of printed English»; Carlini et al. 2022 (arXiv 2202.07646)
on memorised sequences.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from runscope.rules.context import coarse, loss_tells, preference_margins
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.overfitting.passes import passes
from runscope.stats.overfitting.overfit import train_only

CODE = "OVF004"
NAME = "loss-too-low"
BELOW = 0.05
ORDINARY = (0.2, 20.0)
"""Where a cross-entropy begins: two classes are 0.7 nats, a vocabulary of 250,000 is 12.4."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the loss is that low and nothing held out explains it."""
    loss_tells(view)
    loss = coarse(view, "train_loss", points=12)
    edge = max(3, len(loss) // 20)
    first, last = float(np.median(loss.value[:edge])), float(np.median(loss.value[-edge:]))
    if not ORDINARY[0] <= first <= ORDINARY[1]:
        raise CouldNotLook(f"a loss that begins at {first:.3g} is not known to be in nats")
    if last >= BELOW or last <= 0:
        return
    held_out = view.get("eval_loss")
    if held_out is not None and len(held_out.finite):
        return  # the held-out curve decides, see OVF001 and OVF002
    epochs = passes(view, loss.step)
    if epochs <= 1.05:
        return
    if preference_margins(view) is not None:
        raise CouldNotLook("the loss of preference tuning goes to 0 with its margins")
    low = loss.step[loss.value < BELOW]
    seen = train_only(loss.value, epochs)
    lowest = float(np.min(loss.value[loss.value > 0]))  # a loss of exactly 0 was rounded when logged
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=round(seen.probability, 3),
        first_step=int(low[0]) if len(low) else None,
        last_step=int(loss.step[-1]),
        message=(
            f"The training loss ends at about {last:.2g} (lowest {lowest:.2g}): so low on natural data means a very "
            "easy task, or examples known by heart."
        ),
        evidence={
            "first": round(first, 6),
            "last": round(last, 9),
            "lowest": lowest,
            "epochs": round(epochs, 2) if math.isfinite(epochs) else None,
        },
        fix=(
            "Evaluate the checkpoints on examples that were not trained on.",
            "Check that the answer does not stand in the input, and that the right tokens are masked.",
        ),
    )
