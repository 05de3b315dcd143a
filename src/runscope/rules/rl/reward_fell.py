"""The reward fell after its best.

*What it sees.* In reinforcement learning, the level of the logged reward at the end lies below its highest level by
more than its noise and by more than a tenth of all that it had gained. A reward that was measured apart
(``eval/mean_reward``, ``eval_reward``) goes before that of the training; where it fell while the training's own went
on rising, the policy learned to please the reward function and not to do the task, and that is said.

*Why it matters.* The reward is what such a training is about; a policy that collapsed is worse than one that was
there before. The best checkpoint is the one at the top, not the last.

*Example.* Mean episode reward from 20 to 190 by step 400,000, then down to 60.

*What to try.* Keep the checkpoint at the top. A lower learning rate, a stronger KL penalty, a smaller clip range,
larger batches.

*Reference.* Schulman et al. 2017 (PPO, arXiv 1707.06347); Gao et al. 2023 (arXiv 2210.10760) on over-optimisation.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.history.metrics import held_out
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.overfitting.eval_loss_rising import when
from runscope.rules.rl.rewards import gained, reward_curve, training_reward
from runscope.stats.overfitting.turn import turn

CODE = "RWD003"
NAME = "reward-fell"
OF_GAIN, LUCKS = 0.1, 2.0


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the reward ends clearly below its best level."""
    reward = reward_curve(view)
    if reward is None or len(reward) < 12:
        raise CouldNotLook("no reward was logged, or too few points of it")
    seen = turn(-reward.value, logs=False)
    rose = float(np.max(reward.value) - np.median(reward.value[: max(1, len(reward) // 10)]))
    lost = seen.rise * seen.unit
    if lost < OF_GAIN * max(rose, 1e-12) or seen.z < LUCKS or seen.believed * seen.unit < OF_GAIN * rose:
        return
    best, end = int(reward.step[seen.best]), -seen.last
    own = training_reward(view)
    pleased = held_out(reward.name) and own is not None and gained(own, best)
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning" if lost > 0.5 * rose or pleased else "info",
        probability=0.85,
        first_step=int(reward.step[seen.onset]),
        last_step=int(reward.step[-1]),
        message=(
            f"{reward.name} was highest at {when(view, best)} ({float(reward.value[seen.best]):.4g}) and ended at "
            f"{end:.4g}: "
            + (
                f"the policy got worse, while {own.name}, the training's own reward, went on rising."
                if pleased and own is not None
                else "the policy got worse."
            )
        ),
        evidence={"best_step": best, "best": float(reward.value[seen.best]), "last": end},
        fix=(
            f"Keep the checkpoint nearest {when(view, best)}.",
            "Next time a lower learning rate, a stronger KL penalty, or larger batches.",
        ),
    )
