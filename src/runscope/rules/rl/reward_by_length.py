"""The reward grows as the answers grow longer.

*What it sees.* The mean length of the answers at least doubled, and step by step the reward goes with it: their rank
correlation is above 0.8 over the run, and above 0.3 between the differences of neighbouring steps as well.

*Why it matters.* Reward models prefer long answers. A policy that found this out says more, not better; a measure
that does not count length shows it. Where answers reason step by step the same picture may be wanted: look at
answers.

*Example.* Mean length 180 to 620 tokens, reward 0.4 to 2.1, and both fall together in the same steps.

*What to try.* Judge checkpoints by a measure of equal length (a length-controlled win rate, exact results); a penalty
for length; a reward model trained on pairs of like length.

*Reference.* Singhal et al. 2023 (arXiv 2310.03716); Dubois et al. 2024 (arXiv 2404.04475).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.rl.answers_cut import LENGTH
from runscope.rules.rl.rewards import at_first, at_last, need_named, training_reward
from runscope.stats.trend import rank_correlation

CODE = "RWD008"
NAME = "reward-by-length"
TIMES, TOGETHER, IN_STEP = 2.0, 0.8, 0.3
FEWEST = 30


def look(view: View) -> Iterable[Finding]:
    """Yield one informative finding where reward and length rise and fall together."""
    length = need_named(view, LENGTH, "length of the answers", FEWEST)
    reward = training_reward(view)
    if reward is None or len(reward) < FEWEST:
        raise CouldNotLook("no reward was logged, or too few values of it")
    common, a, b = np.intersect1d(length.step, reward.step, return_indices=True)
    if len(common) < FEWEST:
        raise CouldNotLook("reward and length were not logged at the same steps")
    long, score = length.value[a], reward.value[b]
    begun, end = at_first(length), at_last(length)
    if begun <= 0 or end < TIMES * begun or np.ptp(score) == 0:
        return
    whole = rank_correlation(long, score)
    steps = rank_correlation(np.diff(long), np.diff(score))
    if not (whole > TOGETHER and steps > IN_STEP):
        return
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=0.6,
        first_step=int(common[0]),
        last_step=int(common[-1]),
        message=(
            f"The reward goes with the length of the answers: they grew from {begun:.0f} to {end:.0f} tokens, and "
            f"{reward.name} rises and falls with them (rank correlation {whole:.2f}). Longer need not be better."
        ),
        evidence={
            "begun": begun,
            "end": end,
            "correlation": round(whole, 3),
            "of_differences": round(steps, 3),
        },
        fix=(
            "Judge checkpoints by a measure that does not count length, and read answers of an early and a late one.",
        ),
    )
