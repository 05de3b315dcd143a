"""Text as it lies on disk: its encoding, its line ends, and what a crash did to it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from runscope.errors import UnreadableRun
from runscope.sources.packed import content_of, head_bytes

HEAD_BYTES = 1 << 16
LFS = b"version https://git-lfs.github.com/spec/"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_PIECE = 1 << 16
"""Characters that are looked at together."""
_ESCAPE = re.compile(
    r"\x1b(?:\[[0-9;:?<=>]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[()*+#%][0-9A-Za-z]|[=>78A-Z])"
)
"""Colours, moves of the cursor, a window's title, a choice of letters."""


@dataclass(frozen=True)
class Text:
    """A file's text.

    Attributes:
        text: with ``\\n`` as the only line end.
        ended: False where the last line has no end: it may be cut.
        notes: what was lost.
    """

    text: str
    ended: bool = True
    notes: tuple[str, ...] = ()


def read_text(file: Path) -> Text:
    """Read a file whatever its encoding; stretches of zero bytes are passed over.

    Raises:
        UnreadableRun: it holds nothing but zero bytes, is a Git LFS pointer, or cannot be unpacked.
        OSError: it cannot be read.
    """
    data, whole = content_of(file)
    refuse_pointer(data, str(file))
    if data and not data.strip(b"\0"):
        raise UnreadableRun(
            f"{file} is damaged: it holds nothing but zero bytes",
            hint="a crash or a full disk leaves such files; take a copy that is whole",
        )
    text, notes = data.decode(_encoding(data), "replace"), []
    if not whole:
        notes.append("the packed file has no end: it was cut off, or is still being written")
    del data  # as large as the text
    if "\0" in text:
        text, lost = _without_zeros(text)
        notes.append(f"{lost:,} zero bytes and the lines that they damaged were left out")
    if "\r" in text:
        text = text.replace("\r\n", "\n")
        text = text.replace("\r", "\n")
    return Text(text, not text or text.endswith("\n"), tuple(notes))


def head_of(file: Path, size: int = HEAD_BYTES) -> str:
    """The beginning of a file as text; empty where it cannot be read."""
    data = head_bytes(file, size)
    return data.decode(_encoding(data), "replace")


def refuse_pointer(data: bytes, where: str) -> None:
    """Refuse what Git LFS leaves in place of a file that was not fetched.

    Raises:
        UnreadableRun: it is such a pointer.
    """
    if data.startswith(LFS):
        raise UnreadableRun(
            f"{where} is a Git LFS pointer: the file itself was not fetched",
            hint="fetch it with git lfs pull",
        )


def lines_of(text: str, begin: int = 0, end: int | None = None) -> Iterator[str]:
    """The lines of a stretch of text without their ends, some at a time: all at once take more than the text."""
    end = len(text) if end is None else end
    while begin <= end:
        found = text.find("\n", min(begin + _PIECE, end), end)
        until = end if found < 0 else found
        yield from text[begin:until].split("\n")
        begin = until + 1


def first_lines(text: str, count: int) -> list[str]:
    """The first lines of a text, of which the rest is not copied."""
    return list(islice(lines_of(text), count))


def without_colours(text: str) -> str:
    """Text without a terminal's control sequences."""
    return _ESCAPE.sub("", text) if "\x1b" in text else text


def _encoding(data: bytes) -> str:
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name
    head = data[:4096]
    # Plain text in UTF-16 has a zero byte beside every character; of damage there is none at one parity alone.
    for first, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        beside, others = head[first::2], head[1 - first :: 2]
        if len(head) >= 8 and beside.count(0) > 0.9 * len(beside) and others.count(0) == 0:
            return name
    return "utf-8"


def _without_zeros(text: str) -> tuple[str, int]:
    """The text without stretches of zero bytes and without the lines that these cut into."""
    pieces = re.split("\0+", text)
    kept = [pieces[0]]
    for piece in pieces[1:]:
        before = kept[-1]
        if before and not before.endswith(("\n", "\r")):  # its end is gone: half a number may be left
            kept[-1] = before[: max(before.rfind("\n"), before.rfind("\r")) + 1]
        ends = [place for place in (piece.find("\n"), piece.find("\r")) if place >= 0]
        kept.append(piece[min(ends) + 1 :] if ends else "")  # and so is the beginning of this one
    return "".join(kept), text.count("\0")
