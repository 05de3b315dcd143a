"""Foreign text in Markdown: shown as it is, never taken for markup."""

from __future__ import annotations

import re
from collections.abc import Sequence


def escape(text: str) -> str:
    """Foreign text that Markdown and HTML leave alone."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", safe)


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; its cells are escaped."""
    lines = ["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings)]
    return "\n".join([*lines, *("| " + " | ".join(escape(c) for c in row) + " |" for row in rows)])
