"""Where a curve stood, how its noise hangs together, and how likely another curve goes on from there.

A curve is a random walk that is seen with noise (the local level model; Harvey 1989, *Forecasting, Structural Time
Series Models and the Kalman Filter*, chapter 2). Part of the noise may be autocorrelated: a smoothed or averaged
log, batches of one kind in a row. Such noise is no independent evidence, so it is told apart from the walk and from
white noise by its spectrum. Written by hand because a state space package costs a second to import and a fit of
each run; a curve takes two milliseconds here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from runscope.stats.arrays import Floats
from runscope.stats.levels.filters import running_median
from runscope.stats.levels.level import CLIP, MOST_BLOCKS, _smoothed, blocks, merged

WALKS = np.geomspace(1e-6, 3.0, 24)
"""Tried variances of the walk per point, as a share of the noise."""
MEMORIES = (0.3, 0.6, 0.8, 0.9, 0.95, 0.98)
"""Tried correlations of the autocorrelated noise from one point to the next."""
SHARES = (0.25, 0.5, 0.75, 1.0)
"""Tried shares of the noise that are autocorrelated."""
CYCLES = 6
"""A memory is tried where the curve is so many times as long. One that long can hardly be told from the walk: both then
count, each as far as it is likely."""
WHITE = 0.8
"""How often the noise of a log is white: most loggers write single batches, or means of the rows between. Else every
memory and share is as likely."""
LESS_LIKELY = 2.0
"""Log-posterior by which a form of the noise may be less likely than the best, to be counted still."""
TAPERED = 1.5
BINS = 60
TINY, ENOUGH = 1e-12, 1e300
"""What keeps a covariance positive definite whatever is rounded, and more than any sum of whitened squares."""


@dataclass(frozen=True)
class Noise:
    """How logged points scatter around the level.

    Attributes:
        variance: of one logged point.
        share: part of it that is autocorrelated.
        decay: its correlation falls as exp(-decay × distance), per unit of ``x``.
        each: points per unit of ``x``.
    """

    variance: float
    share: float = 0.0
    decay: float = 0.0
    each: float = 1.0

    @property
    def inflation(self) -> float:
        """Variance of the mean of many points against that of as many independent ones."""
        if not self.share:
            return 1.0
        memory = float(np.exp(-self.decay / self.each))
        return 1 - self.share + self.share * (1 + memory) / (1 - memory)

    def covariance(self, x: Floats, size: float) -> Floats:
        """(m, m) of block means of ``size`` points each at the places ``x``."""
        white = (1 - self.share) * self.variance / size * np.eye(len(x))
        if not self.share:
            return white
        # Means over stretches of a continuous process; evenly apart, so that the matrix stays positive definite.
        width = max(size / self.each, 1e-300)
        gap = max(float(np.median(np.diff(x))) if len(x) > 1 else width, width)
        place = np.arange(len(x)) * gap
        w = self.decay * width
        apart = self.decay * np.abs(place[:, None] - place[None, :])
        apart = np.exp(w - np.maximum(apart, w)) * (-np.expm1(-w) / w) ** 2
        np.fill_diagonal(apart, 2 * (w + np.expm1(-w)) / w**2 if w > 1e-3 else 1.0)
        return np.asarray(white + self.share * self.variance * apart)


@dataclass(frozen=True)
class ColouredLevel:
    """What is known of a curve's level.

    Attributes:
        x: (n,) places of the blocks, increasing.
        mean, variance: (n,) of the level at them, given the whole curve.
        walk: variance that the level gains per unit of ``x``.
        noise: how logged points scatter around it.
        reach: distance in ``x`` over which errors of the level stay alike.
        weight: log-posterior of this form of the noise, given this curve.
    """

    x: Floats
    mean: Floats
    variance: Floats
    walk: float
    noise: Noise
    reach: float
    weight: float = 0.0


def calm(value: Floats) -> Floats:
    """Draw single spikes in to their neighbours, by three robust standard deviations; a steep stretch is no spike."""
    if len(value) < 9:
        return value
    rest = value - running_median(value, 9, ends="mirror")
    spread = 1.4826 * float(np.median(np.abs(rest)))
    limit = CLIP * (spread if spread > 0 else float(np.std(rest)))
    middle = running_median(value, 3, ends="mirror")
    drawn = middle + np.clip(value - middle, -limit, limit)
    for end, near, far in ((0, 1, 3), (-1, -2, -4)):
        ahead = drawn[near] + (drawn[near] - drawn[far]) / 2
        drawn[end] = np.clip(value[end], ahead - 2 * limit, ahead + 2 * limit)
    return np.asarray(drawn)


def fit(x: Floats, value: Floats, each: float = 1.0) -> tuple[ColouredLevel, ...]:
    """Fit level, walk and noise; ``each`` is how many logged points a value is the mean of.

    A smooth log is that of a level that wanders without noise, or of an average: which one, it does not tell. So every
    form of the noise that is about as likely as the best gives a level of its own, the likeliest first.

    Returns:
        Nothing for fewer than 6 distinct points.
    """
    place, seen = merged(np.asarray(x, dtype=np.float64), calm(value))
    if len(place) < 6:
        return ()
    step = float(np.median(np.diff(place))) or 1.0
    late = _late(seen)
    whole = blocks(place, seen, MOST_BLOCKS)
    return tuple(_level(*whole, step, late, each, form) for form in _forms(seen[late:]))


def _late(seen: Floats) -> int:
    """From which point on: the first quarter falls faster than the rest, and would make the walk look too wide."""
    return len(seen) // 4 if len(seen) >= 40 else 0


def _level(
    place: Floats, seen: Floats, size: float, step: float, late: int, each: float, form: Form
) -> ColouredLevel:
    """The level of a curve's blocks where the noise has one form."""
    floor = 1e-12 * max(1.0, float(np.max(np.abs(seen)))) ** 2
    variance = max(form.variance, floor)
    walk = max(form.walk, 1e-9 * variance)
    decay = -float(np.log(form.memory)) / step if form.share else 0.0
    noise = Noise(variance * each, form.share, decay, 1 / step)
    apart = np.append(0.0, np.diff(place)) / step
    inflated = max(variance * noise.inflation / size, floor)
    early = int(late / size)
    if early > 2:
        moved = float(np.mean(np.diff(seen[: early + 1]) ** 2)) - 2 * inflated
        apart[: early + 1] *= max(1.0, moved / (walk * size))
    mean, spread = _smoothed(seen, apart, walk / inflated)
    ratio = walk * size / inflated
    reach = step * size * max(1.0, 1 / float(np.arccosh(1 + ratio / 2)))
    return ColouredLevel(place, mean, spread * inflated, walk / step, noise, reach, form.weight)


