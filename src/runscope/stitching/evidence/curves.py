"""What the curves say: a run that continues another begins at the level where the other stood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from runscope.history import Series
from runscope.stats.arrays import Floats
from runscope.stats.levels.continuation import (
    ColouredLevel,
    Continuation,
    Noise,
    bends,
    calm,
    fit,
    log_likelihood,
    log_t_anywhere,
    refit,
)
from runscope.stats.levels.level import blocks
from runscope.stitching.evidence.candidate import Candidate
from runscope.stitching.profile import Curve, Profile

FIRST_POINTS = 24
"""How many of the later run's first points are compared at least; then its own learning takes over."""
MOST_BLOCKS = 32
"""More points are compared as block means, where the earlier run logged the same steps in its discarded tail."""
NEWEST = 12
"""The compared stretch reaches from so many saved states before the end of the earlier run to that end."""
FREEDOM = 3.0
PACE = 0.15
AGAIN_SHIFT, AGAIN_PACE = 0.1, 0.5
PASSING, PASSES = 0.03, 3.0
FEW = 20
DRIFT, LIVELIER = 0.5, 20.0
"""Variance that the later run's level gains on its own, in walks of the earlier run; and of one that learns at a
high rate again."""
NEAR, OFF, OFF_SHARE = 0.25, 1.5, 0.03
"""Shift of the level by a restart: most often a quarter of the noise of a logged loss; else 1.5 times it or 4% of
the level, whichever is more."""
RESTARTS = (0.75, 0.15, 0.10)
"""How often a restart is near, off, or off and livelier; with another learning rate"""
OTHER_RATE = (0.4, 0.35, 0.25)
BENDS, BENT = (0.02, 0.1, 0.3), (0.25, 0.25, 0.25, 0.25)
"""How strongly the level bends in a smooth curve of its own over the compared stretch, as a share of it, and how often:
what the line has not shown, as the later run went further."""
RAISED = (0.25, 0.15)
"""How far a rate that is high again raises the loss, and the standard deviation of that, as a share of what it fell
since the rate was last halfway between the two: in small trainings of three kinds that began anew with a rate 1.4 to 50
times as high by 14% in the median of 25, by 32% in the upper quartile, by 65% in one of ten. It lowers none. One in
four restarts is taken to be so."""
ANYWHERE = 2.2
"""Standard deviation of the logarithm of where another run's loss begins against where one ended, over pairs of
public logs."""
SIBLINGS = ((0.05, 0.3), (0.5, 0.35), (1.2, 0.35))
"""Standard deviations of the logarithm of where the losses of two trainings of one project begin, and how often: over
pairs of public logs of one project they lie within 0.05 in a quarter, 0.36 in half, 0.96 in three quarters."""
FALLS = ((1.0, 0.2), (0.3, 0.4), (0.1, 0.25), (0.03, 0.15))
"""How strongly a new run's loss falls in each factor e of its steps, as a share of it, and how often."""
FALLING, SMOOTH, STEADY = 0.3, 0.3, 0.4
"""Shares of new runs whose losses fall unevenly, fall in a smooth bend (of the steps or of their logarithm), and move
from the start as they do later on (7% of public logs end within 5% of where they began)."""
OWN = 0.1
"""How often a run that goes on in the same log learns from there in a way of its own, as a new one may, that the line
has not shown: of a curve without noise each digit would else speak against every state. Of runs that nothing but their
names ties it would say too much where their losses happen to meet."""
AS_HARD, HARD_SHARE = 0.1, 0.33
"""Standard deviation, as a share, of where the loss begins on other data that are as hard, and how often those that a
training goes on with are: the next stage, more of one kind. On all others it begins anywhere."""
SECOND_CHANNEL = 0.5
"""Weight of the gradient norm: it moves together with the loss, so that the two are not independent."""


def points_to_compare(before: Profile, after: Profile, candidates: list[Candidate]) -> int:
    """How many of the later run's first points say something: those that the earlier run logged too, and a few."""
    if after.loss is None or not candidates:
        return FIRST_POINTS
    newest = sorted(c.start for c in candidates)[-NEWEST:]
    own = (before.last_step - newest[0]) / candidates[0].scale + after.base
    return max(FIRST_POINTS, int(np.searchsorted(after.loss.step, own)))


@dataclass(frozen=True)
class Reference:
    """Levels of an earlier line on its continuous axis: of the loss, and of the gradient norm's logarithm."""

    loss: tuple[ColouredLevel, ...]
    grad: tuple[ColouredLevel, ...]
    origin: float
    logs: bool


