"""What several rules need to know of a run: is it reinforcement learning, where are the joins, was it harmed."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from runscope.history import Run, Series
from runscope.history.metrics import plain
from runscope.rules.finding import CouldNotLook, View
from runscope.stats.curves import smooth
from runscope.stats.stretches import blocks

Bools = npt.NDArray[np.bool_]

COARSE = 2000
"""Points that a rule about the shape of a whole curve looks at; more tell it nothing."""

_REINFORCEMENT = re.compile(
    r"(^|[/_])(reward(_std)?|rewards|advantages?|approx_?kl|clip_?(ratio|frac|fraction)|policy_loss|value_loss"
    r"|vf_loss|pg_loss|policy_gradient_loss|ep_rew_mean|episode_reward|completions?)([/_]|$)",
    re.IGNORECASE,
)
_GENERATOR = re.compile(
    r"(^|_)(g|gen|generator)_loss$|(^|_)loss_(g|gen|generator)$|(^|_)(generator|gen)_total_loss$"
)
_DISCRIMINATOR = re.compile(
    r"(^|_)(d|disc|dis|discriminator|critic)_loss$|(^|_)loss_(d|disc|dis|discriminator|critic)$|(^|_)(discriminator|disc)_total_loss$"
)
_PREFERENCE = re.compile(r"rewards[/_](chosen|rejected|margins|accuracies)", re.IGNORECASE)


def reinforcement_names(view: View) -> tuple[str, ...]:
    """Logged names that only reinforcement learning has (GRPO, PPO …); preference tuning (DPO) has others."""
    return view.remember("reinforcement names", lambda: _reinforcement(view.timeline.names))


def _reinforcement(names: Sequence[str]) -> tuple[str, ...]:
    if any(_PREFERENCE.search(name) for name in names):
        return ()
    return tuple(name for name in names if _REINFORCEMENT.search(name))


def adversarial_names(view: View) -> tuple[str, ...]:
    """The losses of a generator and of its discriminator, where both were logged: neither measures progress."""
    return view.remember("adversarial names", lambda: _adversarial(view))


def _adversarial(view: View) -> tuple[str, ...]:
    names = view.timeline.names
    sides = [tuple(n for n in names if side.search(plain(n))) for side in (_GENERATOR, _DISCRIMINATOR)]
    return () if not all(sides) or reinforcement_names(view) else (*sides[0], *sides[1])


def preference_margins(view: View) -> Series | None:
    """Margins between the rewards of chosen and rejected answers, where the run is preference tuning (DPO …)."""
    for name in view.timeline.names:
        if re.search(r"rewards[/_]margins$", name, re.IGNORECASE) and not name.lower().startswith("eval"):
            return view.timeline.series(name)
    return None


def not_preference(view: View) -> None:
    """Raise CouldNotLook for preference tuning: its loss begins at ln 2 and goes to 0 as the margins grow."""
    if preference_margins(view) is not None:
        raise CouldNotLook("the loss of preference tuning says little: its margins do")


def loss_tells(view: View) -> None:
    """Raise CouldNotLook where no loss measures progress: in reinforcement learning it hovers around zero, and a
    generator and its discriminator hold each other's up."""
    if reinforcement_names(view):
        raise CouldNotLook("in reinforcement learning the loss does not measure progress")
    if adversarial_names(view):
        raise CouldNotLook("in adversarial training neither loss measures progress")


def coarse(view: View, role: str, *, points: int = 1) -> Series:
    """The finite values of a role, as medians of blocks where there are more than a few thousand.

    Raises:
        CouldNotLook: fewer than ``points`` values.
    """
    series = view.need(role, points=points)
    if len(series) < 2 * COARSE:
        return series
    return view.once(
        f"{role} coarse", lambda: Series.of(series.name, *blocks(series.step, series.value, COARSE))
    )


def broken_at_once(loss: Series, step: int) -> bool:
    """Whether a fault begins with what was logged first: then no checkpoint of this run is good."""
    return not len(loss) or step <= int(loss.step[0])


NO_CHECKPOINT = (
    "No checkpoint of this run is good: it was broken from the start. Begin again from what it started with."
)


def before(view: View, step: int) -> str:
    """Which checkpoint to go back to from a fault, or that there is none."""
    loss = view.get("train_loss")
    if loss is None or broken_at_once(loss.finite if np.isfinite(loss.value).any() else loss, step):
        return NO_CHECKPOINT
    return f"Take the last checkpoint before step {step:,}."


