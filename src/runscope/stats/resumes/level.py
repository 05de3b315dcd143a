"""The loss and the gradient norm on both sides of a join. Pure functions on arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runscope.stats.arrays import Floats
from runscope.stats.curves import heavy_noise
from runscope.stats.resumes.join import NOTHING, TINY, Curve, Join

RECENT, FEWEST = 0.25, 8
"""The last quarter of what was logged before the join, at least eight points, says how the loss was going on."""
FIRST = 3
"""Points after the join that say where the loss began: fewer are noise, more have already recovered."""
SAME = 0.01
"""A line through a curve does not foretell its level to better than 1%, however little noise was logged: rounded or
smoothed losses have nearly none, and no resume is accused of what their bend makes of it."""
MANY = 100
"""Points on each side whose scatter is compared: it is known to 11% from so many."""
WINDOW = 60
"""Points after the join that are looked at: what lasts longer is no consequence of a resume."""


@dataclass(frozen=True)
class Expected:
    """How a curve would have gone on.

    Attributes:
        at: continuous step from which it is extrapolated.
        level: expected value there; ``error`` is its standard error.
        slope: per step there; it dies away over ``reach`` steps, as no loss falls in a line for ever.
        noise: standard deviation of one logged point.
    """

    at: float
    level: float
    error: float
    slope: float
    reach: float
    noise: float

    def value(self, x: Floats) -> Floats:
        """Expected values at continuous steps."""
        return np.asarray(
            self.level + self.slope * self.reach * (1 - np.exp(-np.maximum(x - self.at, 0) / self.reach))
        )


def expected(curve: Curve, at: float) -> Expected | None:
    """Extrapolate a curve beyond its end by a line through its last points; None for fewer than four points."""
    count = min(len(curve), max(FEWEST, round(RECENT * len(curve))))
    if count < 4:
        return None
    x, y = curve.x[-count:] - at, _calmed(curve.y[-count:])
    spread = float(np.sum((x - x.mean()) ** 2))
    slope = float(np.sum((x - x.mean()) * (y - y.mean())) / spread) if spread > 0 else 0.0
    rest = y - y.mean() - slope * (x - x.mean())
    white = heavy_noise(curve.y[-max(count, min(len(curve), 40)) :])
    least = max(1e-9 * float(np.max(np.abs(curve.y[-count:]))), TINY)
    noise = max(float(np.std(rest)) * (count / max(count - 2, 1)) ** 0.5, 0.7 * white, least)
    # A slope that its own error explains is no slope.
    own = noise / spread**0.5 if spread > 0 else np.inf
    believed = slope * slope**2 / (slope**2 + own**2) if slope else 0.0
    error = noise * (1 / count + (x.mean() ** 2 / spread if spread > 0 else 0.0) * 0.25) ** 0.5
    reach = max(float(-x[0]), curve.every)
    return Expected(at, float(y.mean() - believed * x.mean()), error, believed, reach, noise)


SMOOTHED = 0.5
"""Correlation of neighbours from which on a curve was smoothed before it was logged: batches have none."""


def smoothing(value: Floats) -> tuple[float, float]:
    """Correlation of neighbouring points beside the trend, 0 to 0.99, and the standard deviation of what is there.

    The trend is a polynomial of the fourth degree, which follows three time constants of a falling loss to 1%; of the
    correlation two standard errors are taken off, as so much is chance.
    """
    if len(value) < 2 * FEWEST:
        return 0.0, 0.0
    place = np.linspace(-1.0, 1.0, len(value))
    rest = value - np.polynomial.Chebyshev.fit(place, value, 4)(place)
    spread = float(np.mean(rest**2))
    if spread <= 0:
        return 0.0, 0.0
    alike = float(np.mean(rest[1:] * rest[:-1])) / spread - 2 / len(value) ** 0.5
    return float(np.clip(alike, 0.0, 0.99)), spread**0.5


def _calmed(y: Floats) -> Floats:
    """Draw single outliers in: one spike before the join must not tilt the line."""
    middle = float(np.median(y))
    spread = 1.4826 * float(np.median(np.abs(y - middle)))
    return np.clip(y, middle - 4 * spread, middle + 4 * spread) if spread > 0 else y


@dataclass(frozen=True)
class Jump:
    """How a loss differs from its expected course after a join.

    Attributes:
        expected: the course.
        z: mean difference of the first points, in standard errors.
        size: the same in the loss's own unit.
        first: first value after the join.
        begin: first value of the training; None where the loss had not fallen by more than its noise.
        share: how much of what had been learned is gone: 1 is back at the beginning; None where nothing was learned.
        retraces: from -1 to 1: whether the first points follow those of the beginning of the training (1) or the
            expected course (-1).
        stays: share of the jump that is left at the end of the window.
        fades_over: steps until two thirds of the jump are gone; None where they do not go, or there is none.
        back_after: steps until the loss came back to its course; None where it did not, or never left it.
        ratio: typical ratio of the loss to its course; NaN where either is not positive.
        steady: how steady that ratio is, 0 to 1.
        noise_ratio: scatter after the join over that before it.
        noise_error: standard error of the logarithm of that.
        seen: points after the join, of those that are looked at.
    """

    expected: Expected
    z: float
    size: float
    first: float
    begin: float | None
    share: float | None
    retraces: float
    stays: float
    fades_over: float | None
    back_after: float | None
    ratio: float
    steady: float
    noise_ratio: float
    noise_error: float
    seen: int


def jump(join: Join) -> Jump | None:
    """Measure the loss at a join; None with fewer than four points before it or two after it."""
    near, after = join.near("loss"), join.after.get("loss", NOTHING).first(WINDOW)
    course = expected(near, join.start)
    if course is None or len(after) < 2:
        return None
    off = after.y - course.value(after.x)
    count = min(FIRST, len(off))
    size = float(np.mean(off[:count]))
    begin, share = _learned(join, course, after)
    ratio, steady = _ratio(after, course)
    later = join.after["loss"].first(MANY).y
    later = later[min(5, len(later) // 3) :]
    old, new = scatter(near.y[-MANY:]), scatter(later)
    known = old > 0 and new > 0 and len(after) >= 8
    noise = course.noise * _noisier(near.every / after.every, new / old if known else None)
    noise = max(noise, _unsmoothed(near.y[-MANY:]))
    return Jump(
        expected=course,
        z=size / (noise**2 / count + course.error**2 + (SAME * course.level) ** 2) ** 0.5,
        size=size,
        first=float(after.y[0]),
        begin=begin,
        share=share,
        retraces=_retraces(join, course, after),
        stays=_stays(off, size),
        fades_over=_back(after, off, size / np.e) if size > 2 * course.noise else None,
        back_after=_back(after, off, max(0.5 * course.noise, 0.15 * size)),
        ratio=ratio,
        steady=steady,
        noise_ratio=new / old if known else 1.0,
        noise_error=(1.2 / min(len(near), MANY) + 1.2 / len(later)) ** 0.5 if known else np.inf,
        seen=len(after),
    )


def _noisier(interval: float, scatter: float | None) -> float:
    """How much more a point after the join is noise than one before: a row that is the mean of fewer steps is."""
    if scatter is None:
        return float(max(interval, 1.0) ** 0.5)
    return float(max(scatter, 1.0))


def scatter(value: Floats) -> float:
    """Standard deviation of a curve's noise from its second differences, those beyond three robust ones drawn in.

    As robust as :func:`runscope.stats.curves.noise` against single spikes, and nearly as sure as a plain standard
    deviation: the variance of its logarithm is 1.2 / n (simulated with normal noise), that of the median's 2.1 / n.
    """
    if len(value) < 4:
        return 0.0
    second = np.diff(value, 2)
    limit = 3 * 1.4826 * float(np.median(np.abs(second)))
    return float(np.sqrt(np.mean(np.clip(second, -limit, limit) ** 2) / 6)) if limit > 0 else 0.0


def _learned(join: Join, course: Expected, after: Curve) -> tuple[float | None, float | None]:
    """First value of the training, and which share of the fall since then the first values after the join give back."""
    begin = _first(join.before.get("loss", NOTHING).y, course.noise)
    fall = begin - course.level
    known = (course.noise**2 / FIRST + course.error**2) ** 0.5
    if fall < LEARNED * known or fall <= 0.02 * abs(course.level):
        return None, None
    return begin, (_first(after.y, course.noise) - course.level) / fall


LEARNED = 5.0
"""Standard errors by which a loss must have fallen until it says where the training began."""


def _first(value: Floats, noise: float) -> float:
    """Where a curve begins: its first points' higher one, or their mean where they differ by no more than noise."""
    some = value[:FIRST]
    return float(np.mean(some)) if float(np.ptp(some)) < 3 * noise else float(np.max(value[:2]))