def reference(parts: Sequence[tuple[Profile, float, float, float]]) -> Reference:
    """The levels of a line.

    Args:
        parts: its runs in order: profile, offset, scale, and the continuous step up to which it counts.
    """
    first, offset, scale, _ = parts[0]
    origin = scale * first.base + offset
    if len(parts) == 1 and offset == 0 and scale == 1:
        return Reference(first.levels, first.grad_levels, origin, first.logs)
    loss = _joined([(p.curve, o, s, e) for p, o, s, e in parts if p.logs == first.logs])
    grad = _joined([(p.grad_curve, o, s, e) for p, o, s, e in parts])
    return Reference(loss, grad, origin, first.logs)


def _joined(parts: Sequence[tuple[Curve | None, float, float, float]]) -> tuple[ColouredLevel, ...]:
    x, y, each = [], [], []
    for curve, offset, scale, end in parts:
        if curve is not None:
            place = scale * curve.x + offset
            kept = place <= end
            x.append(place[kept])
            y.append(curve.y[kept])
            each.append(np.full(int(kept.sum()), curve.each))
    if not x or not sum(map(len, x)):
        return ()
    order = np.argsort(np.concatenate(x), kind="stable")
    return fit(np.concatenate(x)[order], np.concatenate(y)[order], float(np.mean(np.concatenate(each))))


@dataclass(frozen=True)
class Head:
    """First points of a later run's curve as block means: steps since the state it began from, means, and how many
    points each holds; and the whole curve, from which its noise is known."""

    own: Floats
    mean: Floats
    size: float
    curve: Curve
    interval: float
    forms: dict[tuple[float, float], tuple[Noise, float, float]] = field(default_factory=dict)

    @cached_property
    def walks(self) -> tuple[Floats, Floats, Floats, Floats]:
        """(m, m) covariances of levels that walk in the logarithm of their steps, that bend in it and in the steps
        themselves, and that walk in the steps."""
        age = np.log1p(np.maximum(self.own, 0.0) / max(float(self.own[0]), 1e-9))
        older, later = (np.minimum(x[:, None], x[None, :]) for x in (age, self.own))
        return older, bends(age), bends(self.own / self.own[-1]), later

    def noise(self, before: ColouredLevel, scale: float) -> tuple[Noise, float, float]:
        """Noise and walk of the later run where its noise has the form of the earlier one's, as both were logged in one
        way, and the log-likelihood of that form. Where it is short noise and walk are those of the run before."""
        old = before.noise
        if np.count_nonzero(np.diff(self.curve.y)) < FEW:
            like = Noise(old.variance, old.share, old.decay * scale, old.each * scale)
            return like, before.walk * scale, 0.0
        form = old.share, old.decay * scale
        if form not in self.forms:
            self.forms[form] = refit(self.curve.x, self.curve.y, old, scale, self.curve.each)
        return self.forms[form]


@dataclass(frozen=True)
class Heads:
    """First points of a later run: of its loss, and of the gradient norm's logarithm; None where not logged."""

    loss: Head | None
    grad: Head | None
    logs: bool


def heads(after: Profile, taken: int) -> Heads:
    """The first ``taken`` points of a run, as the lines that it may continue are held against them."""
    return Heads(
        _head(after, after.curve, after.loss, taken),
        _head(after, after.grad_curve, after.grad, taken),
        after.logs,
    )


def _head(after: Profile, curve: Curve | None, logged: Series | None, taken: int) -> Head | None:
    if curve is None or logged is None or not len(logged):
        return None
    first = curve.x <= logged.step[min(taken, len(logged)) - 1]
    if first.sum() < 4:
        first[:4] = True
    own, mean, size = blocks(curve.x[first], calm(curve.y[first]), MOST_BLOCKS)
    return Head(own - after.base, mean, size * curve.each, curve, after.interval)


@dataclass(frozen=True)
class Said:
    """Log-likelihood ratios of the later run's first points against any other run: for each place, going on from there
    and learning from other data from there on; and for another training of the project, from scratch as the line itself
    began or about so."""

    places: Floats
    moved: Floats
    beside: float

    def __add__(self, more: Said) -> Said:
        return Said(self.places + more.places, self.moved + more.moved, self.beside + more.beside)


@dataclass(frozen=True)
class Begun:
    """Where and how the later run may have begun.

    Attributes:
        places: (c,) states of the line.
        calmed: (c,) for each, from where on the falling rate had calmed the line, where the later run's is high again.
        scale: steps of the line per step of the later run.
        other_rate: its learning rate is another than the line's.
        same_order: it sees its batches in the order in which the line saw them from its beginning.
        same_log: both were written into one log.
    """

    places: Floats
    calmed: Floats
    scale: float
    other_rate: bool
    same_order: bool
    same_log: bool


