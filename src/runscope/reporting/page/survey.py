"""The page of a survey: thousands of trainings in one HTML file, sorted, filtered and overlaid in the browser."""

from __future__ import annotations

import base64
import gzip
import json
import os.path
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from runscope.reporting.data import plain
from runscope.reporting.page.rendering import filled, script_of
from runscope.reporting.text.survey import NEED_WORDS, runs_words, summary
from runscope.survey.card import NEEDS, Card, Curve
from runscope.survey.grouping import settings_of
from runscope.survey.survey import Survey

SCRIPTS = ("survey_data", "survey_table", "survey_charts", "frame", "survey_main")
LEVELS = 255
"""A small curve's values are told apart in so many levels: a picture of 255 pixels shows no more."""
AXES = 6
"""Settings offered as axes of the parallel coordinates, those with most trainings and values first.
With the results they fit a screen."""


def survey_page(survey: Survey, reports: Mapping[int, str] | None = None) -> str:
    """The page as text: one file that asks for nothing.

    Args:
        survey: what was found.
        reports: addresses of the reports that were written, by the number of the training.
    """
    names = _axes(survey)
    group_of = {i: number for number, group in enumerate(survey.groups) for i in group.members}
    new = set(survey.new)
    common = _common({card.project for card in survey.cards})
    data = {
        "cards": [
            _row(
                card,
                survey.titles[i],
                (reports or {}).get(i),
                _place(card.project, common),
                names,
                group_of.get(i),
                i in new,
            )
            for i, card in enumerate(survey.cards)
        ],
        "settings": names,
        "groups": [
            {"name": g.name, "size": len(g.members), "varied": list(g.varied), "seeds": g.seeds}
            for g in survey.groups
        ],
        "needs": [[need, NEED_WORDS[need]] for need in NEEDS],
    }
    packed = gzip.compress(
        json.dumps(plain(data), allow_nan=False, separators=(",", ":")).encode(), 9, mtime=0
    )
    return filled(
        "survey.html.j2",
        script=script_of(SCRIPTS),
        styles=("templates/survey.css",),
        title=", ".join(str(Path(p).resolve()) if set(p) <= set("./") else p for p in survey.places),
        summary=summary(survey),
        needs=[(need, NEED_WORDS[need], count) for need, count in survey.needs.items() if count],
        total=len(survey.cards),
        new=None if survey.first else len(survey.new),
        notes=survey.notes,
        points=base64.b64encode(packed).decode(),
    )


def _common(projects: set[str]) -> str:
    """What all folders among the projects begin with: it says nothing of any of them."""
    folders = [p for p in projects if p.startswith("/")]
    return os.path.commonpath(folders) if folders else ""


def _place(project: str, common: str) -> str:
    return project[len(common) :].lstrip("/") if common and project.startswith(common) else project


def _row(
    card: Card, title: str, written: str | None, place: str, names: list[str], group: int | None, new: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": title,
        "need": card.need,
        "project": place,
        "state": card.state,
        "first": card.first_step,
        "last": card.last_step,
        "headline": card.headline,
        "advice": card.advice,
        "of": card.overfitting,
        "p": _short(card.probability),
        "best": _short(card.best),
        "end": _short(card.last),
        "at": card.best_step,
        "hours": _short(card.hours),
        "wasted": _short(card.wasted_hours),
        "when": None if card.ended_at is None else int(card.ended_at),
        "runs": runs_words(card) if len(card.references) > 1 else None,
        "report": "runscope report " + " ".join(shlex.quote(r) for r in card.references),
        "found": [[f.code, f.severity, f.message] for f in card.findings],
        "set": [card.config.get(name) for name in names],
        "t": _curve(card.train),
        "h": _curve(card.heldout),
    }
    if written:
        found["page"] = written
    if group is not None:
        found["group"] = group
    if new:
        found["new"] = 1
    return {k: v for k, v in found.items() if v not in (None, "", [])}


def _curve(curve: Curve) -> list[Any] | None:
    """Lowest and highest value, first step and distances, levels."""
    if len(curve.step) < 2:
        return None
    step, value = np.array(curve.step), np.array(curve.value)
    low, high = float(value.min()), float(value.max())
    levels = (
        np.rint((value - low) / (high - low) * LEVELS).astype(int)
        if high > low
        else np.zeros(len(value), int)
    )
    distances = np.diff(step)
    even = len(set(distances.tolist())) == 1
    return [low, high, int(step[0]), int(distances[0]) if even else distances.tolist(), levels.tolist()]


def _axes(survey: Survey) -> list[str]:
    """Settings that differ between trainings, those that most trainings have first."""
    values: dict[str, set[str]] = {}
    having: Counter[str] = Counter()
    for card in survey.cards:
        for name, value in settings_of(card).items():
            having[name] += 1
            values.setdefault(name, set()).add(repr(value))
    swept = {name for group in survey.groups for name in group.varied}
    useful = [
        n for n in having if len(values[n]) > 1 and (n in swept or len(values[n]) <= max(24, having[n] // 4))
    ]
    return sorted(useful, key=lambda n: (n not in swept, -having[n], n))[:AXES]


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
