"""The weights did not change between checkpoints.

*What it sees.* Checkpoints of different steps whose weights are byte for byte those of the checkpoint before.
A last commit that saves the same weights again («End of training») does not count.

*Why it matters.* Training steps that leave the weights as they were trained nothing: frozen or wrong parameters,
a rate of zero, or a file that is saved from another place than the one that is trained.

*Example.* Steps 200, 400 and 600 all have the adapter file ``3f9c…``.

*What to try.* Print which parameters require gradients (``model.print_trainable_parameters()``); check the
learning rate and the folder that is saved.

*Reference.* The rule *UnchangedTensor* of SageMaker Debugger.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from runscope.history.checkpoint import Checkpoint
from runscope.rules.checkpoints.saved import some
from runscope.rules.finding import CouldNotLook, Finding, View

CODE = "CKP004"
NAME = "weights-unchanged"


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where weights stayed the same over steps."""
    saved = some(view)
    if len(saved) < 2:
        raise CouldNotLook("there is only one checkpoint")
    same = [
        (before, after)
        for before, after in itertools.pairwise(saved)
        if not after.changed and _step(after) is not None and _step(after) != _step(before)
    ]
    if not same:
        return
    first, last = same[0], same[-1]
    share = len(same) / (len(saved) - 1)
    named = ", ".join(after.name for _, after in same[:4]) + (" …" if len(same) > 4 else "")
    yield Finding(
        code=CODE,
        name=NAME,
        severity="critical" if share >= 0.5 and len(same) >= 2 else "warning",
        probability=0.95,
        first_step=first[0].step,
        last_step=last[1].step,
        message=(
            f"{len(same)} of {len(saved) - 1} checkpoints hold the same weights as the one before them, although steps "
            f"lie between: {named}. Those steps trained nothing that is saved."
        ),
        evidence={
            "unchanged": len(same),
            "of": len(saved) - 1,
            "checkpoints": [a.name for _, a in same[:50]],
        },
        fix=(
            "Print which parameters are trained: model.print_trainable_parameters().",
            "Check the learning rate, and that the folder that is saved is the one that is trained.",
        ),
    )


def _step(checkpoint: Checkpoint) -> int | None:
    return checkpoint.step if checkpoint.step is not None else checkpoint.own_step
