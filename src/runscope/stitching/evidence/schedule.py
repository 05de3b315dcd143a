"""What the learning-rate schedules say: one that goes on, one that was planned to finish the rest."""

from __future__ import annotations

from math import floor, log, log10

import numpy as np

from runscope.stitching.evidence.candidate import Candidate
from runscope.stitching.evidence.saves import complete
from runscope.stitching.profile import Profile, clock_rate

SAME_RATE = 0.02
"""Rates that stay within 2% are a constant, of which any part fits any other."""
ROUNDED = 0.002
"""Rates are logged rounded."""
CERTAIN, PEAK = 100.0, 0.1
"""Rates that agree to a hundredth of their change are the same schedule; a first rate within 10% of the set one is the
peak, as the first rows lie in or after a short warm-up."""
ROUND, ROUND_BY_CHANCE = 0.85, 0.03
"""How often a peak is set to a round number (1, 1.5, 2, 2.5 … times a power of ten), and how often the rate at which a
schedule goes on is one within :data:`ROUNDED`, by chance."""
FINISHES_PLAN, FINISHES_EPOCHS = 0.4, 0.2
"""Share of restarted runs with a schedule of their own that are planned to finish what was planned first; fewer where
plans are whole epochs, as only a state at a whole epoch can be finished so. Nothing is known of how often people do
otherwise; this leaves the curve a say."""
FINISHED = 0.1
"""How much rarer that is of a plan that was carried out: nothing of it is left to finish."""
SAME_PLAN, WHOLE_EPOCHS, NO_EPOCHS = 0.3, 0.85, 0.2
"""Of the others: how often the plan is as long as the first one's; and else a whole number of epochs, where the first
plan was one, and where it was not."""
SAME_PLAN_AGAIN, SAME_PLAN_STRANGE = 0.8, 0.35
"""How often the plan is as long, of the same training again and of any other run: seeds and sweeps share theirs."""
FEW_EPOCHS = (0.3, 0.25, 0.25)
"""How many epochs a plan of whole epochs has: one, two, three; more are rarer, with the square."""


def goes_on(before: Profile, after: Profile) -> list[Candidate]:
    """The schedule goes on while the step restarts: where the later run's rates lie on the earlier run's curve.

    Both fall to zero in a straight line (or a cosine): the distance of their ends is the offset, if with it
    the rates of the later run are those that the earlier one had, or was to have.
    """
    offset = _distance(before, after)
    if offset is None or offset[0] < 2 * before.interval or after.rate is None or before.rate is None:
        return []
    off = round(offset[0])
    then = before.rate.at(after.rate.step + off)
    known = np.isfinite(then) & (then > 0)
    if known.sum() < 3:
        return []
    # A clock is off by a logging interval at most: so much the rates may differ, and by rounding.
    late, soon = (
        before.rate.at(after.rate.step[known] + off + d) for d in (before.interval, -before.interval)
    )
    change = np.nan_to_num(np.abs(late - soon)) / 2
    apart = np.abs(after.rate.value[known] - then[known])
    top = float(then[known].max())
    if (
        float(np.quantile(apart - change, 0.95)) > ROUNDED * top
        or float(np.ptp(then[known])) < SAME_RATE * top
    ):
        return []
    if _own_peak(before, after):
        return []
    # The coarser the rates can be compared, the likelier another schedule falls as steeply by chance.
    alike = float(np.ptp(then[known])) / max(2 * float(np.median(change)), ROUNDED * top)
    rare = min(0.0, log(max(alike, 1.0) / CERTAIN))
    if _begins_round(after):
        rare += log(ROUND_BY_CHANCE / ROUND)
    why = ("its learning rates are those of the run before from step {} on: the schedule goes on", (off,))
    return [Candidate(off, "schedule", round(off + after.base), why=[why], weights={"rates": rare})]


def _own_peak(before: Profile, after: Profile) -> bool:
    """Whether the later run begins at the peak that its own settings name, and not the peak of the run before."""
    peak = after.run.setting("learning_rate")
    if peak is None or not peak > 0 or before.rate is None or after.rate is None:
        return False
    own, old = float(after.rate.value.max()) / peak, float(before.rate.value.max()) / peak
    return abs(own - 1) < PEAK and abs(old - 1) > 2 * PEAK


