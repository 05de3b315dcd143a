"""How much of the earlier run's training one step of the later run is: another batch size or sequence length."""

from __future__ import annotations

from runscope.history import Series
from runscope.stitching.counters import clock_rate
from runscope.stitching.profile import Profile

SAME = 0.05
"""Paces within 5% are one: a clock is rounded, the last batch of an epoch is smaller."""


def pace(before: Profile, after: Profile) -> tuple[float, str]:
    """Steps of the earlier run per step of the later one, and why, for runs whose step restarted.

    The counted samples, tokens or epochs a step tell; where nothing was counted, the settings.
    """
    for what, ratio in (
        ("samples", _ratio(before.samples, after.samples)),
        ("tokens", _ratio(before.tokens, after.tokens)),
        ("data", _ratio(before.epoch, after.epoch)),
    ):
        if ratio is not None:
            same = abs(ratio - 1) < SAME
            return (1.0, "") if same else (ratio, f"one of its steps takes {ratio:.3g} times the {what}")
    if before.batch and after.batch and before.batch != after.batch:
        ratio = after.batch / before.batch
        return ratio, f"its batch is {after.batch:g} samples, {before.batch:g} before"
    if before.length and after.length and before.length != after.length:
        ratio = after.length / before.length
        return ratio, f"its sequences are {after.length:g} tokens long, {before.length:g} before"
    return 1.0, ""


def _ratio(before: Series | None, after: Series | None) -> float | None:
    if before is None or after is None or len(before) < 3 or len(after) < 3:
        return None
    old, new = clock_rate(before), clock_rate(after)
    return new / old if old > 0 and new > 0 else None
