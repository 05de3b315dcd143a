"""What several rules need to know of a run: is it reinforcement learning, where are the joins, was it harmed."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from runscope.history import Series
from runscope.rules.finding import CouldNotLook, View
from runscope.stats.curves import smooth
from runscope.stats.stretches import blocks

Bools = npt.NDArray[np.bool_]

COARSE = 2000
"""Points that a rule about the shape of a whole curve looks at; more tell it nothing."""

_REINFORCEMENT = re.compile(
    r"(^|[/_])(reward(_std)?|rewards|advantages?|approx_?kl|clip_?(ratio|frac|fraction)|policy_loss|value_loss"
    r"|vf_loss|pg_loss|policy_gradient_loss|ep_rew_mean|episode_reward|completions?)([/_]|$)",
    re.IGNORECASE,
)
_PREFERENCE = re.compile(r"rewards[/_](chosen|rejected|margins|accuracies)", re.IGNORECASE)


def reinforcement_names(view: View) -> tuple[str, ...]:
    """Logged names that only reinforcement learning has (GRPO, PPO …); preference tuning (DPO) has others."""
    names = view.timeline.names
    if any(_PREFERENCE.search(name) for name in names):
        return ()
    return tuple(name for name in names if _REINFORCEMENT.search(name))


def not_reinforcement(view: View) -> None:
    """Raise CouldNotLook for reinforcement learning, whose loss is near zero and says nothing of its progress."""
    if reinforcement_names(view):
        raise CouldNotLook("in reinforcement learning the loss does not measure progress")


def coarse(view: View, role: str, *, points: int = 1) -> Series:
    """The finite values of a role, as medians of blocks where there are more than a few thousand.

    Raises:
        CouldNotLook: fewer than ``points`` values.
    """
    series = view.need(role, points=points)
    if len(series) < 2 * COARSE:
        return series
    return view.once(
        f"{role} coarse", lambda: Series.of(series.name, *blocks(series.step, series.value, COARSE))
    )


def joins(view: View) -> tuple[int, ...]:
    """First step of every run of the line but the first."""
    return tuple(segment.first_step for segment in view.timeline.line[1:])


def after_join(view: View, series: Series) -> Bools:
    """Which point is the first of its run after a join: it averages fewer steps, and is no spike."""
    mask = np.zeros(len(series), dtype=np.bool_)
    for join in joins(view):
        place = int(np.searchsorted(series.step, join))
        mask[place : place + 1] = True
    return mask


def harm(view: View, step: int, until: int | None = None) -> float | None:
    """How far the training loss rose after a step, as a share of what it had fallen before; None without a loss.

    Infinite where the loss stopped being a number. A loss that had not fallen is measured in its own size.
    """
    loss = view.get("train_loss")
    if loss is None or not len(loss):
        return None
    if not np.isfinite(loss.between(step, until).value).all():
        return float("inf")
    level = coarse(view, "train_loss", points=4)
    calm = smooth(level.value, 0.02 * len(level))
    place = int(np.searchsorted(level.step, step))
    before, after = calm[: max(place, 1)], calm[place:]
    if not len(after):
        return None
    lowest = float(np.min(before))
    fallen = max(float(np.max(before)) - lowest, 0.1 * abs(lowest), 1e-9)
    return (float(np.max(after)) - lowest) / fallen


def clipping(view: View) -> float | None:
    """The norm that gradients are clipped to, from the configuration; None where it does not say, or 0."""
    return view.setting(
        "max_grad_norm", "gradient_clip_val", "grad_clip", "clip_grad_norm", "gradient_clipping", "max_norm"
    )


def plural(count: int, word: str) -> str:
    """``1 spike``, ``12 spikes``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