def refit(
    x: Floats, value: Floats, like: Noise, scale: float, each: float = 1.0
) -> tuple[Noise, float, float]:
    """Noise and walk of a curve under a form of the noise that another one, logged in the same way, may have.

    Args:
        x, value: (n,) of the curve, n ≥ 6.
        like: the noise of the other curve.
        scale: units of its axis per unit of ``x``.
        each: how many logged points each value is the mean of.

    Returns:
        Noise, walk, and the log-likelihood of that form.
    """
    place, seen = merged(np.asarray(x, dtype=np.float64), calm(value))
    step = float(np.median(np.diff(place))) or 1.0
    decay = like.decay * scale
    shape = (like.share, float(np.exp(-decay * step))) if like.share else (0.0, 0.0)
    (form,) = _fitted(seen[_late(seen) :], [shape])
    noise = Noise(max(form.variance * each, 1e-300), like.share, decay, 1 / step)
    return noise, form.walk / step, form.weight


@dataclass(frozen=True)
class Form:
    """Walk per point and variance of the noise, both as means over their posterior, for one form of noise: its
    autocorrelated share and its memory; ``weight`` is the log-likelihood of that form."""

    walk: float
    variance: float
    share: float
    memory: float
    weight: float


def _forms(seen: Floats) -> list[Form]:
    """The forms of noise that count, the likeliest first; of those of one memory only the likeliest share."""
    memories = [m for m in MEMORIES if len(seen) * (1 - m) >= CYCLES]
    white, *others = _fitted(seen, [(0.0, 0.0), *((s, m) for m in memories for s in SHARES)])
    found = [replace(white, weight=white.weight + np.log(WHITE if others else 1.0))]
    rare = np.log((1 - WHITE) / max(len(others), 1))
    for number in range(len(memories)):
        some = others[number * len(SHARES) : (number + 1) * len(SHARES)]
        best = max(some, key=lambda form: form.weight)
        whole = float(np.logaddexp.reduce([form.weight for form in some]))
        found.append(replace(best, weight=whole + rare))
    found.sort(key=lambda form: -form.weight)
    top = found[0].weight
    return [replace(f, weight=float(f.weight - top)) for f in found if f.weight >= top - LESS_LIKELY]


