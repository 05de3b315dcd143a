"""Parsed runs: one Parquet file a run, which says in its own footer whose it is, and an index to find them by.

The files are the truth. A run's place follows from its key, so reading and writing one needs no index, no lock and
no second file; a process that is killed leaves the old file or the new one. The index only saves opening every
footer to list the runs: it is brought up to date whenever it is read, and made again where it is missing or broken.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from runscope.store.files import abandoned, write_whole
from runscope.store.home import home

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
"""Raised when the content of the files changes; files of another format count as not there."""
_FOOTER = b"runscope"
_INDEX = (
    "CREATE TABLE IF NOT EXISTS runs "
    "(file TEXT PRIMARY KEY, stamp TEXT NOT NULL, facts TEXT NOT NULL) WITHOUT ROWID"
)
PATIENCE_SECONDS = 5.0


@dataclass(frozen=True)
class RunKey:
    """What tells one run from all others.

    Attributes:
        host: name of the service.
        project: ``entity/project``.
        id: the service's own id of the run.
    """

    host: str
    project: str
    id: str

    @property
    def path(self) -> Path:
        """Place of the run, relative to the store."""
        return Path(*(_plain(part) for part in (self.host, *self.project.split("/"), self.id)))


@dataclass(frozen=True)
class Kept:
    """A run as it is kept.

    Attributes:
        key: whose it is.
        facts: what the source said of it, as JSON has it.
        table: what was logged.
        name: of a piece of a run, what it was kept as.
    """

    key: RunKey
    facts: Mapping[str, Any]
    table: pa.Table
    name: str = ""


class RunStore:
    """Runs by key.

    Args:
        folder: where they are; made when the first run comes.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder if folder is not None else home() / "runs"
        self.parts_folder = self.folder.with_name("unfinished")

    def get(self, key: RunKey) -> Kept | None:
        """The run, or None where it is not there or its file is damaged."""
        return _read(self.folder / f"{key.path}.parquet", key)

    def facts(self, key: RunKey) -> Mapping[str, Any] | None:
        """What the source said of a run, without reading what it logged; None where it is not there."""
        text = _footer(self.folder / f"{key.path}.parquet")
        if text is None:
            return None
        found, facts = _described(text)
        return facts if found == key else None

    def put(self, key: RunKey, table: pa.Table, facts: Mapping[str, Any]) -> None:
        """Keep a run in place of what was there.

        Raises:
            StoreError: the disk is full, or the place cannot be written.
        """
        _write(self.folder / f"{key.path}.parquet", key, table, facts)

    def put_part(self, key: RunKey, name: str, table: pa.Table, facts: Mapping[str, Any]) -> None:
        """Keep a piece of a run that is still being fetched.

        Raises:
            StoreError: the disk is full, or the place cannot be written.
        """
        _write(self.parts_folder / key.path / f"{_plain(name)}.parquet", key, table, facts, durable=False)

    def parts(self, key: RunKey) -> Iterator[Kept]:
        """The pieces that a fetch which broke off has left."""
        for file in sorted((self.parts_folder / key.path).glob("*.parquet")):
            found = _read(file, key)
            if found is not None:
                yield replace(found, name=unquote(file.stem))

    def drop_parts(self, key: RunKey) -> None:
        """Forget the pieces of a run."""
        shutil.rmtree(self.parts_folder / key.path, ignore_errors=True)

    def all(self) -> list[tuple[RunKey, Mapping[str, Any]]]:
        """Key and facts (without ``config``) of every run, in order of host, project and id."""
        present = {str(f.relative_to(self.folder)): f for f in sorted(self.folder.rglob("*.parquet"))}
        stamps = {name: stamp for name, file in present.items() if (stamp := _stamp(file))}
        known = self._indexed()
        found: dict[str, str] = {
            name: known[name][1] for name in stamps if known.get(name, ("",))[0] == stamps[name]
        }
        fresh = {
            name: _short(text)
            for name in stamps.keys() - found.keys()
            if (text := _footer(present[name])) is not None
        }
        gone = known.keys() - stamps.keys()
        if fresh or gone:
            self._index({name: (stamps[name], text) for name, text in fresh.items()}, gone)
        for file in abandoned(self.folder):
            with suppress(OSError):
                file.unlink()
        described = {**found, **fresh}
        return [_described(described[name]) for name in sorted(described)]

    def find(self, name: str, project: str | None = None) -> list[tuple[RunKey, Mapping[str, Any]]]:
        """Runs with that id or, where none has it, with that display name.

        Args:
            name: id or name.
            project: ``entity/project`` or ``project`` that they belong to.
        """
        inside = [
            (key, facts) for key, facts in self.all()
            if project is None or key.project == project or key.project.rpartition("/")[2] == project
        ]  # fmt: skip
        return [r for r in inside if r[0].id == name] or [r for r in inside if r[1].get("name") == name]

    def remove(self, key: RunKey) -> None:
        """Forget a run."""
        with suppress(OSError):
            (self.folder / f"{key.path}.parquet").unlink(missing_ok=True)
        self.drop_parts(key)

    def _indexed(self) -> dict[str, tuple[str, str]]:
        """What the index says: by file, its stamp and facts; nothing where it is broken."""
        path = self.folder / "index.sqlite"
        if not path.exists():
            return {}
        try:
            with closing(sqlite3.connect(path, timeout=PATIENCE_SECONDS)) as index:
                return {f: (s, t) for f, s, t in index.execute("SELECT file, stamp, facts FROM runs")}
        except sqlite3.Error:
            with suppress(OSError):
                path.unlink()
            return {}

    def _index(self, fresh: Mapping[str, tuple[str, str]], gone: set[str]) -> None:
        """Bring the index up to date; where that cannot be, the next reader does it."""
        path = self.folder / "index.sqlite"
        with (
            suppress(sqlite3.Error, OSError),
            closing(sqlite3.connect(path, timeout=PATIENCE_SECONDS)) as index,
            index,
        ):
            index.execute(_INDEX)
            index.executemany("DELETE FROM runs WHERE file = ?", [(name,) for name in gone])
            index.executemany(
                "INSERT OR REPLACE INTO runs VALUES (?, ?, ?)", [(n, *v) for n, v in fresh.items()]
            )


