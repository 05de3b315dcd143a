"""What parts the cells of a table's lines, and what a number is there."""

from __future__ import annotations

import csv
import re
from collections import Counter

from runscope.sources.text import first_lines

SEPARATORS = (",", "\t", ";", "|")
SPACE = r"\s+"
_NUMBER = re.compile(
    r"[-+]?(?:\d[\d_]*[.,]?\d*|[.,]\d+)(?:e[-+]?\d+)?%?|[-+]?(?:nan|inf(?:inity)?)", re.IGNORECASE
)
_RULE = re.compile(r"^[\s|:+=-]+$")
_SAMPLE = 20


def separator_of(text: str) -> str:
    """What parts cells: the mark that stands equally often in the first lines, else blanks, else nothing does."""
    lines = [line for line in first_lines(text.lstrip("\n"), _SAMPLE) if line.strip()]
    if not lines:
        return ","
    best = max(SEPARATORS, key=lambda mark: (lines[0].count(mark), -SEPARATORS.index(mark)))
    if lines[0].count(best):
        return best
    words = len(lines[0].split())
    counts = Counter(len(line.split()) for line in lines)
    alike = sum(
        counts[n] for n in range(2, words + 2)
    )  # cells may be empty, a data frame's index has no name
    return SPACE if words > 1 and alike > len(lines) / 2 else ","


def cells_of(line: str, separator: str) -> list[str]:
    """The cells of a line, without blanks around them."""
    if separator == SPACE:
        return line.split()
    if '"' in line:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]
    return [cell.strip() for cell in line.split(separator)]


def without_bars(text: str) -> str:
    """A table between bars, as Markdown draws it, without its outer bars and rules."""
    first = first_lines(text.lstrip(), 1)[0].strip()
    begin, end = ("|" if first.startswith("|") else ""), ("|" if first.endswith("|") else "")
    lines = (
        line.strip().removeprefix(begin).removesuffix(end)  # empty cells stand at its ends too
        for line in text.split("\n")
        if not _RULE.match(line) or not line.strip()
    )
    return "\n".join(lines)


def is_number(cell: str) -> bool:
    """Whether a cell is empty or a number, as people and programs write one."""
    return not cell.strip() or _NUMBER.fullmatch(cell.strip()) is not None
