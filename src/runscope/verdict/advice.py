"""What to say and which checkpoint to keep, in sentences a newcomer understands."""

from __future__ import annotations

import numpy as np

from runscope.evaluation.study import Study
from runscope.history.checkpoint import Checkpoint
from runscope.rules import Finding, Findings, View
from runscope.rules.audience import evaluate_saved
from runscope.rules.context import (
    NO_CHECKPOINT,
    adversarial_names,
    preference_margins,
    reinforcement_names,
)
from runscope.rules.overfitting.eval_loss_rising import base_better, too_few, when
from runscope.rules.rl.rewards import reward_curve
from runscope.rules.schedule.range_test import CODE as RANGE_TEST
from runscope.rules.selection import Deciding, deciding, got_better
from runscope.stats.overfitting.turn import MATTERS, SAME
from runscope.verdict.types import Overfitting

BROKEN = ("LOS001", "LOS002", "LOS006", "GRD001", "GRD003", "GRD004", "RWD002")
NEVER_LEARNED = "LOS005"
NEVER_ROSE = "RWD011"
NO_GRADIENT = ("GRD001", "GRD002", "GRD006")
"""Findings of layers that hardly learn or do not learn at all, however long the training goes on."""
FINE = "Nothing looks wrong in the logged curves."
LOOK_AT_SAMPLES = "Look at samples of several checkpoints, or measure their distance to real data (FID)."
BESIDE = 0.02
"""Steps that lie within a fiftieth of the run of each other are the same place."""
GUESSES = ("LOS004", "LOS005")
"""Findings of the training curve that evaluated checkpoints stand above."""
VERY, DOUBTFUL = 0.9, 0.2
"""From 0.9 on «very likely», from 0.2 on not «no sign», as the IPCC's guidance note (2010) puts odds into words."""


def headline(view: View, overfitting: Overfitting, findings: Findings, study: Study | None = None) -> str:
    """One sentence on top that needs no statistics; the figures stand in the reason."""
    resumed = resume_fault(findings)
    judged = overfitting.status in ("confirmed", "likely")
    if resumed is not None and (
        resumed.severity == "critical" or (resumed.severity != "info" and not judged)
    ):
        return resumed.message
    broken = broken_by(findings)
    if broken is not None and not judged:
        return broken.message
    if (test := _found(findings, RANGE_TEST)) is not None:
        return test.message
    if overfitting.basis == "eval_curve" and (seen := base_better(view)) is not None:
        return (
            f"Training made the model worse on held-out data: the held-out loss was {seen[0]:.4g} before the first "
            f"step and {seen[1]:.4g} at best after it."
        )
    if judged:
        return _overfits(view, overfitting)
    if overfitting.status == "suspected":
        return _suspicion(view, overfitting)
    trouble = trouble_of(findings, overfitting)
    if trouble:
        return trouble[0].message
    if resumed is not None and resumed.code == "RES005":
        return resumed.message
    if overfitting.status == "none":
        return _no_sign(view, overfitting, study)
    return _cannot_tell(view, overfitting, findings)


def _cannot_tell(view: View, overfitting: Overfitting, findings: Findings) -> str:
    """What is said where nothing that was logged shows whether the model overfits."""
    if reinforcement_names(view):
        return f"{FINE} Judge the policy by its reward, not by its loss."
    if preference_margins(view) is not None:
        return f"{FINE} Only held-out prompts can tell whether the answers got better."
    if adversarial_names(view):
        return f"{FINE} Judge the generator by its samples, not by either loss."
    if overfitting.basis == "train_curve" and (stairs := _found(findings, "OVF003")) is not None:
        return f"{stairs.message} Whether that does harm only held-out examples can tell."
    if overfitting.basis == "train_curve":
        doubt = (overfitting.probability or 0.0) >= DOUBTFUL
        return f"The logs do not show whether the model overfits: {too_few(view)}." + (
            f" Of trainings with such a curve, {_share(overfitting)} overfitted." if doubt else ""
        )
    return "The logs do not show whether the model overfits."


def _found(findings: Findings, code: str) -> Finding | None:
    return next((f for f in findings.findings if f.code == code), None)


def _share(overfitting: Overfitting) -> str:
    return f"about {round(10 * (overfitting.probability or 0.0))} in 10"


