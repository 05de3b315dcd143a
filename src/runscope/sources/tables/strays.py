"""Tables that lie about beside logs: data sets, results, settings. A walk passes over them, by what they hold."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from runscope.sources.tables.column_names import is_epoch, is_step, plain
from runscope.sources.tables.documents.json_row import row_of
from runscope.sources.tables.documents.json_text import flat
from runscope.sources.tables.written.marks import cells_of, is_number, separator_of
from runscope.sources.text import head_of

HEAD_BYTES = 1 << 13
LONG_LINE = 1 << 20
"""A row that holds a document may be as long."""
ROWS = 20
SENTENCE = 4
"""Words of a cell from which on it is a text, and no label."""
_OF_A_TRAINING = re.compile(
    r"(?:^|_)(?:loss|nll|acc|accuracy|lr|learning_rate|grad|norm|ppl|perplexity|reward|kl|entropy|train|training|val|"
    r"valid|validation|eval)(?:_|$)"
)
"""What a table without a counter must name to be a log: a score or an error alone is one of something that ended."""
_TRANSITION = (
    frozenset(("action", "actions")),
    frozenset(("obs", "observation", "observations", "state", "states", "next_obs", "next_state")),
)
DAMAGED = ("\0", "\ufffd")
"""What stands in no text: a hole in the file, or bytes that are no letter."""
_BESIDE = ("monitor.csv", "evaluations.csv")
_COMMENT = re.compile(r"\s*(?:#|//|%)\s*")


def of_another_run(name: str, stem: str) -> bool:
    """Whether a table beside a log may be that of another run: no other form of it, and not what environments and
    callbacks write beside it.

    Args:
        name: of the file.
        stem: of the log's name.
    """
    table = name.endswith((".csv", ".tsv", ".jsonl", ".ndjson")) and not name.startswith(".")
    return table and not name.startswith(f"{stem}.") and not name.endswith(_BESIDE)


def is_stray_csv(file: Path, *, called_a_log: bool) -> bool:
    """Whether no header of a table names a counter, a loss, or what else a training logs.

    What is damaged is no stray, so that somebody hears of it: nor is one called as a log is that has lost its header.
    """
    head = head_of(file, HEAD_BYTES).rstrip("\ufffd")  # half a letter at its end
    lines = [line for line in head.split("\n")[:ROWS] if line.strip()]
    if len(lines) < 2 or any(sign in head for sign in DAMAGED):
        return False
    try:
        names = _names(lines)
    except csv.Error:
        return False
    if _transition(names):
        return True
    return not _told(names, ()) if names else not called_a_log


def _names(lines: Iterable[str]) -> list[str]:
    """The cells of the header, of what stands above it, and the first ones of lines of a table without a header."""
    names: list[str] = []
    for line in lines:
        bare = _COMMENT.sub("", line, count=1) if _COMMENT.match(line) else line
        cells = cells_of(bare, separator_of(bare))
        if all(is_number(cell) for cell in cells):
            continue
        named = [cell for cell in cells if not is_number(cell)]
        names += named if len(named) == len(cells) else named[:1]  # a name, and its values beside it
        if len(named) == len(cells) > 1 and bare is line:
            break  # the header
    return names


def is_stray_lines(file: Path) -> bool:
    """Whether no row of a file with one JSON object per line names a counter, a loss, or what else a training logs."""
    lines = head_of(file, HEAD_BYTES).split("\n")
    if len(lines) == 1:
        lines = head_of(file, LONG_LINE).split("\n")
    whole = [line for line in lines[: max(len(lines) - 1, 1)][:ROWS] if line.strip()]
    rows = [row for line in whole if (row := row_of(line)) is not None]
    cells = [pair for row in rows for pair in flat(row, Counter())]
    if _transition(name for row in rows for name in row):
        return True
    return len(rows) == len(whole) > 0 and not _told(
        (n for n, _ in cells), (v for _, v in cells if isinstance(v, str))
    )


def _transition(names: Iterable[str]) -> bool:
    """Whether rows tell what an agent saw and did, step by step, and of no loss."""
    known = {name.lower() for name in names}
    return all(some & known for some in _TRANSITION) and not any("loss" in name for name in known)


def _told(names: Iterable[str], texts: Iterable[str]) -> bool:
    known = set(names)
    if any(
        is_step(name) or is_epoch(name) for whole in known for name in (whole, re.split(r"[./]", whole)[-1])
    ):
        return True
    if not any(_OF_A_TRAINING.search(re.sub(r"[^a-z0-9]+", "_", plain(name))) for name in known):
        return False
    return not any(len(text.split()) >= SENTENCE for text in texts)
