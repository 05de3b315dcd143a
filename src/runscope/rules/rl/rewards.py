"""What is logged of reinforcement learning and preferences. No rule; this family's rules and the verdict share it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runscope.history import Series
from runscope.history.metrics import held_out, meaning, plain
from runscope.rules.context import reinforcement_names
from runscope.rules.finding import CouldNotLook, View
from runscope.stats.curves import noise

RISEN, LITTLE = 0.5, 0.05
"""Shares of all that a reward ranged over."""
TAIL = 1 / 3
"""What a training came to is read from its last third: single updates scatter."""


def reward_curve(view: View) -> Series | None:
    """The reward that was measured apart, else that of the training itself; None outside reinforcement learning."""
    named = _rewards(view)
    return named[0] if named else None


def training_reward(view: View) -> Series | None:
    """The reward of the training's own episodes or answers."""
    return next((s for s in _rewards(view) if not held_out(s.name)), None)


def _rewards(view: View) -> list[Series]:
    if not reinforcement_names(view):
        return []
    named = [
        n
        for n in view.timeline.names
        if (m := meaning(n)) is not None and m.words == "reward" and "std" not in n
    ]
    role = view.timeline.roles.get("reward")
    named = sorted(named, key=lambda n: (not held_out(n), n != role, len(plain(n))))
    found = (view.timeline.series(name) for name in (*named, *((role,) if role else ())))
    return [s.finite for s in found if s is not None and len(s.finite) >= 3]


def named(view: View, names: Sequence[str]) -> Series | None:
    """The finite values of the first logged name that is one of these, written with ``_`` and in lower case."""
    for wanted in names:
        for name in view.timeline.names:
            if plain(name) == wanted and (series := view.timeline.series(name)) is not None:
                return series.finite
    return None


def need_named(view: View, names: Sequence[str], what: str, points: int) -> Series:
    """The same; raises CouldNotLook where there are fewer values."""
    series = named(view, names)
    if series is None or len(series) < points:
        count = 0 if series is None else len(series)
        raise CouldNotLook(
            f"no {what} was logged" if not count else f"{count} values of {what}, {points} are needed"
        )
    return series


def tail(series: Series) -> Series:
    """Its last third."""
    return series.where(np.arange(len(series)) >= len(series) - max(3, round(TAIL * len(series))))


def at_first(series: Series) -> float:
    """The level of its first tenth."""
    return float(np.median(series.value[: max(3, len(series) // 10)]))


def at_last(series: Series) -> float:
    """The level of its last third."""
    return float(np.median(tail(series).value))


def rose(reward: Series | None) -> bool:
    """Whether a reward ends higher than it began by more than half of its range: the task was learned, or part of it.

    A policy may change within ten steps, so what it began with is the lowest of the first three.
    """
    if reward is None or len(reward) < 3:
        return False
    return at_last(reward) - float(np.min(reward.value[:3])) > RISEN * float(np.ptp(reward.value)) > 0


def gained_after(reward: Series, since: int) -> bool:
    """Whether the reward went on rising within the part after a step, by more than its noise and by a twentieth."""
    after = reward.between(since, None).value
    if len(after) < 6:
        return False
    fifth = max(3, len(after) // 5)
    gain = float(np.median(after[-fifth:]) - np.median(after[:fifth]))
    return bool(
        gain > max(2 * noise(reward.value) * np.sqrt(2 / fifth), LITTLE * float(np.ptp(reward.value)))
    )


def gained(reward: Series | None, since: int) -> bool:
    """Whether the reward rose from a step on by more than its noise makes of it."""
    if reward is None:
        return False
    before, after = reward.between(None, since).value, reward.between(since, None).value
    if len(before) < 3 or len(after) < 3:
        return False
    just, late = max(3, len(reward) // 20), max(3, len(after) // 5)
    then, now = float(np.median(before[-just:])), float(np.median(after[-late:]))
    return bool(now - then > 2 * noise(reward.value) * np.sqrt(1 / min(just, len(before)) + 1 / late))
