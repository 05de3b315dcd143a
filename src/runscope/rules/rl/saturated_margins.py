"""The margins of preference tuning are saturated: nothing is left to learn from these pairs.

*What it sees.* The loss of DPO and its kin is at zero, or under 0.01, for a fifth of the run or more, while the
margin between the rewards of chosen and rejected answers is above 5 and nearly every pair is told right.

*Why it matters.* A margin of 5 means odds of 150 to 1 for the chosen answer. The policy has moved far from the
reference to get there, and the likelihood of the chosen answers often falls with it. Either the learning rate is too
high, or the pairs are so easy that a few steps tell them apart; in both cases the later steps teach nothing.

*Example.* Loss 0.69 at the start and 0.0000 from step 36; margin 73, accuracy 1.0.

*What to try.* A rate ten times lower (5e-7 to 5e-6 for full models, 1e-5 for adapters), a larger ``beta``, fewer
steps; harder pairs; look at whether ``logps/chosen`` fell; keep an early checkpoint.

*Reference.* Rafailov et al. 2023 (arXiv 2305.18290); Pal et al. 2024 (arXiv 2402.13228) on falling likelihoods.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.context import preference_margins
from runscope.rules.finding import CouldNotLook, Finding, View

CODE = "RWD001"
NAME = "margins-saturated"
MARGIN, LOW, SHARE = 5.0, 0.01, 0.2
"""A margin of 5 leaves a pair less than 1% of its gradient (the sigmoid of −5), and a loss of 0.007."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the loss is gone because the margins are huge."""
    margins = preference_margins(view)
    if margins is None:
        raise CouldNotLook("no margins of preference tuning were logged")
    loss = view.need("train_loss", points=5)
    margins = margins.finite
    if len(margins) < 5:
        raise CouldNotLook(f"{len(margins)} margins, 5 are needed")
    gone = loss.value < LOW
    wide = float(np.median(margins.value[-max(3, len(margins) // 5) :]))
    if float(np.mean(gone)) < SHARE or wide < MARGIN:
        return
    step = int(loss.step[int(np.argmax(gone))])
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning",
        probability=0.9,
        first_step=step,
        last_step=int(loss.step[-1]),
        message=(
            f"The preference loss is gone from about step {step:,}: the margin between chosen and rejected answers has "
            f"grown to {wide:.3g}. The learning rate is too high, or the pairs are too easy; later steps teach nothing."
        ),
        evidence={
            "margin": wide,
            "share_of_run": round(float(np.mean(gone)), 3),
            "lowest": float(loss.value.min()),
        },
        fix=(
            f"Keep a checkpoint near step {step:,}, and look at answers that it writes.",
            "Next time a learning rate ten times lower, a larger beta, or harder pairs.",
        ),
    )
