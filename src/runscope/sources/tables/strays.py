"""Tables that lie about beside logs: data sets, results, settings. A walk passes over them, by what they hold."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from runscope.sources.tables.column_names import is_epoch, is_step, plain
from runscope.sources.tables.documents.json_text import flat, row_of
from runscope.sources.tables.written.marks import cells_of, is_number, separator_of
from runscope.sources.text import head_of

HEAD_BYTES = 1 << 13
ROWS = 20
SENTENCE = 4
"""Words of a cell from which on it is a text, and no label."""
_OF_A_TRAINING = re.compile(
    r"(?:^|_)(?:loss|nll|acc|accuracy|lr|learning_rate|grad|norm|ppl|perplexity|reward|kl|entropy|train|training|val|"
    r"valid|validation|eval)(?:_|$)"
)
"""What a table without a counter must name to be a log: a score or an error alone is one of something that ended."""
_COMMENT = re.compile(r"\s*(?:#|//|%)\s*")


def is_stray_csv(file: Path) -> bool:
    """Whether no header of a table names a counter, a loss, or what else a training logs."""
    lines = [line for line in head_of(file, HEAD_BYTES).split("\n")[:ROWS] if line.strip()]
    try:
        return bool(lines) and not _told(_names(lines), ())
    except csv.Error:
        return False


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
    whole = [line for line in lines[: max(len(lines) - 1, 1)][:ROWS] if line.strip()]
    rows = [row for line in whole if (row := row_of(line)) is not None]
    cells = [pair for row in rows for pair in flat(row, Counter())]
    return bool(rows) and not _told((n for n, _ in cells), (v for _, v in cells if isinstance(v, str)))


def _told(names: Iterable[str], texts: Iterable[str]) -> bool:
    known = set(names)
    if any(
        is_step(name) or is_epoch(name) for whole in known for name in (whole, re.split(r"[./]", whole)[-1])
    ):
        return True
    if not any(_OF_A_TRAINING.search(re.sub(r"[^a-z0-9]+", "_", plain(name))) for name in known):
        return False
    return not any(len(text.split()) >= SENTENCE for text in texts)
