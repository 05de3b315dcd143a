"""The rewards of a group do not differ: there is nothing to learn from.

*What it sees.* In group-relative policy gradients (GRPO and its kin) the spread of the rewards within a group is
zero, or the share of groups without a spread is above 0.9, for more than half of the logged steps. Where the reward had
risen before, it is information: the task is learned, or the policy tries nothing else any more (RWD006).

*Why it matters.* The advantage of an answer is its reward minus that of its group. Where all answers of a group get
the same reward every advantage is zero, and so are loss and gradient: such steps cost what others cost and change
nothing.

*Example.* ``reward`` 3.0, ``reward_std`` 0.0, ``grad_norm`` 0.0 from the first step on.

*What to try.* Look at the rewards of single answers: is the reward function constant, or does it fail for all? Harder
or easier prompts, more generations per prompt, a higher temperature, a reward with partial credit.

*Reference.* Shao et al. 2024 (GRPO, arXiv 2402.03300); Yu et al. 2025 (DAPO, arXiv 2503.14476) on dynamic sampling.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.history import Series
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.rl.rewards import at_last, named, rose

CODE = "RWD002"
NAME = "no-variance-of-reward"
MOST, HALF = 0.9, 0.5


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where most steps had no spread of rewards."""
    idle = _idle(view)
    if idle is None:
        raise CouldNotLook("no spread of rewards was logged")
    share = float(np.mean(idle.value))
    if len(idle) < 3 or share <= HALF:
        return
    reward = named(view, ("reward", "train_reward"))
    level = f" (reward {at_last(reward):.3g})" if reward is not None and len(reward) else ""
    steps = idle.step[idle.value > 0]
    all_along = "all of the" if share == 1 else f"{100 * share:.0f}% of the"
    done = rose(reward)
    means = (
        ". The reward had risen before: these prompts teach nothing more"
        if done
        else ", and nothing is learned"
    )
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info" if done else "critical" if share > MOST else "warning",
        probability=0.95,
        first_step=int(steps[0]),
        last_step=int(steps[-1]),
        message=(
            f"In {all_along} logged steps the answers of a group all get the same reward{level}: without variance "
            f"there is no gradient{means}."
        ),
        evidence={"share_of_steps": round(share, 3), "steps": len(idle)},
        fix=("Stop here, or go on with harder prompts: these have nothing left to teach.",)
        if done
        else (
            "Look at the rewards of single answers: a constant or always failing reward function is the usual cause.",
            "Otherwise prompts of middling difficulty, more generations per prompt, or a reward with partial credit.",
        ),
    )


def _idle(view: View) -> Series | None:
    """1 at logged steps without a spread of rewards, else 0."""
    share = named(view, ("frac_reward_zero_std", "train_frac_reward_zero_std"))
    if share is not None:
        return Series.of("idle", share.step, (share.value > MOST).astype(np.float64))
    spread = named(view, ("reward_std", "train_reward_std"))
    return (
        None
        if spread is None
        else Series.of("idle", spread.step, (np.abs(spread.value) < 1e-8).astype(np.float64))
    )
