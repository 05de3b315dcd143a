"""Gradient norms that are not numbers.

*What it sees.* NaN or infinite gradient norms: a lasting stretch of them, or scattered single steps.

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

from runscope.rules.finding import Finding, View

CODE = "GRD004"
NAME = "non-finite-gradients"
LASTING = 3


def look(view: View) -> Iterable[Finding]:
    """Yield a critical finding for a stretch that lasts, an informative one for scattered steps."""
    norm = view.need("grad_norm", points=1, finite=False)
    bad = ~np.isfinite(norm.value)
    if not bad.any():
        return
    first = int(np.argmax(bad))
    lasting = bool(bad[-1]) or _longest(bad) >= LASTING
    step = int(norm.step[first])
    yield Finding(
        code=CODE,
        name=NAME,
        severity="critical" if lasting else "info",
        probability=0.99,
        first_step=step,
        last_step=int(norm.step[np.flatnonzero(bad)[-1]]),
        message=(
            f"From step {step:,} the gradients are not numbers: the model is broken from there on."
            if lasting
            else f"{int(bad.sum())} single steps had no finite gradient norm: the loss scaler of fp16 skips those."
        ),
        evidence={"non_finite_points": int(bad.sum()), "points": len(norm)},
        fix=(
            f"Take the last checkpoint before step {step:,}.",
            "Use bf16 instead of fp16, lower the learning rate, clip with max_grad_norm=1.0.",
            "Look for batches without labels and for divisions by zero in the loss.",
        )
        if lasting
        else (),
    )


def _longest(mask: np.ndarray) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(int), [0]))))
    return int((edges[1::2] - edges[::2]).max())