def _overfits(view: View, overfitting: Overfitting) -> str:
    if overfitting.status == "confirmed":
        how = "overfits slightly" if overfitting.slight else "overfits"
        return f"The model {how}: after {_best(view, overfitting)} it got worse on examples it had not seen."
    other = opposed(view, overfitting)
    if other is not None:
        return (
            f"The held-out loss got worse after {_best(view, overfitting)}, but {other.name} got better: the model is "
            f"{other.contrast}."
        )
    how = "very likely" if (overfitting.probability or 0.0) >= VERY else "probably"
    slightly = " slightly" if overfitting.slight else ""
    what = overfitting.metric if overfitting.metric is not None else "its held-out loss"
    turned = f"{what} was best at {_best(view, overfitting)} and got worse after it"
    return f"The model {how} overfits{slightly}: {turned}."


def opposed(view: View, overfitting: Overfitting) -> Deciding | None:
    """A metric that nobody selects by and that got better after the loss's lowest value, where the loss decided."""
    if overfitting.basis != "eval_curve" or overfitting.metric is not None or overfitting.lowest_step is None:
        return None
    return got_better(view, overfitting.lowest_step)


def _suspicion(view: View, overfitting: Overfitting) -> str:
    if overfitting.basis == "checkpoints":
        return "The evaluated checkpoints do not decide yet whether the model overfits."
    since = f" from {when(view, overfitting.onset_step)} on" if overfitting.onset_step is not None else ""
    return f"The model may be memorising its examples{since}; only held-out examples can tell."


def _no_sign(view: View, overfitting: Overfitting, study: Study | None) -> str:
    if overfitting.basis == "checkpoints":
        if overfitting.slight:
            best = _best(view, overfitting)
            return f"The last checkpoint is slightly worse on held-out examples than {best}, by less than what matters."
        broken = study is not None and not study.scores[-1].examples
        last = "last checkpoint that gives numbers" if broken else "last checkpoint"
        return f"No overfitting: the {last} is not measurably worse than any other on held-out examples."
    if overfitting.metric is not None:
        return f"No sign of overfitting by {overfitting.metric}, the metric that decides."
    if overfitting.basis == "train_curve":
        return "No sign of overfitting: the data was seen only once."
    if overfitting.slight:
        return f"The held-out loss rose slightly, by less than the {100 * MATTERS:.0f}% that matters."
    if (overfitting.probability or 0.0) >= DOUBTFUL:
        return "It is not clear whether the model overfits: its held-out loss rose, but that may be chance."
    return "No sign of overfitting in the held-out loss."


def _best(view: View, overfitting: Overfitting) -> str:
    """Where what was logged was best, as logged."""
    best = overfitting.lowest_step if overfitting.lowest_step is not None else overfitting.best_step
    return when(view, best) if best is not None else "its best checkpoint"


def broken_by(findings: Findings) -> Finding | None:
    """What broke the training first, where something did."""
    bad = [f for f in findings.findings if f.code in BROKEN and f.severity == "critical"]
    worst = min(bad, key=lambda f: f.first_step or 0, default=None)
    if worst is None:
        return None
    # What is called a consequence and came first is none: a model that the first steps destroyed was never good.
    earlier = [f for f in findings.findings if f.code in BROKEN and f.caused_by == worst.code]
    return min((worst, *earlier), key=lambda f: f.first_step or 0)


def idle_by(findings: Findings, overfitting: Overfitting) -> Finding | None:
    """What to mend where nothing was learned: that finding itself, or the gradients that never came through."""
    idle = _found(findings, NEVER_LEARNED)
    if idle is None or overfitting.basis == "checkpoints":
        return None
    if idle.caused_by is None:
        return idle if idle.severity != "info" else None
    cause = _found(findings, idle.caused_by)
    return cause if cause is not None and cause.code in NO_GRADIENT else None


FAULTS_OF_A_RESUME = ("RES001", "RES002", "RES003", "RES004", "RES005", "RES006")


def resume_fault(findings: Findings) -> Finding | None:
    """The worst thing that a resume did: it stands before what follows from it."""
    return next((f for f in findings.findings if f.code in FAULTS_OF_A_RESUME and f.caused_by is None), None)


