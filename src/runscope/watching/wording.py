"""What the events of a watch say."""

from __future__ import annotations

import math

from runscope.history import Timeline
from runscope.history.checkpoint import Checkpoint
from runscope.rules import Finding
from runscope.watching.events import Event


def rows_event(line: Timeline, now: float) -> Event:
    """Where the run stands, with its latest losses."""
    step = line.line[-1].last_step
    epoch = float(line.epoch_at([step])[0])
    facts: dict[str, float | int | None] = {
        "step": step,
        "epoch": None if math.isnan(epoch) else round(epoch, 4),
    }
    words = [f"step {step:,}" + ("" if math.isnan(epoch) else f" (epoch {epoch:.2f})")]
    for role, label in (
        ("train_loss", "loss"),
        ("eval_loss", "held-out loss"),
        ("grad_norm", "gradient norm"),
    ):
        series = line.role(role)
        if series is not None and len(series):
            value = float(series.sorted().value[-1])
            facts[role] = value if math.isfinite(value) else None
            words.append(f"{label} {value:.4g}")
    return Event("rows", now, ", ".join(words), facts=facts)


def checkpoint_event(checkpoint: Checkpoint, now: float) -> Event:
    """A checkpoint that was saved."""
    where = "" if checkpoint.step is None else f", step {checkpoint.step:,}"
    facts = {"step": checkpoint.step, "revision": checkpoint.revision, "subfolder": checkpoint.subfolder}
    return Event("checkpoint", now, f"saved {checkpoint.name}{where}: {checkpoint.title}", facts=facts)


def scored_words(checkpoint: Checkpoint, mean: float | None, standing: str) -> str:
    """How an evaluated checkpoint stands."""
    where = checkpoint.name if checkpoint.step is None else f"step {checkpoint.step:,}"
    return (
        f"{where} evaluated: {mean:.4g}, {standing.replace('_', ' ')}"
        if mean is not None
        else f"{where}: {standing}"
    )


def finding_event(finding: Finding, now: float, *, again: bool) -> Event:
    """A finding that is said."""
    worse = " (worse than before)" if again else ""
    text = f"{finding.severity} {finding.code} {finding.message}{worse}"
    facts = {"code": finding.code, "severity": finding.severity, "probability": finding.probability}
    return Event("finding", now, text, finding, facts)
