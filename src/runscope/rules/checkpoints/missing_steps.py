"""Checkpoints are missing, or lie at odd steps.

*What it sees.* Four or more checkpoints whose steps are known: places where the usual interval was left out, steps
that are no multiple of it (but for the last), and checkpoints that nothing places.

*Why it matters.* A missing one cannot be chosen, and a hole is often the trace of a crash, of a failed upload or
of a deletion.

*Example.* 200, 400, 600, 1,200, 1,400: 800 and 1,000 are missing.

*What to try.* Look whether ``save_total_limit`` deleted them, or whether their upload failed
(``hub_always_push=True`` waits for each).

*Reference.* transformers, ``TrainingArguments.hub_always_push``: without it a push is skipped while one is running.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.checkpoints.saved import placed, some
from runscope.rules.context import joins, plural
from runscope.rules.finding import Finding, View

CODE = "CKP002"
NAME = "missing-checkpoints"
ENOUGH = 4


def look(view: View) -> Iterable[Finding]:
    """Yield one finding that names the holes and the odd ones."""
    known = placed(view, count=ENOUGH)
    steps = np.unique([c.step for c in known]).astype(np.int64)
    unplaced = sum(c.step is None for c in some(view))
    gaps = np.diff(steps)
    usual = float(np.median(gaps)) if len(gaps) else 0.0
    if usual <= 0:
        return
    missing = [
        int(steps[i] + usual * (k + 1))
        for i in np.flatnonzero(gaps > 1.6 * usual)
        for k in range(min(round(gaps[i] / usual) - 1, 1000))
    ]
    starts = (0, *joins(view))
    # A resumed run counts its saves from its own start.
    odd = [
        int(s)
        for s in steps[:-1]
        if all(abs((s - o) / usual - round((s - o) / usual)) > 0.02 for o in starts)
    ]
    odd = odd if len(odd) < len(steps) / 2 else []
    if not missing and not odd:
        return
    parts = []
    if missing:
        parts.append(f"{plural(len(missing), 'checkpoint')} missing, at about step {_named(missing)}")
    if odd:
        parts.append(f"{len(odd)} at steps that do not fit, {_named(odd)}")
    if unplaced:
        parts.append(f"{unplaced} that nothing places")
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=0.8,
        first_step=min(missing + odd),
        last_step=max(missing + odd),
        message=f"Checkpoints were saved about every {usual:,.0f} steps, with exceptions: {'; '.join(parts)}.",
        evidence={"interval": usual, "missing": missing[:100], "odd": odd[:100], "unplaced": unplaced},
        fix=("Set hub_always_push=True, so that no push is skipped; look at save_total_limit.",),
    )


def _named(steps: list[int]) -> str:
    return ", ".join(f"{s:,}" for s in steps[:5]) + (" …" if len(steps) > 5 else "")
