"""Gradient norms that are not numbers.

*What it sees.* NaN or infinite gradient norms: three logged ones in a row, one at the very end followed by
nothing better, or more than a fifth of all; or scattered single ones. Where finite norms follow and the training loss
stays finite, above zero and no higher than before, it is the loss scaler of fp16, which skips steps until its scale
fits, most of all at the start: information.

*Why it matters.* The Trainer replaces non-finite losses by a running average before it logs them
(``logging_nan_inf_filter``), so that the loss looks calm or falls to zero; the gradient norm gives it
away. From such a step on the weights are NaN and all further training is lost. Scattered single ones
under fp16 are the loss scaler at work and harmless.

*Example.* ``grad_norm`` NaN from step 480, ``loss`` exactly 0 from there.

*What to try.* Take the last checkpoint before it. Use bf16 instead of fp16, lower the learning rate, clip,
look for empty labels and divisions by zero.

*Reference.* transformers, ``TrainingArguments.logging_nan_inf_filter``; Micikevicius et al. 2018 on loss scaling.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.audience import calmer
from runscope.rules.context import NO_CHECKPOINT, before, plural
from runscope.rules.finding import Finding, View
from runscope.stats.stretches import longest, stretches

CODE = "GRD004"
NAME = "non-finite-gradients"
LASTING = 3
"""The loss scaler halves its scale after each overflow: three logged ones in a row are not its work."""
MANY = 0.2


def look(view: View) -> Iterable[Finding]:
    """Yield a critical finding for a stretch that lasts, an informative one for scattered steps."""
    norm = view.need("grad_norm", points=1, finite=False)
    bad = ~np.isfinite(norm.value)
    if not bad.any():
        return
    count = int(bad.sum())
    broken = longest(bad) >= LASTING or (bool(bad[-1]) and bool(np.isnan(norm.value[-1])))
    few = not broken and count <= max(1.0, MANY * len(norm))
    if few or _scaler(view, norm.step, bad):
        yield _scattered(norm.step[bad], count, len(norm))
        return
    first, last = next(
        ((a, b) for a, b in stretches(bad) if b - a + 1 >= LASTING or b == len(bad) - 1),
        (int(np.argmax(bad)), int(np.flatnonzero(bad)[-1])),
    )
    step, recovers = int(norm.step[first]), last < len(norm) - 1
    zero = _loss_zero_after(view, step)
    hidden = " The logged loss of exactly 0 hides this." if zero else ""
    after = (
        f" until step {norm.step[last]:,}: no step in between could improve the model."
        if recovers
        else ": the model is broken from there on."
    )
    from_start = not recovers and first == 0
    yield Finding(
        code=CODE,
        name=NAME,
        severity="critical",
        probability=0.99 if count >= LASTING or zero else 0.8,
        first_step=step,
        last_step=int(norm.step[last]),
        message=(
            f"The gradients are NaN or infinite from the first logged step to the last: the training was broken from "
            f"the start.{hidden}"
            if from_start
            else f"From step {step:,} the gradients are NaN or infinite{after}{hidden}"
        ),
        evidence={"non_finite_points": count, "points": len(norm), "loss_exactly_zero": zero},
        fix=(
            NO_CHECKPOINT if from_start else before(view, step),
            f"{calmer(view)} If it ran in fp16, use bf16.",
            "Look for batches without labels and for divisions by zero in the loss.",
        ),
    )


HIGHER = 1.1
"""A loss that rose by a tenth after skipped steps was harmed."""


def _scaler(view: View, steps: np.ndarray, bad: np.ndarray) -> bool:
    """Whether skipped steps did no harm: finite norms follow, and the loss stays finite, above 0 and as low."""
    if bad[-1] or bool(np.mean(bad) > 0.5):
        return False
    loss = view.get("train_loss")
    if loss is None or not len(loss) or not np.isfinite(loss.value).all() or bool((loss.value == 0).any()):
        return False
    last = int(steps[np.flatnonzero(bad)[-1]])
    until, after = loss.between(None, last).value, loss.between(last + 1, None).value
    if not len(after):
        return False
    level = float(np.median(until)) if len(until) else float(after[0])
    return float(np.median(after)) <= HIGHER * level


def _scattered(steps: np.ndarray, count: int, points: int) -> Finding:
    return Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=0.99,
        first_step=int(steps[0]),
        last_step=int(steps[-1]),
        message=(
            f"{plural(count, 'step')} of {points:,} had no finite gradient norm, the first at {steps[0]:,}, and the "
            "loss went on as before: under fp16 the loss scaler skips such steps, which is harmless."
        ),
        evidence={"non_finite_points": count, "points": points},
    )


def _loss_zero_after(view: View, step: int) -> bool:
    loss = view.get("train_loss")
    if loss is None:
        return False
    after = loss.between(step + 1, None).value
    return len(after) > 0 and bool(np.all(after == 0.0))