def _fitted(seen: Floats, forms: list[tuple[float, float]]) -> list[Form]:
    """Every form of the noise (share, memory) fitted to a curve.

    Whittle's likelihood of the differences, whose spectrum is that of the walk (flat) and of the noise (rising).
    """
    change = np.diff(seen)
    taper = np.hanning(len(change) + 2)[1:-1]
    power = np.abs(np.fft.rfft(change * taper)[1:]) ** 2 / np.sum(taper**2)
    angle = 2 * np.pi * np.arange(1, len(power) + 1) / len(change)
    power, angle, weight = _binned(power, angle)
    rising = 2 * (1 - np.cos(angle))
    share, memory = np.array(forms).T
    coloured = (1 - memory**2)[:, None] / (1 - 2 * memory[:, None] * np.cos(angle) + (memory**2)[:, None])
    noise = rising * (1 - share[:, None] + share[:, None] * coloured)
    shape = WALKS[None, :, None] + noise[:, None, :]
    total = weight.sum()
    scale = np.maximum((weight * power / shape).sum(-1) / total, 1e-300)
    # Neighbouring frequencies of a tapered curve tell much the same.
    fit = (-(weight * np.log(shape)).sum(-1) - total * np.log(scale)) / TAPERED
    told = np.logaddexp.reduce(fit, axis=1) - np.log(len(WALKS))
    posterior = np.exp(fit - told[:, None]) / len(WALKS)
    walk, variance = (posterior * WALKS * scale).sum(axis=1), (posterior * scale).sum(axis=1)
    rows = zip(walk, variance, share, memory, told, strict=True)
    return [Form(*(float(x) for x in row)) for row in rows]


def _binned(power: Floats, angle: Floats) -> tuple[Floats, Floats, Floats]:
    """Means of the spectrum over at most :data:`BINS` bands, and how many frequencies each holds."""
    if len(power) <= BINS:
        return power, angle, np.ones(len(power))
    edges = np.unique(np.rint(np.geomspace(1, len(power) + 1, BINS)).astype(int)) - 1
    edges = edges[edges < len(power)]
    count = np.diff(np.append(edges, len(power))).astype(np.float64)
    return np.add.reduceat(power, edges) / count, np.add.reduceat(angle, edges) / count, count


@dataclass(frozen=True)
class Continuation:
    """How a later run's curve may differ from the one it continues.

    Attributes:
        shift: standard deviation of a shift from the first point on.
        drift: variance gained per unit of the earlier curve's ``x`` since its start.
        pace: standard deviation of how much faster or slower it learns, as a share of what the earlier curve moved.
        freedom: degrees of freedom of the Student t likelihood: how heavy its tails are.
        passing: standard deviation of a shift that passes, and after how many units of ``x`` it has fallen by a
            factor e.
        back: share of what the earlier curve had fallen that it gives back, and the standard deviation of that.
        bend, length: standard deviation that it gains by a smooth curve of its own over that length.
    """

    shift: float
    drift: float
    pace: float
    freedom: float
    passing: tuple[float, float] = (0.0, 1.0)
    bend: float = 0.0
    length: float = 1.0
    back: tuple[float, float] = (0.0, 0.0)

    def spread(self, own: Floats, since: Floats, bent: Floats) -> Floats:
        """(m, m) covariance of what does not depend on the place; ``since`` is the smaller of each two ``own``, and
        ``bent`` the covariance of a bend of 1."""
        passing = self.passing[0] * np.exp(-own / self.passing[1])
        found = self.drift * since + self.shift**2 + passing[:, None] * passing[None, :]
        return np.asarray(found + self.bend**2 * bent if self.bend else found)


def bends(x: Floats) -> Floats:
    """(m, m) covariance of smooth curves from 0 on, at m places: a slope, and an integrated random walk around it."""
    first = np.minimum(x[:, None], x[None, :])
    return np.asarray(np.outer(x, x) + first**2 * (3 * np.maximum(x[:, None], x[None, :]) - first) / 6)


