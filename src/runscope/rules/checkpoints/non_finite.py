"""Weights that are not numbers.

*What it sees.* Checkpoints whose weights were read and hold NaN or infinite elements.

*Why it matters.* Such a model answers nothing. All later checkpoints of the line are lost as well.

*Example.* 1,048,576 of 3,407,872 elements of the adapter of step 800 are NaN.

*What to try.* Take the last checkpoint before it. Lower the learning rate, clip, use bf16 instead of fp16.

*Reference.* IEEE 754: NaN spreads through every sum it enters.
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.rules.checkpoints.weights import NON_FINITE, with_fact
from runscope.rules.finding import Finding, View

CODE = "CKP005"
NAME = "non-finite-weights"


def look(view: View) -> Iterable[Finding]:
    """Yield one finding that names the first broken checkpoint and the last good one."""
    known = with_fact(view, NON_FINITE)
    bad = [c for c in known if c.extra[NON_FINITE] > 0]
    if not bad:
        return
    first = bad[0]
    good = [c for c in known[: known.index(first)] if c.extra[NON_FINITE] == 0]
    at = f" (step {first.step:,})" if first.step is not None else ""
    yield Finding(
        code=CODE,
        name=NAME,
        severity="critical",
        probability=1.0,
        first_step=first.step,
        last_step=bad[-1].step,
        message=(
            f"{len(bad)} of {len(known)} checkpoints have NaN or infinite weights, the first is {first.name}{at}: "
            f"{int(first.extra[NON_FINITE]):,} elements."
        ),
        evidence={"checkpoints": [c.name for c in bad[:50]], "elements": int(first.extra[NON_FINITE])},
        fix=(
            f"Take {good[-1].name}, the last one before it." if good else "Train again from the base model.",
            "Lower the learning rate, clip with max_grad_norm=1.0, use bf16 instead of fp16.",
        ),
    )
