"""What a resume did: causes that compete to explain what both sides of a join show.

One model for all causes: a multinomial logistic regression (softmax) over a few bounded measures, fitted with a ridge
penalty on real trainings that were interrupted and resumed with a fault on purpose (``benchmarks/resumes``), and
checked on others. The learning rate is judged beside it: it is logged without noise, and a schedule that was not
restored explains a jump of the loss as well as it happens together with other causes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from runscope.stats.overfitting.calibration import RESUMES
from runscope.stats.resumes.join import Join
from runscope.stats.resumes.level import Jump, Norms, given_back_at_first, held_out, jump, norms
from runscope.stats.resumes.order import Order, order
from runscope.stats.resumes.rate import Rate, rate

Cause = Literal["clean", "weights", "optimiser", "data", "scale", "other_data"]
CAUSES: tuple[Cause, ...] = get_args(Cause)


@dataclass(frozen=True)
class Answer:
    """What a resume did.

    Attributes:
        probability: by cause, together 1; ``clean`` is that weights, optimiser, scale and data went on.
        schedule: probability that the learning-rate schedule did not go on as planned; None where no rate tells.
        jump, norms, order, rate: the measures it rests on; None where there was nothing to measure.
        held_out: share of the held-out loss's fall that the first evaluation after the join gives back.
        pace: data a step takes after the join over that before it; None where not known.
        window: probability that rows of another interval are means over as many other steps; 0 for the same interval.
        terms: what the model was given.
    """

    probability: Mapping[str, float]
    schedule: float | None
    jump: Jump
    norms: Norms | None
    order: Order
    rate: Rate | None
    held_out: float | None
    pace: float | None
    window: float
    terms: Mapping[str, float]

    @property
    def likeliest(self) -> str:
        """The likeliest cause."""
        return max(self.probability, key=lambda cause: self.probability[cause])


def judge(join: Join) -> Answer | None:
    """Say what a resume did; None with fewer than four losses before the join or two after it."""
    leap = jump(join)
    if leap is None:
        return None
    size, found, bumps, then = norms(join), rate(join), order(join), held_out(join, leap)
    pace = join.pace if join.pace is not None else join.batch
    window = averaged(join, leap)
    terms = measures(join, leap, size, bumps, found, then, pace)
    probability = _beside(softmax(terms), join, leap, bumps)
    moved = window * probability["clean"]
    probability |= {"clean": probability["clean"] - moved, "scale": probability["scale"] + moved}
    return Answer(
        probability,
        None if found is None else _schedule(found),
        leap,
        size,
        bumps,
        found,
        then,
        pace,
        window,
        terms,
    )


PROOF, PROVED = 2, 0.99
"""Rows that came again to the last digit: the first is computed before the optimiser has made a step, the second
after. What is left is a log that was copied instead of computed."""
RETURNED = 0.15
"""Of a jump that is over: so little of it is left, which is what noise leaves."""
RETURNS_IN = 12
"""Points without which none can say what becomes of a jump."""
UNMOVED = 0.03
"""Share of trainings on other data whose loss is back on its old level while the held-out loss has not moved: none of
the 15 of ``benchmarks/resumes`` that nothing is fitted on, and half of one is taken (Jeffreys)."""


def _beside(probability: dict[str, float], join: Join, leap: Jump, bumps: Order) -> dict[str, float]:
    """What is known beside the measures that were fitted: proof that all went on, and a level that is the old one."""
    if bumps.identical >= PROOF:
        rest = (1 - PROVED) / max(1 - probability["clean"], 1e-9)
        return {c: PROVED if c == "clean" else p * rest for c, p in probability.items()}
    calm = held_out(join, leap) is None and given_back_at_first(join) is not None  # when the loss was back
    if calm and abs(leap.stays) < RETURNED and leap.seen >= RETURNS_IN:
        odds = {c: p * (UNMOVED if c == "other_data" else 1.0) for c, p in probability.items()}
        return {c: p / sum(odds.values()) for c, p in odds.items()}
    return probability


def softmax(terms: Mapping[str, float]) -> dict[str, float]:
    """Probability of each cause."""
    score = {
        cause: weights["bias"] + sum(weights.get(name, 0.0) * value for name, value in terms.items())
        for cause, weights in RESUMES.items()
    }
    highest = max(score.values())
    odds = {cause: float(np.exp(value - highest)) for cause, value in score.items()}
    return {cause: value / sum(odds.values()) for cause, value in odds.items()}


def _schedule(found: Rate) -> float:
    """Rates carry no noise: a departure is one, to the rounding of the log; an unknown plan leaves a doubt."""
    if found.kind == "as planned":
        return 0.03 if found.known else 0.15
    return 0.97 if found.known else 0.85


def measures(
    join: Join,
    leap: Jump,
    size: Norms | None,
    bumps: Order,
    found: Rate | None,
    then: float | None,
    pace: float | None,
) -> dict[str, float]:
    """What the model is given: each between -1 and 1 or so, 0 where it was not logged."""
    # One standard error up, and one and a half down (a loss falls by itself), are what noise does.
    up, down = float(np.tanh(max(leap.z - 1, 0.0) / 5)), float(np.tanh(max(-leap.z - 1.5, 0.0) / 5))
    within = join.within_epoch
    # Where the data returns the loss drops by itself; in the middle of an epoch it has no reason to.
    middle = 0.5 if within is None else min(1.0, within / 0.08)
    factor = scaled(leap, size)
    share = 0.0 if leap.share is None else float(np.clip(leap.share, 0.0, 2.0))
    near_begin = 0.0 if leap.share is None else float(np.exp(-(((share - 1) / 0.3) ** 2)))
    # Of few points none can say what becomes of a jump.
    lasting = min(1.0, max(leap.seen - 3, 0) / 12)
    stays = float(np.clip(leap.stays, 0.0, 1.0))
    grown = 0.0 if size is None else float(np.clip(np.log(size.first), -2, 2))
    later = 0.0 if size is None else float(np.clip(np.log(size.later), -2, 2))
    heals = lasting * up * (1 - stays) * max(1 - share, 0.0)
    back = (
        heals * (1 - up * near_begin) * (1 - up * max(leap.retraces, 0.0))
    )  # to its course, not from the beginning
    return {
        "returns": float(np.tanh(6 * back * max(1 - 2 * stays, 0.0))),
        "up": up,
        "down": down * middle * (1 - factor),
        "down_heals": lasting * down * middle * (1 - factor) * (1 - stays),
        "share": up * min(share, 1.2),
        "like_begin": up * near_begin,
        "beyond": up * float(np.clip(share - 1.2, 0.0, 0.8)),
        "retraces": up * leap.retraces,
        "stays": lasting * up * stays,
        "heals": heals,
        "flat": lasting * up * max(1 - 2 * abs(stays - 1), 0.0) * max(1 - 2 * share, 0.0),
        "scaled": factor,
        "grad_first": max(grown, -0.5),
        "grad_fades": max(grown - later, -0.5),
        "quieter": _noise(leap, join, -1),
        "noisier": _noise(leap, join, 1),
        "batch": 0.0 if pace is None else float(np.clip(abs(np.log(pace)) / np.log(2), 0.0, 1.5)),
        "replay": float(np.tanh(max(bumps.replay, 0.0) / 3)),
        **_same_order(bumps),
        "epoch_off": _epoch_off(join),
        "held_up": 0.0 if then is None else float(np.clip(then, -0.2, 1.2)),
        "held_calm": 0.0 if then is None else up * float(np.exp(-((then / 0.12) ** 2))),
        "rate_off": 0.0 if found is None or found.kind == "as planned" else min(1.0, 3 * found.off),
    }  # fmt: skip


def scaled(leap: Jump, size: Norms | None) -> float:
    """How well one steady factor explains loss and gradient norm: a sum in place of a mean, other devices."""
    if not np.isfinite(leap.ratio) or leap.ratio <= 0:
        return 0.0
    factor = abs(float(np.log(leap.ratio)))
    strong = float(1 / (1 + np.exp(-(factor - 0.45) / 0.08)))
    match = 0.6
    if size is not None and size.later > 0:
        match = float(np.exp(-(((np.log(size.later) - np.log(leap.ratio)) / max(0.35, 0.25 * factor)) ** 2)))
    return strong * leap.steady * max(match, 0.8 * _whole(leap))


ROUND = 0.03
"""Of a whole number; so near one comes a factor of 2 to 16 by chance once in eight."""


def _whole(leap: Jump) -> float:
    """Whether the factor is a whole number or one over it: a sum over batches or devices that only the log shows."""
    times = max(leap.ratio, 1 / leap.ratio)
    return float(times > 1.5 and abs(times - round(times)) < ROUND * times and leap.steady > 0.9)


def _noise(leap: Jump, join: Join, sign: int) -> float:
    """How surely the scatter changed by more than a third: so much it changes within one training by itself."""
    log = sign * (float(np.log(max(leap.noise_ratio, 1e-6))) - averaged(join, leap) * _by_interval(join))
    return float(np.tanh(max(log - 0.3, 0.0) / (2 * max(leap.noise_error, 0.05))))


ANOTHER = 1.4
"""An interval that differs by less is a row that was left out."""


def _by_interval(join: Join) -> float:
    """Logarithm of the scatter after the join over that before it, were every row the mean since the last row."""
    return -0.5 * float(np.log(join.after["loss"].every / join.near("loss").every))


def averaged(join: Join, leap: Jump) -> float:
    """Whether rows of another interval scatter as means over as many other steps do, against as they did before."""
    wanted = _by_interval(join)
    if abs(wanted) < 0.5 * np.log(ANOTHER) or not np.isfinite(leap.noise_error):
        return 0.0
    seen, error = float(np.log(max(leap.noise_ratio, 1e-6))), max(leap.noise_error, 0.25)
    like, unlike = (float(np.exp(-(((seen - x) / error) ** 2) / 2)) for x in (wanted, 0.0))
    return like / (like + unlike) if like + unlike > 0 else float(abs(seen - wanted) < abs(seen))


PARTLY = 0.6
"""Correlation with the discarded tail from which on the batches are the same: seen through a mean over two or three of
them instead of one they still agree to 0.6 to 0.7, other batches to 0.3 at most."""


def _same_order(bumps: Order) -> dict[str, float]:
    """What a discarded tail tells: the steps that were done twice."""
    if bumps.again is None:
        return {"again": 0.0, "not_again": 0.0, "exact": 0.0, "apart": 0.0}
    sure = min(1.0, bumps.shared / 12)
    alike = max(bumps.again, 0.0)
    close = float(np.exp(-((bumps.off / 0.25) ** 2)))
    return {
        "again": sure * alike,
        "not_again": sure * max(1 - alike / PARTLY, 0.0),
        "exact": sure * alike**2 * close,
        "apart": sure
        * alike**2
        * float(np.tanh(max(bumps.above_t - 1.5, 0.0) / 3))
        * float(np.tanh(bumps.above / 0.1)),
    }


def _epoch_off(join: Join) -> float:
    """How far the epoch counter jumps where the step counter goes on: 0.05 epochs or more is no rounding."""
    old, new = join.epoch, join.epoch_after
    if old is None or new is None or not join.counts_on:
        return 0.0
    return float(np.tanh(max(abs(new - old) - 0.05, 0.0) / 0.1))