def joins(view: View) -> tuple[int, ...]:
    """First step that every run of the line but the first adds to it; a state that was only saved again adds none."""
    return tuple(s.resumed_step for s in view.timeline.line[1:] if s.resumed_step is not None)


INTERVALS = 2.5
"""A first loss so many logging intervals after zero is not the first: one may have been skipped."""
BEGUN = 0.1
"""A first loss after a tenth of the run, and after more than two logging intervals, is not the first that there was."""


def continued(view: View) -> bool:
    """Whether the line begins with a run that continues a training whose first part is not given."""
    return view.remember("continued", lambda: _continued(view))


def _continued(view: View) -> bool:
    if not view.timeline.line:
        return False
    run = view.timeline.line[0].run
    loss = view.get("train_loss")
    late = None
    if loss is not None and len(loss) > 1:
        apart = float(np.median(np.diff(loss.step)))
        late = int(loss.step[0]) > INTERVALS * apart > 0
    if run.lineage is not None and not _holds_its_beginning(run, late=late):
        return True
    return loss is not None and bool(late) and int(loss.step[0]) > BEGUN * int(loss.step[-1])


def _holds_its_beginning(run: Run, *, late: bool | None) -> bool:
    """Whether a run that recorded a predecessor holds that one's rows too, as a Trainer's state does.

    One that would have gone on under its own id, had there been a run, may be the first of that id: W&B's ``resume``
    says no more. A counter of its own that begins at the start says that it is; ``late`` is None where none tells.
    """
    lineage = run.lineage
    if lineage is None:
        return False
    if lineage.kind == "resume" and lineage.run_id == run.id and run.step_key != "_step" and late is False:
        return True
    if lineage.step is None or run.first_step > lineage.step:
        return False
    return run.source in ("trainer-state", "recorder") or run.step_key == lineage.step_key


OTHER_DATA = 1.5
"""A loss that is at once half as high again after a join, and stays there, is of other data or of other weights."""


def last_part(view: View, loss: Series) -> Series:
    """The part of a loss since the last join at which its level leapt and stayed; what came before is no measure."""
    for join in reversed(joins(view)):
        earlier, later = loss.value[loss.step < join], loss.value[loss.step >= join]
        if len(earlier) < 3 or len(later) < 3:
            continue
        width = max(3, min(len(earlier), len(later)) // 10)
        old, new = float(np.median(earlier[-width:])), float(np.median(later[:width]))
        if new > OTHER_DATA * old > 0 and float(np.min(later)) > old:
            return loss.where(loss.step >= join)
    return loss


def after_join(view: View, series: Series) -> Bools:
    """Which point is the first of its run after a join: it averages fewer steps, and is no spike."""
    mask = np.zeros(len(series), dtype=np.bool_)
    for join in joins(view):
        place = int(np.searchsorted(series.step, join))
        mask[place : place + 1] = True
    return mask


def harm(view: View, step: int, until: int | None = None) -> float | None:
    """How far the training loss rose after a step, as a share of what it had fallen before; None without a loss.

    Infinite where the loss stopped being a number. A loss that had not fallen is measured in its own size.
    """
    loss = view.get("train_loss")
    if loss is None or not len(loss):
        return None
    if not np.isfinite(loss.between(step, until).value).all():
        return float("inf")
    level = coarse(view, "train_loss", points=4)
    calm = smooth(level.value, 0.02 * len(level))
    place = int(np.searchsorted(level.step, step))
    before, after = calm[: max(place, 1)], calm[place:]
    if not len(after):
        return None
    lowest = float(np.min(before))
    fallen = max(float(np.max(before)) - lowest, 0.1 * abs(lowest), 1e-9)
    return (float(np.max(after)) - lowest) / fallen


def clipping(view: View) -> float | None:
    """The norm that gradients are clipped to, from the configuration; None where it does not say, or 0."""
    return view.setting(
        "max_grad_norm", "gradient_clip_val", "grad_clip", "clip_grad_norm", "gradient_clipping", "max_norm"
    )


def plural(count: int, word: str) -> str:
    """``1 spike``, ``12 spikes``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def listed(names: Sequence[str], most: int = 4) -> str:
    """``a, b, c, d and 3 more``."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
