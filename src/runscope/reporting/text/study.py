"""Evaluated checkpoints as JSON, a table, Markdown and text."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runscope.evaluation.study import Against, CheckpointScore, Extra, Study
from runscope.history.checkpoint import Checkpoint
from runscope.reporting.data import against_json, plain
from runscope.reporting.text.escaping import escape, markdown_table
from runscope.units import readable_bytes

if TYPE_CHECKING:
    import pandas as pd

    from runscope.evaluation.plan import Plan

EVALUATION_SCHEMA = "runscope.evaluation/1"
PLAN_SCHEMA = "runscope.evaluation-plan/1"
STANDINGS = {
    "best": "the best",
    "as_good": "as good as the best",
    "behind": "behind",
    "worse": "worse",
    "undecided": "undecided",
    "skipped": "not evaluated",
}
OUTCOMES = {
    "overfit": "Overfitting",
    "not_worse": "No overfitting",
    "undecided": "Undecided",
}
EXTRAS = {
    "helped": "fine-tuning helped",
    "helped_little": "fine-tuning helped a little",
    "did_not_help": "fine-tuning did not help",
    "harmed": "fine-tuning did not help",
    "better": "better than the best",
    "as_good": "as good as the best",
    "worse": "worse",
    "undecided": "undecided",
}
"""How the base and averages stand."""
TRADED = "* no other checkpoint is as good on both sets"
_COLUMNS = (
    "standing", "mean", "low", "high", "examples", "difference", "difference_low", "difference_high", "p_value",
    "train_mean", "train_low", "train_high", "gap", "membership_auc", "membership_auc_min_k", "verbatim_rate",
    "verbatim_held_out", "also_mean", "also_low", "also_high", "forgotten", "forgotten_low", "forgotten_high",
    "trade_off", "beside_mean", "beside_low", "beside_high", "beside_difference", "beside_difference_low",
    "beside_difference_high", "scores",
)  # fmt: skip


def score_json(score: CheckpointScore) -> dict[str, Any]:
    """One checkpoint's score."""
    checkpoint = score.checkpoint
    where = {
        "step": checkpoint.step, "epoch": checkpoint.epoch, "revision": checkpoint.revision,
        "subfolder": checkpoint.subfolder, "title": checkpoint.title,
    }  # fmt: skip
    return where | {name: plain(getattr(score, name)) for name in _COLUMNS}


def _extra_json(extra: Extra) -> dict[str, Any]:
    """The base, or an average."""
    shown: dict[str, Any] = plain({k: v for k, v in asdict(extra).items() if k != "kind"})
    return shown


def beside_json(study: Study) -> dict[str, Any]:
    """What stands beside the checkpoints: the base, averages, and what was forgotten."""
    return {
        "base": next((_extra_json(e) for e in study.extras if e.kind == "base"), None),
        "averages": [_extra_json(e) for e in study.extras if e.kind == "average"],
        "forgetting": plain(asdict(study.forgetting)) if study.forgetting is not None else None,
        "beside": plain(asdict(study.beside)) if study.beside is not None else None,
    }


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
        "effect_low": study.effect_low,
        "effect_high": study.effect_high,
        "min_effect": study.min_effect,
        "p_value": study.p_value,
        "more_examples": study.more_examples,
        "detectable": study.detectable,
        "example_evaluations": study.example_evaluations,
        "full_grid": study.full_grid,
        **beside_json(study),
        "checkpoints": [score_json(s) for s in study.scores],
        "examples": [dict(e) for e in study.sample],
        "by_heart": [dict(e) for e in study.by_heart],
        "settings": dict(study.settings),
        **against_json(study.baseline),
        "notes": list(study.notes),
    }
    shown: dict[str, Any] = plain(answer)
    return shown


def study_table(study: Study) -> pd.DataFrame:
    """One row a checkpoint."""
    return study.to_pandas()


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


def _cells(score: CheckpointScore, study: Study) -> tuple[str, ...]:
    c = score.checkpoint
    behind = "" if score.difference is None or score.standing == "best" else _figure(score.difference, "+")
    trained = (
        _figure(score.train_mean),
        _figure(score.membership_auc),
        "" if score.verbatim_rate is None else f"{score.verbatim_rate:.0%}",
    )
    return (
        "" if c.step is None else f"{c.step:,}",
        "" if c.epoch is None else f"{c.epoch:.2f}",
        c.name,
        _within(score.mean, score.high),
        *(trained if _has_training(study) else ()),
        behind,
        *((_figure(score.also_mean), _forgot(score)) if study.forgetting is not None else ()),
        *((_within(score.beside_mean, score.beside_high),) if study.beside is not None else ()),
        f"{score.examples:,}" if score.examples else "",
        standing_words(score, study),
    )


