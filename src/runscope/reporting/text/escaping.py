"""Foreign text in Markdown: shown as it is, never taken for markup."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runscope.safe_text import harmless

_ZERO_WIDTH_SPACE = "\u200b"


def escape(text: str) -> str:
    """Foreign text that Markdown and HTML leave alone."""
    safe = harmless(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")
    # A pull request would notify the people that a run's name mentions.
    safe = re.sub(r"@(?=\w)", "@" + _ZERO_WIDTH_SPACE, safe)
    safe = no_address(safe, _ZERO_WIDTH_SPACE)
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", safe)


def no_address(text: str, sign: str) -> str:
    """Text with a sign that is not seen in each bare address, which would become a link that somebody else chose."""
    return re.sub(r"(?i)\b(https?|ftp|mailto|xmpp)(:)|\b(www)(\.)", rf"\1\3{sign}\2\4", text)


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; its cells are escaped."""
    lines = ["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings)]
    return "\n".join([*lines, *("| " + " | ".join(escape(c) for c in row) + " |" for row in rows)])


def advice(text: str) -> str:
    """What to do next time, as it stands under a heading that says so already."""
    rest = re.sub(r"^Next time:? ", "", text)
    return rest if re.match(r"\S*[_=]", rest) else rest[:1].upper() + rest[1:]
