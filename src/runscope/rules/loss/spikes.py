"""Spikes of the loss.

*What it sees.* Points that stand above the running median of their neighbours by more than eight times the
scatter around it, by more than half the loss's own level, and by more than a twentieth of all that the loss
fell. The first twentieth of the run, and the first loss after a join (it averages fewer steps), do not count.
The held-out loss is looked at in the same way; its spikes are told as information.

*Why it matters.* Three kinds with three causes. Isolated ones heal by themselves. Periodic ones point to a
batch or shard that returns. Ones at the ends of epochs are a short last batch or bookkeeping. Many of them
without a pattern are the forerunners of a divergence.

*Example.* A loss of 1.8 that reads 5.1 at step 2,410 and 1.9 at step 2,450.

*What to try.* For isolated ones nothing, if the loss returns. For periodic ones look at the data that
returns with that period. At epoch ends: drop the short last batch. With many: lower the learning rate, clip.

*Reference.* Chowdhery et al. 2022 (PaLM), section 5.1; Molybog et al. 2023.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from runscope.history import Series
from runscope.rules.context import COARSE, after_join, loss_tells, not_preference, plural
from runscope.rules.finding import Finding, Severity, View
from runscope.stats.levels.filters import running_median
from runscope.stats.stretches import blocks

CODE = "LOS003"
NAME = "loss-spikes"
POINTS, HELD_OUT_POINTS = 20, 12
NOISES, SHARE, OF_FALL = 8.0, 0.5, 0.05
"""Eight robust standard deviations: with Gaussian scatter not once in 10¹⁴ points; heavy tails want the others."""
MANY, FEW = 0.02, 5
BIG = 0.5
"""A spike that undoes half of what was learned, on a level that does not heal soon, is worth a warning."""

Kind = Literal["isolated", "periodic", "epoch ends", "many", "held-out"]


@dataclass(frozen=True)
class _Spikes:
    where: npt.NDArray[np.int64]
    above: npt.NDArray[np.float64]
    level: npt.NDArray[np.float64]
    fall: float


def look(view: View) -> Iterable[Finding]:
    """Yield one finding a loss whose spikes stand out; a warning where those of the training loss do harm."""
    loss = view.need("train_loss", points=POINTS)
    loss_tells(view)
    not_preference(view)
    yield from _training(view, loss)
    held_out = view.get("eval_loss")
    if held_out is not None and len(held_out.finite) >= HELD_OUT_POINTS:
        yield from _held_out(held_out.finite)


def _training(view: View, loss: Series) -> Iterable[Finding]:
    found = _find(loss, after_join(view, loss))
    if not len(found.where):
        return
    steps = loss.step[found.where]
    kind, period = _kind(steps, view.timeline.epoch_at(steps), found, len(loss))
    typical = float(np.median(found.above[found.where])) / max(found.fall, 1e-12)
    harmful = kind == "many" or (kind == "periodic" and typical > BIG)
    yield _finding(loss, found, "warning" if harmful else "info", "training", kind, period)


def _held_out(loss: Series) -> Iterable[Finding]:
    """Spikes of the held-out loss harm nobody, but the best step must not be read off next to one."""
    found = _find(loss, np.zeros(len(loss), dtype=np.bool_))
    if len(found.where):
        yield _finding(loss, found, "info", "held-out", "held-out", None)


def _finding(
    loss: Series, found: _Spikes, severity: Severity, label: str, kind: Kind, period: int | None
) -> Finding:
    steps = loss.step[found.where]
    worst = int(found.where[np.argmax(found.above[found.where])])
    return Finding(
        code=CODE,
        name=NAME,
        severity=severity,
        probability=0.9 if len(steps) > 1 else 0.8,
        first_step=int(steps[0]),
        last_step=int(steps[-1]),
        message=(
            f"{plural(len(steps), 'spike')} of the {label} loss, the highest at step {loss.step[worst]:,} "
            f"({loss.value[worst]:.3g} where its neighbours read {found.level[worst]:.3g}); {_cause(kind, period)}."
        ),
        evidence={
            "loss": label,
            "spikes": len(steps),
            "steps": steps[:20].tolist(),
            "worst_step": int(loss.step[worst]),
            "worst": float(loss.value[worst]),
            "level": float(found.level[worst]),
            "kind": kind,
            "period_steps": period,
        },
        fix=_FIX[kind],
    )


def _find(loss: Series, no_spike: npt.NDArray[np.bool_]) -> _Spikes:
    step, coarse_value = blocks(loss.step, loss.value, 4 * COARSE)
    # A window of 15 sees a level through spikes of up to seven points.
    middle = running_median(coarse_value, min(15, len(step) | 1))
    level = middle if len(step) == len(loss) else np.interp(loss.step, step, middle)
    above = loss.value - level
    scatter = 1.4826 * float(np.median(np.abs(above[:: max(1, len(above) // 20000)])))
    begun = max(2, len(loss) // 20)
    fall = float(np.max(level[: max(begun, 1)]) - np.min(level))
    spikes = (
        (above > NOISES * max(scatter, 1e-12)) & (above > SHARE * np.abs(level)) & (above > OF_FALL * fall)
    )
    spikes[:begun] = False
    spikes &= ~no_spike
    # Points of one spike count once: its highest.
    spikes[1:] &= ~(spikes[:-1] & (above[:-1] >= above[1:]))
    spikes[:-1] &= ~(spikes[1:] & (above[1:] > above[:-1]))
    return _Spikes(np.flatnonzero(spikes).astype(np.int64), above, level, fall)


def _kind(
    steps: npt.NDArray[np.int64], epochs: npt.NDArray[np.float64], found: _Spikes, points: int
) -> tuple[Kind, int | None]:
    """Which of the causes fits, and the period in steps."""
    if len(steps) < 3:
        return "isolated", None
    counted = np.isfinite(epochs).all() and points >= 5 * (np.ptp(epochs) + 1)
    if counted and float(np.mean(np.abs(epochs - np.rint(epochs)) < 0.03)) > 0.7:
        return "epoch ends", None
    gaps = np.diff(steps)
    # A shard that returns gives equal gaps, or multiples where one return is not seen.
    period = float(np.median(gaps))
    off = np.abs(gaps / period - np.rint(gaps / period))
    if len(gaps) >= 3 and float(np.mean(off < 0.08)) > 0.8 and float(np.std(gaps)) < 0.7 * period:
        return "periodic", int(period)
    if len(steps) >= FEW and len(steps) > MANY * points and found.fall > 0:
        sizes = found.above[found.where] / found.fall
        if float(np.median(sizes)) > 0.25:  # each gives back a quarter of what was learned
            return "many", None
    return "isolated", None


def _cause(kind: Kind, period: int | None) -> str:
    return {
        "isolated": "without a pattern, and the loss came back",
        "periodic": f"one about every {period or 0:,} steps: a batch or shard that returns",
        "epoch ends": "at the ends of epochs: a short last batch or the order of the data, not the model",
        "held-out": "single evaluations that went badly, not a trend",
        "many": "many, without a pattern: the training is near instability",
    }[kind]


_FIX: dict[Kind, tuple[str, ...]] = {
    "isolated": (),
    "periodic": ("Look at the batches of these steps: the same data returns with this period.",),
    "epoch ends": ("Drop the short last batch, or shuffle every epoch.",),
    "held-out": (
        "Do not choose a checkpoint next to one; a larger held-out set, or eval mode for batch norm, calms them.",
    ),
    "many": (
        "Lower the learning rate or clip gradients.",
        "Look at the batches of these steps.",
    ),
}
