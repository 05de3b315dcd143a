"""What the evidence needs to know of one run, looked up once however often the run is compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runscope.history import Run, Series
from runscope.history.batch import batch_size, sequence_length
from runscope.stats.arrays import Floats, Ints
from runscope.stats.level import Level, blocks, fit_level
from runscope.stats.schedule import decay_end

CLOCK_POINTS = 4000
"""A clock or a schedule of a million points is told as well by so many of them."""
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
        curve, grad_curve: loss and logarithm of the gradient norm, reduced to means of neighbours.
        level: local level of the loss.
        interval: median distance between logged losses, in steps.
        last_step: the last step at which it logged a loss.
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
    level: Level | None
    interval: float
    first_step: int
    last_step: int
    decay: tuple[float, float] | None
    batch: float | None
    length: float | None


def profile(run: Run) -> Profile:
    """Look a run over."""
    loss, rate = _clean(run.role("train_loss")), _clean(run.role("learning_rate"), CLOCK_POINTS)
    grad = _clean(run.role("grad_norm"))
    if grad is not None:
        grad = grad.where(grad.value > 0)
    logged = run.role("train_loss")
    curve = None if loss is None else Curve.of(loss.step, loss.value)
    return Profile(
        run=run,
        loss=loss,
        rate=rate,
        epoch=_clean(run.role("epoch"), CLOCK_POINTS),
        tokens=_clean(run.role("tokens"), CLOCK_POINTS),
        samples=_clean(run.role("samples"), CLOCK_POINTS),
        grad=grad,
        curve=curve,
        grad_curve=None if grad is None else Curve.of(grad.step, np.log(grad.value)),
        level=None if curve is None else fit_level(curve.x, curve.y, curve.each),
        interval=interval_of(loss),
        # A first loss that is no number was logged all the same: the counter began there.
        first_step=int(logged.step.min()) if logged is not None and len(logged) else run.first_step,
        last_step=int(logged.step.max()) if logged is not None and len(logged) else run.last_step,
        decay=None if rate is None else _decay(rate, run),
        batch=batch_size(run),
        length=sequence_length(run),
    )


def interval_of(series: Series | None) -> float:
    """Median distance between the points of a sorted series, in steps; 1 where it cannot be told."""
    if series is None or len(series) < 2:
        return 1.0
    gaps = np.diff(series.step[:CLOCK_POINTS])
    gaps = gaps[gaps > 0]
    return float(np.median(gaps)) if len(gaps) else 1.0


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
