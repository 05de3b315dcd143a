"""The updates of the policy are too large.

*What it sees.* PPO and its kin clip a ratio of probabilities. Over the last third of the updates more than 40% of the
samples are clipped, or the policy moves by more than 0.1 nats in one update. A warning where the reward fell or stood
still meanwhile.

*Why it matters.* What is clipped gives no gradient, and beyond the clip the estimate of the advantage no longer
belongs to the policy that is updated: the reward stalls or collapses. Usual are 5 to 30% and 0.01 to 0.03 nats.

*Example.* ``train/clip_fraction`` 0.55 and ``train/approx_kl`` 0.2; the mean reward falls from 180 to 40.

*What to try.* A lower learning rate, fewer epochs over the same batch, larger batches, ``target_kl=0.03``.

*Reference.* Schulman et al. 2017 (arXiv 1707.06347); Huang et al. 2022, «The 37 implementation details of PPO».
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.history import Series
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.rl.rewards import at_last, gained, named, reward_curve, tail

CODE = "RWD005"
NAME = "updates-too-large"
CLIPPED = (
    "train_clip_fraction", "clip_fraction", "policy_clipfrac_avg", "clipfrac", "losses_clipfrac", "actor_pg_clipfrac",
    "clip_ratio_region_mean", "train_clip_ratio_region_mean", "clip_ratio",
)  # fmt: skip
MOVED = ("train_approx_kl", "approx_kl", "policy_approxkl_avg", "losses_approx_kl", "actor_ppo_kl")
SHARE, NATS = 0.4, 0.1
FEWEST = 12


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where most of the last updates went too far."""
    clipped, moved = _long(named(view, CLIPPED)), _long(named(view, MOVED))
    if clipped is None and moved is None:
        raise CouldNotLook("neither a clip fraction nor the divergence of an update was logged")
    share = at_last(clipped) if clipped is not None else 0.0
    nats = at_last(moved) if moved is not None else 0.0
    if share <= SHARE and nats <= NATS:
        return
    curve = clipped if clipped is not None and share > SHARE else moved
    assert curve is not None
    step = int(tail(curve).step[0])
    said = [f"{100 * share:.0f}% of the samples are clipped"] if share > SHARE else []
    said += [f"the policy moves by {nats:.2g} nats in one update"] if nats > NATS else []
    reward = reward_curve(view)
    idle = reward is not None and not gained(reward, step)
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning" if idle else "info",
        probability=0.8,
        first_step=step,
        last_step=int(curve.step[-1]),
        message=(
            f"The updates of the policy are too large: in the last third {' and '.join(said)}"
            f"{', and the reward no longer rises' if idle else ''}."
        ),
        evidence={"clipped": round(share, 4), "nats": round(nats, 4)},
        fix=(
            "A learning rate three times lower, or fewer epochs over the same batch.",
            "Larger batches, and a limit on the divergence of an update (target_kl=0.03).",
        ),
    )


def _long(series: Series | None) -> Series | None:
    return series if series is not None and len(series) >= FEWEST else None
