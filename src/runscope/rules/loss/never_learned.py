"""The training loss never fell.

*What it sees.* The level of the last fifth is not below that of the first tenth by more than its noise or
1%, its ranks show no downward trend, no stretch in between was much lower, and no held-out loss fell either.

A fall that is there but drowns in the noise is told as information: a fine-tune of a good base often looks like that.

*Why it matters.* Nothing was learned: the model is as it was, or worse.

*Example.* A loss that stays at 2.303 (= ln 10) on ten classes for the whole run.

*What to try.* Check that the parameters are trainable and given to the optimiser, that labels are not
masked or shuffled; raise the learning rate; overfit a single batch first.

*Reference.* Karpathy 2019, «A recipe for training neural networks».
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.context import coarse, not_reinforcement
from runscope.rules.finding import Finding, View
from runscope.stats.curves import noise, smooth
from runscope.stats.trend import rank_trend

CODE = "LOS005"
NAME = "never-learned"
STEEP, SURE, LITTLE = -0.4, 2.5, 0.005
"""A downward trend of the ranks that is steep, or that chance makes once in 160, over half a percent."""
CLASSES = 20
"""Up to this many classes a loss of ln(classes) is named as what a guess costs."""
CLOSE = 0.05
"""How near: a twentieth of the distance to the next number of classes, so that one loss in ten is near by chance."""
NEAR = 0.01
"""Of a held-out loss, where the training loss has named the number."""
HELD_OUT_FALL, SLIGHT_FALL = 0.05, 0.02


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the loss ends where it began."""
    loss = coarse(view, "train_loss", points=12)
    not_reinforcement(view)
    early = loss.value[: max(3, len(loss) // 10)]
    late = loss.value[-max(3, len(loss) // 5) :]
    begun, ended = float(np.median(early)), float(np.median(late))
    lowest = float(np.min(smooth(loss.value, 0.01 * len(loss))))
    fell = begun - ended
    error = noise(loss.value) * float(np.sqrt(1 / len(early) + 1 / len(late)))
    rho, z = rank_trend(loss.value)
    trending = ((rho < STEEP and z < -2) or z < -SURE) and fell > LITTLE * abs(begun)
    guess = _guess(ended)
    back = guess is not None and ended >= float(loss.value[0])  # up at first, then back to a guess
    flat = fell <= max(2 * error, 0.01 * abs(begun)) and not trending
    guessing = guess is not None and fell < 0.03 * begun and _held_out_guesses(view, guess)
    if begun <= 1e-6 or not (flat or back or guessing) or lowest < 0.8 * begun:
        return
    if _held_out_fell(view) or bool(np.ptp(loss.value) == 0 and ended == 0):
        return
    drowned = not guess and fell > LITTLE * abs(begun)
    how = "fell by no more than its noise" if drowned else "never fell"
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info" if drowned else "warning",
        probability=0.8,
        first_step=int(loss.step[0]),
        last_step=int(loss.step[-1]),
        message=(
            f"The training loss {how}: {begun:.4g} at the start, {ended:.4g} at the end"
            + (f". That is what guessing among {guess} classes costs (ln {guess})." if guess else ".")
        ),
        evidence={"first": begun, "last": ended, "lowest": lowest, "classes_of_a_guess": guess},
        fix=(
            "Check that the parameters are trainable and that labels are not masked or shuffled.",
            "Try to overfit one batch; then raise the learning rate (or lower it, if the gradients are large).",
        ),
    )


def _held_out_fell(view: View) -> bool:
    """Whether a held-out loss fell by 5%, or by 2% without a doubt: then something was learned all the same."""
    held_out = view.get("eval_loss")
    if held_out is None or len(held_out.finite) < 4:
        return False
    value = held_out.finite.value
    fall = 1 - float(np.median(value[-max(1, len(value) // 5) :])) / max(float(value[0]), 1e-12)
    return fall > HELD_OUT_FALL or (fall > SLIGHT_FALL and rank_trend(value)[1] < -SURE)


def _held_out_guesses(view: View, classes: int) -> bool:
    """Whether the held-out loss sits at the same guess: then only the classes' shares were learned, if anything."""
    held_out = view.get("eval_loss")
    if held_out is None or len(held_out.finite) < 4:
        return False
    value = held_out.finite.value
    level = float(np.log(classes))
    return abs(float(np.median(value[len(value) // 2 :])) - level) < NEAR * level


def _guess(level: float) -> int | None:
    """The number of classes whose logarithm the loss sits at; None else."""
    if not 0.5 < level < np.log(CLASSES + 1):
        return None
    classes = round(float(np.exp(level)))
    return classes if abs(np.log(classes) - level) < CLOSE * np.log1p(1 / classes) else None