def _write(
    path: Path, key: RunKey, table: pa.Table, facts: Mapping[str, Any], *, durable: bool = True
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    told = {"format": FORMAT, "host": key.host, "project": key.project, "id": key.id, "facts": dict(facts)}
    whole = table.replace_schema_metadata({_FOOTER: json.dumps(told).encode()})
    kinds = {f.name: f.type for f in table.schema}
    encodings = {name: "DELTA_BINARY_PACKED" for name, kind in kinds.items() if pa.types.is_integer(kind)}
    write_whole(
        path,
        lambda beside: pq.write_table(
            whole, beside, compression="zstd", compression_level=1, column_encoding=encodings,
            use_dictionary=[name for name, kind in kinds.items() if pa.types.is_dictionary(kind)],
            write_page_checksum=True,
        ),
        durable=durable,
    )  # fmt: skip


def _read(path: Path, key: RunKey) -> Kept | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, memory_map=True, page_checksum_verification=True) as file:
            table = file.read()
        found, facts = _described((table.schema.metadata or {})[_FOOTER].decode())
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return None
    return Kept(key, facts, table.replace_schema_metadata(None)) if found == key else None


def _plain(part: str) -> str:
    """A name as one that every file system takes, and that leads nowhere else."""
    return quote(part, safe=" ") if part.strip(".") else part.replace(".", "%2E") or "%"


def _stamp(file: Path) -> str | None:
    """Changes whenever the file is replaced."""
    try:
        status = file.stat()
    except OSError:
        return None
    return f"{status.st_ino}:{status.st_mtime_ns}:{status.st_size}"


def _footer(file: Path) -> str | None:
    """Key and facts of a file as text, if it is whole and of this format."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        text = (pq.read_schema(file).metadata or {})[_FOOTER].decode()
        _described(text)
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return None
    return str(text)


def _short(text: str) -> str:
    """Key and facts without the long ``config``."""
    told = json.loads(text)
    told["facts"].pop("config", None)
    return json.dumps(told)


def _described(text: str) -> tuple[RunKey, Mapping[str, Any]]:
    """Key and facts.

    Raises:
        ValueError, KeyError: the text is of another format.
    """
    told = json.loads(text)
    if told["format"] != FORMAT:
        raise ValueError(f"format {told['format']}")
    return RunKey(told["host"], told["project"], told["id"]), told["facts"]
