"""No held-out metric was logged.

*What it sees.* A training loss, but no loss on examples that the model does not train on.

*Why it matters.* The training loss cannot tell learning from memorising: nobody can say from these logs
which checkpoint is best.

*Example.* A Trainer run with ``eval_strategy="no"``: half of public fine-tunes are like this.

*What to try.* Evaluate the saved checkpoints afterwards, with ``runscope evaluate``; next time hold out a
few hundred examples.

*Reference.* Of 88 public fine-tunes counted, 41 logged no evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.rules.audience import evaluate_saved, hold_out
from runscope.rules.context import loss_tells
from runscope.rules.finding import Finding, View
from runscope.rules.selection import deciding, second_opinion

CODE = "OVF007"
NAME = "no-held-out-metric"


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where there is a training loss and nothing held out."""
    loss_tells(view)
    loss = view.need("train_loss", points=2)
    held_out = view.get("eval_loss")
    if (
        (held_out is not None and len(held_out))
        or deciding(view) is not None
        or second_opinion(view) is not None
    ):
        return
    if view.evaluated is not None:
        return  # the checkpoints were evaluated since
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=1.0,
        message="No held-out loss was logged: the logs alone cannot tell learning from memorising.",
        fix=(
            evaluate_saved(view),
            hold_out(view, int(loss.step[-1]) // 20),
        ),
    )
