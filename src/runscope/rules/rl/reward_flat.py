"""The reward never rose.

*What it sees.* In reinforcement learning, over thirty or more logged values, the reward of the last third is no higher
than that of the first tenth, within its noise, and was never clearly higher in between (that it fell again is
RWD003's). A run that continues another, and one whose answers all get the same reward (RWD002), are left alone.

*Why it matters.* Nothing was learned of the task, whatever the other curves look like.

*Example.* ``rollout/ep_rew_mean`` −200 at the first update and −200 after a million steps.

*What to try.* Look whether the reward is ever reached by chance: if not, an easier task first, a reward on the way
(shaping), or more exploration. Then the learning rate and the size of the batch.

*Reference.* Ng, Harada & Russell 1999, on shaping; Henderson et al. 2018 (arXiv 1709.06560) on results that are noise.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.context import continued
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.rl.rewards import at_first, at_last, reward_curve, rose
from runscope.stats.curves import noise, smooth

CODE = "RWD011"
NAME = "reward-flat"
FEWEST = 30
NOTHING = 1e-9
SURELY = 3.0
"""Noises of a mean: what two stretches of a flat reward differ by once in a few hundred."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the reward ends where it began."""
    reward = reward_curve(view)
    if reward is None or len(reward) < FEWEST:
        raise CouldNotLook(f"no reward was logged, or fewer than {FEWEST} values of it")
    if continued(view):
        raise CouldNotLook(
            "the run continues a training that is not given, whose reward may have risen before"
        )
    tenth = max(3, len(reward) // 10)
    begun, end = at_first(reward), at_last(reward)
    error = SURELY * noise(reward.value) / np.sqrt(tenth)
    highest = float(np.max(smooth(reward.value, 0.05 * len(reward))))
    if (
        rose(reward)
        or end - begun > error
        or highest - begun > 2 * error + NOTHING * abs(begun)
        or end < begun - error
    ):
        return
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning",
        probability=0.75,
        first_step=int(reward.step[0]),
        last_step=int(reward.step[-1]),
        message=(
            f"{reward.name} never rose: {begun:.4g} at the start, {end:.4g} in the last third. Nothing was learned of "
            "the task."
        ),
        evidence={"begun": begun, "end": end, "values": len(reward)},
        fix=(
            "Look whether the reward is ever reached by chance: if not, an easier task, a reward on the way, or more "
            "exploration.",
            "Next time another learning rate, or larger batches.",
        ),
    )
