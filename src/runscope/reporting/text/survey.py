"""A survey on a terminal, as Markdown, as JSON and as rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runscope.history import Series
from runscope.reporting.data import plain
from runscope.reporting.text.escaping import escape, markdown_table
from runscope.reporting.text.run import sparkline
from runscope.survey.card import NEEDS, Card
from runscope.survey.grouping import Group
from runscope.survey.survey import Survey
from runscope.survey.telling import Telling

SURVEY_SCHEMA = "runscope.scan/1"
NEED_WORDS = {
    "act": "needs action", "look": "worth a look", "unreadable": "could not be read", "unknown": "logged too little",
    "fine": "fine",
}  # fmt: skip
_COUNTED = {
    "act": ("needs action", "need action"), "look": ("is worth a look", "are worth a look"),
    "unreadable": ("could not be read",) * 2, "unknown": ("logged too little to judge",) * 2,
    "fine": ("is fine", "are fine"),
}  # fmt: skip
"""The same after one and after several."""
_VERDICTS = {
    "overfits": ("overfits", "overfit"), "diverged": ("diverged",) * 2, "never learned": ("never learned",) * 2,
}  # fmt: skip
_DIED = ("training ended with an error or was killed", "trainings ended with an error or were killed")
_STOPPED = (
    "training stopped short of its plan, or is running", "trainings stopped short of their plan, or are running"
)  # fmt: skip
_NAMED = 4
_STYLES = {"act": "bold red", "look": "yellow", "unreadable": "magenta", "unknown": "dim", "fine": "green"}
SURVEY_ROWS = 40
"""Rows on a terminal; all of them stand in a file."""
_CURVE = 16


def print_survey(console: Console, survey: Survey, *, most: int = SURVEY_ROWS) -> None:
    """Counts, what goes with a verdict, sweeps, then a row for each training that needs somebody."""
    for line in summary(survey):
        console.print(Text(line))
    needing = [(i, c) for i, c in enumerate(survey.cards) if c.need != "fine"]
    if needing:
        console.print()
        console.print(_table(survey, needing[:most]))
    if len(needing) > most:
        console.print(
            Text(f"and {len(needing) - most:,} more: --all shows them, --output scan.html makes a page")
        )


def summary(survey: Survey) -> list[str]:
    """What a survey says in sentences, the most useful first."""
    needs = survey.needs
    counted = ", ".join(f"{needs[need]:,} {_COUNTED[need][needs[need] > 1]}" for need in NEEDS if needs[need])
    lines = [f"{_many(len(survey.cards), 'training')}: {counted}."]
    if not survey.first:
        bad = sum(survey.cards[i].need in ("act", "look") for i in survey.new)
        some = f"{_many(len(survey.new), 'training')}, {bad:,} of them to look at" if survey.new else "none"
        lines.append(f"New or changed since the last scan: {some}.")
    verdicts = survey.verdicts
    said = [
        f"{verdicts[name]:,} {words[verdicts[name] > 1]}"
        for name, words in _VERDICTS.items()
        if verdicts[name]
    ]
    if said:
        lines.append(f"Of all trainings {', '.join(said)}.")
    for ended, words in ((survey.died, _DIED), (survey.stopped_early, _STOPPED)):
        if ended:
            lines.append(f"{len(ended):,} {words[len(ended) > 1]}: {_named(survey, ended)}.")
    if survey.joined:
        lines.append(_joined_words(survey))
    if survey.wasted_hours >= 0.05:
        known = "" if survey.timed == len(survey.cards) else f" that {_many(survey.timed, 'training')} logged"
        lines.append(
            f"{survey.wasted_hours:,.1f} of the {survey.hours:,.1f} hours{known} were spent after the best step of "
            "trainings that got worse."
        )
    if survey.without_heldout:
        lines.append(f"{_many(survey.without_heldout, 'training')} logged no held-out values.")
    lines += [telling_words(t) for t in survey.tellings[:5]]
    return lines + [_group_words(survey, group) for group in survey.groups[:5]]


def _named(survey: Survey, some: Sequence[int]) -> str:
    """The names of some trainings, or of the first ones."""
    more = f" and {len(some) - _NAMED:,} more" if len(some) > _NAMED else ""
    return ", ".join(survey.titles[n] for n in some[:_NAMED]) + more


def _group_words(survey: Survey, group: Group) -> str:
    """A sweep with its best training, seeds with how far they lie apart."""
    said = f"{group.name}: {_many(len(group.members), 'training')}"
    known = {n: c.best for n in group.members if (c := survey.cards[n]).best is not None}
    metrics = {survey.cards[n].metric for n in known}
    reached = ""
    if len(metrics) == 1 and len(known) > 1:
        low, high = (f"{find(v for v in known.values() if v is not None):.4g}" for find in (min, max))
        best = min(known, key=lambda n: (known[n], n))
        reached = (
            f"; best {metrics.pop()} {low} to {high}"
            if group.seeds
            else f"; lowest {metrics.pop()} {low}: {survey.titles[best]}"
        )
    what = "seeds of one configuration" if group.seeds else f"a sweep over {', '.join(group.varied)}"
    return f"{said}, {what}{reached}."


def _joined_words(survey: Survey) -> str:
    """How many trainings were put together, and which of them is least sure."""
    least = survey.joined[0]
    first = f"{survey.titles[least]} ({runs_words(survey.cards[least])})"
    if len(survey.joined) == 1:
        return f"1 training was put together from several runs: {first}."
    return f"{len(survey.joined):,} trainings were put together from several runs; the least sure is {first}."


def runs_words(card: Card) -> str:
    """Of how many runs a training is, and how sure that is."""
    runs = f"{len(card.references):,} runs"
    return runs if card.join is None else f"{runs}, {card.join:.0%} sure"


def telling_words(telling: Telling) -> str:
    """One setting that goes with a verdict, in a sentence."""
    return (
        f"{telling.verdict.capitalize()} with {telling.setting} {telling.condition}: {telling.hits} of {telling.of} "
        f"against {telling.other_hits} of {telling.other_of} "
        f"({telling.difference:+.0%}, 95% interval {telling.low:+.0%} to {telling.high:+.0%})."
    )


def survey_json(survey: Survey) -> dict[str, Any]:
    """A survey, schema ``runscope.scan/1``."""
    found: dict[str, Any] = plain(
        {
            "schema": SURVEY_SCHEMA,
            "places": list(survey.places),
            "counts": {
                "trainings": len(survey.cards), **survey.needs, "without_heldout": survey.without_heldout,
                **{name.replace(" ", "_"): count for name, count in survey.verdicts.items()},
                "hours": survey.hours, "wasted_hours": survey.wasted_hours,
                "new": None if survey.first else len(survey.new),
            },
            "tellings": [vars(t) for t in survey.tellings],
            "groups": [
                {
                    "name": g.name, "seeds": g.seeds, "varied": dict(g.varied),
                    "members": [list(survey.cards[i].references) for i in g.members],
                }
                for g in survey.groups
            ],
            "trainings": None,
            "notes": list(survey.notes),
        }
    )  # fmt: skip
    return found | {"trainings": list(survey_rows(survey))}


def survey_rows(survey: Survey) -> Iterator[dict[str, Any]]:
    """One object a training, those that need somebody first."""
    new = set(survey.new)
    for index, card in enumerate(survey.cards):
        found: dict[str, Any] = plain(card.as_dict() | {"new": index in new})
        yield found


def markdown_survey(survey: Survey, *, most: int = SURVEY_ROWS) -> str:
    """For a chat or a pull request; names of runs are escaped."""
    needing = [(i, c) for i, c in enumerate(survey.cards) if c.need != "fine"]
    parts = ["\n".join(f"- {escape(line)}" for line in summary(survey))]
    if needing:
        cells = [
            (
                NEED_WORDS[c.need],
                survey.titles[i] + (f" ({runs_words(c)})" if len(c.references) > 1 else ""),
                _curve(c),
                _span(c),
                c.headline,
                c.advice,
            )
            for i, c in needing[:most]
        ]
        parts.append(markdown_table(("", "training", "curve", "steps", "what happened", "what to do"), cells))
    if len(needing) > most:
        parts.append(f"and {len(needing) - most:,} more")
    return "\n\n".join(parts)


def _table(survey: Survey, needing: list[tuple[int, Card]]) -> Table:
    new = set(survey.new)
    table = Table(box=None, pad_edge=False)
    for heading in ("", "training", "curve", "steps", "what happened"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("", "curve"))
    for index, card in needing:
        mark = Text(NEED_WORDS[card.need], style=_STYLES[card.need])
        name = Text(survey.titles[index])
        if len(card.references) > 1:
            name.append(f" ({runs_words(card)})", style="dim")
        if index in new:
            name.append(" new", style="cyan")
        happened = Text(card.headline)
        if card.advice:
            happened.append(f"\n{card.advice}", style="dim")
        table.add_row(mark, name, Text(_curve(card)), Text(_span(card)), happened)
    return table


def _curve(card: Card) -> str:
    drawn = card.heldout if len(card.heldout.step) > 2 else card.train
    if not drawn.step:
        return ""
    step, value = np.array(drawn.step, dtype=np.int64), np.array(drawn.value)
    return sparkline(Series.of("curve", step, value, np.full(len(step), np.nan)), _CURVE)


def _span(card: Card) -> str:
    return "" if card.error is not None else f"{card.first_step:,} to {card.last_step:,}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
