"""Whether the model overfits, and on what basis that is said."""

from __future__ import annotations

import numpy as np

from runscope.evaluation.study import Study
from runscope.rules import CouldNotLook, Finding, Findings, View
from runscope.rules.context import coarse, not_reinforcement
from runscope.rules.overfitting.eval_loss_rising import measure, when
from runscope.rules.overfitting.passes import passes
from runscope.stats.overfit import HeldOut, train_only
from runscope.verdict.types import Overfitting, OverfittingStatus

LIKELY = 0.5
"""From here on overfitting is likelier than not."""
SUSPECTED = 0.5
NO_SIGN = 0.2
"""Where the last checkpoint has the best mean and nothing more is shown: an impression, not a calibrated share."""
MOST = 0.9
"""A training curve alone proves nothing: its probability ends here."""
BROKEN = ("LOS001", "LOS002", "LOS006", "GRD003", "GRD004")
"""Findings after which a training curve says nothing of memory any more."""

_CONFIRMED: dict[str, tuple[OverfittingStatus, str]] = {
    "overfit": (
        "confirmed",
        "This answer would change if the later checkpoints did as well on other held-out examples.",
    ),
    "not_worse": (
        "none",
        "This answer would change if the later checkpoints did worse on other held-out examples.",
    ),
    "undecided": ("suspected", "{more} more held-out examples would decide."),
}


def judge_overfitting(view: View, findings: Findings, study: Study | None) -> Overfitting:
    """Evaluated checkpoints decide where there are some, else the held-out curve, else the training curve."""
    if study is not None and study.compared:
        return _by_checkpoints(study, _curve_blames(view))
    try:
        return _by_held_out(view, findings)
    except CouldNotLook:
        pass
    try:
        return _by_training(view, findings)
    except CouldNotLook as reason:
        return Overfitting(
            "unknown",
            None,
            f"There was nothing to look at: {reason}.",
            change_of_mind="A held-out loss, or checkpoints to evaluate, would give an answer.",
        )


def _curve_blames(view: View) -> bool:
    try:
        return measure(view)[0].probability >= LIKELY
    except CouldNotLook:
        return False


def _by_checkpoints(study: Study, blamed: bool) -> Overfitting:
    """What the evaluated checkpoints say; a curve that blamed the model is answered, not averaged in."""
    good = [s.checkpoint.step for s in study.scores if s.standing in ("best", "as_good")]
    steps = [
        s.checkpoint.step
        for s in study.scores
        if s.checkpoint.step is not None and not s.checkpoint.abandoned
    ]
    known = [s for s in good if s is not None]
    status, change = _CONFIRMED[study.outcome]
    # The p-value speaks of chance alone; that the examples stand for what the model will meet is doubtful too.
    probability = {"overfit": 1 - (study.p_value or 0.0), "not_worse": 0.03, "undecided": 0.5}[study.outcome]
    if (
        study.outcome == "undecided" and study.last_is_best
    ):  # no sign of it, though too few examples to rule it out
        status, probability = "none", NO_SIGN
    reason = study.reason[:1].upper() + study.reason[1:]
    if study.outcome == "not_worse" and "luck" not in reason:
        reason += (
            " The curve looked worse by bad luck, not overfitting."
            if blamed
            else " A worse impression is bad luck, not overfitting."
        )
    return Overfitting(
        status=status,
        probability=round(float(np.clip(probability, 0.01, 0.99)), 3),
        reason=reason,
        basis="checkpoints",
        onset_step=study.onset_step if study.outcome == "overfit" else None,
        best_step=study.best.step if study.best is not None else None,
        last_step=max(steps, default=None),
        as_good=(min(known), max(known)) if known else None,
        change_of_mind=change.format(more=f"{study.more_examples:,}" if study.more_examples else "Some"),
    )


