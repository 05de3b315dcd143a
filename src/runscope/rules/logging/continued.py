"""The run continues a training whose first part is not given.

*What it sees.* The first logged step of the first run lies well above zero: more than two logging intervals and a tenth
of the run; or the run recorded that it was resumed.

*Why it matters.* What came before is not known: how high the loss had been, whether there was a warm-up, how often the
data was seen. The part that is given is judged as that, and rules that compare with the start stay silent.

*Example.* A Lightning log that begins at step 140,749 in epoch 10.

*What to try.* Name the earlier runs as well: ``runscope diagnose FIRST SECOND``.

*Reference.* ``docs/stitching.md``.
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.rules.context import continued
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.overfitting.eval_loss_rising import when

CODE = "LOG008"
NAME = "continued-alone"


def look(view: View) -> Iterable[Finding]:
    """Yield one informative finding for the later part of a training."""
    if not view.timeline.line:
        raise CouldNotLook("the line is empty")
    if not continued(view):
        return
    loss = view.get("train_loss")
    step = int(loss.step[0]) if loss is not None and len(loss) else view.timeline.first_step
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=0.9,
        first_step=step,
        last_step=step,
        message=(
            f"What is given begins at {when(view, step)}: it continues a training whose first part is missing here, "
            "and is judged as that part alone."
        ),
        evidence={"first_step": step},
        fix=("Name the earlier runs as well: runscope diagnose FIRST SECOND.",),
    )
