"""The chosen answers became much less likely.

*What it sees.* In preference tuning the reward of the chosen answers, which is ``beta`` times what their likelihood
gained over the reference, ends under −5, while the margin grows: both kinds of answers are pushed down, the rejected
ones further.

*Why it matters.* The probability that is taken from both goes to answers that nobody compared. Such models score well
on pairs and write worse: repetitions, other languages, refusals.

*Example.* ``rewards/chosen`` 0 to −9, ``rewards/rejected`` 0 to −16; margin 7, accuracy 0.98.

*What to try.* Fewer steps or a lower learning rate; a larger ``beta``; a term that keeps the chosen answers likely
(``rpo_alpha=1``, or SFT on them beside); pairs whose answers differ in more than a few words.

*Reference.* Razin et al. 2024 (likelihood displacement, arXiv 2410.08847); Pal et al. 2024 (arXiv 2402.13228).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.context import preference_margins
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.rl.rewards import at_last, need_named

CODE = "RWD010"
NAME = "chosen-less-likely"
CHOSEN = ("rewards_chosen", "train_rewards_chosen")
DOWN = -5.0
"""With the usual ``beta`` of 0.1 an answer is then e⁵⁰ times less likely than to the reference; usual are −2 to 1."""
FEWEST = 10


def look(view: View) -> Iterable[Finding]:
    """Yield one informative finding where chosen answers were pushed far down."""
    margins = preference_margins(view)
    if margins is None:
        raise CouldNotLook("no margins of preference tuning were logged")
    chosen = need_named(view, CHOSEN, "reward of the chosen answers", FEWEST)
    end, margin = at_last(chosen), at_last(margins.finite)
    if end > DOWN or margin <= 0:
        return
    step = int(chosen.step[int(np.argmax(chosen.value < DOWN / 2))])
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=0.8,
        first_step=step,
        last_step=int(chosen.step[-1]),
        message=(
            f"The chosen answers became much less likely too: their reward is {end:.3g} in the last third, with a "
            f"margin of {margin:.3g} over the rejected ones. What the model writes instead was never compared."
        ),
        evidence={"chosen": end, "margin": margin},
        fix=(
            "Read answers of the last checkpoint beside an earlier one.",
            "Next time fewer steps, a lower learning rate, or a term that keeps chosen answers likely (rpo_alpha=1).",
        ),
    )
