"""This is reinforcement learning: other rules apply.

*What it sees.* Metrics that only reinforcement learning has: rewards, advantages, clip ratios, policy losses.
(Rewards of *chosen* and *rejected* answers are preference tuning, DPO, which is not meant.)

*Why it matters.* The loss of PPO or GRPO hovers around zero and does not measure progress; a rise or a flat line of
it means nothing. The reward and the KL divergence do. Rules about the training loss stay silent.

*Example.* GRPO: ``loss`` 0.0003, ``reward`` from 0.2 to 1.4.

*What to try.* Read the reward, its spread, and the KL divergence; evaluate checkpoints on held-out tasks.

*Reference.* Shao et al. 2024 (GRPO, arXiv 2402.03300): with one update a batch the loss is
zero in value, not in gradient.
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.rules.context import reinforcement_names
from runscope.rules.finding import Finding, View

CODE = "LOG007"
NAME = "reinforcement-learning"


def look(view: View) -> Iterable[Finding]:
    """Yield one informative finding for reinforcement learning."""
    names = reinforcement_names(view)
    if not names:
        return
    shown = ", ".join(names[:4])
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=0.9,
        message=(
            f"This is reinforcement learning ({shown} are logged): its loss does not measure progress, so the "
            "rules about the loss stay silent. Look at the reward and the KL divergence."
        ),
        evidence={"metrics": list(names[:20])},
    )
