"""What Neptune's exporter writes among the points of a run: its own facts, and from which run a run was forked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runscope.sources.tables.frames import as_texts

if TYPE_CHECKING:
    import pandas as pd

OWN = "sys/"
"""Where it keeps its own facts about a run: its size on disk, who owns it, when it was pinged last. No settings."""
_KIND = "attribute_type"
_PARENT, _STEP = f"{OWN}forking/parent", f"{OWN}forking/step"


@dataclass(frozen=True)
class Place:
    """Where a run lies at Neptune.

    Attributes:
        project: ``workspace/project``; runs of one project have ids of their own.
        parent: id of the run that it was forked from; None where it was not.
        step: the last one that it shares with it.
    """

    project: str
    parent: str | None = None
    step: int | None = None


def place_of(rows: pd.DataFrame, metric: str) -> Place | None:
    """The place of a run among its rows; None where another tracker wrote them.

    Args:
        rows: of one run, its facts among them.
        metric: the column that says what a row is of.
    """
    if "project_id" not in rows.columns or not len(rows):
        return None
    project = str(rows["project_id"].iloc[0])
    told = {word: rows[rows[metric] == word] for word in (_PARENT, _STEP)}
    words = {word: _told(found) for word, found in told.items()}
    try:
        return Place(project, words[_PARENT], int(float(words[_STEP] or "")))
    except ValueError:
        return Place(project)


def no_numbers(rows: pd.DataFrame) -> pd.Series | bool:
    """Rows of a series that is none of numbers: of texts, histograms or files."""
    return rows[_KIND].str.match(r"(?!float_|int_)\w+_series") if _KIND in rows.columns else False


def _told(rows: pd.DataFrame) -> str | None:
    """The value of a fact, which stands in the column of its kind."""
    columns = [c for c in rows.columns if str(c).endswith("_value")]
    return next((str(word) for c in columns for word in as_texts(rows[c]) if word != ""), None)
