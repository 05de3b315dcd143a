"""What to do: which checkpoint to keep, what to change next time, in sentences a newcomer understands."""

from __future__ import annotations

import numpy as np

from runscope.evaluation.study import Study
from runscope.history.checkpoint import Checkpoint
from runscope.rules import Finding, Findings, View
from runscope.rules.context import plural
from runscope.rules.overfitting.eval_loss_rising import when
from runscope.rules.overfitting.passes import epochs_at
from runscope.verdict.types import Overfitting

BROKEN = ("LOS001", "LOS002", "LOS006", "GRD001", "GRD003", "GRD004")
NEVER_LEARNED = "LOS005"
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
    if broken is not None and overfitting.status not in ("confirmed", "likely"):
        return broken.message
    if overfitting.status == "confirmed":
        return f"The model overfits: after {_best(view, overfitting)} it got worse on examples that it had not seen."
    if overfitting.status == "likely":
        how = "very likely" if (overfitting.probability or 0.0) >= VERY else "probably"
        turned = f"its held-out loss was best at {_best(view, overfitting)} and rose after it"
        return f"The model {how} overfits: {turned}."
    if overfitting.status == "suspected":
        return _suspicion(view, overfitting)
    trouble = _trouble(findings)
    if trouble:
        return trouble[0].message
    if resumed is not None and resumed.code == "RES005":
        return resumed.message
    if overfitting.status == "none":
        return _no_sign(overfitting, study)
    return "Whether the model overfits cannot be told from what was logged."


def _suspicion(view: View, overfitting: Overfitting) -> str:
    if overfitting.basis == "checkpoints":
        return "The evaluated checkpoints do not decide yet whether the model overfits."
    since = f" from {when(view, overfitting.onset_step)} on" if overfitting.onset_step is not None else ""
    return f"The model may be learning its examples by heart{since}; only held-out examples can tell."


def _no_sign(overfitting: Overfitting, study: Study | None) -> str:
    if overfitting.basis == "checkpoints":
        broken = study is not None and not study.scores[-1].examples
        last = "last checkpoint that gives numbers" if broken else "last checkpoint"
        return f"No overfitting: the {last} is as good as any on examples that it had not seen."
    doubt = (overfitting.probability or 0.0) >= DOUBTFUL
    if overfitting.basis == "eval_curve":
        return (
            "It is not clear whether the model overfits: its held-out loss rose, but not for sure."
            if doubt
            else "No sign of overfitting in the held-out loss."
        )
    return (
        "The training loss alone does not tell whether the model overfits, and no held-out loss was logged."
        if doubt
        else "No sign of overfitting in the training loss; no held-out loss was logged that could show it."
    )


def _best(view: View, overfitting: Overfitting) -> str:
    return when(view, overfitting.best_step) if overfitting.best_step is not None else "its best checkpoint"


def _broken(findings: Findings) -> Finding | None:
    bad = [f for f in findings.findings if f.code in BROKEN and f.severity == "critical"]
    return min(bad, key=lambda f: f.first_step or 0, default=None)


FAULTS_OF_A_RESUME = ("RES001", "RES002", "RES003", "RES004", "RES005", "RES006")


def resume_fault(findings: Findings) -> Finding | None:
    """The worst thing that a resume did: it stands before what follows from it."""
    return next((f for f in findings.findings if f.code in FAULTS_OF_A_RESUME and f.caused_by is None), None)


def _trouble(findings: Findings) -> list[Finding]:
    """What else went wrong with the training itself, worst first; consequences of other findings left out."""
    return [
        f
        for f in findings.findings
        if f.severity != "info" and f.caused_by is None and f.code[:3] in ("GRD", "LOS", "RES", "SCH")
    ]


def keep(
    view: View, overfitting: Overfitting, findings: Findings, study: Study | None
) -> tuple[Checkpoint | None, int | None]:
    """The checkpoint and step to keep. Where checkpoints are known only one that exists is recommended."""
    if study is not None and study.best is not None and study.compared:
        last = study.scores[-1]
        kept = last.checkpoint if _last_is_as_good(overfitting) and last.standing == "as_good" else study.best
        return kept, kept.step
    saved = [c for c in view.checkpoints if c.step is not None]
    broken = _broken(findings)
    if broken is not None and broken.first_step is not None and overfitting.status != "likely":
        before = [c for c in saved if (c.step or 0) < broken.first_step]
        good = max(before, key=lambda c: c.step or 0, default=None)
        return good, good.step if good is not None else None
    step, good_range = overfitting.best_step, overfitting.as_good
    if _last_is_as_good(overfitting):
        step = overfitting.last_step
    by_metric = selected_by(view, findings)
    if by_metric is not None:
        step, good_range = by_metric, None
    if step is None:
        return None, None
    if not saved:
        return None, step
    low, high = good_range or (step, step)
    inside = [c for c in saved if low <= (c.step or 0) <= high]
    nearest = min(inside or saved, key=lambda c: (abs((c.step or 0) - step), c.step or 0))
    return nearest, nearest.step


def _last_is_as_good(overfitting: Overfitting) -> bool:
    """Whether nothing speaks for an earlier step: then the last is kept, which most people have at hand."""
    low_high, last = overfitting.as_good, overfitting.last_step
    return overfitting.status == "none" and low_high is not None and last is not None and low_high[1] >= last


def selected_by(view: View, findings: Findings) -> int | None:
    """Best step of the task metric, where the author selects by it and it went on rising; None else."""
    metric = view.config("metric_for_best_model")
    other = next((f for f in findings.findings if f.code == "OVF005"), None)
    if other is None or not isinstance(metric, str):
        return None
    name = str(other.evidence["metric"])
    plain = name.replace("/", "_").removeprefix("eval_")
    return int(other.evidence["best_metric_step"]) if metric.removeprefix("eval_") == plain else None


