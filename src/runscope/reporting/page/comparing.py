"""Several trainings side by side: page, picture, Markdown and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runscope.reporting.data import diagnosis_json, plain
from runscope.reporting.page.picture import draw_charts
from runscope.reporting.page.rendering import render
from runscope.reporting.page.report import chance, described_runs, sorted_notes
from runscope.reporting.text.escaping import escape, markdown_table
from runscope.reporting.view.charts import Chart, compared_charts
from runscope.reporting.view.marks import marks
from runscope.reporting.view.tones import tone_of
from runscope.stats.intervals import WIDE
from runscope.verdict import Comparison, Contender

COMPARISON_SCHEMA = "runscope.comparison/1"
BASIS = {"eval_curve": "the logged held-out losses", "train_curve": "the training losses alone", None: ""}
_MARKS = ("joins", "gaps", "epochs", "keep", "findings")


def comparison_page(comparison: Comparison, facts: Mapping[str, Any]) -> str:
    """The page of several trainings on the same axes."""
    contenders = comparison.contenders
    lines = [c.timeline for c in contenders]

    def draw(room: int) -> list[Chart]:
        return compared_charts([(c.name, c.timeline) for c in contenders], room=room)

    rows = [_row(c) for c in contenders]
    kind, icon = _tone(comparison, rows)
    notes = [f"{c.name}: {note}" for c in contenders for note in sorted_notes(c.diagnosis.notes)[0]]
    return render(
        "compare.html.j2", draw, lambda _: across_of(contenders), lines, facts,
        title=" and ".join(c.name for c in contenders), status="Compared", kind=kind, icon=icon,
        chance=_chance(comparison), comparison=comparison, basis=BASIS[comparison.basis],
        rows=rows, notes=(notes, []),
        trainings=[(c.name, described_runs(c.timeline)) for c in contenders],
    )  # fmt: skip


def _tone(comparison: Comparison, rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Green only where held-out losses decide and the better one is itself fine; a training loss decides nothing."""
    if comparison.better is None or comparison.basis != "eval_curve":
        return "unknown", "≈"
    return ("good", "✓") if rows[comparison.better]["kind"] == "good" else ("doubt", "!")


def _chance(comparison: Comparison) -> str:
    """How sure the answer is; that one training loss is lower, however surely, answers nothing."""
    return chance(comparison.probability) if comparison.basis == "eval_curve" else ""


def across_of(contenders: Sequence[Contender]) -> dict[str, Any]:
    """Joins and checkpoints to keep of each; findings stand in each training's own report."""
    each = [marks(c.timeline, c.diagnosis, number=k) for k, c in enumerate(contenders)]
    found = {name: [mark for one in each for mark in one[name]] for name in _MARKS}
    return found | {"findings": []}


def _row(contender: Contender) -> dict[str, Any]:
    tone = tone_of(contender.diagnosis)
    verdict, line, level = contender.diagnosis.verdict, contender.timeline, contender.level
    return {
        "name": contender.name,
        "runs": len(line.runs),
        "steps": f"{line.first_step:,} to {line.last_step:,}",
        "loss": "" if level is None else f"{level.value:.4g}",
        "error": None if level is None else WIDE * level.error,
        "where": _where(contender),
        "overfitting": tone.words,
        "kind": tone.kind,
        "keep": "" if verdict.keep_step is None else f"step {verdict.keep_step:,}",
        "worst": next(
            (f"{f.code} {f.message}" for f in contender.diagnosis.findings if f.severity != "info"), ""
        ),
    }


def _where(contender: Contender) -> str:
    first, last = contender.first_step, contender.last_step
    if first is None or last is None:
        return ""
    return f"step {first:,}" if first == last else f"steps {first:,} to {last:,}"


def draw_comparison(comparison: Comparison, path: Path, form: str) -> Path:
    """Draw the charts of several trainings into a picture, ``png`` or ``svg``."""
    drawn = compared_charts([(c.name, c.timeline) for c in comparison.contenders])
    return draw_charts(drawn, across_of(comparison.contenders), comparison.headline, path, form)


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """A comparison, schema ``runscope.comparison/1``."""
    found = {
        "schema": COMPARISON_SCHEMA,
        "headline": comparison.headline,
        "reason": comparison.reason,
        "basis": comparison.basis,
        "better": None if comparison.better is None else comparison.contenders[comparison.better].name,
        "probability": comparison.probability,
        "cannot_tell": list(comparison.cannot_tell),
        "differing_settings": {name: list(values) for name, values in comparison.differing},
        "trainings": [_training_json(c) for c in comparison.contenders],
    }
    shown: dict[str, Any] = plain(found)
    return shown


def _training_json(contender: Contender) -> dict[str, Any]:
    level = contender.level
    references = " ".join(run.reference for run in contender.timeline.runs)
    return {
        "name": contender.name,
        "loss": None if level is None else level.value,
        "error": None if level is None else level.error,
        "first_step": contender.first_step,
        "last_step": contender.last_step,
        "catches_up": contender.catches_up,
        "diagnosis": diagnosis_json(contender.diagnosis, references),
    }


def markdown_comparison(comparison: Comparison) -> str:
    """A comparison for a pull request; foreign text is escaped."""
    rows = [
        (
            r["name"],
            r["steps"],
            f"{r['loss']} ± {r['error']:.2g}" if r["loss"] else "",
            r["where"],
            r["overfitting"],
        )
        for r in (_row(c) for c in comparison.contenders)
    ]
    parts = [
        f"**{escape(comparison.headline)}**",
        escape(comparison.reason),
        markdown_table(("training", "steps", "loss", "where", "overfitting"), rows),
    ]
    if comparison.differing:
        names = ("setting", *(escape(c.name) for c in comparison.contenders))
        parts.append(
            markdown_table(names, [(n, *(_value(v) for v in values)) for n, values in comparison.differing])
        )
    parts.append("What cannot be told:\n\n" + "\n".join(f"- {escape(s)}" for s in comparison.cannot_tell))
    return "\n\n".join(p for p in parts if p)


def _value(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
