"""What to change in the next training."""

from __future__ import annotations

import numpy as np

from runscope.rules import Finding, Findings, View
from runscope.rules.audience import evaluate_often, fewer_epochs, hold_out, select_by, stop_early, tool
from runscope.rules.context import adversarial_names, plural, reinforcement_names
from runscope.rules.overfitting.eval_loss_rising import base_better
from runscope.rules.overfitting.passes import epochs_at
from runscope.rules.schedule.range_test import CODE as RANGE_TEST
from runscope.verdict.advice import broken_by, idle_by, opposed, trouble_of
from runscope.verdict.types import Overfitting

HONEST = (
    "Temperature scaling after the training, or label smoothing in it, makes the probabilities honest again."
)
PARTS = 20
"""Evaluations a run is worth: fewer than six cannot place the turn, many more cost time and tell little."""


def next_time(view: View, overfitting: Overfitting, findings: Findings) -> tuple[str, ...]:
    """Concrete changes for the next training, most useful first."""
    advice: list[str] = []
    if any(f.code == RANGE_TEST for f in findings.findings):
        return ()
    broken = broken_by(findings)
    if broken is not None:
        advice += broken.fix[1:]
    other = opposed(view, overfitting) if overfitting.status == "likely" else None
    overfits = overfitting.status in ("confirmed", "likely") and other is None
    if other is not None:
        advice += [
            select_by(view, other.name, other.better),
            *([HONEST] if other.of_answers else []),
        ]
    if overfits or base_better(view) is not None:
        advice += _shorter(view, overfitting)
    trouble = trouble_of(findings, overfitting)
    idle = idle_by(findings, overfitting)
    learned = broken is None and idle is None
    # What to do about a run that learned nothing is the recommendation already; its second hint is for next time.
    said = (
        *((idle.code,) if idle is not None else ()),
        *(("RWD001", "RWD002") if overfitting.best_step is None else ()),
    )
    advice += [_of_next_time(f, f.code in said) for f in trouble if f is not broken and f.fix]
    if learned and not reinforcement_names(view):
        advice += _evaluate(view, overfitting, overfits)
    if overfits:
        advice += _gentler(view)
    if broken is None:
        advice += [f.fix[0] for f in findings.findings if f.code == "SCH002" and f.fix]
    return tuple(dict.fromkeys(advice))


def _of_next_time(finding: Finding, second: bool) -> str:
    """The fix that is about the next training: the one that says so, else the first that is not said already."""
    says = next((fix for fix in finding.fix if fix.startswith("Next time")), None)
    return says or finding.fix[min(second, len(finding.fix) - 1)]


def _shorter(view: View, overfitting: Overfitting) -> list[str]:
    """How many epochs, from the best step."""
    stop = overfitting.best_step
    if base_better(view) is not None:
        return [
            "Look whether the held-out examples are of the kind that is trained on, and written in the same way."
        ]
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


def _evaluate(view: View, overfitting: Overfitting, overfits: bool) -> list[str]:
    held_out = view.get("eval_loss")
    each = view.timeline.last_step // PARTS
    if overfitting.metric is not None and tool(view) != "trainer":
        return [stop_early(view, overfitting.metric)] if overfits else []
    if (held_out is None or not len(held_out)) and overfitting.metric is None:
        return [] if adversarial_names(view) else [hold_out(view, each)]
    advice = []
    if held_out is not None and len(held_out) < 6:
        advice.append(
            f"Evaluate more often: {evaluate_often(view, each)}. "
            f"{plural(len(held_out), 'evaluation').capitalize()} are too few to tell a turn from chance."
        )
    if overfits:
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
