"""Groups of trainings that differ by their seed, as JSON, Markdown and text."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runscope.evaluation.trainings.seeds import Group, Seeds
from runscope.reporting.data import plain
from runscope.reporting.text.escaping import escape, markdown_table

SEEDS_SCHEMA = "runscope.seeds/1"


def seeds_json(seeds: Seeds) -> dict[str, Any]:
    """One group or two, schema ``runscope.seeds/1``."""
    answer = {
        "schema": SEEDS_SCHEMA,
        "task": seeds.task,
        "metric": seeds.metric,
        "outcome": seeds.outcome,
        "headline": seeds.headline,
        "reason": seeds.reason,
        "effect": seeds.effect,
        "effect_low": seeds.effect_low,
        "effect_high": seeds.effect_high,
        "p_value": seeds.p_value,
        "freedom": seeds.freedom,
        "min_effect": seeds.min_effect,
        "examples": seeds.examples,
        "groups": [_group_json(group) for group in seeds.groups],
        "notes": list(seeds.notes),
    }
    shown: dict[str, Any] = plain(answer)
    return shown


def _group_json(group: Group) -> dict[str, Any]:
    return {
        "mean": group.mean,
        "spread": group.spread,
        "trainings": [
            {
                "name": t.name, "value": t.value, "best_step": t.study.best_step, "outcome": t.study.outcome,
                "reason": t.study.reason,
            }
            for t in group.trainings
        ],
    }  # fmt: skip


def print_seeds(console: Console, seeds: Seeds) -> None:
    """The answer, then one row a training and one a group."""
    console.print(Text(seeds.headline, style="bold"))
    if seeds.reason:
        console.print(Text(seeds.reason))
    table = Table(box=None, pad_edge=False)
    for number, heading in enumerate(_headings(seeds)):
        table.add_column(heading, justify="left" if number == 0 else "right")
    for cells in _rows(seeds):
        table.add_row(*map(Text, cells))
    console.print(table)
    for note in seeds.notes:
        console.print(Text(f"note: {note}"))


def markdown_seeds(seeds: Seeds) -> str:
    """The answer and the table."""
    said = f"**{escape(seeds.headline)}**" + (f" {escape(seeds.reason)}" if seeds.reason else "")
    return f"{said}\n\n{markdown_table(_headings(seeds), _rows(seeds))}"


def _headings(seeds: Seeds) -> tuple[str, ...]:
    return "training", "best step", f"held-out {seeds.metric.replace('_', ' ')}"


def _rows(seeds: Seeds) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for group in seeds.groups:
        for training in group.trainings:
            step = training.study.best_step
            found.append((training.name, "" if step is None else f"{step:,}", _figure(training.value)))
        spread = "" if group.spread is None else f" ± {group.spread:.2g} between seeds"
        if len(group.trainings) > 1 and group.mean is not None:
            found.append((f"mean of {len(group.trainings)} seeds", "", f"{_figure(group.mean)}{spread}"))
    return found


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
