"""How much an answer may take of what its reader can keep in mind."""

from __future__ import annotations

import re

MOST_TOKENS = 1000
_PIECES = re.compile(r"[A-Za-z]+|\d{1,3}|[^\sA-Za-z\d]|\n")
_LETTERS = 5
"""A word of ordinary text is a token, a longer or unknown one a token for so many letters."""
_CUT = "(cut here: ask for less at once)"


def tokens(text: str) -> int:
    """At most how many tokens a text has, as byte-pair encodings of language models count.

    Every mark, three digits and five letters count as one; letters beyond ASCII by their bytes.
    """
    return sum(_tokens(piece) for piece in _PIECES.findall(text))


def _tokens(piece: str) -> int:
    if piece[0].isalpha() and piece.isascii():
        return -(-len(piece) // _LETTERS)
    return 1 if piece.isascii() else len(piece.encode("utf-8", "replace"))


def fitted(text: str, last: str) -> str:
    """The text up to the line that still fits; its last line, which must not be lost, in any case.

    Args:
        text: an answer.
        last: the line that ends every answer that holds foreign text.
    """
    if tokens(text) <= MOST_TOKENS:
        return text
    end = f"{_CUT}\n{last}" if text.endswith(last) else _CUT
    left, kept = MOST_TOKENS - tokens(end), list[str]()
    for line in text.splitlines():
        left -= tokens(line) + 1
        if left < 0:
            break
        kept.append(line)
    return "\n".join([*kept, end])