def _by_held_out(view: View, findings: Findings) -> Overfitting:
    seen, steps = measure(view)
    turn = seen.turn
    best, last = int(steps[turn.best]), int(steps[-1])
    likely = seen.probability >= LIKELY
    reason = _rose(view, seen, best, findings) if likely else _did_not_rise(view, seen, best, len(steps))
    change = (
        "This answer would change if later checkpoints, evaluated on held-out examples, did as well."
        if likely
        else "This answer would change if the held-out loss rose and stayed up when the training goes on."
    )
    return Overfitting(
        "likely" if likely else "none",
        round(float(np.clip(seen.probability, 0.001, 0.999)), 3),
        reason,
        "eval_curve",
        int(steps[turn.onset]) if likely else None,
        best,
        last,
        (int(steps[turn.as_good[0]]), int(steps[turn.as_good[1]])),
        change,
    )


def _rose(view: View, seen: HeldOut, best: int, findings: Findings) -> str:
    percent = 100 * seen.turn.rise_share
    reason = f"The held-out loss was best at {when(view, best)} and has risen by {percent:.1f}% since"
    reason += ", while the training loss went on falling." if seen.train_fall > 0 else "."
    other = next((f for f in findings.findings if f.code == "OVF005"), None)
    return f"{reason} But {other.message}" if other is not None else reason


def _did_not_rise(view: View, seen: HeldOut, best: int, evaluations: int) -> str:
    turn = seen.turn
    percent = 100 * turn.rise_share
    if percent < 1:
        reason = f"The held-out loss is lowest at {when(view, best)} and does not rise after it."
    elif turn.z < 2:
        reason = f"The held-out loss ends {percent:.1f}% above its lowest point ({when(view, best)}): within its noise."
    elif seen.train_fall < 0:
        reason = (
            f"The held-out loss rose by {percent:.1f}% after {when(view, best)}, but so did the training loss: "
            "the training came apart, it did not overfit."
        )
    else:
        reason = (
            f"The held-out loss ends {percent:.1f}% above its lowest point ({when(view, best)}), "
            "too little or too briefly to call it overfitting."
        )
    return reason + (f" Only {evaluations} evaluations were logged." if evaluations < 6 else "")


def _by_training(view: View, findings: Findings) -> Overfitting:
    not_reinforcement(view)
    loss = coarse(view, "train_loss", points=6)
    if any(f.code in BROKEN and f.severity == "critical" for f in findings.findings):
        raise CouldNotLook("the training broke down, and no held-out loss was logged")
    seen_times = passes(view, loss.step)
    seen = train_only(loss.value, seen_times)
    sign = _sign(findings)
    probability = max(seen.probability, sign.probability) if sign is not None else seen.probability
    last = int(loss.step[-1])
    change = "Held-out examples would tell: evaluate the checkpoints on some that were not trained on."
    if probability < SUSPECTED:
        return Overfitting(
            "none",
            round(probability, 3),
            _nothing_seen(seen_times, float(loss.value[0]), seen.last),
            "train_curve",
            last_step=last,
            change_of_mind=change,
        )
    reason = sign.message if sign is not None else _fell(seen.fall, seen.last)
    return Overfitting(
        "suspected",
        round(min(probability, MOST), 3),
        f"{reason} No held-out loss was logged, so this is a suspicion.",
        "train_curve",
        onset_step=sign.first_step if sign is not None else int(loss.step[len(loss) // 2]),
        last_step=last,
        change_of_mind=change,
    )


def _nothing_seen(times: float, first: float, last: float) -> str:
    often = f"In {times:.2g} passes over the data the" if np.isfinite(times) else "The"
    return (
        f"{often} training loss went from {first:.3g} to {last:.3g}; it shows no stairs where data returns, and is not "
        "too low to believe."
    )


def _sign(findings: Findings) -> Finding | None:
    """The sign of memorising that a rule found in the training curve: stairs before a loss that is too low."""
    signs = [f for f in findings.findings if f.code in ("OVF003", "OVF004") and f.probability >= SUSPECTED]
    return min(signs, key=lambda f: f.code, default=None)


def _fell(fall: float, last: float) -> str:
    return (
        f"The training loss fell to {last:.2g}, and by a factor of {np.exp(fall):.1f} in the second half of the run: "
        "that late and that low it often falls by memorising."
    )
