"""The policy became deterministic before it had learned.

*What it sees.* The entropy of the policy fell under a tenth of what it began with in the first two thirds of the run,
and from there on the reward gained nothing. Where the reward had hardly risen until then it is a warning, else
information: a policy that has solved its task may be sure of itself.

*Why it matters.* Without entropy nothing new is tried: all answers of a group are alike, advantages vanish, and the
reward stays where it is. In language models the reward that can still be gained is a function of the entropy that is
left.

*Example.* Entropy 1.2 at the start, 0.05 from step 300 on; the reward stands at 0.31 until step 2,000.

*What to try.* An entropy bonus, a higher sampling temperature, a higher upper clip (``epsilon_high=0.28``), a lower
learning rate, harder or more varied prompts.

*Reference.* Cui et al. 2025 (arXiv 2505.22617); Yu et al. 2025 (DAPO, arXiv 2503.14476).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.history import Series
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.rl.rewards import gained_after, need_named, reward_curve, rose
from runscope.stats.curves import smooth

CODE = "RWD006"
NAME = "entropy-collapse"
ENTROPY = (
    "entropy",
    "train_entropy",
    "policy_entropy_avg",
    "objective_entropy",
    "losses_entropy",
    "actor_entropy",
)
NEGATED = ("train_entropy_loss", "entropy_loss", "actor_entropy_loss")
LEFT, BY = 0.1, 2 / 3
FEWEST = 20


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the entropy was gone and the reward rose no more."""
    entropy = _entropy(view)
    reward = reward_curve(view)
    if reward is None or len(reward) < FEWEST:
        raise CouldNotLook("no reward was logged beside the entropy, or too few values of it")
    level = smooth(entropy.value, 0.01 * len(entropy))
    at_first = float(np.max(entropy.value[:3]))
    if at_first <= 0:  # the differential entropy of a continuous policy has no zero to collapse to
        return
    above = np.flatnonzero(level > LEFT * at_first)
    first = int(above[-1]) + 1
    if first >= BY * len(level):
        return
    step = int(entropy.step[first])
    if gained_after(reward, step):
        return
    there = float(np.median(reward.between(step, None).value))
    hardly = not rose(reward)
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning" if hardly else "info",
        probability=0.8 if hardly else 0.6,
        first_step=step,
        last_step=int(entropy.step[-1]),
        message=(
            f"The policy has been all but deterministic since step {step:,}: its entropy fell from {at_first:.3g} to "
            f"{float(np.median(level[first:])):.2g}, and {reward.name} has stood at {there:.3g} since."
        ),
        evidence={"begun": at_first, "end": float(level[-1]), "reward": there},
        fix=(
            "Next time more entropy: a bonus for it, a higher temperature or upper clip, or a lower learning rate.",
            "If the reward is as high as it can be the training is done, and later steps were not needed.",
        ),
    )


def _entropy(view: View) -> Series:
    try:
        return need_named(view, ENTROPY, "entropy of the policy", FEWEST)
    except CouldNotLook:
        negated = need_named(view, NEGATED, "entropy of the policy", FEWEST)
        return Series.of(negated.name, negated.step, -negated.value)
