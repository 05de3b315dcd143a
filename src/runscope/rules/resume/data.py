"""The data did not go on where it had stopped when the run was resumed.

*What it sees.* Single batches leave bumps in the loss. After the join these bumps repeat those of earlier steps (of
the start of the epoch, as a loader that begins again makes them), or differ from what a discarded tail logged at the
same steps though they would be the same; the loss drops in the middle of an epoch, as it does where data returns; or
the epoch counter jumps while the step counter goes on.

*Why it matters.* Examples that were seen in this epoch are seen again and remembered, and others never come. In a
single pass over a stream the position is lost altogether.

*Example.* Resumed at epoch 2.5: the loss drops from 1.0 to 0.73, the level at which epoch 3 would begin.

*What to try.* Leave ``ignore_data_skip=False``; under Accelerate use ``skip_first_batches``, or a stateful data
loader (torchdata) whose state is saved; keep ``seed`` and ``data_seed``; save the position of a stream with the
checkpoint.

*Reference.* transformers documentation, ``ignore_data_skip``; Muennighoff et al. 2023 (arXiv 2305.16264) on repeated
data.
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.rules.finding import Finding, Severity, View
from runscope.rules.resume.joins import Resume
from runscope.rules.resume.saying import accused, conclusion, finding
from runscope.stats.resumes.causes import Answer

CODE = "RES004"
NAME = "data-replayed-or-skipped"
CLEAR = 2.0
"""Standard errors beyond chance at which the repeated bumps are spoken of."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding for each join after which the data was most likely in another place."""
    for resume, answer, sure in accused(view, "data"):
        severity, seen, what = _what(answer, resume)
        yield finding(
            (CODE, NAME), severity, (resume, answer, sure), "data", f"{seen}: {conclusion(answer, 'data', what)}.",
            (
                "Resume with ignore_data_skip=False (Trainer), skip_first_batches (Accelerate) or a stateful data "
                "loader, and with the same seed.",
                "In a stream, save its position with the checkpoint.",
            ),
            epoch=resume.join.epoch, epoch_after=resume.join.epoch_after, repeats_steps_back=answer.order.shift,
        )  # fmt: skip


def begins_anew(resume: Resume, answer: Answer) -> bool:
    """Whether the data came again from the very beginning, and no epoch tells that it was not its turn."""
    order, join = answer.order, resume.join
    if order.replay <= CLEAR or order.shift is None or join.epoch is not None:
        return False
    every = join.after["loss"].every
    return bool(join.start + every - order.shift < join.before["loss"].x[0] + 1.5 * every)


def _what(answer: Answer, resume: Resume) -> tuple[Severity, str, str]:
    """How bad, what was seen, and what it means. Another order alone does little harm."""
    order, join = answer.order, resume.join
    if begins_anew(resume, answer):
        return (
            "info",
            "the bumps of the loss repeat those from the beginning of the training on",
            "the data began again in the same order, as it does where an epoch ends; no epochs were logged that tell "
            "whether one did",
        )
    if order.replay > CLEAR and order.shift is not None:
        first = join.start + join.after["loss"].every - order.shift
        return (
            "warning",
            f"the bumps of the loss repeat those from step {max(first, 0):,.0f} on",
            "data that had been seen was replayed",
        )
    if order.again is not None and order.again < 0.5:
        return (
            "info",
            "the loss of single steps differs from what the run before logged at the same steps",
            "other batches came: another order of the data, or another batch size",
        )
    old, new = join.epoch, join.epoch_after
    if old is not None and new is not None and join.counts_on and abs(new - old) > 0.05:
        way = "forwards" if new > old else "back"
        what = "data was skipped" if new > old else "data that had been seen was replayed"
        return "warning", f"the epoch counter jumps {way}, from {old:.2f} to {new:.2f}", what
    if answer.jump.z < 0:
        at = f" at epoch {old:.2f}, in the middle of an epoch" if old is not None else ""
        return (
            "warning",
            f"the training loss dropped from {answer.jump.expected.level:.3g} to {answer.jump.first:.3g}{at}",
            "data that had been seen was replayed",
        )
    return "info", "the loss does not go on as it did", "the data did not go on where it had stopped"
