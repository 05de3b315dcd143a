"""What is done to a table's text before it is read: titles, comments, Base64, names in every row, empty cells."""

from __future__ import annotations

import base64
import re
from itertools import pairwise

from runscope.sources.tables.written.aligned import cells_below
from runscope.sources.tables.written.marks import SEPARATORS, SPACE, cells_of, is_number, separator_of
from runscope.sources.text import first_lines

_COMMENT = re.compile(r"^[ \t]*(?:#|//|%)[^\n]*\n", re.MULTILINE)
MOST_ABOVE = 20
"""So many lines may stand above a header line."""
_BASE64 = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}\s*")


def unwrapped_base64(text: str, notes: list[str]) -> str:
    """The text that a single line of Base64 stands for: as OpenAI's service gives out the results of a fine-tuning."""
    if _BASE64.fullmatch(text) is None:
        return text
    try:
        found = base64.b64decode(text.strip(), validate=True).decode("utf-8-sig")
    except ValueError:
        return text
    notes.append("it is written in Base64, and was decoded")
    return found.replace("\r\n", "\n")


def named_in_rows(text: str, separator: str) -> str:
    """The text under a header line where each row names its own cells: ``epoch=1,loss=2.1``, ``epoch,1,loss,2.1``."""
    first = cells_of(first_lines(text.lstrip(), 1)[0], separator) if separator != SPACE else []
    parted = [cell.partition("=") for cell in first]
    if len(first) > 1 and all(mark and v and is_number(v) for _, mark, v in parted):
        names, rows = [name for name, _, _ in parted], _rows(text, separator)
        if all([cell.partition("=")[0] for cell in row] == names for row in rows):
            return _joined(names, [[cell.partition("=")[2] for cell in row] for row in rows], separator)
    names, values = first[::2], first[1::2]
    if (
        len(names) == len(values) > 1
        and all(v and is_number(v) for v in values)
        and not any(map(is_number, names))
    ):
        rows = _rows(text, separator)
        if all(row[::2] == names for row in rows):
            return _joined(names, [row[1::2] for row in rows], separator)
    return text


def _rows(text: str, separator: str) -> list[list[str]]:
    return [cells_of(line, separator) for line in text.split("\n") if line.strip()]


def _joined(names: list[str], rows: list[list[str]], separator: str) -> str:
    return "".join(separator.join(row) + "\n" for row in (names, *rows))


def refuse_broken(text: str) -> None:
    """Refuse a data frame that was too wide for the terminal: its columns stand below each other.

    Raises:
        ValueError: it is one.
    """
    if first_lines(text.lstrip("\n"), 1)[0].rstrip().endswith("\\"):
        raise ValueError("it was broken over lines when it was printed: write it with to_csv()")


def by_place(text: str) -> tuple[str, str]:
    """A table between blanks with cells parted by tabs, where some are empty: where they stand tells of which column.

    Raises:
        ValueError: it does not.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    width = len(lines[0].split())
    if min(len(line.split()) for line in lines) >= width or _named_twice(lines):
        return text, SPACE
    spans = [found.span() for found in re.finditer(r"\S+", lines[0])]
    rows = [cells_below(line, spans) for line in lines[1:]]
    found = [row for row in rows if row is not None]
    if len(found) < len(rows):
        raise ValueError("cells are missing in its rows, and where the others stand does not tell which")
    return _joined(lines[0].split(), found, "\t"), "\t"


def _named_twice(lines: list[str]) -> bool:
    """Whether another header line stands further down."""
    return any(not any(map(is_number, line.split())) for line in lines[1:])


def without_comments(text: str, notes: list[str]) -> str:
    """The text without lines that begin with a comment's sign; one may be the header that numpy's savetxt writes."""
    if not _COMMENT.search(text):
        return text
    first = next(
        (line for line in first_lines(text, 50) if line.strip() and not _COMMENT.match(line + "\n")), ""
    )
    found = _COMMENT.findall(text)
    plain = _COMMENT.sub("", text)
    separator = separator_of(plain)
    if first and all(is_number(cell) for cell in cells_of(first, separator)):
        head = found[0].strip().lstrip("#/% ").strip()
        if len(cells_of(head, separator)) == len(cells_of(first, separator)):
            return f"{head}\n{plain}"
    notes.append(f"{len(found):,} comment line{'s' if len(found) > 1 else ''} skipped")
    return plain


def without_title(text: str, notes: list[str]) -> str:
    """The text from its header line on: a title, or a progress bar that was copied along, may stand above it."""
    lines = [line.strip() for line in first_lines(text, MOST_ABOVE + 1)]
    if re.fullmatch(r"sep=[,;|\t]?", lines[0]):  # a spreadsheet's own
        return text.partition("\n")[2]
    for number, (line, below) in enumerate(pairwise(lines)):
        mark = max(SEPARATORS, key=line.count)
        names, cells = line.split(mark), below.split(mark)
        if len(names) < 2:
            continue
        if (
            len(names) == len(cells)
            and any(c.strip() and is_number(c) for c in cells)
            and not any(map(is_number, names))
        ):
            if number:
                notes.append(f"{number} line{'s' if number > 1 else ''} above the header line skipped")
            return text.split("\n", number)[number]
        named = sum(bool(name.strip()) for name in names) > 1
        if not number and named and len(cells) > 1 and len(names) == len(cells):
            break
    return text
