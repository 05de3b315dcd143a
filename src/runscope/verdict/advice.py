"""What to do: which checkpoint to keep, what to change next time, in sentences a newcomer understands."""

from __future__ import annotations

import numpy as np

from runscope.evaluation.study import Study
from runscope.history.checkpoint import Checkpoint
from runscope.rules import Finding, Findings, View
from runscope.rules.audience import evaluate_often, evaluate_saved, fewer_epochs, hold_out, stop_early, tool
from runscope.rules.context import NO_CHECKPOINT, plural, preference_margins, reinforcement_names
from runscope.rules.overfitting.eval_loss_rising import when
from runscope.rules.overfitting.passes import epochs_at
from runscope.rules.rl.rewards import reward_curve
from runscope.rules.selection import deciding
from runscope.stats.overfitting.turn import MATTERS, SAME
from runscope.verdict.types import Overfitting

BROKEN = ("LOS001", "LOS002", "LOS006", "GRD001", "GRD003", "GRD004", "RWD002")
NEVER_LEARNED = "LOS005"
GUESSES = ("LOS004", "LOS005")
"""Findings of the training curve that evaluated checkpoints stand above."""
VERY, DOUBTFUL = 0.9, 0.2
"""From 0.9 on «very likely», from 0.2 on not «no sign», as the IPCC's guidance note (2010) puts odds into words."""
PARTS = 20
"""Evaluations a run is worth: fewer than six cannot place the turn, many more cost time and tell little."""