def _begins_round(after: Profile) -> bool:
    """Whether a schedule without a warm-up begins at a round number: likelier its own peak than a rate on the
    way of another one."""
    rate = after.rate
    if rate is None or len(rate) < 2 or rate.value[0] < rate.value[1] or not rate.value[-1] >= 0:
        return False
    slope = float(rate.value[1] - rate.value[0]) / float(rate.step[1] - rate.step[0])
    begun = float(rate.value[0]) - slope * float(rate.step[0] - after.base)
    if begun <= 0:
        return False
    digits = 2 * begun / 10 ** floor(log10(begun))
    return bool(abs(digits - round(digits)) <= ROUNDED * digits)


def weigh(before: Profile, after: Profile, candidates: list[Candidate]) -> float:
    """Add to each candidate what the later run's planned length says.

    A plan that ends where the first one ends is worth what it is unlikely to be by chance: of lengths of whole epochs
    there are few, and from a state at a whole epoch any of them ends with some plan of whole epochs.

    Returns:
        Log-likelihood ratio of the same training from scratch.
    """
    scale = candidates[0].scale if candidates else 1.0
    distance = _distance(before, after, scale)
    if distance is None or before.decay is None or after.decay is None:
        return 0.0
    offset, unsure = distance
    slack = max(before.interval, after.interval * scale, 2 * unsure)
    length = scale * (after.decay[0] - after.base)
    same = abs(offset) < 2 * slack
    chance, whole = _chance(before, length, slack)
    finishing = FINISHES_EPOCHS if whole else FINISHES_PLAN
    if before.run.state == "finished" and complete(before):
        finishing *= FINISHED
    own = SAME_PLAN * same + (1 - SAME_PLAN) * chance
    strange = SAME_PLAN_STRANGE * same + (1 - SAME_PLAN_STRANGE) * chance
    for candidate in candidates:
        finishes = not same and abs(candidate.offset - offset) <= max(slack, candidate.span / 2)
        share = min(1.0, 2 * slack / candidate.span) if candidate.span else 1.0
        likely = finishing * finishes * share + (1 - finishing) * own
        candidate.weights["plan"] = log(likely / strange)
        if finishes and candidate.weights["plan"] > 0:
            candidate.say(
                "its learning rate is planned to end where the plan of the run before ends, if it starts from "
                "step {}",
                candidate.start,
            )
    return log((SAME_PLAN_AGAIN * same + (1 - SAME_PLAN_AGAIN) * chance) / strange)


def _chance(before: Profile, length: float, slack: float) -> tuple[float, bool]:
    """Probability that a plan which has nothing to do with the first one ends within the slack of where this does, and
    whether it is one of whole epochs."""
    assert before.decay is not None
    anywhere = min(1.0, 2 * slack / max(before.decay[0], slack))
    if before.epoch is None or len(before.epoch) < 3 or (rate := clock_rate(before.epoch)) <= 0:
        return anywhere, False
    near = max(slack * rate, 0.01)
    first, count = (before.decay[0] - before.base) * rate, length * rate

    def is_whole(epochs: float) -> bool:
        return round(epochs) >= 1 and abs(epochs - round(epochs)) <= near < 0.25

    share = WHOLE_EPOCHS if is_whole(first) else NO_EPOCHS
    if not is_whole(count):
        return (1 - share) * anywhere, False
    number = round(count)
    few = FEW_EPOCHS[number - 1] if number <= len(FEW_EPOCHS) else 1.0 / number**2
    return share * few + (1 - share) * anywhere, True


def _distance(before: Profile, after: Profile, scale: float = 1.0) -> tuple[float, float] | None:
    """How many steps earlier the later run's schedule ends, in steps of the earlier run, and the standard error."""
    if before.decay is None or after.decay is None:
        return None
    return before.decay[0] - scale * after.decay[0], float(np.hypot(before.decay[1], scale * after.decay[1]))