def weigh(line: Reference, later: Heads, begun: Begun) -> Said | None:
    """What the later run's first losses and gradient norms say; None where no curve could be compared."""
    places, calmed = (np.append(x, line.origin) for x in (begun.places, begun.calmed))
    begun = replace(begun, places=places, calmed=calmed)
    loss = _channel(line.loss, later.loss, begun, 1.0, line.logs) if line.logs == later.logs else None
    grad = _channel(line.grad, later.grad, replace(begun, calmed=places), SECOND_CHANNEL)
    if loss is None or grad is None:
        return loss or grad
    return loss + grad


def _channel(
    levels: tuple[ColouredLevel, ...], head: Head | None, begun: Begun, weight: float, logs: bool = True
) -> Said | None:
    """What one curve says, over all forms that its noise may have, each as likely as both runs make it."""
    if not levels or head is None:
        return None
    every = [_under(level, head, begun, logs) for level in levels]
    whole = [np.logaddexp.reduce(np.stack([np.asarray(x[n]) for x in every])) for n in range(4)]
    places, moved, beside = (weight * (some - whole[-1]) for some in whole[:-1])
    return Said(places, moved, float(beside))


def _under(level: ColouredLevel, head: Head, begun: Begun, logs: bool) -> tuple[Floats, Floats, float, float]:
    """Log-likelihoods of the first points where the noise has one form: from each place, on other data from there on,
    of another training of the project, and of any other run."""
    begin, scale = begun.places, begun.scale
    seen, own_walk, told = head.noise(level, scale)
    told += level.weight
    noise = seen.covariance(head.own, head.size)
    height = 1.0 if logs else max(abs(float(np.median(head.mean))), float(np.ptp(head.mean)))
    point = float(np.sqrt(level.noise.variance))
    span = max(float(np.ptp(level.mean)), point)
    far = max(OFF * point, OFF_SHARE * span)
    # What it learns on its own shows in its own curve, too: that is counted as nothing for or against.
    own, walk = own_walk / scale, level.walk
    passing = _passing(seen, head.interval, scale, max(point, PASSING * span))
    close = Continuation(NEAR * point, min(own, walk), PACE, FREEDOM, passing)
    off = Continuation(far, DRIFT * walk + own, PACE, FREEDOM, passing)
    livelier = Continuation(far, LIVELIER * walk + own, 2 * PACE, FREEDOM, passing)
    # Beyond the end of the line nothing tells how much it still had to learn.
    length = scale * float(head.own[-1])
    # A smooth curve of its own is there instead of a walk, not beside it.
    smooth = [replace(close, drift=0.0, bend=bend * height, length=length) for bend in BENDS]
    kinds = [close, replace(smooth[0], back=RAISED), *smooth[1:]]
    kinds += [replace(how, bend=BENDS[-1] * height, length=length) for how in (off, livelier)]
    near, *others = OTHER_RATE if begun.other_rate else RESTARTS
    weights = np.log([*(near * share for share in BENT), *others])
    memory = scale / seen.decay if _averaged(seen) else 0.0
    # What the line fell by since then is what the falling rate had calmed, and what it learned.
    fell = np.maximum(
        np.interp(begun.calmed, level.x, level.mean) - np.interp(begin, level.x, level.mean), 0.0
    )
    found = log_likelihood(level, begin, scale, head.own, head.mean, noise, kinds, memory, fell)
    found = np.logaddexp.reduce(found + weights[:, None])
    drifts = [
        (share, how.drift * scale) for share, how in zip((near, *others), (close, off, livelier), strict=True)
    ]
    stood = np.interp(begin[:-1], level.x, level.mean)
    unsure = np.sqrt(np.interp(begin[:-1], level.x, level.variance) + (NEAR * point) ** 2)
    own_way, as_hard, other, apart = _elsewhere(head, noise, drifts, height, level, stood, unsure)
    if begun.same_log:
        found[:-1] = np.logaddexp(np.log(1 - OWN) + found[:-1], np.log(OWN) + own_way)
    # Of runs that see the same batches the beginnings look alike wherever they began.
    siblings = () if begun.same_order else tuple((wide * height, share) for wide, share in SIBLINGS)
    anew = _again(head, noise, level, begin[-1:], scale, own, max(point, AGAIN_SHIFT * span), siblings)
    start = np.logaddexp(found[-1], anew) - np.log(2)
    beside = float(np.logaddexp(start, apart) - np.log(2))
    moved = np.logaddexp(np.log(HARD_SHARE) + as_hard, np.log(1 - HARD_SHARE) + other)
    return told + found[:-1], told + moved, told + beside, told + other


