"""Results that were paid for once: rows of JSON by key, in one SQLite file.

SQLite gives what is needed here: a row is there whole or not at all when the process is killed, and two
processes may write at once.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from runscope.errors import StoreError
from runscope.store.home import cache_folder, home

SCHEMA = "CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, row TEXT NOT NULL) WITHOUT ROWID"
MANY = 500
"""Keys in one question: SQLite takes 32,766 at most, older ones 999."""
PATIENCE_SECONDS = 30.0


class ResultTable:
    """Rows by key.

    Args:
        path: the file; made with its folder when the first row comes.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path if path is not None else cache_folder("evaluations") / "results.sqlite"

    def get(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The rows that are there.

        Raises:
            StoreError: the file is no table of results, or cannot be read.
        """
        if not self.path.exists():
            return {}
        found: dict[str, dict[str, Any]] = {}
        with self._open() as table:
            for begin in range(0, len(keys), MANY):
                part = list(keys[begin : begin + MANY])
                question = f"SELECT key, row FROM results WHERE key IN ({','.join('?' * len(part))})"
                found |= {
                    key: kept
                    for key, row in table.execute(question, part)
                    if (kept := _row(key, row)) is not None
                }
        return found

    def put(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep rows; all of them or none.

        Raises:
            StoreError: the place cannot be written, or the disk is full.
        """
        with self._open() as table:
            table.executemany(
                "INSERT OR REPLACE INTO results VALUES (?, ?)",
                [(k, _sealed(k, json.dumps(r))) for k, r in rows.items()],
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=PATIENCE_SECONDS)) as table, table:
                table.execute(SCHEMA)
                yield table
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"the results in {self.path} cannot be used: {error}",
                hint="free some space, or name another folder with RUNSCOPE_HOME; a broken file may be deleted",
            ) from error


class Memo(ResultTable):
    """Rows that cost little to get again: where they cannot be kept, or what is kept is broken, all goes on without.

    Args:
        name: of the file, below the store's ``hub``.
    """

    def __init__(self, name: str) -> None:
        super().__init__(home() / "hub" / name)

    def get(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The rows that are there."""
        with suppress(StoreError):
            return super().get(keys)
        return {}

    def put(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep rows, where that can be."""
        with suppress(StoreError):
            super().put(rows)


_SEAL = "\t"
"""Between a row and its seal; JSON writes none."""


def _sealed(key: str, text: str) -> str:
    """A row with what tells that it is still as it was: SQLite does not see that a byte on the disk is another."""
    mark = hashlib.blake2b(f"{key}{_SEAL}{text}".encode(), digest_size=8).hexdigest()
    return f"{text}{_SEAL}{mark}"


def _row(key: str, sealed: Any) -> dict[str, Any] | None:
    """A kept row; None where it is damaged."""
    text = sealed.partition(_SEAL)[0] if isinstance(sealed, str) else ""
    if _sealed(key, text) != sealed:
        return None
    try:
        row: dict[str, Any] = orjson.loads(text)
    except orjson.JSONDecodeError:  # a bare NaN
        row = json.loads(text)
    return row
