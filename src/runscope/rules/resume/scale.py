"""Loss, gradients or batches are on another scale since the run was resumed.

*What it sees.* From the join on the training loss and the gradient norm are higher or lower by one steady factor,
while the held-out loss goes on: summed over accumulation steps or devices in place of averaged, or the reverse. Or a
step takes more or less data than before (epochs, tokens or the configuration say so) and the loss scatters less or
more. Or only the scatter changed: another window over which the logged loss is averaged.

*Why it matters.* A loss that is summed over 8 accumulation steps means gradients that are 8 times as large, and
clipping then cuts every step; curves before and after cannot be compared. Another batch size changes what a learning
rate does.

*Example.* 2.1 before the join, 16.8 after it; the gradient norm from 0.9 to 7.3.

*What to try.* Divide the loss by ``gradient_accumulation_steps`` (or take a version that does); keep batch size ×
accumulation × devices as it was, or scale the learning rate with it; log with the same ``logging_steps``.

*Reference.* transformers 4.46, «Fixing gradient accumulation» (2024); Goyal et al. 2017 on batch size and rate.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.finding import Finding, Severity, View
from runscope.rules.resume.joins import LEAST, Resume
from runscope.rules.resume.saying import accused, conclusion, finding
from runscope.stats.resumes.causes import Answer

CODE = "RES005"
NAME = "scale-changed"
FACTOR = 1.5
"""A steady factor below this is told by nothing else than the level."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding for each join after which the scale is most likely another."""
    for resume, answer, sure in accused(view, "scale"):
        severity, seen, what = _what(answer, resume)
        yield finding(
            (CODE, NAME), severity, (resume, answer, sure), "scale", f"{seen}: {conclusion(answer, 'scale', what)}.",
            _fix(severity, resume, answer), factor=_factor(answer), data_a_step_times=answer.pace,
            noise_times=answer.jump.noise_ratio,
        )  # fmt: skip


def _factor(answer: Answer) -> float | None:
    ratio = answer.jump.ratio
    return float(ratio) if np.isfinite(ratio) else None


def _what(answer: Answer, resume: Resume) -> tuple[Severity, str, str]:
    """How bad, what was seen, what it means."""
    factor, leap = _factor(answer), answer.jump
    if factor is not None and max(factor, 1 / factor) > FACTOR:
        way = f"{_times(factor)} as high" if factor > 1 else f"{_times(1 / factor)} lower"
        norm = ""
        if answer.norms is not None:
            norm = f", and the gradient norm {answer.norms.later:.2g} times what it was"
        meant = "summed where it was averaged" if factor > 1 else "averaged where it was summed"
        return (
            "warning",
            f"the training loss is {way} from then on ({leap.expected.level:.3g} → {leap.first:.3g}){norm}",
            f"the loss is now {meant}, over accumulation steps or devices",
        )
    pace = answer.pace
    if pace is not None and abs(np.log(pace)) > np.log(1.15):
        how = f"{pace:.3g} times as much data" if pace > 1 else f"{pace:.2g} of the data that it took"
        return "info", f"each step takes {how}", "batch size, accumulation or the number of devices changed"
    how = f"scatters {leap.noise_ratio:.2g} times as much as before"
    old, new = resume.join.near("loss").every, resume.join.after["loss"].every
    if answer.window >= LEAST:
        return (
            "info",
            f"the training loss is logged every {new:g} steps instead of every {old:g} and {how}",
            "each value is the mean over another number of steps",
        )
    return (
        "info",
        f"the training loss {how}",
        "it is averaged over another number of examples: batch size, number of devices or logging window changed, "
        "which of them was not logged",
    )


def _times(factor: float) -> str:
    whole = round(factor)
    return f"{whole} times" if abs(factor - whole) < 0.12 * whole else f"{factor:.2g} times"


def _fix(severity: Severity, resume: Resume, answer: Answer) -> tuple[str, ...]:
    if severity == "info" and answer.window >= LEAST:
        return ("Nothing has to be mended. To compare single values, log with the same logging_steps.",)
    if severity == "info":
        return (
            "Keep batch size × accumulation × devices as it was, or scale the learning rate with it.",
            "Compare the curves over samples or tokens: --axis samples.",
        )
    return (
        "Divide the loss by the accumulation steps (and average over devices) as before the join.",
        f"Resume again from step {resume.join.start:,.0f}: gradients of another size change every update.",
    )
