"""Whether the model overfits, and on what basis that is said."""

from __future__ import annotations

import numpy as np

from runscope.evaluate.study import Study
from runscope.rules import CouldNotLook, Findings, View
from runscope.rules.overfitting.eval_loss_rising import measure
from runscope.stats.overfit import train_only
from runscope.verdict.types import Overfitting

LIKELY = 0.5
"""From here on overfitting is likelier than not."""
SUSPECTED = 0.5


def judge_overfitting(view: View, findings: Findings, study: Study | None) -> Overfitting:
    """Evaluated checkpoints decide where there are some, else the held-out curve, else the training curve."""
    if study is not None and study.best is not None:
        return _by_checkpoints(study)
    try:
        return _by_held_out(view)
    except CouldNotLook:
        pass
    try:
        return _by_training(view, findings)
    except CouldNotLook as reason:
        return Overfitting(
            "unknown",
            None,
            f"There was nothing to look at: {reason}.",
            change_of_mind="A held-out loss, or checkpoints to evaluate.",
        )


def _by_checkpoints(study: Study) -> Overfitting:
    good = [s.checkpoint.step for s in study.scores if s.standing in ("best", "as_good")]
    steps = [s.checkpoint.step for s in study.scores if s.checkpoint.step is not None]
    known = [s for s in good if s is not None]
    best = study.best.step if study.best is not None else None
    p = study.p_value
    status = {"overfit": "confirmed", "not_worse": "none", "undecided": "suspected"}[study.outcome]
    probability = {"overfit": 1 - (p or 0.0), "not_worse": 0.03, "undecided": 0.5}[study.outcome]
    change = {
        "overfit": "Other held-out examples on which the later checkpoints are as good.",
        "not_worse": "Held-out examples on which the later checkpoints are worse.",
        "undecided": f"{study.more_examples or 'More'} more held-out examples would decide.",
    }[study.outcome]
    return Overfitting(
        status=status,  # type: ignore[arg-type]
        probability=round(float(np.clip(probability, 0.01, 0.99)), 3),
        reason=study.reason,
        basis="checkpoints",
        onset_step=study.onset_step,
        best_step=best,
        last_step=max(steps, default=None),
        as_good=(min(known), max(known)) if known else None,
        change_of_mind=change,
    )


def _by_held_out(view: View) -> Overfitting:
    seen, steps = measure(view)
    turn = seen.turn
    best, last = int(steps[turn.best]), int(steps[-1])
    good = (int(steps[turn.as_good[0]]), int(steps[turn.as_good[1]]))
    percent = 100 * turn.rise_share
    if seen.probability >= LIKELY:
        reason = f"The held-out loss was best at step {best:,} and has risen by {percent:.1f}% since."
        return Overfitting(
            "likely",
            round(seen.probability, 3),
            reason,
            "eval_curve",
            int(steps[turn.onset]),
            best,
            last,
            good,
            "Evaluated checkpoints of later steps that are as good on held-out examples.",
        )
    if percent < 1:
        reason = f"The held-out loss is at its best at step {best:,} and does not rise after it."
    else:
        reason = f"The held-out loss ends {percent:.1f}% above its best (step {best:,}), which is within its noise."
    return Overfitting(
        "none",
        round(seen.probability, 3),
        reason,
        "eval_curve",
        None,
        best,
        last,
        good,
        "A held-out loss that rises when the training goes on.",
    )


def _by_training(view: View, findings: Findings) -> Overfitting:
    loss = view.need("train_loss", points=12)
    if any(f.code in ("LOS001", "LOS002", "GRD004") and f.severity == "critical" for f in findings.findings):
        raise CouldNotLook("the training broke down, and no held-out loss was logged")
    seen = train_only(loss.value, view.timeline.epoch_at(loss.step))
    stairs = next((f for f in findings.findings if f.code == "OVF003"), None)
    last = int(loss.step[-1])
    change = "A held-out loss: evaluate the checkpoints on examples that were not trained on."
    if stairs is not None or seen.probability >= SUSPECTED:
        onset = stairs.first_step if stairs is not None else _late(loss.step, loss.value)
        probability = max(seen.probability, SUSPECTED) if stairs is not None else seen.probability
        reason = (
            stairs.message
            if stairs is not None
            else (f"The training loss fell to {loss.value[-1]:.3g}, very low, and nothing was held out.")
        )
        return Overfitting(
            "suspected",
            round(min(probability, 0.9), 3),
            reason,
            "train_curve",
            onset,
            None,
            last,
            None,
            change,
        )
    reason = "Nothing in the training loss looks like memorising; a held-out loss was not logged."
    return Overfitting(
        "none", round(seen.probability, 3), reason, "train_curve", None, None, last, None, change
    )


def _late(step: np.ndarray, value: np.ndarray) -> int:
    """Where the second half of the loss's fall begins."""
    half = (value[0] + value[-1]) / 2
    below = np.flatnonzero(value <= half)
    return int(step[below[0]]) if len(below) else int(step[-1])
