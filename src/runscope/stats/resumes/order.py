"""Whether the data went on where it stopped: the same batches make the same bumps. Pure functions on arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from runscope.stats.arrays import Bools, Floats, Ints
from runscope.stats.curves import noise
from runscope.stats.levels.filters import running_gaussian
from runscope.stats.resumes.join import NOTHING, Curve, Join, epochs_a_step
from runscope.stats.resumes.level import SMOOTHED, smoothing

LEAST = 8
"""Points that two stretches must share: the correlation of fewer is high by chance once in a hundred pairs."""
MOST = 40
ALIKE = 0.6
"""Detrended neighbours are not independent: what noise alone reaches lies so much higher, in standard errors."""
TREND = 2.5
"""Width, in points, of the trend that is taken off: what is left are the bumps of single batches."""
SPIKE = 2.5
"""Robust standard deviations beyond which a bump is a spike: of normal noise one in eighty is."""
ONE_EPOCH = 0.04
"""A shift by whole epochs, to a twenty-fifth of one, is what data without shuffling does anyway."""


@dataclass(frozen=True)
class Order:
    """What the bumps of the loss say of the order of the data.

    Attributes:
        again: correlation with what the run before logged at the same steps; None where no step was done twice.
        off: root mean square difference to it, in units of the noise.
        above: mean of the first differences to it, in units of the noise; positive: the loss is higher.
        above_t: the same in standard errors.
        replay: standard errors by which the best match with earlier steps stands out, less what the best of so many
            tried shifts reaches by chance; at most 0 where nothing stands out.
        shift: by how many steps earlier that match lies.
        identical: rows of the discarded tail that came again to the last digit, where all of them did; else 0.
    """

    again: float | None = None
    off: float = 0.0
    above: float = 0.0
    above_t: float = 0.0
    shared: int = 0
    replay: float = 0.0
    shift: float | None = None
    identical: int = 0


def order(join: Join) -> Order:
    """Compare the bumps after the join with those of the discarded tail, and with those of earlier steps."""
    return replace(_order(join), identical=identical(join))


PLACES = 4
"""Decimal places that logs are rounded to at most by habit: with more, other batches never give the same number."""


def identical(join: Join) -> int:
    """Rows that came again to the last digit, where every one that was done twice did; else 0.

    Losses and gradient norms both count, as far as they were logged at the same steps. Of numbers that were rounded
    equality is no proof, nor of a curve that stands still.
    """
    counts = []
    for role in ("loss", "grad_norm"):
        after, tail = join.after.get(role, NOTHING), join.tail.get(role, NOTHING)
        same, a, b = np.intersect1d(after.x, tail.x, return_indices=True)
        if not len(same):
            continue
        new, old = after.y[a], tail.y[b]
        if not np.array_equal(new, old):
            return 0
        fine = bool((new != np.round(new, PLACES)).any())
        counts.append(len(same) if fine and len(np.unique(new)) == len(new) else 0)
    return max(counts, default=0)


def _order(join: Join) -> Order:
    after, tail = join.after.get("loss", NOTHING).first(MOST), join.tail.get("loss", NOTHING)
    whole = join.before.get("loss", NOTHING)
    every = after.every
    if len(after) < LEAST or abs(join.near("loss").every - every) > 0.01 * every:
        return Order()
    if (
        smoothing(whole.y[-2 * MOST :])[0] >= SMOOTHED
    ):  # what a running mean remembers is not the order of the data
        return Order()
    found = _again(after, tail)
    replay, shift = _replay(join, after, Curve(np.append(whole.x, tail.x), np.append(whole.y, tail.y)))
    return Order(*found, replay=replay, shift=shift)


def _again(after: Curve, tail: Curve) -> tuple[float | None, float, float, float, int]:
    same, a, b = np.intersect1d(after.x, tail.x, return_indices=True)
    if len(same) < LEAST - 2:
        return None, 0.0, 0.0, 0.0, len(same)
    new, old = after.y[a], tail.y[b]
    usual = max(noise(old), noise(new), 1e-12)
    apart = new - old
    head = apart[: max(4, len(apart) // 2)]
    error = max(float(np.std(head)) / len(head) ** 0.5, 1e-6 * usual)
    mean = float(np.mean(head))
    off = float(np.sqrt(np.mean(apart**2))) / usual
    return _alike(bumps(new), bumps(old)), off, mean / usual, mean / error, len(same)


def bumps(value: Floats) -> Floats:
    """What is left of a curve when its trend is taken off, spikes drawn in: two of them that meet are no match."""
    rest = value - running_gaussian(value, TREND, ends="reflect")
    spread = 1.4826 * float(np.median(np.abs(rest)))
    return np.clip(rest, -SPIKE * spread, SPIKE * spread) if spread > 0 else rest


def _alike(one: Floats, other: Floats) -> float:
    """Correlation; 0 where one of them is flat."""
    spread = float(np.std(one) * np.std(other))
    return float(np.mean((one - one.mean()) * (other - other.mean())) / spread) if spread > 0 else 0.0


def _replay(join: Join, after: Curve, whole: Curve) -> tuple[float, float | None]:
    """The earlier stretch whose bumps come again, if one stands out."""
    if len(whole) < LEAST + 2 or len(np.unique(np.round(np.diff(whole.x), 6))) > 1:
        return 0.0, None
    every, wave = whole.every, bumps(whole.y)
    where = round((after.x[0] - whole.x[0]) / every)
    own = bumps(after.y[: min(len(after), MOST)])
    # Shift 0 is the order as it was; a stretch must lie among the points that there are.
    shifts = np.arange(max(1, where + LEAST - len(whole)), where + 1)
    pace = _epochs_a_step(join)
    if pace is not None:
        shifts = shifts[~_whole(shifts * every * pace)]
    if not len(shifts):
        return 0.0, None
    scores = _scores(own, wave, where - shifts)
    best = int(np.argmax(scores))
    shift = float(shifts[best]) * every
    usual = _usual(join.before.get("loss", NOTHING), len(own))
    tried = 2 if pace is not None and _natural(join, shift, every * pace) else max(len(shifts), 2)
    chance = ALIKE + float((2 * np.log(tried)) ** 0.5)
    return max(float(scores[best]) - max(chance, usual), 0.0), shift


def _usual(whole: Curve, count: int) -> float:
    """How well the last stretch before the join matches earlier ones: the bumps of a smooth curve, of one that swings
    and of data without shuffling always come again, and say nothing of a replay."""
    last = len(whole) - count
    if last < count:
        return 0.0
    wave = bumps(whole.y)
    return float(np.max(_scores(wave[last:], wave[:last], np.arange(last - count + 1))))


def _scores(own: Floats, wave: Floats, places: Ints) -> Floats:
    """Fisher's z of the correlations with the stretches that begin at the given places, in standard errors."""
    inside = places[:, None] + np.arange(len(own))[None, :]
    known = inside < len(wave)
    count = known.sum(axis=1)
    then = np.where(known, wave[np.minimum(inside, len(wave) - 1)], 0.0)
    new = np.where(known, own[None, :], 0.0)
    then = np.where(known, then - (then.sum(axis=1) / count)[:, None], 0.0)
    new = np.where(known, new - (new.sum(axis=1) / count)[:, None], 0.0)
    spread = np.sqrt((then**2).sum(axis=1) * (new**2).sum(axis=1))
    alike = np.divide((then * new).sum(axis=1), spread, out=np.zeros(len(places)), where=spread > 0)
    return np.asarray(np.arctanh(np.clip(alike, -0.9999, 0.9999)) * np.sqrt(np.maximum(count - 3, 1)))


def _epochs_a_step(join: Join) -> float | None:
    curve = join.near("epoch")
    return epochs_a_step(curve) if len(curve) > 1 else None


def _whole(epochs: Floats) -> Bools:
    return np.asarray((np.rint(epochs) >= 1) & (np.abs(epochs - np.rint(epochs)) < ONE_EPOCH))


def _natural(join: Join, shift: float, interval: float) -> bool:
    """Whether the shift leads to the start of the epoch, or of the training: where loaders begin again."""
    epoch, pace = join.epoch, _epochs_a_step(join)
    if epoch is None or pace is None:
        return False
    back = epoch - shift * pace
    return abs(back - np.floor(epoch)) < 1.5 * interval or abs(back) < 1.5 * interval
