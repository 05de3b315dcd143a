"""Logs inside documents: the outputs of a notebook's cells, the results table of a model card."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

from runscope.sources.text import Text

NOTEBOOK, MARKDOWN = ".ipynb", (".md", ".markdown")
ENDINGS = (NOTEBOOK, *MARKDOWN)
_COUNTS = re.compile(r"^(?:epochs?|steps?|iter(?:ation)?s?|global[ _]step)$", re.IGNORECASE)
_LOSS = re.compile(r"loss|nll|perplexity|reward", re.IGNORECASE)
_RULE = re.compile(r"^\s*\|?[\s:|-]+\|?\s*$")


def is_document(name: str, head: str) -> bool:
    """Whether a file that is called and begins so may hold a log: a notebook with outputs, a table of losses."""
    lower = name.lower()
    if lower.endswith(NOTEBOOK):
        return '"cells"' in head or '"outputs"' in head
    return lower.endswith(MARKDOWN) and any(_is_head(_cells(line)) for line in head.split("\n"))


def logs_in(name: str, source: Text) -> list[tuple[str, Text, bool]]:
    """The logs of a document as texts of their own: what each is called (``cell 12``), and whether it is a table.

    Raises:
        ValueError: a notebook is no JSON.
    """
    if name.lower().endswith(NOTEBOOK):
        return list(_of_notebook(json.loads(source.text)))
    tables = _tables(source.text, ended=source.ended)
    return [(f"table {n}", Text(table, table.endswith("\n")), True) for n, table in enumerate(tables, 1)]


def _tables(text: str, *, ended: bool) -> list[str]:
    """Markdown tables that count steps and tell a loss; the text's last line has its own end, or none."""
    found: list[list[str]] = []
    inside = False
    lines = text.split("\n")
    for line in lines:
        cells = _cells(line)
        if not inside and _is_head(cells):
            found.append([line])
            inside = True
        elif inside and len(cells) > 1:
            if not _RULE.match(line):
                found[-1].append(line)
        else:
            inside = False
    tables = ["".join("\t".join(_cells(line)) + "\n" for line in table) for table in found if len(table) > 1]
    if inside and tables and not ended and not lines[-1].rstrip().endswith("|"):
        tables[-1] = tables[-1].removesuffix("\n")
    return tables


def _cells(line: str) -> list[str]:
    bare = line.strip().removeprefix("|").removesuffix("|")  # empty cells stand at its ends too
    return [cell.strip() for cell in bare.split("|")] if "|" in line else []


def _is_head(cells: list[str]) -> bool:
    return any(map(_COUNTS.match, cells)) and any(map(_LOSS.search, cells))


class _Rows(HTMLParser):
    """Rows of the tables of an HTML text."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002 - the parser's own
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self._cell = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._cell is not None:
            self.rows[-1].append(" ".join("".join(self._cell).split()))
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)


def _of_notebook(notebook: Any) -> list[tuple[str, Text, bool]]:
    """Tables (as the Trainer draws them) and printed texts of each cell; a table is better than what is printed."""
    cells = notebook.get("cells", []) if isinstance(notebook, dict) else []
    found = []
    for number, cell in enumerate(cells, 1):
        outputs = cell.get("outputs", []) if isinstance(cell, dict) else []
        tables = [t for output in outputs if (t := _html_table(_joined(output, "data", "text/html")))]
        printed = "".join(_joined(output, "text") for output in outputs)
        texts = tables or ([printed] if printed.strip() else [])
        for place, text in enumerate(texts, 1):
            called = f"cell {number}" + (f", table {place}" if len(texts) > 1 else "")
            found.append((called, Text(text, text.endswith("\n")), bool(tables)))
    return found


def _joined(output: Any, *path: str) -> str:
    for key in path:
        output = output.get(key) if isinstance(output, dict) else None
    return (
        "".join(map(str, output)) if isinstance(output, list) else output if isinstance(output, str) else ""
    )


def _html_table(html: str) -> str:
    """An HTML table that counts steps and tells a loss, its cells parted by tabs; empty for another one."""
    if "<table" not in html.lower():
        return ""
    parser = _Rows()
    parser.feed(html)
    rows = [row for row in parser.rows if row]
    head = next((n for n, row in enumerate(rows) if _is_head(row)), None)
    if head is None:
        return ""
    return "".join("\t".join(row) + "\n" for row in rows[head:] if len(row) == len(rows[head]))
