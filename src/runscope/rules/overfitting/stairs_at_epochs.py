"""The training loss falls in stairs, one at the start of every epoch.

*What it sees.* At each new epoch the loss steps down by more than its noise and than its slope explains:
what was seen in the last pass is remembered. Mid-epoch, where no data returns, it does not. Boundaries at
which the learning rate was cut, or a run was resumed, are left out. The epoch is the logged one, else inferred from the
configuration.

It is a warning only from a drop of a fifth on, and where no held-out loss was logged: where there is one, it tells
whether the memory does harm.

*Why it matters.* A drop that comes with the repetition of the data, not with learning, is memory. That is not yet
overfitting: of the project's own fine-tunes with stairs hardly any was worse on new examples (``docs/diagnosis.md``).
But the training loss no longer tells how good the model is.

*Example.* 1.30 at the end of epoch 2, 1.12 at the start of epoch 3, 1.10 at its end.

*What to try.* Evaluate the checkpoints on held-out examples: ``runscope evaluate REPO --data heldout.jsonl``.
Next time train fewer epochs and log a held-out loss.

*Reference.* Howard & Whitaker 2023, «Can LLMs learn from a single example?»; Muennighoff et al. 2023
(arXiv 2305.16264) on the worth of repeated data.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.history import Series
from runscope.rules.context import loss_tells
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.overfitting.passes import shuffled_passes_at
from runscope.stats.arrays import Floats
from runscope.stats.overfitting.stairs import stairs

CODE = "OVF003"
NAME = "stairs-at-epochs"
DEPTH = 0.02
"""Smooth curves with noise, which have no stairs, show a median drop under 2% in 96 of 100 (tests/stats)."""
STANDARD_ERRORS = 4.0
DEEP = 0.2
"""A drop of a fifth: fine-tunes of the zoo that were no worse for it dropped by up to a seventh."""
CUT = 0.7
"""A learning rate cut below this share of itself lowers the loss without any memory."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the drops are deep and surer than noise."""
    loss_tells(view)
    loss = view.need("train_loss", points=16)
    epochs = shuffled_passes_at(view, loss.step)
    if not np.isfinite(epochs).any():
        raise CouldNotLook("no epoch was logged, and the configuration does not tell it")
    found = stairs(epochs, loss.value, skip=(*_rate_cuts(view, loss, epochs), *_joins(view)))
    if found is None:
        raise CouldNotLook("fewer than two epochs with 8 logged losses each")
    if found.depth < DEPTH or found.z < STANDARD_ERRORS or found.from_epoch is None:
        return
    inside = epochs >= found.from_epoch
    often = (
        "each time the data is seen again" if len(found.boundaries) > 1 else "where the data is seen again"
    )
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info" if _held_out_decides(view) or found.depth < DEEP else "warning",
        probability=round(float(min(0.95, 0.5 + found.z / 40 + found.depth)), 3),
        first_step=int(loss.step[inside][0]) if inside.any() else None,
        last_step=int(loss.step[-1]),
        message=(
            f"The training loss drops by {100 * found.depth:.0f}% {often}, "
            f"from epoch {found.from_epoch} on: the model remembers its examples."
        ),
        evidence={
            "drop_pct": round(100 * found.depth, 2),
            "standard_errors": round(found.z, 2),
            "from_epoch": found.from_epoch,
            "drops_pct": [round(100 * d, 2) for d in found.drops],
            "epochs_done": list(found.boundaries),
        },
        fix=(
            "Evaluate the checkpoints before and after it on held-out examples.",
            "Next time train fewer epochs and log a held-out loss.",
        ),
    )


def _held_out_decides(view: View) -> bool:
    """With a held-out curve OVF001 says whether the memory does harm."""
    held_out = view.get("eval_loss")
    return held_out is not None and len(held_out.finite) >= 3


def _joins(view: View) -> tuple[int, ...]:
    """Boundaries within half an epoch of a join: a new optimiser and schedule move the loss there too."""
    starts = [s.joined_at for s in view.timeline.line[1:]]
    at = shuffled_passes_at(view, starts) if starts else np.zeros(0)
    return tuple(int(b) for e in at[np.isfinite(at)] for b in (np.floor(e), np.ceil(e)) if abs(b - e) <= 0.5)


def _rate_cuts(view: View, loss: Series, epochs: Floats) -> tuple[int, ...]:
    """Boundaries (epochs done) around which the learning rate was cut: a step schedule, not a memory."""
    rate = view.get("learning_rate")
    if rate is None or len(rate.finite) < 2:
        return ()
    at = rate.finite.at(loss.step)
    known = np.isfinite(epochs) & np.isfinite(at)
    done, rates = (epochs, at) if known.all() else (epochs[known], at[known])
    if (done[1:] < done[:-1]).any():
        order = np.argsort(done, kind="stable")
        done, rates = done[order], rates[order]
    # Only epochs that a logged loss lies in: a counter may be absurd.
    whole = np.floor(done)
    boundaries = whole[1:][(whole[1:] != whole[:-1]) & (whole[1:] >= 1)]
    first, middle, last = (np.searchsorted(done, boundaries + d, side="right") for d in (-0.15, 0.0, 0.15))
    there = (first < middle) & (middle < last)
    cut = rates[last[there] - 1] < CUT * rates[first[there]]
    return tuple(int(b) for b in boundaries[there][cut])
