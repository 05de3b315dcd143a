"""Whether the model overfits, and on what basis that is said."""

from __future__ import annotations

import numpy as np

from runscope.evaluation.study import Study
from runscope.history.metrics import meaning
from runscope.rules import CouldNotLook, Finding, Findings, View
from runscope.rules.context import (
    adversarial_names,
    coarse,
    continued,
    listed,
    loss_tells,
    not_preference,
    reinforcement_names,
)
from runscope.rules.overfitting.eval_loss_rising import measure, risen, too_few, when
from runscope.rules.overfitting.metric_worse import probability_of
from runscope.rules.overfitting.passes import passes
from runscope.rules.schedule.range_test import CODE as RANGE_TEST
from runscope.rules.selection import Deciding, deciding, second_opinion
from runscope.stats.arrays import Ints
from runscope.stats.overfitting.overfit import DOUBT, ONCE, HeldOut, train_only
from runscope.stats.overfitting.turn import MATTERS, SAME
from runscope.verdict.types import Overfitting, OverfittingStatus

LIKELY = 0.5
"""From here on overfitting is likelier than not."""
SUSPECTED = 0.5
NO_SIGN = 0.2
"""Where the last checkpoint has the best mean and nothing more is shown: an impression, not a calibrated share."""
MOST = 0.9
"""A training curve alone proves nothing: its probability ends here."""
SURE_RISE = 2.0
"""A rise of twice what luck makes is there, whether it matters or not."""
BROKEN = ("LOS001", "LOS002", "LOS006", "GRD003", "GRD004", "RWD002")
"""Findings after which a training curve says nothing of memory any more."""

_CONFIRMED: dict[str, tuple[OverfittingStatus, str]] = {
    "overfit": (
        "confirmed",
        "This answer changes if the later checkpoints do as well on other held-out examples.",
    ),
    "not_worse": (
        "none",
        "This answer changes if the later checkpoints do worse on other held-out examples.",
    ),
    "undecided": ("suspected", "{more} more held-out examples would decide."),
}


def judge_overfitting(view: View, findings: Findings, study: Study | None) -> Overfitting:
    """Evaluated checkpoints decide where there are some, else what was measured on held-out data, else the training."""
    if any(f.code == RANGE_TEST for f in findings.findings):
        return Overfitting(
            "unknown", None, "This is a range test of the learning rate, not a training to judge."
        )
    if study is not None and study.compared:
        return _by_checkpoints(study, _curve_blames(view))
    metric = deciding(view)
    try:
        seen, steps = measure(view)
    except CouldNotLook:
        if metric is not None and metric.turned is not None and not _broke_down(findings):
            return _by_metric(view, metric, None)
    else:
        return _by_loss(view, seen, steps) if metric is None else _by_metric(view, metric, (seen, steps))
    try:
        return _by_training(view, findings)
    except CouldNotLook as reason:
        return Overfitting(
            "unknown",
            None,
            f"The logs do not show whether the model overfits: {reason}.",
            change_of_mind=_missing(view),
        )


def _missing(view: View) -> str:
    """What would tell where nothing does."""
    if reinforcement_names(view):
        return "A reward that is measured apart, on held-out prompts or tasks, would give an answer."
    if adversarial_names(view):
        return "A distance between samples and real data (FID), logged for each checkpoint, would give an answer."
    return "A held-out loss, or checkpoints to evaluate, would give an answer."


def _broke_down(findings: Findings) -> bool:
    return any(f.code in BROKEN and f.severity == "critical" for f in findings.findings)


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
    if study.outcome == "not_worse" and blamed:
        reason += " What the logged curve showed was chance, not overfitting."
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
        slight=_slight(study),
    )


def _slight(study: Study) -> bool:
    """Whether a loss that is surely worse is so by less than what matters, to a curve as well."""
    if study.outcome != "overfit":
        return study.effect is not None and (study.effect_low or 0.0) > 0 and study.effect < study.min_effect
    level = study.best_corrected
    if not study.lower_is_better or "loss" not in study.metric or not level or study.effect is None:
        return False
    return abs(study.effect) < MATTERS * abs(level)


def _by_loss(view: View, seen: HeldOut, steps: Ints) -> Overfitting:
    turn = seen.turn
    likely = seen.probability >= LIKELY
    slight = turn.z >= SURE_RISE and 0 < turn.rise < MATTERS and turn.rise_share < MATTERS
    change = (
        "This answer changes if later checkpoints do as well when evaluated on held-out examples."
        if likely
        else "This answer changes if the held-out loss rises and stays up in further training."
    )
    return Overfitting(
        "likely" if likely else "none",
        round(float(np.clip(seen.probability, 0.001, 0.999)), 3),
        _rose(view, seen, steps) if likely else _did_not_rise(view, seen, steps, slight),
        "eval_curve",
        int(steps[turn.onset]) if likely else None,
        int(steps[turn.first_best if likely else turn.best]),
        int(steps[-1]),
        (int(steps[turn.as_good[0]]), int(steps[turn.as_good[1]])),
        change,
        better_last=not likely and _last_as_good(seen, len(steps)),
        slight=slight,
        lowest_step=int(steps[turn.best]),
    )


