"""From all evidence to one answer."""

from __future__ import annotations

from dataclasses import replace

from runscope.evaluation.study import Study
from runscope.history import Timeline
from runscope.rules import Evaluated, Finding, Findings, View, look
from runscope.rules.codes import RULES
from runscope.rules.overfitting import checkpoints_worse
from runscope.verdict.advice import broken_by, headline, idle_by, keep, recommend
from runscope.verdict.next_time import next_time
from runscope.verdict.overfitting import judge_overfitting
from runscope.verdict.types import Diagnosis, Gradients, Verdict


def diagnose(view: View, study: Study | None = None) -> Diagnosis:
    """Let every rule look, then judge."""
    view = replace(view, evaluated=_evaluated(study))
    findings = look(view)
    return Diagnosis(
        timeline=view.timeline,
        verdict=judge(view, findings, study),
        findings=findings.findings,
        notes=(*view.timeline.notes, *_run_notes(view), *_damaged(view), *findings.notes),
        checkpoints=view.checkpoints,
        study=study,
    )


def findings_of(study: Study) -> tuple[Finding, ...]:
    """What evaluated checkpoints prove, as a finding; empty where they prove nothing bad."""
    saved = tuple(score.checkpoint for score in study.scores)
    view = View(Timeline(()), saved, evaluated=_evaluated(study))
    return look(view, [RULES[checkpoints_worse.CODE]]).findings


def findings_of_resumes(view: View) -> tuple[Finding, ...]:
    """What the resumes of a line did."""
    return look(view, [rule for rule in RULES.values() if rule.family == "resume"]).findings


def _evaluated(study: Study | None) -> Evaluated | None:
    if study is None or study.best is None or not study.compared:
        return None
    return Evaluated(
        study.outcome, study.reason, study.metric, study.best, best_mean=study.best_corrected, effect=study.effect,
        min_effect=study.min_effect, p_value=study.p_value, onset_step=study.onset_step,
    )  # fmt: skip


def judge(view: View, findings: Findings, study: Study | None = None) -> Verdict:
    """One verdict from the curves, the findings, and (where there are some) evaluated checkpoints."""
    overfitting = judge_overfitting(view, findings, study)
    gradients = judge_gradients(view, findings)
    checkpoint, step = keep(view, overfitting, findings, study)
    if step is None and (idle_by(findings, overfitting) or broken_by(findings)):
        overfitting = replace(overfitting, change_of_mind="")  # nothing is worth an evaluation
    return Verdict(
        overfitting=overfitting,
        gradients=gradients,
        headline=headline(view, overfitting, findings, study),
        recommendation=recommend(view, overfitting, findings, checkpoint, step),
        keep_step=step,
        keep=checkpoint,
        next_time=next_time(view, overfitting, findings),
    )


def judge_gradients(view: View, findings: Findings) -> Gradients:
    """What the gradient rules found, in one word."""
    found = {f.code: f for f in findings.findings if f.severity != "info"}
    vanished = found.get("GRD001") or found.get("GRD002")
    exploded = found.get("GRD003") or found.get("GRD004") or found.get("GRD008")
    if vanished and exploded:
        return Gradients("mixed", f"{exploded.message} {vanished.message}")
    if vanished:
        return Gradients("vanishing", vanished.message)
    if exploded:
        return Gradients("exploding", exploded.message)
    norm = view.get("grad_norm")
    if norm is None or len(norm.finite) < 10:
        broken = found.get("LOS001")
        if (
            broken is not None and broken.severity == "critical"
        ):  # one bad batch that was survived tells nothing
            return Gradients("exploding", broken.message)
        return Gradients("unknown", "No gradient norm was logged, or too few points of it.")
    return Gradients("healthy", "The gradient norm stayed within its usual range.")


def _damaged(view: View) -> tuple[str, ...]:
    return tuple(f"{c.name} was left out: {c.damage}" for c in view.checkpoints if c.damage is not None)


def _run_notes(view: View) -> tuple[str, ...]:
    many = len(view.runs) > 1
    return tuple(f"{run.name}: {note}" if many else note for run in view.runs for note in run.notes)