def _retraces(join: Join, course: Expected, after: Curve) -> float:
    """Whether the first points follow those of the training's beginning, at as many steps after it."""
    whole = join.before.get("loss", NOTHING)
    count = min(12, len(after), len(whole))
    if count < 3:
        return 0.0
    then = np.interp(after.x[:count] - join.start, whole.x - _zero(whole), whole.y)
    like_begin = float(np.mean(np.abs(after.y[:count] - then)))
    like_course = float(np.mean(np.abs(after.y[:count] - course.value(after.x[:count]))))
    total = like_begin + like_course
    return (like_course - like_begin) / total if total > 0 else 0.0


def _zero(whole: Curve) -> float:
    """The step at which the training began: one interval before its first logged point, where that is not step 0."""
    return 0.0 if whole.x[0] <= 1.5 * whole.every else float(whole.x[0] - whole.every)


def _stays(off: Floats, size: float) -> float:
    last = off[len(off) * 2 // 3 :]
    return float(np.clip(np.mean(last) / size, -0.5, 1.5)) if size and len(off) >= 4 else 0.5


def _back(after: Curve, off: Floats, near: float) -> float | None:
    """Steps until three points in a row lie near the course, on average: to half their noise, or 15% of the jump."""
    if float(np.mean(off[:FIRST])) < 2 * near:
        return None
    for place in range(1, len(off) - 2):
        if float(np.mean(off[place : place + 3])) < near:
            return float(after.x[place] - after.x[0])
    return None


def _ratio(after: Curve, course: Expected) -> tuple[float, float]:
    then = course.value(after.x)
    if course.level <= 0 or bool((after.y <= TINY).any()) or bool((then <= TINY).any()):
        return np.nan, 0.0
    log = np.log(after.y / then)
    middle = float(np.median(log))
    third = max(1, len(log) // 3)
    drift = abs(float(np.median(log[:third]) - np.median(log[-third:])))
    return float(np.exp(middle)), float(np.exp(-((drift / max(0.35 * abs(middle), 0.05)) ** 2)))


def _unsmoothed(value: Floats) -> float:
    """Noise of the batches behind a smoothed curve, 0 where it is none: the running mean begins anew with a resume, so
    that its first points carry all of it. The factor is that of an autoregressive noise."""
    alike, spread = smoothing(value)
    return 0.0 if alike < SMOOTHED else spread * ((1 + alike) / (1 - alike)) ** 0.5


BACK, LEVELS, LASTS = 0.5, 8.0, 3
"""A leap gives back half of what was learned, by eight times the noise, for three points: no spike, no trend."""


def leaps(value: Floats) -> list[int]:
    """Places at which a loss leaps towards where it began and stays for a while, at most three."""
    if len(value) < 2 * FEWEST + LASTS:
        return []
    windows = np.lib.stride_tricks.sliding_window_view(value, FEWEST)
    before = np.median(windows, axis=1)[: len(value) - FEWEST - LASTS + 1]
    ahead = np.min(np.lib.stride_tricks.sliding_window_view(value, LASTS), axis=1)[FEWEST:]
    begin = float(np.max(value[:2]))
    bar = np.maximum(BACK * (begin - before), LEVELS * heavy_noise(value))
    found = np.flatnonzero((ahead - before > bar) & (begin > before)) + FEWEST
    first = [int(p) for n, p in enumerate(found) if n == 0 or p - found[n - 1] > FEWEST]
    return first[:3]


@dataclass(frozen=True)
class Norms:
    """The gradient norm after a join over that before it: of the first points, and of the later ones."""

    first: float
    later: float


def norms(join: Join) -> Norms | None:
    """Measure the gradient norm at a join; None with fewer than four points before it or two after it."""
    near, after = join.near("grad_norm"), join.after.get("grad_norm", NOTHING).first(WINDOW)
    near, after = near.where(near.y > TINY), after.where(after.y > TINY)
    if len(near) < 4 or len(after) < 2:
        return None
    usual = float(np.median(near.y[-max(FEWEST, round(RECENT * len(near))) :]))
    later = after.y[len(after) // 3 :]
    return Norms(float(np.median(after.y[:FIRST])) / usual, float(np.median(later)) / usual)


BURST = 5.0
"""Times the usual gradient norm: an update that a loss does not survive shows it, a restart has nothing to show."""


CLIMBS = 4.0
"""Standard deviations of a row: of normal noise one in thirty thousand lies so high."""


def came_apart(join: Join) -> bool:
    """Whether the last row before a leap already shows why: a gradient norm that had burst, or a loss on its way up.

    What was restarted from lost weights went on as ever until the row before.
    """
    norm, loss = join.near("grad_norm"), join.near("loss")
    recent = norm.y[-RECENTLY - 1 : -1]
    if len(recent) >= FEWEST and norm.y[-1] > BURST * float(np.median(recent)):
        return True
    earlier = loss.y[-RECENTLY - 1 : -1]
    if len(earlier) < FEWEST:
        return False
    return bool(loss.y[-1] - np.median(earlier) > CLIMBS * max(scatter(earlier), heavy_noise(earlier)))


RECENTLY = 20
"""Rows that say what is usual: fewer are noise, more may lie where the training still learned fast."""
HURT = 0.4
"""Share of its fall that a held-out loss gives back where more than noise happened to it."""


def held_out(join: Join, leap: Jump) -> float | None:
    """How much of what the held-out loss had fallen the first evaluation after a join gives back, where that tells.

    A calm one that was made when the training loss was back on its course does not: a small adapter is learned again
    in twenty steps.
    """
    given_back = given_back_at_first(join)
    if given_back is None or leap.back_after is None or given_back >= HURT:
        return given_back
    back = join.after["loss"].x[0] + leap.back_after
    return None if back <= join.after["eval_loss"].x[0] else given_back


def given_back_at_first(join: Join) -> float | None:
    """The same whenever it was made; None without an evaluation on both sides, or where it had not fallen."""
    before, after = join.before.get("eval_loss", NOTHING), join.after.get("eval_loss", NOTHING)
    if len(before) < 2 or not len(after):
        return None
    fall = float(np.max(before.y[:2])) - float(before.y[-1])
    if fall <= max(0.03 * abs(float(before.y[-1])), TINY):
        return None
    return (float(after.y[0]) - float(before.y[-1])) / fall
