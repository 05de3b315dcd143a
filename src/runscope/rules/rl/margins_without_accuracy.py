"""The margins grow, but not more pairs are told right.

*What it sees.* In preference tuning (DPO and its kin) the margin between chosen and rejected answers is at the end at
least three times what it began with and above 0.5, or above 2, while the share of pairs that are told right stays
within three points of where it was and under two thirds.

*Why it matters.* The loss falls by pushing a few pairs ever further apart; most are no better ordered than before.
Such pairs are often longer, or labelled by something that the model can read off without reading the answer.

*Example.* ``rewards/margins`` 0.1 to 4.2, ``rewards/accuracies`` 0.56 to 0.57.

*What to try.* Look at the pairs with the largest margins: duplicates, wrong labels, differences of length; a smaller
learning rate or a larger ``beta``; a loss that bounds the margin (IPO, ``loss_type="ipo"``).

*Reference.* Rafailov et al. 2023 (arXiv 2305.18290); Azar et al. 2023 (IPO, arXiv 2310.12036); Chen et al. 2024,
«Preference learning algorithms do not learn preference rankings» (arXiv 2405.19534).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.context import preference_margins
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.rl.rewards import at_last, need_named, tail

CODE = "RWD009"
NAME = "margins-without-accuracy"
RIGHT = ("rewards_accuracies", "train_rewards_accuracies")
TIMES, MARGIN, FAR, POINTS, MOST = 3.0, 0.5, 2.0, 0.03, 2 / 3
FEWEST = 15


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where margins grew and accuracy did not."""
    margins = preference_margins(view)
    if margins is None or len(margins.finite) < FEWEST:
        raise CouldNotLook("no margins of preference tuning were logged, or too few")
    margins, right = margins.finite, need_named(view, RIGHT, "accuracy on the pairs", FEWEST)
    first, last = float(margins.value[0]), at_last(margins)
    early, ended = float(np.mean(right.value[1 : max(4, len(right) // 5)])), float(np.mean(tail(right).value))
    grew = last >= MARGIN and (last >= TIMES * abs(first) or last >= FAR)
    if not grew or ended > MOST or ended - early > POINTS:
        return
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning",
        probability=0.75,
        first_step=int(margins.step[0]),
        last_step=int(margins.step[-1]),
        message=(
            f"The margins grew from {first:.2g} to {last:.2g}, but no more pairs are told right: {100 * early:.0f}% at "
            f"first, {100 * ended:.0f}% in the last third. A few pairs are pushed ever further apart."
        ),
        evidence={
            "first_margin": first,
            "last_margin": last,
            "first_accuracy": early,
            "last_accuracy": ended,
        },
        fix=(
            "Look at the pairs with the largest margins: wrong labels, duplicates, a difference of length.",
            "Next time a larger beta, a lower learning rate, or a loss that bounds the margin (loss_type='ipo').",
        ),
    )
