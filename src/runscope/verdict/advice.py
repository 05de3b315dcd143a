"""What to do: which checkpoint to keep, what to change next time, in sentences a newcomer understands."""

from __future__ import annotations

import numpy as np

from runscope.evaluate.study import Study
from runscope.hub.checkpoint import Checkpoint
from runscope.rules import Finding, Findings, View
from runscope.verdict.types import Overfitting

BROKEN = ("LOS001", "LOS002", "LOS006", "GRD001", "GRD003", "GRD004")


def headline(overfitting: Overfitting, findings: Findings) -> str:
    """One sentence on top."""
    broken = _broken(findings)
    if broken is not None and overfitting.status not in ("confirmed", "likely"):
        return broken.message
    if overfitting.status == "confirmed":
        return f"The model overfits, confirmed on held-out examples: {overfitting.reason}"
    if overfitting.status == "likely":
        return f"The model very likely overfits. {overfitting.reason}"
    if overfitting.status == "suspected":
        return f"The model may overfit. {overfitting.reason}"
    if overfitting.status == "none":
        if overfitting.basis == "checkpoints":
            return f"No overfitting: {overfitting.reason}"
        return f"No sign of overfitting. {overfitting.reason}"
    return f"Whether the model overfits cannot be told. {overfitting.reason}"


def _broken(findings: Findings) -> Finding | None:
    bad = [f for f in findings.findings if f.code in BROKEN and f.severity == "critical"]
    return min(bad, key=lambda f: f.first_step or 0, default=None)


def keep(
    view: View, overfitting: Overfitting, findings: Findings, study: Study | None
) -> tuple[Checkpoint | None, int | None]:
    """The checkpoint and step to keep. Only a checkpoint that exists is recommended."""
    if study is not None and study.best is not None:
        return study.best, study.best.step
    saved = [c for c in view.checkpoints if c.step is not None]
    broken = _broken(findings)
    if broken is not None and broken.first_step is not None:
        before = [c for c in saved if (c.step or 0) < broken.first_step]
        good = max(before, key=lambda c: c.step or 0, default=None)
        return good, good.step if good is not None else None
    step = overfitting.best_step
    if step is None:
        return None, None
    if not saved:
        return None, step
    low, high = overfitting.as_good or (step, step)
    inside = [c for c in saved if low <= (c.step or 0) <= high]
    nearest = min(inside or saved, key=lambda c: abs((c.step or 0) - step))
    return nearest, nearest.step


def recommend(
    view: View,
    overfitting: Overfitting,
    findings: Findings,
    checkpoint: Checkpoint | None,
    step: int | None,
) -> str:
    """What to do now."""
    broken = _broken(findings)
    if step is not None:
        epoch = float(view.timeline.epoch_at([step])[0])
        where = f"step {step:,}" + (f" (epoch {epoch:.2g})" if np.isfinite(epoch) else "")
        if checkpoint is not None and checkpoint.revision:
            where += f", commit {checkpoint.revision[:8]}"
        elif checkpoint is not None and checkpoint.subfolder:
            where += f", {checkpoint.subfolder}"
        return f"Keep {where}: {_because(overfitting, broken)}"
    if broken is not None:
        return broken.fix[0] if broken.fix else "Go back to a checkpoint before it."
    if overfitting.status in ("suspected", "unknown") or overfitting.basis == "train_curve":
        repository = view.checkpoints[0].repo if view.checkpoints else "REPO"
        return (
            "Evaluate the saved checkpoints on held-out examples before you choose one: "
            f"runscope evaluate {repository} --data heldout.jsonl"
        )
    return "Keep the last checkpoint."


def _because(overfitting: Overfitting, broken: Finding | None) -> str:
    if overfitting.basis == "checkpoints":
        if overfitting.status == "confirmed":
            return "later ones are worse on held-out examples."
        return "it is the best on held-out examples; others may be as good."
    if broken is not None:
        return "it is the last one before the training broke down."
    if overfitting.status == "likely":
        return "the held-out loss was lowest there and rose after it."
    return "the held-out loss was lowest there."


def next_time(view: View, overfitting: Overfitting, findings: Findings) -> tuple[str, ...]:
    """Concrete changes for the next training, most useful first."""
    advice: list[str] = []
    broken = _broken(findings)
    if broken is not None:
        advice += broken.fix[1:]
    if overfitting.status in ("confirmed", "likely", "suspected"):
        if overfitting.best_step is not None:
            epoch = float(view.timeline.epoch_at([overfitting.best_step])[0])
            if np.isfinite(epoch) and epoch > 0:
                advice.append(
                    f"Train about {epoch:.2g} epochs instead of {_epochs(view):.2g}, or stop early."
                )
        advice.append(
            "A lower learning rate, a smaller rank or more data let you train longer before the turn."
        )
    held_out = view.get("eval_loss")
    if held_out is None or not len(held_out):
        advice.append("Hold out a few hundred examples and log their loss: eval_strategy='steps'.")
    advice += [f.fix[0] for f in findings.findings if f.code == "SCH002" and f.fix]
    return tuple(dict.fromkeys(advice))


def _epochs(view: View) -> float:
    epochs = view.timeline.epochs
    return float(epochs.value[-1]) if epochs is not None and len(epochs) else float("nan")
