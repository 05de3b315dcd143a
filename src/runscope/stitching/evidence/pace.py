"""How much of the earlier run's training one step of the later run is: another batch size or sequence length."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, pi, sqrt

from runscope.history import Series
from runscope.stitching.profile import Profile, clock_rate

SAME = 0.05
"""Paces within 5% are one: a clock is rounded, the last batch of an epoch is smaller."""
KEEPS, SIBLING_KEEPS, STRANGER_KEEPS = 0.9, 0.7, 0.02
"""How often one step takes the same data: of resumed runs, of trainings of one project, and of runs that have nothing
to do with each other. Over pairs of public logs the epoch goes on alike in 49% of those of one project and in 0.8% of
those of two; of those of one project that share their settings, in more."""
CHANGES, SPREAD, STRANGE = 0.04, 1.0, 4.0
"""How often a resumed run changes it although no setting says so; standard deviations of the logarithm of the ratio,
of resumed runs (a few times as many devices) and of pairs of public logs."""
BATCH, SIBLING_BATCH, STRANGER_BATCH = 0.06, 0.15, 0.1
"""How often the batch is another and the data a step with it, of the same three."""

OTHER_BATCH = log(BATCH / STRANGER_BATCH), log(SIBLING_BATCH / STRANGER_BATCH)


@dataclass(frozen=True)
class Pace:
    """Steps of the earlier run per step of the later one, why, and the log-likelihood ratios of that against a run
    which has nothing to do with the earlier one: for one that continues it, and for another training of its project."""

    scale: float
    why: str
    continues: float
    beside: float


def pace(before: Profile, after: Profile) -> Pace:
    """The pace of two runs whose step restarted.

    The counted samples, tokens or epochs a step tell; where nothing was counted, the settings.
    """
    stated = _stated(before, after)
    for what, ratio in (
        ("samples", _ratio(before.samples, after.samples)),
        ("tokens", _ratio(before.tokens, after.tokens)),
        ("data", _ratio(before.epoch, after.epoch)),
    ):
        if ratio is None:
            continue
        if abs(ratio - 1) < SAME:
            return Pace(1.0, "", log(KEEPS / STRANGER_KEEPS), log(SIBLING_KEEPS / STRANGER_KEEPS))
        why = f"one of its steps takes {ratio:.3g} times the {what}"
        if stated is not None and abs(log(ratio / stated[0])) < SAME:
            return Pace(ratio, why, *OTHER_BATCH)
        kin, strange = _density(log(ratio), SPREAD), _density(log(ratio), STRANGE)
        other = (1 - STRANGER_KEEPS) * strange
        own = (1 - SIBLING_KEEPS) * (kin + strange) / 2
        return Pace(ratio, why, log((CHANGES * kin + 1e-4 * strange) / other), log(own / other))
    if stated is not None:
        return Pace(*stated, *OTHER_BATCH)
    return Pace(1.0, "", 0.0, 0.0)


def _density(x: float, spread: float) -> float:
    return exp(-((x / spread) ** 2) / 2) / (spread * sqrt(2 * pi))


def _stated(before: Profile, after: Profile) -> tuple[float, str] | None:
    """What the settings say, where they differ."""
    if before.batch and after.batch and before.batch != after.batch:
        why = f"its batch is {after.batch:g} samples, {before.batch:g} before"
        return after.batch / before.batch, why
    if before.length and after.length and before.length != after.length:
        why = f"its sequences are {after.length:g} tokens long, {before.length:g} before"
        return after.length / before.length, why
    return None


def _ratio(before: Series | None, after: Series | None) -> float | None:
    if before is None or after is None or len(before) < 3 or len(after) < 3:
        return None
    old, new = clock_rate(before), clock_rate(after)
    return new / old if old > 0 and new > 0 else None
