"""Logs that were packed by gzip, bzip2 or xz: what was rotated or kept."""

from __future__ import annotations

from importlib import import_module
from io import BufferedIOBase
from pathlib import Path
from typing import cast

from runscope.errors import UnreadableRun

_PACKERS = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}
MOST_BYTES = 1 << 31
MOST_TIMES, SMALL = 100, 1 << 26
"""So many times its size, or 64 MB, may a packed file hold: a log is packed to a tenth or so, and one of a few
megabytes that only repeats one byte unfolds to more than any memory holds."""
_PIECE = 1 << 22


def is_packed(file: Path) -> bool:
    """Whether a file is packed, as its ending says."""
    return file.suffix.lower() in _PACKERS


def unpacked_name(file: Path) -> Path:
    """The path without the packer's ending: ``train.log`` of ``train.log.gz``."""
    return file.with_suffix("") if is_packed(file) else file


def opened(file: Path) -> BufferedIOBase:
    """A file, opened for what is in it.

    Raises:
        OSError: it cannot be opened.
    """
    if not is_packed(file):
        return file.open("rb")
    return cast("BufferedIOBase", import_module(_PACKERS[file.suffix.lower()]).open(file, "rb"))


def head_bytes(file: Path, size: int) -> bytes:
    """The first bytes of what a file holds; nothing where it cannot be read or unpacked."""
    try:
        with opened(file) as content:
            return content.read(size)
    except _damaged(file):
        return b""


def content_of(file: Path) -> tuple[bytes, bool]:
    """All that a file holds, and whether it is whole: of one whose end is missing, what comes before.

    Raises:
        UnreadableRun: it was not packed so, or unfolds to more than :data:`MOST_BYTES`, or than a log would.
        OSError: it cannot be read.
    """
    if not is_packed(file):
        return file.read_bytes(), True
    pieces, size, whole = [], 0, True
    most = min(MOST_BYTES, max(SMALL, MOST_TIMES * file.stat().st_size))
    try:
        with opened(file) as content:
            while piece := content.read1(_PIECE):
                pieces.append(piece)
                size += len(piece)
                if size > most:
                    raise UnreadableRun(
                        f"{file} unfolds to more than {most >> 20:,} MiB",
                        hint="unpack it, and name a part of it",
                    )
    except EOFError as error:
        whole = False
        if not pieces:
            raise _damage(file) from error
    except _damaged(file) as error:
        if (
            isinstance(error, OSError) and error.errno is not None
        ):  # gzip and bzip2 give none of what is damaged
            raise
        raise _damage(file) from error
    return b"".join(pieces), whole


def _damage(file: Path) -> UnreadableRun:
    return UnreadableRun(f"{file} cannot be unpacked: it is damaged", hint="take another copy of it")


def _damaged(file: Path) -> tuple[type[Exception], ...]:
    """What is raised where a file cannot be read or unpacked."""
    ending = file.suffix.lower()
    if ending == ".xz":
        from lzma import LZMAError

        return OSError, EOFError, ValueError, LZMAError
    if ending == ".gz":
        import zlib

        return OSError, EOFError, ValueError, zlib.error
    return OSError, EOFError, ValueError
