"""Foreign text that a terminal only shows."""

from __future__ import annotations

import re

_C0_PICTURES = {code: 0x2400 + code for code in range(0x20) if code not in (0x09, 0x0A)}
_WITHOUT_PICTURE = (
    *range(0x80, 0xA0),
    0x061C,
    0x200E,
    0x200F,
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
    *range(
        0xD800, 0xE000
    ),  # halves of letters, from a file that was cut or is hostile: no encoding takes them
)
_SHOWN = {**_C0_PICTURES, 0x7F: 0x2421, **dict.fromkeys(_WITHOUT_PICTURE, 0xFFFD)}
_IN_JSON = {code: f"\\u{code:04x}" for code in (0x7F, *_WITHOUT_PICTURE)}
_COMMAND = re.compile(r"^(\s*:)(:[a-z])|(#)(#(?:\[|[a-z]+\[))", re.IGNORECASE | re.MULTILINE)
"""``::error::``, ``##[error]`` (GitHub), ``##vso[…]`` (Azure), ``##teamcity[…]``."""
_FIRST_OF_CSV = ("=", "+", "-", "@", "\t", "\r")


def harmless(text: str) -> str:
    """The text with control characters shown instead of obeyed.

    Escape, bell, carriage return and their like become pictures; C1 controls, and marks that turn the direction
    of writing, with which a name can pretend to be another, become a replacement sign. Line feed and tabulator
    stay; so do all letters, right-to-left ones too.
    """
    return text.translate(_SHOWN)


def harmless_line(text: str) -> str:
    """The same for text on its way to a stream: a service that builds takes no line of its log for a command."""
    shown = text if text.isprintable() else harmless(text)
    return _COMMAND.sub("\\1\\3\u200b\\2\\4", shown) if "::" in shown or "##" in shown else shown


def harmless_json(text: str) -> str:
    """The same for JSON text, which escapes C0 by itself; it means what it meant."""
    return re.sub("#(?=#)", r"\\u0023", text.translate(_IN_JSON))


def harmless_cell(text: str) -> str:
    """Text for a cell that a spreadsheet shows; what it would take for a formula gets an apostrophe in front."""
    return f"'{text}" if text.startswith(_FIRST_OF_CSV) else text


def from_cell(text: str) -> str:
    """What :func:`harmless_cell` was given."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FIRST_OF_CSV) else text


def whole_letters(text: str) -> str:
    """The text with a sign in place of halves of letters, which JSON can name and no encoding takes."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
