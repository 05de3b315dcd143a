"""Of which data a table is where its file or folder alone says so: ``val.log``, ``val/stats.json``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from runscope.sources.packed import unpacked_name
from runscope.sources.tables.column_names import (
    EPOCHS,
    SET_WORDS,
    STEPS,
    TIMES,
    TRAIN_WORDS,
    is_epoch,
    is_step,
    plain,
)
from runscope.sources.tables.long import LONG

Column = TypeVar("Column")
_HELD_OUT = SET_WORDS - TRAIN_WORDS
_OF_NO_RUN = frozenset(
    ("log", "logs", "metrics", "metric", "loss", "losses", "history", "results", "stats", "statistics", "scalars",
     "curve", "curves", "epoch", "step", "iter", "acc", "accuracy", "scores", "performance")
)  # fmt: skip
"""Words of a file's name that say what it is, not whose: ``eval_run_3.csv`` may be the log of an evaluation run."""
_OF_MUCH = frozenset(("test", "dev"))
_COUNTERS = frozenset((*STEPS, *EPOCHS, *TIMES))


def with_data(columns: Mapping[str, Column], file: Path) -> tuple[dict[str, Column], tuple[str, ...]]:
    """The columns under names that say their data, and a note, where the file is of held-out data by its name.

    Nothing is renamed where a column says itself of which data it is. ``test`` and ``dev``, and folders, are called so
    for other reasons as well: they count where one beside them is called ``train`` likewise.
    """
    word = _said_by(file)
    if word is None or LONG[0] in columns or any(set(_words(plain(name))) & SET_WORDS for name in columns):
        return dict(columns), ()
    named = {name: name if _counts(name) else f"{word}/{name}" for name in columns}
    return (
        {named[name]: column for name, column in columns.items()},
        (f"its metrics are taken as held out: {file.parent.name}/{file.name} is called so",),
    )


def _counts(name: str) -> bool:
    return is_step(name) or is_epoch(name) or plain(name) in _COUNTERS or name.lower() in _COUNTERS


def _said_by(file: Path) -> str | None:
    """The word for held-out data in a file's name, else in that of its folder."""
    words = _words(unpacked_name(file).stem.lower())
    for known, place in ((words, file), (_words(file.parent.name.lower()), file.parent)):
        word = next((word for word in known if word in _HELD_OUT), None)
        if word is None or not {*known, *words} - {word} <= _OF_NO_RUN:
            continue
        if (place is file and word not in _OF_MUCH) or _has_twin(place, word):
            return word
    return None


def _has_twin(place: Path, word: str) -> bool:
    return any(place.with_name(place.name.replace(word, other)).exists() for other in TRAIN_WORDS)


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[^a-z]+", name) if word]