def headline(view: View, overfitting: Overfitting, findings: Findings, study: Study | None = None) -> str:
    """One sentence on top that needs no statistics; the figures stand in the reason."""
    resumed = resume_fault(findings)
    judged = overfitting.status in ("confirmed", "likely")
    if resumed is not None and (
        resumed.severity == "critical" or (resumed.severity != "info" and not judged)
    ):
        return resumed.message
    broken = _broken(findings)
    if broken is not None and not judged:
        return broken.message
    if judged:
        return _overfits(view, overfitting)
    if overfitting.status == "suspected":
        return _suspicion(view, overfitting)
    trouble = _trouble(findings, overfitting)
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
        return "Nothing is wrong with the logged curves; whether the policy is good its reward tells, not its loss."
    if preference_margins(view) is not None:
        return "Nothing is wrong with the logged curves; whether the answers got better only held-out prompts can tell."
    if overfitting.basis == "train_curve" and (stairs := _found(findings, "OVF003")) is not None:
        return f"{stairs.message} Whether that does harm only held-out examples can tell."
    if overfitting.basis == "train_curve":
        doubt = (overfitting.probability or 0.0) >= DOUBTFUL
        return "The logs do not show whether the model overfits: no held-out loss was logged." + (
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
    how = "very likely" if (overfitting.probability or 0.0) >= VERY else "probably"
    slightly = " slightly" if overfitting.slight else ""
    what = overfitting.metric if overfitting.metric is not None else "its held-out loss"
    turned = f"{what} was best at {_best(view, overfitting)} and got worse after it"
    return f"The model {how} overfits{slightly}: {turned}."


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


def _broken(findings: Findings) -> Finding | None:
    bad = [f for f in findings.findings if f.code in BROKEN and f.severity == "critical"]
    return min(bad, key=lambda f: f.first_step or 0, default=None)


FAULTS_OF_A_RESUME = ("RES001", "RES002", "RES003", "RES004", "RES005", "RES006")


def resume_fault(findings: Findings) -> Finding | None:
    """The worst thing that a resume did: it stands before what follows from it."""
    return next((f for f in findings.findings if f.code in FAULTS_OF_A_RESUME and f.caused_by is None), None)


def _trouble(findings: Findings, overfitting: Overfitting | None = None) -> list[Finding]:
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
    broken = _broken(findings)
    if broken is not None and broken.first_step is not None and overfitting.status != "likely":
        before = [c for c in saved if (c.step or 0) < broken.first_step]
        good = max(before, key=lambda c: c.step or 0, default=None)
        return good, good.step if good is not None else None
    step, good_range = overfitting.best_step, overfitting.as_good
    if overfitting.better_last:
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
    """The step of the best reward where it fell after it, else the last."""
    reward = reward_curve(view)
    fell = next((f for f in findings.findings if f.code == "RWD003"), None)
    if reward is None or _broken(findings) is not None:
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
    broken = _broken(findings)
    idle = next((f for f in _trouble(findings, overfitting) if f.code == NEVER_LEARNED), None)
    if idle is not None and broken is None:
        return f"Keep none of it: nothing was learned. {idle.fix[0]}"
    if step is not None:
        where = when(view, step)
        if checkpoint is not None and checkpoint.own_step not in (None, checkpoint.step):
            where += f", saved as step {checkpoint.own_step:,} of the resumed run"
        if checkpoint is not None and checkpoint.revision:
            where += f", commit {checkpoint.revision[:8]}"
        elif checkpoint is not None and checkpoint.subfolder:
            where += f", {checkpoint.subfolder}"
        return f"Keep {where}: {_because(view, overfitting, broken, step)}"
    if broken is not None:
        if usable(view) and broken.first_step is not None and broken.code[:3] != "RWD":
            since = f"after the training broke down (step {broken.first_step:,})"
            return f"Keep none of the checkpoints: all were saved {since}."
        return broken.fix[0] if broken.fix else NO_CHECKPOINT
    trouble = _trouble(findings, overfitting)
    if trouble and trouble[0].code[:3] == "RWD":
        return trouble[0].fix[0]
    if overfitting.status in ("suspected", "unknown") or overfitting.basis == "train_curve":
        if overfitting.status == "none":
            return "Keep the last checkpoint."
        return evaluate_saved(view)
    return "Keep the last checkpoint."


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
    if step == overfitting.best_step != best:
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


def next_time(view: View, overfitting: Overfitting, findings: Findings) -> tuple[str, ...]:
    """Concrete changes for the next training, most useful first."""
    advice: list[str] = []
    broken = _broken(findings)
    if broken is not None:
        advice += broken.fix[1:]
    overfits = overfitting.status in ("confirmed", "likely")
    if overfits:
        advice += _shorter(view, overfitting)
    trouble = _trouble(findings, overfitting)
    learned = broken is None and not any(f.code == NEVER_LEARNED for f in trouble)
    # What to do about a run that learned nothing is the recommendation already; its second hint is for next time.
    said = (NEVER_LEARNED, *(("RWD001", "RWD002") if overfitting.best_step is None else ()))
    advice += [f.fix[min(f.code in said, len(f.fix) - 1)] for f in trouble if f is not broken and f.fix]
    if learned and not reinforcement_names(view):
        advice += _evaluate(view, overfitting)
    if overfits:
        advice += _gentler(view)
    if broken is None:
        advice += [f.fix[0] for f in findings.findings if f.code == "SCH002" and f.fix]
    return tuple(dict.fromkeys(advice))


def _shorter(view: View, overfitting: Overfitting) -> list[str]:
    """How many epochs, from the best step."""
    stop = overfitting.best_step
    if stop is None or overfitting.slight:
        return []
    done, planned = view.timeline.passes_at([stop, view.timeline.last_step])
    if not np.isfinite(planned):
        done, planned = epochs_at(view, [stop, view.timeline.last_step])
    if not (np.isfinite(done) and np.isfinite(planned)) or done <= 0 or planned <= done:
        return [
            f"Stop near step {stop:,} of {view.timeline.last_step:,}, or stop early on what was measured."
        ]
    return [fewer_epochs(view, _number(done), _number(planned))]


def _number(epochs: float) -> str:
    return f"{epochs:.0f}" if epochs >= 10 else f"{epochs:.2g}"


def _evaluate(view: View, overfitting: Overfitting) -> list[str]:
    held_out = view.get("eval_loss")
    each = view.timeline.last_step // PARTS
    if overfitting.metric is not None and tool(view) != "trainer":
        return [stop_early(view, overfitting.metric)] if overfitting.status in ("confirmed", "likely") else []
    if (held_out is None or not len(held_out)) and overfitting.metric is None:
        return [hold_out(view, each)]
    advice = []
    if held_out is not None and len(held_out) < 6:
        advice.append(
            f"Evaluate more often: {evaluate_often(view, each)}. "
            f"{plural(len(held_out), 'evaluation').capitalize()} are too few to locate the turn."
        )
    if overfitting.status in ("confirmed", "likely"):
        advice.append(stop_early(view, overfitting.metric))
    return advice


def _gentler(view: View) -> list[str]:
    rate = view.get("learning_rate")
    peak = float(np.max(rate.finite.value)) if rate is not None and len(rate.finite) else 0.0
    lower = (
        f"A lower learning rate ({peak / 2:.2g} instead of {peak:.2g})"
        if peak > 0
        else "A lower learning rate"
    )
    return [f"{lower} or more data let you train longer before the turn."]
