"""SQLite files that trackers keep runs in: opened to read only, and never changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from runscope.errors import UnreadableRun

_MAGIC = b"SQLite format 3\x00"
ENDINGS = (".db", ".sqlite", ".sqlite3")
_FUNCTIONS = ("coalesce", "nullif", "min")
"""Those that the questions of this room use."""
LARGEST_CELL = 1 << 26
"""Bytes of one value; trackers keep rows of some hundred. A generated column may ask for a billion."""


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write.

    Raises:
        UnreadableRun: the file is damaged, or cannot be opened.
    """
    try:
        with closing(_connect(path)) as connection:
            yield connection
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
        raise UnreadableRun(
            f"{path} cannot be read: {error}",
            hint="it may be cut or damaged: take a backup, or its tracker's export",
        ) from None


def _connect(path: Path) -> sqlite3.Connection:
    """Read-only; where even its lock files cannot be made (a read-only disk), as a file that nobody changes."""
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    connection = _careful(sqlite3.connect(address, uri=True, timeout=10))
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1")
    except sqlite3.OperationalError:
        connection.close()
        connection = _careful(sqlite3.connect(f"{address}&immutable=1", uri=True))
    except BaseException:
        connection.close()
        raise
    return connection


def _careful(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Rows of tables, and nothing that the file computes.

    A view in a table's place may count for ever, or make a gigabyte of one row.
    """
    connection.text_factory = _text
    connection.set_authorizer(_allowed)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_CELL)
    return connection


def _allowed(action: int, _: str | None, name: str | None, __: str | None, view: str | None) -> int:
    computed = view is not None or (action == sqlite3.SQLITE_FUNCTION and name not in _FUNCTIONS)
    return sqlite3.SQLITE_DENY if computed else sqlite3.SQLITE_OK


def has_columns(path: Path | None, table: str, columns: frozenset[str]) -> bool:
    """Whether a path is an SQLite file with such a table; False for anything else, damaged ones included."""
    if path is None or path.suffix.lower() not in ENDINGS or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                return False
        with opened(path) as connection:
            return columns <= columns_of(connection, table)
    except (OSError, UnreadableRun):
        return False


def columns_of(connection: sqlite3.Connection, table: str) -> set[str]:
    """Names of the columns of a table; none where there is no such table."""
    return {row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')}


def _text(content: bytes) -> str:
    """One text that is no UTF-8 does not keep the others from being read."""
    return content.decode("utf-8", "replace")