def log_likelihood(
    level: ColouredLevel,
    begin: Floats,
    scale: float,
    own: Floats,
    value: Floats,
    noise: Floats,
    kinds: Sequence[Continuation],
    memory: float = 0.0,
    fell: Floats | float = 0.0,
) -> Floats:
    """Log-likelihood of a later run's first block means, for every way and place in which it may have begun.

    Args:
        level: of the earlier curve.
        begin: (c,) places of the saved states on the earlier curve's axis.
        scale: units of that axis per own unit.
        own: (m,) places of the later run's blocks, counted from the state that it began from.
        value: (m,) their means.
        noise: (m, m) covariance of such means around the later run's level.
        kinds: (k) ways in which the later curve may differ.
        fell: (c,) how far the earlier curve fell before each place, of which a later one gives a share back.
        memory: of an averaged log, in units of the axis: it lags behind by so much, and a new average does not yet.

    Returns:
        (k, c) log-likelihoods, up to a constant that :func:`log_t` shares.
    """
    own = scale * own
    place = begin[:, None] + own[None, :]
    end = float(level.x[-1])
    inside = np.clip(place, level.x[0], end)
    beyond = np.maximum(place - end, 0.0)
    expected = np.interp(inside, level.x, level.mean)
    error = value[None, :] - expected
    fallen = np.broadcast_to(np.asarray(fell, dtype=np.float64), begin.shape)
    moved = expected - np.interp(begin, level.x, level.mean)[:, None]
    unsure = np.sqrt(np.interp(inside, level.x, level.variance))
    known = np.exp(-np.abs(inside[:, :, None] - inside[:, None, :]) / level.reach)
    known *= unsure[:, :, None] * unsure[:, None, :]
    known += noise
    # Beyond the end of the line its level walks on, or is the beginning of a smooth curve.
    walked = level.walk * np.minimum(beyond[:, :, None], beyond[:, None, :])
    if memory > 0:
        behind = np.interp(begin, level.x, level.mean) - np.interp(begin - 2 * memory, level.x, level.mean)
        passes = np.exp(-own / memory)
        known += (behind**2)[:, None, None] * np.outer(passes, passes)
    walked += known
    faster = moved[:, :, None] * moved[:, None, :]
    paced = {pace: pace**2 * faster for pace in {how.pace for how in kinds}}
    since = np.minimum(own[:, None], own[None, :])
    bent = {length: bends(own / length) for length in {how.length for how in kinds}}
    found = []
    for how in kinds:  # one at a time: all together they fit into no cache
        spread = known if how.bend and not how.drift else walked
        spread = spread + how.spread(own, since, bent[how.length])
        spread += paced[how.pace]
        off = error
        if how.back[1]:
            off = error - how.back[0] * fallen[:, None]
            spread += (how.back[1] * fallen[:, None, None]) ** 2
        found.append(log_t(off, spread, kinds[0].freedom))
    return np.stack(found)


def log_t(error: Floats, spread: Floats, freedom: float) -> Floats:
    """(…) logs of the multivariate Student t density of (…, m) errors of (…, m, m) covariance, without its constant."""
    white, logs = _whitened(error[..., None, :], spread)
    return _log_t((white[..., 0, :] ** 2).sum(axis=-1), logs, error.shape[-1], freedom)


def log_t_anywhere(error: Floats, spread: Floats, freedom: float, off: Floats, shift: Floats) -> Floats:
    """(v, k) of :func:`log_t` for (m,) errors of (k, m, m) covariance, ``off`` (v,) added to all of them and ``shift``
    (v,) being the standard deviation of another such addition: all from one root (Sherman and Morrison)."""
    rows = np.broadcast_to(np.stack([error, np.ones_like(error)]), (len(spread), 2, len(error)))
    white, logs = _whitened(rows, spread)
    square, cross, ones = (white[:, i] * white[:, j] for i, j in ((0, 0), (0, 1), (1, 1)))
    square, cross, ones = square.sum(axis=-1), cross.sum(axis=-1), ones.sum(axis=-1)
    by, wide = off[:, None], (shift**2)[:, None]
    moved, along = square + 2 * by * cross + by**2 * ones, cross + by * ones
    left = np.maximum(moved - wide * along**2 / (1 + wide * ones), 0.0)
    return _log_t(left, logs + np.log1p(wide * ones) / 2, len(error), freedom)


def _whitened(rows: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """(…, r, m) rows whitened by (…, m, m) covariances, and (…) logs of the roots' determinants.

    Factored together with the rows, which the root then holds whitened: twice as fast as solving for them.
    """
    more, count = rows.shape[-2:]
    whole = np.zeros((*spread.shape[:-2], count + more, count + more))
    whole[..., :count, :count], whole[..., count:, :count] = spread, rows
    diagonal = np.einsum("...ii->...i", whole)
    diagonal[..., :count] += TINY * np.trace(spread, axis1=-2, axis2=-1)[..., None] / count
    diagonal[..., count:] = ENOUGH
    root = np.linalg.cholesky(whole)
    return root[..., count:, :count], np.log(np.einsum("...ii->...i", root)[..., :count]).sum(axis=-1)


def _log_t(square: Floats, logs: Floats, count: int, freedom: float) -> Floats:
    return np.asarray(-logs - (freedom + count) / 2 * np.log1p(square / freedom))
