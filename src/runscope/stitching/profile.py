"""What the evidence needs to know of one run, looked up once however often the run is compared.

What takes longest, the levels of its curves, is looked up when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from runscope.history import Run, Series
from runscope.history.batch import batch_size, sequence_length
from runscope.history.parts import main_series
from runscope.stats.arrays import Floats, Ints
from runscope.stats.levels.continuation import ColouredLevel, fit
from runscope.stats.levels.filters import running_median
from runscope.stats.levels.level import blocks
from runscope.stats.medians import median
from runscope.stats.schedule import decay_end

DEVIATIONS = 5000
"""The order of the data is told by so many points."""
LAGS = 8
"""How deviations hang together is known over an eighth of the rows; those that do so for longer are hardly noise."""
CLOCK_POINTS = 4000
"""A clock or a schedule of a million points is told as well by so many of them."""
NEGATIVE, FLOOR = 0.2, 0.02
"""Losses of which at most one in five is negative are compared as logarithms, of 2% of their median at least."""
EXPLODED, SUDDEN = (0.1, 0.5), 0.05
"""A loss that ends above where it began has exploded, if it went from a tenth of its rise from the lowest level to half
of it within 5% of the run's points; and if that rise is ten times the noise."""
RISE, FEWEST = 10.0, 20
STAYED = 3
"""A loss stayed no number from so many rows at its end on: one or two are steps that the scaler of fp16 skipped."""
CURVE_POINTS = 8000
"""A loss of a million points is reduced to so many means: its level and noise are as well known from them."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Points of a curve on a run's own axis: (n,) places and values, each the mean of ``each`` logged points."""

    x: Floats
    y: Floats
    each: float

    @classmethod
    def of(cls, step: Ints, value: Floats) -> Curve | None:
        """Reduce logged points, None where there are none."""
        if not len(step):
            return None
        return cls(*blocks(step.astype(np.float64), value, CURVE_POINTS))


@dataclass(frozen=True, eq=False)
class Profile:
    """One run, on its own axis.

    Attributes:
        run: the run.
        loss: finite losses, sorted by step; None where none was logged.
        rate, epoch, tokens, samples: the same, thinned.
        grad: finite positive gradient norms, sorted.
        curve, grad_curve: loss and gradient norm, reduced to means of neighbours; as logarithms, where ``logs``.
        logs: the losses are positive, so that their noise is taken as a share of them.
        held_out: finite losses on held-out data, sorted.
        base: own step of the state that it began from: 0 where its first step counts as 1, -1 where it counts as 0.
        interval: median distance between logged losses, in steps; of what was logged most where there are none.
        last_step: the last step at which it logged that.
        sound: the last step before its loss stayed NaN or infinite, or had exploded, up to its end.
        broken: that end was left out: no state after it is one that a run could go on from.
        decay: step at which its learning rate reaches zero, and the standard error of that.
        batch, length: samples a step and tokens a sample, as its configuration says.
    """

    run: Run
    loss: Series | None
    rate: Series | None
    epoch: Series | None
    tokens: Series | None
    samples: Series | None
    grad: Series | None
    curve: Curve | None
    grad_curve: Curve | None
    logs: bool
    held_out: Series | None
    base: int
    interval: float
    first_step: int
    last_step: int
    sound: int
    broken: bool
    decay: tuple[float, float] | None
    batch: float | None
    length: float | None

    @cached_property
    def deviations(self) -> tuple[Ints, Floats, Floats] | None:
        """Of the first losses: logging intervals since the run began, what each misses of its neighbours' mean, and how
        that is correlated with the one so many rows later: of white noise 1, -2/3, 1/6, 0 …"""
        return _deviations(self.loss, self.base, self.interval)

    @cached_property
    def levels(self) -> tuple[ColouredLevel, ...]:
        """Local levels of the loss, one for each form that its noise may have, likeliest first."""
        return _levels(self.curve)

    @cached_property
    def grad_levels(self) -> tuple[ColouredLevel, ...]:
        """The same of the gradient norm."""
        return _levels(self.grad_curve)

    @property
    def planned(self) -> bool:
        """Whether its planned end is known."""
        return self.decay is not None or self.run.setting("max_steps") is not None

    @property
    def only_evaluated(self) -> bool:
        """Whether it logged no training loss, and all else at one step: it evaluated a state and trained nothing on."""
        return self.loss is None and self.run.first_step == self.run.last_step

    @cached_property
    def zero_based(self) -> bool:
        """Whether the first step of its training counts as 0: the state after n steps then lies at n - 1."""
        every = max(round(self.interval), 1)
        return self.first_step <= 0 or (every > 1 and (self.first_step + 1) % every == 0)