def _last_as_good(seen: HeldOut, count: int) -> bool:
    turn = seen.turn
    within = turn.rise_share <= SAME or (turn.rise <= SAME and turn.z < SURE_RISE)
    return turn.best == count - 1 or (turn.as_good[1] >= count - 1 and within)


def _rose(view: View, seen: HeldOut, steps: Ints) -> str:
    reason = f"The held-out loss was {risen(view, seen, steps)}"
    reason += ", while the training loss went on falling." if seen.train_fell else "."
    other = second_opinion(view)
    best = int(steps[seen.turn.best])
    if other is None:
        return reason
    if other.gained_since(best) > 0 and other.ended_worse_than(best):
        return (
            f"{reason} {other.name} was best later, {other.at(other.best):.4g} at {when(view, other.best)}, and ended "
            f"worse than where the loss was lowest: {float(other.series.value[-1]):.4g} against {other.at(best):.4g}."
        )
    if other.gained_since(best) > 0:
        return (
            f"{reason} {other.name} went on getting better, from {other.at(best):.4g} to {other.at(other.best):.4g} at "
            f"{when(view, other.best)}: the model is {other.contrast}."
        )
    return f"{reason} {other.name} did not get better either."


def _did_not_rise(view: View, seen: HeldOut, steps: Ints, slight: bool) -> str:
    turn = seen.turn
    lowest = f"{when(view, int(steps[turn.best]))} ({turn.lowest:.4g})"
    few = f" Only {len(steps)} evaluations were logged." if len(steps) < 6 else ""
    if turn.best == len(steps) - 1:
        return f"The held-out loss is lowest at the last evaluation, {lowest}.{few}"
    how = f"The held-out loss was {risen(view, seen, steps)}"
    if turn.z < SURE_RISE:
        matters = few and turn.rise_share >= MATTERS
        noisy = "too few evaluations to tell that from noise" if matters else "within its noise"
        if turn.rise_share >= 0.01:
            return f"{how}: {noisy}.{few}"
        ended = float(view.need("eval_loss").value[-1])
        above = (ended - turn.lowest) / max(abs(turn.lowest), 1e-300)
        if above >= MATTERS:
            return (
                f"The held-out loss is lowest at {lowest}. Its last value is {100 * above:.3g}% higher ({ended:.4g}), "
                f"those before it are not: one evaluation may be chance.{few}"
            )
        return f"The held-out loss is lowest at {lowest} and does not rise after it.{few}"
    if seen.train_rose:
        return f"{how}, but so did the training loss: the training came apart, it did not overfit.{few}"
    if slight:
        return f"{how}: a slight rise, below the {100 * MATTERS:.0f}% that matters.{few}"
    if few and turn.rise_share >= MATTERS:
        return f"{how}: too few evaluations to be sure.{few}"
    return f"{how}: too little or too briefly to call it overfitting."


def _by_metric(view: View, metric: Deciding, loss: tuple[HeldOut, Ints] | None) -> Overfitting:
    """The metric that the checkpoint is chosen by decides; the loss is a second opinion."""
    steps = metric.series.step
    turned = metric.turned
    worse = probability_of(metric)
    likely, probability = worse >= LIKELY, worse
    best, last = metric.best, int(steps[-1])
    choice = {"given": "named with --metric", "selected": "the metric that its author selects by",
              "usual": "what such models are judged by", "alone": "no held-out loss is there"}[metric.how]  # fmt: skip
    values = f"{metric.name} ({metric.words}, {metric.better} is better; {choice})"
    if metric.words == metric.name:
        values = f"{metric.name} ({metric.better} is better; {choice})"
    ended = float(metric.series.value[-1])
    reason = f"{values} is best at {when(view, best)}: {metric.at(best):.4g}"
    reason += "." if best == last else f"; it ended at {ended:.4g}."
    onset = int(steps[turned.onset]) if likely and turned is not None else None
    if loss is not None:
        seen, at = loss
        lowest = int(at[seen.turn.best])
        gained = metric.gained_since(lowest) > 0
        if not likely and seen.probability >= LIKELY:
            if gained:
                reason += (
                    f" The held-out loss says otherwise: it was {risen(view, seen, at)}. The model became "
                    f"{metric.contrast}."
                )
            else:
                likely, probability, onset = True, seen.probability, int(at[seen.turn.onset])
                reason += (
                    f" The held-out loss was {risen(view, seen, at)}, and {metric.name} gained nothing by it."
                )
        elif likely and seen.train_rose:
            likely, probability, onset = False, DOUBT * probability, None
            reason += " The training loss got worse as well: the training came apart, it did not overfit."
        elif likely and seen.probability < LIKELY:
            reason += f" The held-out loss did not rise with it (lowest at {when(view, lowest)})."
        elif likely:
            reason += f" The held-out loss was {risen(view, seen, at)}."
    good = turned.as_good if turned is not None else (0, len(steps) - 1)
    change = (
        "This answer changes if later checkpoints do as well when evaluated on held-out examples."
        if likely
        else f"This answer changes if {metric.name} gets worse in further training."
    )
    return Overfitting(
        "likely" if likely else "none",
        round(float(np.clip(probability, 0.001, 0.999)), 3),
        reason,
        "eval_curve",
        onset,
        best,
        last,
        (int(steps[good[0]]), int(steps[good[1]])),
        change,
        metric=metric.name,
        better_last=best == last,
    )


