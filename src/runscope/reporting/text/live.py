"""A training that goes on, on a terminal: one screen, drawn anew at each look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from runscope.reporting.text.braille import loss_chart
from runscope.reporting.text.diagnosis import SEVERITY_COLOURS
from runscope.verdict.types import Diagnosis

CHART_WIDTH = 100
LINES = 8
"""How many of the latest events are shown."""


def live_view(
    diagnosis: Diagnosis | None,
    lines: Sequence[tuple[float, str, str]],
    *,
    next_look_seconds: float,
    width: int,
) -> RenderableType:
    """What is known now.

    Args:
        diagnosis: of the last look, None before the first log.
        lines: (Unix seconds, kind, sentence) of the events so far.
        next_look_seconds: pause until the next look.
        width: columns of the terminal.
    """
    parts: list[RenderableType] = []
    if diagnosis is not None:
        parts += [_head(diagnosis), *loss_chart(diagnosis.timeline, width=min(width, CHART_WIDTH))]
        parts.append(Text(diagnosis.verdict.headline, style="bold"))
        for finding in diagnosis.findings:
            text = Text(f"{finding.severity:8s} ", style=SEVERITY_COLOURS[finding.severity])
            parts.append(text.append(f"{finding.code} {finding.message}", style="default"))
        if diagnosis.study is not None:
            parts.append(_scores(diagnosis))
    parts.append(Text())
    parts += [event_line(*line) for line in lines[-LINES:]]
    parts.append(Text(f"next look in {next_look_seconds:.0f} s; Ctrl-C ends", style="dim"))
    return Group(*parts)


def event_line(at: float, kind: str, text: str) -> Text:
    """One event: time, kind, sentence."""
    clock = datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")
    return Text(f"{clock} {kind:10s} {text}")


def _head(diagnosis: Diagnosis) -> Text:
    line = diagnosis.timeline
    run = line.runs[-1]
    words = [f"{run.name}: {run.state}, step {line.line[-1].last_step:,}"]
    for role, label in (("train_loss", "loss"), ("eval_loss", "held-out loss"), ("learning_rate", "rate")):
        series = line.role(role)
        if series is not None and len(series):
            words.append(f"{label} {series.sorted().value[-1]:.4g}")
    return Text(", ".join(words))


def _scores(diagnosis: Diagnosis) -> Table:
    assert diagnosis.study is not None
    table = Table(box=None, pad_edge=False)
    for heading in ("step", diagnosis.study.metric, "examples", "standing"):
        table.add_column(heading, justify="right" if heading != "standing" else "left")
    for score in diagnosis.study.scores:
        step = "" if score.checkpoint.step is None else f"{score.checkpoint.step:,}"
        mean = "" if score.mean is None else f"{score.mean:.4g}"
        table.add_row(step, mean, f"{score.examples:,}", score.standing.replace("_", " "))
    return table
