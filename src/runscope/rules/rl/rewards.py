"""The reward of a run of reinforcement learning. No rule; the rules of this family and the verdict share it."""

from __future__ import annotations

from runscope.history import Series
from runscope.history.metrics import held_out, meaning, plain
from runscope.rules.context import reinforcement_names
from runscope.rules.finding import View


def reward_curve(view: View) -> Series | None:
    """The reward that was measured apart, else that of the training itself; None outside reinforcement learning."""
    if not reinforcement_names(view):
        return None
    named = [
        n
        for n in view.timeline.names
        if (m := meaning(n)) is not None and m.words == "reward" and "std" not in n
    ]
    role = view.timeline.roles.get("reward")
    named = sorted(named, key=lambda n: (not held_out(n), n != role, len(plain(n))))
    for name in (*named, *((role,) if role else ())):
        series = view.timeline.series(name)
        if series is not None and len(series.finite) >= 3:
            return series.finite
    return None
