"""Training and held-out loss are not on one scale.

*What it sees.* From the first evaluation on, and all along, one of the two losses is at least two and a half times the
other. A training loss that is the larger one by a whole number was summed over accumulated or parallel batches, not
averaged. A held-out loss that is the larger one before anything can have been memorised is measured in another way, or
on other data, than the training loss.

*Why it matters.* The gap between them means nothing then, and nothing is said of it. A loss that is summed makes
gradients as many times as large, and clipping and learning rate mean something else. An evaluation that differs from
the training may choose the wrong checkpoint.

*Example.* Training loss 33.2, held-out loss 1.04: 32 times, which is ``gradient_accumulation_steps``.

*What to try.* Divide the loss by the number of accumulated batches (or update the trainer: transformers before 4.46 and
some custom losses do not). Evaluate a batch of training data with the evaluation code: template, padding, masking and
precision should give the training loss.

*Reference.* transformers issue 34198 and the release notes of 4.46 on gradient accumulation.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.context import coarse, loss_tells, not_preference
from runscope.rules.finding import Finding, View
from runscope.rules.overfitting.comparable import off_from_the_start

CODE = "LOS008"
NAME = "losses-differ-in-scale"
WHOLE = 0.12
"""How near to a whole number a ratio is: a training loss lags behind by some percent."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the losses were never comparable."""
    loss_tells(view)
    not_preference(view)
    loss, curve = coarse(view, "train_loss", points=4), coarse(view, "eval_loss", points=2)
    ratio = off_from_the_start(view)
    if ratio is None:
        return
    last = float(np.median(loss.value[-max(1, len(loss) // 10) :])), float(curve.value[-1])
    message, fix = _summed(view, ratio, last) if ratio > 1 else _differs(ratio, last)
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=0.85,
        first_step=int(curve.step[0]),
        last_step=int(curve.step[-1]),
        message=message,
        evidence={"ratio": round(ratio, 4), "train": last[0], "held_out": last[1]},
        fix=(fix,),
    )


def _summed(view: View, ratio: float, last: tuple[float, float]) -> tuple[str, str]:
    planned = view.config("gradient_accumulation_steps", "accumulate_grad_batches")
    times = _whole(ratio, planned)
    if times is None:
        return (
            f"The training loss ({last[0]:.3g}) is {ratio:.2g} times the held-out loss ({last[1]:.3g}) from the first "
            "evaluation on: they are not measured alike (a sum in place of a mean, a regulariser, other examples).",
            "Measure both in the same way before you compare them.",
        )
    settled = f", which is the configured accumulation of {times}" if planned == times else ""
    return (
        f"The training loss ({last[0]:.3g}) is {times} times the held-out loss ({last[1]:.3g}) all along{settled}: it "
        "is summed over accumulated or parallel batches where it should be averaged.",
        f"Divide the loss by {times} (or update the trainer): the gradients are {times} times as large as meant.",
    )


def _whole(ratio: float, planned: object) -> int | None:
    """The whole number that the ratio is near: the configured one, else a power of two."""
    if (
        isinstance(planned, int)
        and not isinstance(planned, bool)
        and planned > 1
        and abs(ratio / planned - 1) < 2 * WHOLE
    ):
        return planned
    power = int(2 ** round(float(np.log2(ratio))))
    return power if power > 2 and abs(ratio / power - 1) < WHOLE else None


def _differs(ratio: float, last: tuple[float, float]) -> tuple[str, str]:
    return (
        f"The held-out loss ({last[1]:.3g}) is {1 / ratio:.2g} times the training loss ({last[0]:.3g}) from the first "
        "evaluation on, before anything could be memorised: evaluation differs from training.",
        "Evaluate a batch of training data: if its loss is as high, template, padding, masking or precision differ; "
        "if not, the held-out examples are of another kind.",
    )