def trouble_of(findings: Findings, overfitting: Overfitting | None = None) -> list[Finding]:
    """What else went wrong with the training itself, worst first; consequences of other findings left out."""
    measured = overfitting is not None and overfitting.basis == "checkpoints"
    return [
        f
        for f in findings.findings
        if f.severity != "info" and f.caused_by is None and f.code[:3] in ("GRD", "LOS", "RES", "RWD", "SCH")
        if not (measured and f.code in GUESSES)
    ]


def keep(
    view: View, overfitting: Overfitting, findings: Findings, study: Study | None
) -> tuple[Checkpoint | None, int | None]:
    """The checkpoint and step to keep. Where checkpoints are known only one that exists is recommended."""
    if study is not None and study.best is not None and study.compared:
        last = study.scores[-1]
        kept = last.checkpoint if _last_is_as_good(overfitting) and last.standing == "as_good" else study.best
        return kept, kept.step
    saved = usable(view)
    broken = broken_by(findings)
    if broken is not None and broken.first_step is not None and overfitting.status != "likely":
        before = [c for c in saved if (c.step or 0) < broken.first_step]
        good = max(before, key=lambda c: c.step or 0, default=None)
        return good, good.step if good is not None else None
    if idle_by(findings, overfitting) is not None:
        return None, None
    step, good_range = overfitting.best_step, overfitting.as_good
    if overfitting.better_last and base_better(view) is None:
        step = overfitting.last_step
    if step is None and reinforcement_names(view):
        step = _best_reward(view, findings)
    if step is None:
        return None, None
    if not saved:
        return None, step
    low, high = good_range or (step, step)
    inside = [c for c in saved if low <= (c.step or 0) <= high]
    nearest = min(
        inside or saved,
        key=lambda c: (
            c.step != step,
            _loss_at(view, overfitting, c),
            abs((c.step or 0) - step),
            c.step or 0,
        ),
    )
    return nearest, nearest.step


def usable(view: View) -> list[Checkpoint]:
    """The checkpoints that can be recommended: their step is known, and nothing shows that they cannot be loaded."""
    return [c for c in view.checkpoints if c.step is not None and c.damage is None]


def _loss_at(view: View, overfitting: Overfitting, checkpoint: Checkpoint) -> float:
    """What decided, at a saved step, lower being better: of the saved ones the best is kept, not the nearest."""
    if overfitting.basis != "eval_curve" or checkpoint.step is None:
        return 0.0
    if overfitting.metric is not None:
        series, metric = view.timeline.series(overfitting.metric), deciding(view)
        sign = -1.0 if metric is not None and metric.better == "higher" else 1.0
    else:
        series, sign = view.get("eval_loss"), 1.0
    if series is None or not len(series.finite):
        return 0.0
    steps = series.finite.step
    # Between evaluations the curve is taken as a line; beyond them as its end.
    return sign * float(np.interp(float(checkpoint.step), steps.astype(np.float64), series.finite.value))


def _best_reward(view: View, findings: Findings) -> int | None:
    """The step of the best reward where it fell after it, else the last; None where nothing was learned."""
    reward = reward_curve(view)
    fell = next((f for f in findings.findings if f.code == "RWD003"), None)
    if reward is None or broken_by(findings) is not None or _found(findings, NEVER_ROSE) is not None:
        return None
    return int(fell.evidence["best_step"]) if fell is not None else view.timeline.last_step


def _last_is_as_good(overfitting: Overfitting) -> bool:
    """Whether nothing speaks for an earlier checkpoint: then the last is kept, which most people have at hand."""
    low_high, last = overfitting.as_good, overfitting.last_step
    return overfitting.status == "none" and low_high is not None and last is not None and low_high[1] >= last


