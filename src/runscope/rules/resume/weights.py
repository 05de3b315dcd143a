"""The weights were not restored where the run was resumed.

*What it sees.* At the join of two runs, or at a restart within one log, the training loss stands where it stood when
the training began, and falls again as it did then; step counter and learning rate may go on all the same. The causes
of the family compete: a jump that is smaller and heals soon speaks for the optimiser, one that stays for other data,
a steady factor for another scale. A held-out loss that jumps as well confirms it.

*Why it matters.* Everything trained before the join is lost, though the counters go on. Typical: a LoRA adapter that
was not loaded, a head that was initialised again, the base model in place of the checkpoint, a ``strict=False`` that
hid that no name fitted.

*Example.* 1.68 at step 1,000, 2.75 at step 1,010, where the training had begun at 2.77.

*What to try.* Load the checkpoint and compare its first loss with the last one logged before you train on. With PEFT:
``PeftModel.from_pretrained(base, checkpoint, is_trainable=True)``; with the Trainer
``trainer.train(resume_from_checkpoint=PATH)``. Look at the missing and unexpected keys that loading reports.

*Reference.* transformers' and PEFT's issue trackers: «loss jumps after resume_from_checkpoint»; measured on
``benchmarks/resumes``.
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.rules.finding import Finding, View
from runscope.rules.resume.saying import SURE, accused, conclusion, finding
from runscope.stats.resumes.level import HURT

CODE = "RES001"
NAME = "weights-not-restored"
NEAR = 0.85
"""Share of what had been learned: with less gone, some of the weights were there, or those of an older state."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding for each join at which the weights were most likely lost."""
    for resume, answer, sure in accused(view, "weights"):
        leap = answer.jump
        began = ""
        if leap.begin is not None:
            near = "near" if (leap.share or 0.0) > NEAR else "far back towards"
            began = f", {near} the {leap.begin:.3g} at which the training began"
        held_out = (
            " The held-out loss jumped as well."
            if answer.held_out is not None and answer.held_out > HURT
            else ""
        )
        yield finding(
            (CODE, NAME), "critical" if sure >= SURE else "warning", (resume, answer, sure), "weights",
            f"the training loss went from {leap.expected.level:.3g} to {leap.first:.3g}{began}: "
            f"{conclusion(answer, 'weights')}.{held_out}",
            (
                f"Resume again from step {resume.join.start:,.0f} and make sure that its weights are loaded "
                "(adapter, head, and the keys that loading reports as missing): the first loss must be near "
                f"{leap.expected.level:.3g}.",
                "With PEFT: PeftModel.from_pretrained(base, checkpoint, is_trainable=True); with the Trainer: "
                "trainer.train(resume_from_checkpoint=PATH).",
            ),
        )  # fmt: skip
