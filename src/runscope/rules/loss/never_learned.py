"""The training loss never fell.

*What it sees.* The level of the last fifth is not below that of the first tenth by more than its noise or
1%, its ranks show no downward trend, no stretch in between was much lower, and nothing measured on held-out data got
better. From three values on, where they all lie within half a percent.

A fall that is there but drowns in the noise is told as information: a fine-tune of a good base often looks like that.
A loss that stays at what a guess costs is named as one: ln(classes) where an accuracy says that there are classes, and
ln(vocabulary) for a loss above 8.5 nats, where no trained language model is. Where both losses rest
within 1% of ln(classes) after a fall of less than 3%, and nothing speaks of tokens, that is told as well.
Preference tuning, reinforcement learning and a run that continues another one, whose loss had fallen before, are left
alone.

*Why it matters.* Nothing was learned: the model is as it was, or worse.

*Example.* A loss that stays at 2.303 (= ln 10) on ten classes for the whole run.

*What to try.* Check that the parameters are trainable and given to the optimiser, that labels are not
masked or shuffled; raise the learning rate; overfit a single batch first.

*Reference.* Karpathy 2019, «A recipe for training neural networks».
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from runscope.history.metrics import meaning
from runscope.rules.audience import tool, trained_parameters
from runscope.rules.context import coarse, continued, loss_tells, not_preference
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.loss.measured import went_on
from runscope.stats.arrays import Floats
from runscope.stats.curves import noise, smooth
from runscope.stats.trend import rank_trend

CODE = "LOS005"
NAME = "never-learned"
STEEP, SURE, LITTLE = -0.4, 2.5, 0.005
"""A downward trend of the ranks that is steep, or that chance makes once in 160, over half a percent."""
FEWEST, ENOUGH = 3, 12
STILL = 0.005
"""With fewer than twelve values: all of them within half a percent, which no two batches of a learning model are."""
CLASSES = 20
"""Up to this many classes a loss of ln(classes) is named as what a guess costs."""
SHARES = 0.03
"""How often each class comes is worth a percent or two of a loss; an untrained net begins a little above."""
CLOSE = 0.05
"""How near: a twentieth of the distance to the next number of classes, so that one loss in ten is near by chance."""
NEAR = 0.01
"""Of a held-out loss, where the training loss has named the number."""
UNTRAINED, LARGEST = 8.5, 13.0
"""Nats a token: ln 5,000. A trained language model costs at most half of it, an untrained one ln(vocabulary), which
ends at 13 for 440,000 tokens."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the loss ends where it began."""
    loss = coarse(view, "train_loss", points=FEWEST)
    loss_tells(view)
    not_preference(view)
    if continued(view):
        raise CouldNotLook(
            "the run continues a training that is not given, whose loss may have fallen before"
        )
    value = loss.value
    begun, ended = float(np.median(value[: _early(value)])), float(np.median(value[-_late(value) :]))
    if begun <= 1e-6 or bool(np.ptp(value) == 0 and ended == 0):
        return
    shares = _shares_only(view, value, begun, ended)
    if shares is not None:
        yield _finding(view, loss.step, (begun, ended, float(np.min(value))), shares)
        return
    if went_on(view, int(loss.step[0])):
        return
    guess = _guess(ended) if _has_classes(view) else None
    if len(value) < ENOUGH:
        if float(np.ptp(value)) > STILL * begun or (
            rank_trend(value)[1] < -2 and begun - ended > 1e-3 * begun
        ):
            return
        drowned = guess is None and not UNTRAINED < ended < LARGEST
    else:
        flat, drowned = _flat(view, value, begun, ended, guess)
        if not flat:
            return
    yield _finding(view, loss.step, (begun, ended, float(np.min(value))), guess, drowned=drowned)