def recommend(
    view: View,
    overfitting: Overfitting,
    findings: Findings,
    checkpoint: Checkpoint | None,
    step: int | None,
) -> str:
    """What to do now."""
    resumed = resume_fault(findings)
    if resumed is not None and resumed.severity == "critical":
        return resumed.fix[0]
    broken = broken_by(findings)
    if (test := _found(findings, RANGE_TEST)) is not None:
        return test.fix[0]
    idle = idle_by(findings, overfitting)
    if idle is not None and broken is None:
        return f"Keep none of it: nothing was learned. {idle.fix[0]}"
    if step == 0 and overfitting.basis == "eval_curve" and base_better(view) is not None:
        return "Keep the model that the training began with: no later step is better on held-out data."
    if step is not None:
        answers = _for_answers(view, overfitting, step) if broken is None else ""
        return f"Keep {_where(view, checkpoint, step)}: {_because(view, overfitting, broken, step)}{answers}"
    if broken is not None:
        if usable(view) and broken.first_step is not None and broken.code[:3] != "RWD":
            since = f"after the training broke down (step {broken.first_step:,})"
            return f"Keep none of the checkpoints: all were saved {since}."
        return broken.fix[0] if broken.fix else NO_CHECKPOINT
    trouble = trouble_of(findings, overfitting)
    if trouble and trouble[0].code[:3] == "RWD":
        return trouble[0].fix[0]
    if overfitting.status in ("suspected", "unknown") or overfitting.basis == "train_curve":
        if overfitting.status == "none":
            return "Keep the last checkpoint."
        return LOOK_AT_SAMPLES if adversarial_names(view) else evaluate_saved(view)
    return "Keep the last checkpoint."


def _where(view: View, checkpoint: Checkpoint | None, step: int) -> str:
    """A step with its epoch, and how to find what was saved there."""
    where = when(view, step)
    if checkpoint is not None and checkpoint.own_step not in (None, checkpoint.step):
        where += f", saved as step {checkpoint.own_step:,} of the resumed run"
    if checkpoint is not None and checkpoint.revision:
        return f"{where}, commit {checkpoint.revision[:8]}"
    if checkpoint is not None and checkpoint.subfolder:
        return f"{where}, {checkpoint.subfolder}"
    return where


def _for_answers(view: View, overfitting: Overfitting, step: int) -> str:
    """Which step to keep if not the loss counts but the answers, where a metric was better later than what is kept."""
    other = opposed(view, overfitting)
    if other is None or other.best <= step or other.gained_since(step) <= 0:
        return ""
    if other.of_answers:
        who = "If you use its answers and not its probabilities"
    else:
        who = f"If you go by {other.name} and not by the loss"
    best = f"({other.at(other.best):.4g} against {other.at(step):.4g})"
    return f" {who}, keep {when(view, other.best)}, best by {other.name} {best}."


def _because(view: View, overfitting: Overfitting, broken: Finding | None, step: int) -> str:
    if overfitting.basis == "checkpoints":
        if overfitting.status == "confirmed":
            return f"later ones are worse on held-out examples{_range(overfitting)}."
        if step != overfitting.best_step:
            return f"the last one is not measurably worse than any other on held-out examples{_range(overfitting)}."
        return f"it is the best on held-out examples{_range(overfitting) or '; others may be as good'}."
    if broken is not None and overfitting.status != "likely":
        return "it is the last one before the training broke down."
    if overfitting.basis is None and reinforcement_names(view):
        return (
            "its reward is as high as any."
            if step == view.timeline.last_step
            else "its reward is the highest."
        )
    what = overfitting.metric or "the held-out loss"
    lowest = "best" if overfitting.metric else "lowest"
    best = overfitting.lowest_step if overfitting.lowest_step is not None else overfitting.best_step
    if step == overfitting.best_step != best and best is not None:
        if abs(best - step) <= BESIDE * view.timeline.last_step:
            return f"{what} was {lowest} around there (step {best:,}) and got worse after it."
        same = f"{what} is the same there, within {SAME:.1%}, as at step {best:,}, where it was {lowest}"
        return f"{same}; later it got worse."
    if overfitting.better_last and step == overfitting.last_step:
        return f"{what} is not measurably worse than at any earlier step."
    if best is not None and step != best:
        low, high = overfitting.as_good or (best, best)
        if low <= step <= high:
            return f"{what} was {lowest} at step {best:,} and not measurably worse anywhere from {low:,} to {high:,}."
        return f"of the saved ones it is the best by {what}, which was {lowest} at step {best:,}."
    if overfitting.status == "likely":
        return f"{what} was {lowest} there and got worse after it{_range(overfitting)}."
    ended_higher = overfitting.as_good is not None and overfitting.as_good[1] == overfitting.last_step
    # That its noise is as large as its rise does not make the end of a curve as good as its lowest point.
    return f"{what} was {lowest} there{'' if ended_higher else _range(overfitting)}."


def _range(overfitting: Overfitting) -> str:
    """Which steps are as good, where there are others than the best."""
    low, high = overfitting.as_good or (0, 0)
    return f" (steps {low:,} to {high:,} are as good)" if low < high else ""
