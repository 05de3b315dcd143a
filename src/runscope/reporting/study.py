"""Evaluated checkpoints as JSON, a table, Markdown and text."""

from __future__ import annotations

from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runscope.evaluation.study import CheckpointScore, Study
from runscope.reporting.data import plain
from runscope.reporting.escaping import escape, markdown_table

EVALUATION_SCHEMA = "runscope.evaluation/1"
STANDINGS = {
    "best": "the best",
    "as_good": "as good as the best",
    "worse": "worse",
    "undecided": "undecided",
    "skipped": "not evaluated",
}
OUTCOMES = {
    "overfit": "Overfitting",
    "not_worse": "No overfitting",
    "undecided": "Undecided",
}
_COLUMNS = (
    "standing", "mean", "low", "high", "examples", "difference", "difference_low", "difference_high", "p_value",
    "train_mean", "train_low", "train_high", "membership_auc",
)  # fmt: skip


def score_json(score: CheckpointScore) -> dict[str, Any]:
    """One checkpoint's score."""
    checkpoint = score.checkpoint
    where = {
        "step": checkpoint.step, "epoch": checkpoint.epoch, "revision": checkpoint.revision,
        "subfolder": checkpoint.subfolder, "title": checkpoint.title,
    }  # fmt: skip
    return where | {name: plain(getattr(score, name)) for name in _COLUMNS}


def study_json(study: Study, repo: str | None = None) -> dict[str, Any]:
    """A study, schema ``runscope.evaluation/1``."""
    answer = {
        "schema": EVALUATION_SCHEMA,
        "repo": repo,
        "task": study.task,
        "metric": study.metric,
        "outcome": study.outcome,
        "reason": study.reason,
        "best_step": study.best.step if study.best else None,
        "best_revision": study.best.revision if study.best else None,
        "best_corrected": study.best_corrected,
        "onset_step": study.onset_step,
        "effect": study.effect,
        "min_effect": study.min_effect,
        "p_value": study.p_value,
        "more_examples": study.more_examples,
        "example_evaluations": study.example_evaluations,
        "full_grid": study.full_grid,
        "checkpoints": [score_json(s) for s in study.scores],
        "examples": [dict(e) for e in study.sample],
        "settings": dict(study.settings),
        "notes": list(study.notes),
    }
    shown: dict[str, Any] = plain(answer)
    return shown


def study_table(study: Study) -> pd.DataFrame:
    """One row a checkpoint."""
    return pd.DataFrame([score_json(s) for s in study.scores])


def _headline(study: Study) -> str:
    return f"{OUTCOMES[study.outcome]}: {study.reason}"


def _saved(study: Study) -> str:
    share = 1 - study.example_evaluations / max(study.full_grid, 1)
    return (
        f"{study.example_evaluations:,} of {study.full_grid:,} possible example evaluations were enough "
        f"({share:.0%} fewer)"
        if share > 0.005
        else f"all {study.full_grid:,} example evaluations were run"
    )


def _cells(score: CheckpointScore) -> tuple[str, ...]:
    c = score.checkpoint
    held_out = "" if score.mean is None else f"{score.mean:.3f} ± {(score.high or 0) - score.mean:.3f}"
    behind = "" if score.difference is None or score.standing == "best" else f"+{score.difference:.3f}"
    if behind and (score.difference or 0) < 0:
        behind = f"{score.difference:.3f}"
    return (
        "" if c.step is None else f"{c.step:,}",
        "" if c.epoch is None else f"{c.epoch:.2f}",
        c.name,
        held_out,
        "" if score.train_mean is None else f"{score.train_mean:.3f}",
        behind,
        f"{score.examples:,}" if score.examples else "",
        STANDINGS[score.standing],
    )


HEADINGS = ("step", "epoch", "commit", "held-out loss", "training loss", "behind", "examples", "standing")


def print_study(console: Console, study: Study) -> None:
    """The answer, then one row a checkpoint."""
    console.print(Text(_headline(study), style="bold"))
    if study.best is not None:
        step = "" if study.best.step is None else f"step {study.best.step:,}, "
        console.print(Text(f"Keep {step}{study.best.name}: {study.best.title}"))
    print_scores(console, study)


def print_scores(console: Console, study: Study) -> None:
    """One row a checkpoint, and what it cost."""
    table = Table(box=None, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("commit", "standing") else "right")
    for score in study.scores:
        style = "bold green" if score.standing == "best" else "dim" if score.standing == "skipped" else ""
        table.add_row(*(Text(c, style=style) for c in _cells(score)))
    console.print(table)
    if study.more_examples is not None:
        console.print(Text(f"About {study.more_examples:,} more held-out examples would decide."))
    for note in (_saved(study), *study.notes):
        console.print(Text(f"note: {note}"))


def markdown_study(study: Study) -> str:
    """The answer and the table."""
    return f"**{escape(_headline(study))}**\n\n{markdown_scores(study)}"


def markdown_scores(study: Study) -> str:
    """One row a checkpoint."""
    return markdown_table(HEADINGS, [_cells(s) for s in study.scores])