def recommend(
    view: View,
    overfitting: Overfitting,
    findings: Findings,
    checkpoint: Checkpoint | None,
    step: int | None,
) -> str:
    """What to do now."""
    broken = _broken(findings)
    idle = next((f for f in findings.findings if f.code == NEVER_LEARNED and f in _trouble(findings)), None)
    if idle is not None and broken is None:
        return f"Keep none of it: nothing was learned. {idle.fix[0]}"
    if step is not None:
        where = when(view, step)
        if checkpoint is not None and checkpoint.revision:
            where += f", commit {checkpoint.revision[:8]}"
        elif checkpoint is not None and checkpoint.subfolder:
            where += f", {checkpoint.subfolder}"
        if selected_by(view, findings) is not None and overfitting.basis != "checkpoints":
            return f"Keep {where}: it is best by the metric that you select on; the loss alone would stop earlier."
        return f"Keep {where}: {_because(overfitting, broken, step)}"
    if broken is not None:
        return broken.fix[0] if broken.fix else "Go back to a checkpoint before it."
    if overfitting.status in ("suspected", "unknown") or overfitting.basis == "train_curve":
        return (
            "Evaluate the saved checkpoints on held-out examples before you choose one: "
            f"runscope evaluate {_repository(view)} --data heldout.jsonl"
        )
    return "Keep the last checkpoint."


def _repository(view: View) -> str:
    return view.checkpoints[0].repo if view.checkpoints else "REPO"


def _because(overfitting: Overfitting, broken: Finding | None, step: int) -> str:
    if overfitting.basis == "checkpoints":
        if overfitting.status == "confirmed":
            return f"later ones are worse on held-out examples{_range(overfitting)}."
        if step != overfitting.best_step:
            return f"the last one is as good as any on held-out examples{_range(overfitting)}."
        return f"it is the best on held-out examples{_range(overfitting) or '; others may be as good'}."
    if broken is not None and overfitting.status != "likely":
        return "it is the last one before the training broke down."
    best = overfitting.best_step
    if _last_is_as_good(overfitting) and step == overfitting.last_step:
        return "its held-out loss is as good as any before it."
    if best is not None and step != best:
        low, high = overfitting.as_good or (best, best)
        if low <= step <= high:
            return (
                f"the held-out loss was lowest at step {best:,} and as good at any from {low:,} to {high:,}."
            )
        return f"of the saved ones it is the nearest to step {best:,}, where the held-out loss was lowest."
    if overfitting.status == "likely":
        return f"the held-out loss was lowest there and rose after it{_range(overfitting)}."
    return f"the held-out loss was lowest there{_range(overfitting)}."


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
    if overfitting.status in ("confirmed", "likely", "suspected"):
        advice += _shorter(view, overfitting)
    advice += _evaluate(view, overfitting)
    if overfitting.status in ("confirmed", "likely", "suspected"):
        advice += _gentler(view)
    # What to do about a run that learned nothing is the recommendation already; its second hint is for next time.
    advice += [f.fix[f.code == NEVER_LEARNED] for f in _trouble(findings) if f is not broken and f.fix]
    advice += [f.fix[0] for f in findings.findings if f.code == "SCH002" and f.fix]
    return tuple(dict.fromkeys(advice))


def _shorter(view: View, overfitting: Overfitting) -> list[str]:
    """How many epochs, from the best step, or from where the suspicion begins."""
    stop = overfitting.best_step if overfitting.best_step is not None else overfitting.onset_step
    if stop is None:
        return []
    done, planned = view.timeline.passes_at([stop, view.timeline.last_step])
    if not np.isfinite(planned):
        done, planned = epochs_at(view, [stop, view.timeline.last_step])
    if not (np.isfinite(done) and np.isfinite(planned)) or done <= 0 or planned <= done:
        return [
            f"Stop near step {stop:,} of {view.timeline.last_step:,}, or stop early on the held-out loss."
        ]
    number = _number(done)
    epochs = "epoch" if number == "1" else "epochs"
    return [f"Train about {number} {epochs} instead of {_number(planned)}: num_train_epochs={number}."]


def _number(epochs: float) -> str:
    return f"{epochs:.0f}" if epochs >= 10 else f"{epochs:.2g}"


def _evaluate(view: View, overfitting: Overfitting) -> list[str]:
    held_out = view.get("eval_loss")
    each = max(1, view.timeline.last_step // PARTS)
    if held_out is None or not len(held_out):
        return [
            f"Hold out a few hundred examples and log their loss: eval_strategy='steps', eval_steps={each}."
        ]
    advice = []
    if len(held_out) < 6:
        advice.append(
            f"Evaluate more often: eval_steps={each}; {plural(len(held_out), 'evaluation')} hardly show a turn."
        )
    if overfitting.status in ("confirmed", "likely"):
        advice.append(
            "Stop by itself: load_best_model_at_end=True, metric_for_best_model='eval_loss', "
            "EarlyStoppingCallback(early_stopping_patience=3), and save where you evaluate."
        )
    return advice


def _gentler(view: View) -> list[str]:
    rate = view.get("learning_rate")
    peak = float(np.max(rate.finite.value)) if rate is not None and len(rate.finite) else 0.0
    lower = (
        f"A lower learning rate ({peak / 2:.2g} instead of {peak:.2g})"
        if peak > 0
        else "A lower learning rate"
    )
    return [f"{lower}, a smaller rank or more data let you train longer before the turn."]