def _by_training(view: View, findings: Findings) -> Overfitting:
    loss_tells(view)
    not_preference(view)
    if view.get("train_loss") is None and (unknown := _unknown_names(view)):
        raise CouldNotLook(
            f"no logged name is known as a loss; is it one of {listed(unknown)}? Name it with --map train_loss=NAME"
        )
    loss = coarse(view, "train_loss", points=3)
    if _broke_down(findings):
        raise CouldNotLook(f"the training broke down, and {too_few(view)}")
    if len(loss) < 6:
        raise CouldNotLook(f"{too_few(view)}, and only {len(loss)} values of the training loss; 6 are needed")
    seen_times = passes(view, loss.step)
    seen = train_only(loss.value, seen_times)
    sign = _sign(findings)
    last = int(loss.step[-1])
    change = "To find out, evaluate the checkpoints on held-out examples."
    once = np.isfinite(seen_times) and seen_times <= ONCE and not continued(view)
    probability = round(min(seen.probability, MOST), 3)
    if probability < SUSPECTED:
        return Overfitting(
            "none" if once else "unknown",
            probability,
            _nothing_seen(seen_times, float(loss.value[0]), seen.last, bool(once)) + _besides(view),
            "train_curve",
            last_step=last,
            change_of_mind=change,
        )
    return Overfitting(
        "suspected",
        probability,
        f"{sign.message if sign is not None else _fell(seen.fall, seen.last, seen_times)} "
        f"{too_few(view).capitalize()}, so this is a suspicion.",
        "train_curve",
        onset_step=sign.first_step if sign is not None else int(loss.step[len(loss) // 2]),
        last_step=last,
        change_of_mind=change,
    )


def _unknown_names(view: View) -> list[str]:
    """Logged curves that play no role: a loss under a name of another language, or of the author's own."""
    known = set(view.timeline.roles.values())
    curves = [
        n for n in view.timeline.names if n not in known and (s := view.timeline.series(n)) and len(s) > 1
    ]
    return [n for n in curves if meaning(n) is None]


def _besides(view: View) -> str:
    """What the one or two evaluations that were logged say, where there are some."""
    curve = view.get("eval_loss")
    return f" {too_few(view).capitalize()}." if curve is not None and len(curve.finite) else ""


def _nothing_seen(times: float, first: float, last: float, once: bool) -> str:
    if once:
        return (
            f"The training loss went from {first:.3g} to {last:.3g} in a single pass over the data: no example came "
            "twice, so there was nothing to learn by heart."
        )
    often = f"In {_passes(times)} over the data the" if np.isfinite(times) else "The"
    went = f"training loss went from {first:.3g} to {last:.3g}"
    return f"{often} {went}; that alone cannot tell learning from memorising."


def _sign(findings: Findings) -> Finding | None:
    """The sign of memorising that a rule found in the training curve: stairs before a loss that is too low."""
    signs = [f for f in findings.findings if f.code in ("OVF003", "OVF004")]
    return min(signs, key=lambda f: f.code, default=None)


def _fell(fall: float, last: float, times: float) -> str:
    late = f", and by a factor of {np.exp(fall):.1f} in the second half of the run" if fall > 0.1 else ""
    often = f" in {_passes(times)} over the data" if np.isfinite(times) else ""
    return f"The training loss fell to {last:.2g}{often}{late}: so it often falls by memorising."


def _passes(times: float) -> str:
    """``1 pass``, ``2.5 passes``."""
    shown = f"{times:.2g}"
    return f"{shown} pass{'' if shown == '1' else 'es'}"