def _extra_cells(extra: Extra, study: Study) -> tuple[str, ...]:
    """The row of the base, or of an average."""
    trained = ("",) * 3 if _has_training(study) else ()
    second: tuple[str, ...] = (_figure(extra.also_mean), "") if study.forgetting is not None else ()
    second += (_figure(extra.beside_mean),) if study.beside is not None else ()
    return (
        "", "", extra.name, _within(extra.mean, extra.high), *trained,
        _figure(extra.difference, "+"), *second, f"{extra.examples:,}", EXTRAS[extra.outcome],
    )  # fmt: skip


def extra_sentences(study: Study) -> list[str]:
    """What is to be said of the base, of averages, of what was forgotten and by a second task, each a sentence."""
    beside = (study.forgetting, study.beside)
    said = [e.reason for e in study.extras] + [one.reason for one in beside if one is not None]
    return [f"{s[:1].upper()}{s[1:]}" for s in said]


def _forgot(score: CheckpointScore) -> str:
    """By how much it is worse on the second set; marked where no other checkpoint is as good on both."""
    return _figure(score.forgotten, "+") + (" *" if score.trade_off else "")


def standing_words(score: CheckpointScore, study: Study) -> str:
    """How it stands; "as good" only where a difference that matters is ruled out."""
    open_still = score.standing == "as_good" and (score.difference_high or 0.0) > study.min_effect
    not_asked = (
        score.standing == "undecided" and score is not study.scores[-1]
    )  # the answer is about the last
    return "may be as good" if open_still or not_asked else STANDINGS[score.standing]


def _within(mean: float | None, high: float | None) -> str:
    """A mean with half the width of its interval."""
    return "" if mean is None else f"{_figure(mean)} ± {_figure((high or 0) - mean)}"


def _figure(value: float | None, sign: str = "") -> str:
    if value is None:
        return ""
    return f"{value:{sign}.3f}" if abs(value) < 100 else f"{value:{sign},.1f}"


def _has_training(study: Study) -> bool:
    return any(s.train_mean is not None for s in study.scores)


def _headings(study: Study) -> tuple[str, ...]:
    metric = study.metric.replace("_", " ")
    trained = (f"training {metric}", "membership", "verbatim") if _has_training(study) else ()
    said = study.forgetting
    second: tuple[str, ...] = (f"{said.metric} on {said.data}", "forgot") if said is not None else ()
    second += (study.beside.metric.replace("_", " "),) if study.beside is not None else ()
    return (
        "step",
        "epoch",
        "commit",
        f"held-out {metric}",
        *trained,
        "behind",
        *second,
        "examples",
        "standing",
    )


def print_study(console: Console, study: Study) -> None:
    """The answer, then one row a checkpoint."""
    console.print(Text(_headline(study), style="bold"))
    if study.best is not None and study.compared and not study.tied:
        console.print(Text(f"Keep {_which(study.best)}"))
    for sentence in extra_sentences(study):
        console.print(Text(sentence))
    if study.baseline is not None:
        console.print(Text(against_words(study.baseline)))
    print_scores(console, study)


def against_words(baseline: Against) -> str:
    """How it compares with a baseline, its numbers, and what they do not say."""
    return " ".join((baseline.headline, baseline.reason))


def _which(checkpoint: Checkpoint) -> str:
    """Step, commit or folder, and title; of given results all three are the step."""
    step = [] if checkpoint.step is None else [f"step {checkpoint.step:,}"]
    names = list(dict.fromkeys([*step, checkpoint.name]))
    title = "" if not checkpoint.title or checkpoint.title in names else f": {checkpoint.title}"
    return ", ".join(names) + title


def print_scores(console: Console, study: Study) -> None:
    """One row a checkpoint, and what it cost."""
    table = Table(box=None, pad_edge=False)
    for heading in _headings(study):
        table.add_column(heading, justify="left" if heading in ("commit", "standing") else "right")
    for score, cells in _rows(study):
        standing = "" if score is None else score.standing
        style = "bold green" if standing == "best" else "dim" if standing == "skipped" else ""
        table.add_row(*(Text(c, style=style) for c in cells))
    console.print(table)
    if study.more_examples is not None:
        console.print(Text(f"Not enough data: {study.more_examples:,} more held-out examples would decide."))
    if study.forgetting is not None:
        console.print(Text(TRADED))
    for note in (_saved(study), *study.notes):
        console.print(Text(f"note: {note}"))