def _passing(noise: Noise, interval: float, scale: float, usual: float) -> tuple[float, float]:
    """A shift that passes within some logging intervals: a warm-up, a fresh optimiser; and of an averaged log its first
    values, which begin at a single batch."""
    if _averaged(noise):
        return max(usual, float(np.sqrt(noise.variance * 2 / (noise.decay * interval)))), scale / noise.decay
    return usual, PASSES * interval * scale


def _averaged(noise: Noise) -> bool:
    return noise.share > 0.5 and noise.decay > 0


def _again(
    head: Head,
    noise: Floats,
    level: ColouredLevel,
    begin: Floats,
    scale: float,
    own: float,
    near: float,
    siblings: tuple[tuple[float, float], ...],
) -> float:
    """Log-likelihood of the first points of the same training again, which learns faster or slower, or of another one
    of the project that begins higher or lower and falls from there as the first one did."""
    kinds = [
        Continuation(near, min(own, level.walk), PACE, FREEDOM),
        Continuation(near, LIVELIER * level.walk + own, AGAIN_PACE, FREEDOM),
        *(Continuation(wide, min(own, level.walk), PACE, FREEDOM) for wide, _ in siblings),
    ]
    shares = np.array([0.5, 0.5, *(share for _, share in siblings)])
    found = log_likelihood(level, begin, scale, head.own, head.mean, noise, kinds)[:, 0]
    return float(np.logaddexp.reduce(found + np.log(shares / shares.sum())))


def _elsewhere(
    head: Head,
    noise: Floats,
    drifts: list[tuple[float, float]],
    height: float,
    level: ColouredLevel,
    stood: Floats,
    unsure: Floats,
) -> tuple[Floats, Floats, float, float]:
    """Log-likelihoods of the first points where they move in a way of their own: of a run that begins where the line
    stood, give or take ``unsure``, and of one on other data that are as hard; of any other run, and of another training
    of the project: the loss of the one begins anywhere, that of the other as far from where the line began as trainings
    of one project do.

    A new run's level is a random walk in the logarithm of its steps, or moves from the start as it may move in a
    continuation: what a run does later on says nothing of where it came from.
    """
    older, bent_in_age, bent, later = head.walks
    walks = [(FALLING * share, (fall * height) ** 2 * older) for fall, share in FALLS]
    for bend in (bent_in_age, bent):
        walks += [(SMOOTH / 2 * share, (fall * height) ** 2 * bend) for fall, share in FALLS]
    walks += [(STEADY * share, drift * later) for share, drift in drifts]
    middle = float(np.median(head.mean))
    begun, at = np.full(len(SIBLINGS), float(level.mean[0])), len(stood)
    off = middle - np.concatenate([stood, stood, begun, [middle]])
    hard = np.hypot(unsure, AS_HARD * height)
    wide = np.concatenate([unsure, hard, height * np.array([*(wide for wide, _ in SIBLINGS), ANYWHERE])])
    spread = np.stack([walk for _, walk in walks]) + noise
    found = log_t_anywhere(head.mean - middle, spread, FREEDOM, off, wide)
    found = np.logaddexp.reduce(found + np.log([share for share, _ in walks]), axis=1)
    apart = np.logaddexp.reduce(found[2 * at : -1] + np.log([s for _, s in SIBLINGS]))
    return found[:at], found[at : 2 * at], float(found[-1]), float(apart)


def explain(before: Profile, after: Profile, candidate: Candidate) -> str:
    """How the later run's first losses lie to the earlier curve at a candidate; empty where nothing can be said."""
    levels, loss = before.levels, after.loss
    if not levels or loss is None or len(loss) < 4 or before.logs != after.logs:
        return ""
    level, taken = levels[0], min(FIRST_POINTS, len(loss))
    seen = calm(loss.value)[:taken]
    place = candidate.offset + candidate.scale * loss.step[:taken]
    expected = np.interp(place, level.x, level.mean)
    noise = level.noise.variance * level.noise.inflation / taken
    error = float(np.sqrt(noise + np.interp(place[0], level.x, level.variance)))
    if before.logs:
        expected = np.exp(expected)
        error *= float(np.mean(expected))
    off = float(np.mean(seen - expected))
    if abs(off) <= 3 * error:
        return "its first losses lie where the run before stood after that step"
    where = "above" if off > 0 else "below"
    return f"its first losses lie {abs(off):.3g} {where} the run before after that step"
