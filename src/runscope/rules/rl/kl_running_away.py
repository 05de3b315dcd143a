"""The policy runs away from its reference.

*What it sees.* The KL divergence to the reference model: over the last third it lies above what any recipe aims at,
half a nat per token (GRPO's ``kl``) or 50 nats per answer (PPO's ``objective/kl``), and ten times as high as before
it grew, or at four times that wherever it began, or at twice what it began with beside a reward that never rose. For
answers of a few tokens the bound is 20 nats per answer. A warning at four times that, or where the reward gained
nothing meanwhile.

*Why it matters.* The reward model was made for answers like the reference's. Far from them its scores mean less and
less, and the text falls apart while the score still rises. In scaling studies the true reward turns down between 10
and 100 nats per answer.

*Example.* ``kl`` 0.02 for 400 steps, 0.3 at step 600, 5 at step 800; reward unchanged since step 500.

*What to try.* A larger ``beta`` (or KL coefficient), a lower learning rate, fewer steps; read answers of a checkpoint
from before the climb.

*Reference.* Gao et al. 2023 (arXiv 2210.10760), figure 1; Ouyang et al. 2022 (InstructGPT, arXiv 2203.02155).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.finding import Finding, View
from runscope.rules.rl.answers_cut import LENGTH
from runscope.rules.rl.rewards import at_first, at_last, gained, named, need_named, reward_curve, rose

CODE = "RWD004"
NAME = "kl-running-away"
TOKEN = ("kl", "train_kl", "actor_kl_loss")
ANSWER = ("objective_kl", "train_objective_kl", "critic_kl", "mean_kl", "kl_mean")
PER_TOKEN, PER_ANSWER = 0.5, 50.0
"""Nats: recipes stay under 0.2 a token with GRPO's usual ``beta``, and at 5 to 20 an answer with PPO's controllers."""
SHORT = 20.0
"""Nats of a whole answer: what PPO's controllers aim at. One token that is always right is ln(words) away."""
TIMES, FAR, TWICE = 10.0, 4.0, 2.0
FEWEST = 20


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the divergence climbed by an order of magnitude to where no recipe wants it."""
    kl = need_named(view, (*TOKEN, *ANSWER), "KL divergence to the reference", FEWEST)
    per_token = kl.name.lower().split("/")[-1] == "kl" and "objective" not in kl.name
    much = _bound(view) if per_token else PER_ANSWER
    score = reward_curve(view)
    end = at_last(kl)
    middle = float(np.median(kl.value[len(kl) // 6 : len(kl) // 2]))
    climbed = end >= TIMES * max(middle, 0.0)
    grew = end >= TWICE * max(at_first(kl), 0.0)
    idle_all_along = grew and score is not None and not rose(score)
    if end < much or not (climbed or end >= FAR * much or idle_all_along):
        return
    step = int(kl.step[int(np.argmax(kl.value > (TIMES * max(middle, 0.0) if climbed else much)))])
    idle = idle_all_along or not gained(score, step)
    unit = "nats per token" if per_token else "nats per answer"
    was = f"was {middle:.2g} and " if climbed else ""
    reward = ", and the reward gained nothing by it" if idle and score is not None else ""
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning" if idle or end > FAR * much else "info",
        probability=0.85,
        first_step=step,
        last_step=int(kl.step[-1]),
        message=(
            f"The policy runs away from its reference: {kl.name} {was}is {end:.3g} {unit} in the last third{reward}."
        ),
        evidence={"middle": middle, "end": end, "much": much},
        fix=(
            f"Keep a checkpoint from before step {step:,}, and read answers of it beside later ones.",
            "Next time a larger beta (KL coefficient), or a lower learning rate.",
        ),
    )


def _bound(view: View) -> float:
    """Nats per token that are much: more for short answers, which have to leave the reference further to be right."""
    length = named(view, LENGTH)
    if length is None or not len(length):
        return PER_TOKEN
    return max(PER_TOKEN, SHORT / max(float(np.median(length.value)), 1.0))