def _deviations(loss: Series | None, base: int, interval: float) -> tuple[Ints, Floats, Floats] | None:
    if loss is None or len(loss) < 8:
        return None
    loss = loss.where(np.arange(len(loss)) < DEVIATIONS)
    rest = loss.value[1:-1] - 0.5 * (loss.value[:-2] + loss.value[2:])
    # Single spikes at three robust standard deviations: two of them at one place are chance.
    limit = 3 * 1.4826 * float(np.median(np.abs(rest)))
    place = np.rint((loss.step[1:-1] - base) / interval).astype(np.int64)
    place, first = np.unique(place, return_index=True)
    rest = np.clip(rest, -limit, limit)[first]
    power = np.fft.irfft(np.abs(np.fft.rfft(rest, 2 * len(rest))) ** 2)[: max(len(rest) // LAGS, 3)]
    return place, rest, power / power[0] if power[0] > 0 else np.ones(1)


def _levels(curve: Curve | None) -> tuple[ColouredLevel, ...]:
    return () if curve is None else fit(curve.x, curve.y, curve.each)


def profile(run: Run) -> Profile:
    """Look a run over."""
    loss, rate = _clean(run.role("train_loss")), _clean(run.role("learning_rate"), CLOCK_POINTS)
    grad = _clean(run.role("grad_norm"))
    if grad is not None:
        grad = grad.where(grad.value > 0)
    logged = main_series(run) if loss is None else run.role("train_loss")
    interval = interval_of(loss if loss is not None or logged is None else logged.sorted())
    logs = loss is not None and bool((loss.value > 0).any()) and float(np.mean(loss.value < 0)) <= NEGATIVE
    curve = None if loss is None else Curve.of(loss.step, _logs(loss.value) if logs else loss.value)
    grad_curve = None if grad is None else Curve.of(grad.step, np.log(grad.value))
    # A first loss that is no number was logged all the same: the counter began there.
    first_step = int(logged.step.min()) if logged is not None and len(logged) else run.first_step
    last = int(logged.step.max()) if logged is not None and len(logged) else run.last_step
    return Profile(
        run=run,
        loss=loss,
        rate=rate,
        epoch=_clean(run.role("epoch"), CLOCK_POINTS),
        tokens=_clean(run.role("tokens"), CLOCK_POINTS),
        samples=_clean(run.role("samples"), CLOCK_POINTS),
        grad=grad,
        curve=curve,
        grad_curve=grad_curve,
        logs=logs,
        held_out=_clean(run.role("eval_loss")),
        base=_base(first_step, interval),
        interval=interval,
        first_step=first_step,
        last_step=last,
        sound=last if loss is None or logged is None or not len(loss) else _sound(loss, logged),
        broken=False,
        decay=None if rate is None else _decay(rate, run),
        batch=batch_size(run),
        length=sequence_length(run),
    )


def paced_like(own: Profile, others: Sequence[Profile]) -> Profile:
    """A run that logged its loss only once, as one that logs as often as the others do.

    One row shows no interval: the first row of a training that logs every 50 steps lies at step 50, and is no counter
    that goes on from step 49.
    """
    if own.loss is None or len(own.loss) != 1:
        return own
    known = [p.interval for p in others if p.loss is not None and len(p.loss) > 1]
    interval = float(np.median(known)) if known else own.interval
    if interval > own.first_step:
        return own
    return replace(own, interval=interval, base=_base(own.first_step, interval))


def _sound(loss: Series, logged: Series) -> int:
    """The last step before a loss stayed no number, or exploded for good; its last one where it did neither.

    Args:
        loss: its finite values, sorted.
        logged: all of them.
    """
    value = loss.value
    lost = int(np.count_nonzero(logged.step > loss.step[-1]))
    end_step = int(loss.step[-1] if lost >= STAYED else logged.step.max())
    if len(value) < FEWEST:
        return end_step
    end = median(value[-5:])
    if end <= median(value[:5]):
        return end_step
    level = running_median(value, 9, ends="mirror")
    noise, low = median(np.abs(value - level)), float(level.min())
    if end - low < RISE * noise:
        return end_step
    before, after = (low + share * (end - low) for share in EXPLODED)
    last = int(np.flatnonzero(level <= before)[-1])
    risen = last + int(np.argmax(level[last:] >= after))
    return int(loss.step[last]) if risen - last <= max(SUDDEN * len(value), 3) else end_step


def sound_part(before: Profile, after: Profile) -> Profile:
    """A run without the end at which its loss was no number or had exploded, for one that goes on from before that.

    Who resumes a training that broke goes back to a state that was whole: it began from none of the broken ones, and
    its loss does not take the way that the other's took.
    """
    if before.sound >= before.last_step or before.loss is None or after.loss is None or not len(after.loss):
        return before
    begun, end = float(np.median(after.loss.value[:8])), float(np.median(before.loss.value[-5:]))
    stood = before.loss.value[before.loss.step <= before.sound]
    if abs(begun - end) < abs(begun - float(np.median(stood[-5:]))):
        return before
    series = {name: s.where(s.step <= before.sound) for name, s in before.run.series.items()}
    return replace(profile(replace(before.run, series=series)), run=before.run, broken=True)


def _logs(value: Floats) -> Floats:
    return np.log(np.maximum(value, FLOOR * median(value[value > 0])))


def _base(first: int, interval: float) -> int:
    """Own step of the state that a run began from.

    Loggers that count a run's first step as 0 write steps 0, 1, 2 …, or 0, 10, 20 …, or 9, 19, 29 … (Lightning):
    their state before any training lies at -1. Others write 1, 2, 3 … or 10, 20, 30 …: it lies at 0.
    """
    return first - 1 if first <= 0 else first - max(round(interval), 1)


def interval_of(series: Series | None) -> float:
    """Median distance between the points of a sorted series, in steps; 1 where it cannot be told."""
    if series is None or len(series) < 2:
        return 1.0
    gaps = np.diff(series.step[:CLOCK_POINTS])
    gaps = gaps[gaps > 0]
    return median(gaps.astype(np.float64)) if len(gaps) else 1.0


def save_interval(before: Profile, after: Profile) -> int | None:
    """``save_steps`` in steps; None where it is not configured."""
    every = before.run.setting("save_steps") or after.run.setting("save_steps")
    if every is None:
        return None
    if every < 1:  # the Trainer takes a share of all steps
        every = round(every * (before.run.setting("max_steps") or 0.0))
    return int(every) if every >= 1 else None


def _clean(series: Series | None, most: int | None = None) -> Series | None:
    if series is None:
        return None
    if most is not None and len(series) > 2 * most:
        keep = np.zeros(len(series), dtype=np.bool_)
        keep[:: len(series) // most] = True
        keep[-1] = True
        series = series.where(keep)
    return series.finite.sorted()


def _decay(rate: Series, run: Run) -> tuple[float, float] | None:
    if len(rate) < 6:
        return None
    # The configured peak is better than the highest logged rate, where it is that peak and no other setting.
    stated = run.setting("learning_rate")
    top = float(rate.value.max())
    near = stated is not None and top > 0 and abs(stated / top - 1) < 0.05
    return decay_end(rate.step, rate.value, peak=stated if near else None)


def clock_rate(series: Series) -> float:
    """Value per step, robust against a clock that is rounded or stands still for a while."""
    return float((series.value[-1] - series.value[0]) / (series.step[-1] - series.step[0]))