def _rows(study: Study) -> list[tuple[CheckpointScore | None, tuple[str, ...]]]:
    """The base, the checkpoints, the averages; with its score where it is a checkpoint."""
    extras = [(e.kind, (None, _extra_cells(e, study))) for e in study.extras]
    scored: list[tuple[CheckpointScore | None, tuple[str, ...]]] = [
        (s, _cells(s, study)) for s in study.scores
    ]
    return [
        *(row for kind, row in extras if kind == "base"),
        *scored,
        *(row for kind, row in extras if kind == "average"),
    ]


def markdown_study(study: Study) -> str:
    """The answer and the table."""
    parts = [f"**{escape(_headline(study))}**", markdown_scores(study)]
    if study.baseline is not None:
        parts.insert(1, escape(against_words(study.baseline)))
    return "\n\n".join(parts)


def markdown_scores(study: Study) -> str:
    """One row a checkpoint, and what is said of the base and of averages."""
    said = "".join(f"{escape(s)}\n\n" for s in extra_sentences(study))
    table = markdown_table(_headings(study), [cells for _, cells in _rows(study)])
    return said + table + (f"\n\n{escape(TRADED)}" if study.forgetting is not None else "")


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan, schema ``runscope.evaluation-plan/1``."""
    shown: dict[str, Any] = plain({"schema": PLAN_SCHEMA, **asdict(plan)})
    return shown


def print_plan(console: Console, plan: Plan) -> None:
    """What would be run, downloaded and needed in memory."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in plan_rows(plan):
        table.add_row(Text(name, style="bold"), Text(value))
    console.print(table)
    for note in plan.notes:
        console.print(Text(f"note: {note}"))


def plan_rows(plan: Plan) -> list[tuple[str, str]]:
    """What an evaluation would need, in words, under a heading each."""
    runs = f"{plan.at_least:,} to {plan.at_most:,} example evaluations"
    kept = f", of which {plan.kept:,} are there already" if plan.kept else ""
    base = f"{plan.base}, {_size(plan.base_bytes)}" if plan.base else "none: the checkpoints are whole models"
    rows = [
        ("checkpoints", f"{plan.checkpoints:,}, the race begins with {plan.starting:,}"),
        ("held-out examples", f"{plan.examples:,}, the first look is after {plan.first_look:,}"),
        ("would run", f"{runs}{kept}"),
        ("would download", _download(plan)),
        ("base model", base),
        ("memory", f"{_memory(plan)}, and what a batch takes"),
    ]
    if plan.train_examples:
        rows.insert(
            2, ("training examples", f"{plan.train_examples:,} for each checkpoint that is evaluated")
        )
    if plan.also_examples:
        rows.insert(
            -3, ("second set", f"{plan.also_examples:,} for each checkpoint that is evaluated and the base")
        )
    found = "known once the first examples are evaluated" if plan.detectable is None else (
        f"a difference of {plan.detectable:.3g} {plan.unit} or more, in 4 of 5 cases"
    )  # fmt: skip
    rows.append(("would show", found))
    if plan.seconds_at_least is not None and plan.seconds_at_most is not None:
        from runscope.evaluation.models.saved.costs import SPEEDS

        lasts = f"{_minutes(plan.seconds_at_least)} to {_minutes(plan.seconds_at_most)}"
        rows.append(("would last", f"about {lasts} on {SPEEDS}"))
    if plan.price_at_least is not None and plan.price_at_most is not None:
        rows.append(("would cost", f"about {plan.price_at_least:,.2f} to {plan.price_at_most:,.2f} dollars"))
    return rows


def _download(plan: Plan) -> str:
    base = f", and {_size(plan.base_download_bytes)} for the base" if plan.base_download_bytes else ""
    return f"{_size(plan.download_bytes)}, at most {_size(plan.download_at_most_bytes)}{base}"


def _memory(plan: Plan) -> str:
    """Of weights, by precision."""
    if not plan.memory:
        return f"{_size(plan.memory_bytes)} for weights as they are stored"
    usual = {"float32": " (usual on a CPU)", "bfloat16": " (usual on a GPU)"} if len(plan.memory) > 1 else {}
    return ", ".join(f"{_size(n)} in {dtype}{usual.get(dtype, '')}" for dtype, n in plan.memory.items())


def _minutes(seconds: float) -> str:
    if seconds < 60:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _size(count: int | None) -> str:
    return "an unknown size" if count is None else readable_bytes(count)