def _early(value: Floats) -> int:
    return max(3, len(value) // 10) if len(value) >= ENOUGH else 1


def _late(value: Floats) -> int:
    return max(3, len(value) // 5) if len(value) >= ENOUGH else 1


def _flat(view: View, value: Floats, begun: float, ended: float, guess: int | None) -> tuple[bool, bool]:
    """Whether the loss ends where it began, and whether it fell a little, within its noise."""
    lowest = float(np.min(smooth(value, 0.01 * len(value))))
    fell = begun - ended
    error = noise(value) * float(np.sqrt(1 / _early(value) + 1 / _late(value)))
    rho, z = rank_trend(value)
    # Ranks that hardly ever step back are a fall, however small.
    trending = ((rho < STEEP and z < -2) or z < -SURE) and (fell > LITTLE * abs(begun) or rho < -0.9)
    back = guess is not None and ended >= float(value[0])  # up at first, then back to a guess
    still = fell <= max(2 * error, 0.01 * abs(begun)) and not trending
    guessing = guess is not None and fell < 0.03 * begun and _held_out_guesses(view, guess)
    flat = (still or back or guessing) and lowest >= 0.8 * begun
    return flat, guess is None and not UNTRAINED < ended < LARGEST and fell > LITTLE * abs(begun)


def _finding(
    view: View,
    steps: np.ndarray,
    seen: tuple[float, float, float],
    guess: int | None,
    *,
    drowned: bool = False,
) -> Finding:
    begun, ended, lowest = seen
    sure = _has_classes(view)
    small = "fell by no more than its noise" if drowned else "hardly fell"
    how = small if begun - ended > LITTLE * abs(begun) else "never fell"
    cost = f" That is what guessing among {guess} classes costs (ln {guess})." if guess else ""
    if guess and not sure:
        cost = (
            f" Both losses rest at ln {guess}: if there are {guess} classes, that is what guessing costs, and no more "
            "than how often each comes was learned."
        )
    if guess is None and UNTRAINED < ended < LARGEST:
        cost = (
            f" That is what guessing among {np.exp(ended):,.0f} tokens costs: the model has learned nothing."
        )
    return Finding(
        code=CODE,
        name=NAME,
        severity="info" if drowned else "warning",
        probability=0.6 if guess and not sure else 0.8,
        first_step=int(steps[0]),
        last_step=int(steps[-1]),
        message=f"The training loss {how}: {begun:.4g} at the start, {ended:.4g} at the end.{cost}",
        evidence={"first": begun, "last": ended, "lowest": lowest, "classes_of_a_guess": guess},
        fix=("A mean over more steps, or a held-out loss, would show whether it falls.",)
        if drowned
        else (
            trained_parameters(view),
            "Try to overfit one batch; then raise the learning rate (or lower it, if the gradients are large).",
        ),
    )


def _shares_only(view: View, value: Floats, begun: float, ended: float) -> int | None:
    """The number of classes where both losses came to rest at what a guess costs: a deep net whose lower layers get no
    gradient learns how often each class comes, a percent or two, and nothing else. None elsewhere."""
    guess = _guess(ended)
    held_out = view.get("eval_loss")
    if (
        guess is None
        or len(value) < ENOUGH
        or held_out is None
        or not (_has_classes(view) or _may_classify(view))
    ):
        return None
    if not _held_out_guesses(view, guess) or abs(begun / ended - 1) > SHARES:
        return None
    half = value[len(value) // 2 :]
    rests = abs(float(np.median(half[: len(half) // 2])) / ended - 1) < SHARES
    return guess if rests and abs(float(held_out.finite.value[0]) / ended - 1) < SHARES else None


def _may_classify(view: View) -> bool:
    """Whether nothing says that tokens are predicted: no count of them, no perplexity, no Trainer's state."""
    if tool(view) not in ("other", "keras", "lightning") or view.get("tokens") is not None:
        return False
    return not any(
        re.search(r"ppl|perplexity|bpb|bits_per|token", name.lower()) for name in view.timeline.names
    )


def _has_classes(view: View) -> bool:
    """Whether something says that classes are predicted: an accuracy or the like, or their number in the settings."""
    if view.config("num_labels", "num_classes", "n_classes", "nc") is not None:
        return True
    known = [meaning(name) for name in view.timeline.names if "token" not in name.lower()]
    return any(m is not None and m.words in ("accuracy", "F1", "AUC", "precision or recall") for m in known)


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
