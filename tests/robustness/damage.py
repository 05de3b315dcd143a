"""Ways in which a file goes bad, each made again from its seed."""

from __future__ import annotations

import json
import random
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

FOREIGN: tuple[Any, ...] = (
    None, True, "", "text", "NaN", "\ud800", "\x1b[2J", "\u202e", "9" * 5000, 0, -1, 10**400, -(10**400),
    2**63, 2**64, 1e308,
    float("nan"), float("inf"), -0.0, [], {}, [[]], {"a": {}}, [None], {"": None}, {"value": []},
)  # fmt: skip
SQL_FOREIGN: tuple[Any, ...] = (
    None, "", "text", "NaN", b"\xff\xfe", b"", 0, -1, 2**63 - 1, -(2**63), 1e308, float("inf"), "[" * 2000, "{}",
    "9" * 400,
)  # fmt: skip
Damage = Callable[[bytes, random.Random], bytes]


def truncated(content: bytes, chance: random.Random) -> bytes:
    """The file was not written to its end."""
    return content[: chance.randrange(len(content))]


def flipped(content: bytes, chance: random.Random) -> bytes:
    """Some bits are others."""
    found = bytearray(content)
    for _ in range(chance.choice((1, 2, 8, 64))):
        found[chance.randrange(len(found))] ^= 1 << chance.randrange(8)
    return bytes(found)


def zeroed(content: bytes, chance: random.Random) -> bytes:
    """A stretch is zero, as a crash leaves it."""
    begin = chance.randrange(len(content))
    size = min(chance.choice((1, 16, 512, 4096)), len(content) - begin)
    return content[:begin] + bytes(size) + content[begin + size :]


def spliced(content: bytes, chance: random.Random) -> bytes:
    """A stretch stands somewhere else, twice or not at all."""
    a, b, c = sorted(chance.randrange(len(content)) for _ in range(3))
    return chance.choice(
        (
            content[:a] + content[b:c] + content[a:b] + content[c:],
            content[:b] + content[a:],
            content[:a] + content[b:],
        )
    )


def encoded(content: bytes, chance: random.Random) -> bytes:
    """Another encoding, another line end, a mark in front, or noise."""
    text = content.decode("latin-1")
    return chance.choice(
        (
            lambda: text.encode("utf-16"),
            lambda: text.encode("utf-16-le"),
            lambda: b"\xef\xbb\xbf" + content,
            lambda: content.replace(b"\n", b"\r"),
            lambda: content.replace(b"\n", b"\r\n"),
            lambda: content.replace(b"\n", "\u2028".encode()),
            lambda: chance.randbytes(len(content) // 2) + content,
            lambda: content + chance.randbytes(100),
            lambda: chance.randbytes(len(content)),
            lambda: content.replace(b"0", b"\xff"),
        )
    )()


BYTES: dict[str, Damage] = {
    "truncated": truncated, "flipped": flipped, "zeroed": zeroed, "spliced": spliced, "encoded": encoded,
}  # fmt: skip


def foreign_json(value: Any, chance: random.Random) -> Any:
    """The value with one of its parts replaced by what does not belong there, or gone."""
    places: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        outer = waiting.pop()
        if isinstance(outer, dict | list):
            for key in outer if isinstance(outer, dict) else range(len(outer)):
                places.append((outer, key))
                waiting.append(outer[key])
    outer, key = chance.choice(places)
    if chance.random() < 0.15:
        del outer[key]
    elif chance.random() < 0.1:
        deep: Any = 1
        for _ in range(chance.choice((50, 500))):
            deep = [deep] if chance.random() < 0.5 else {"a": deep}
        outer[key] = deep
    else:
        outer[key] = chance.choice(FOREIGN)
    return value


def foreign_text(content: bytes, chance: random.Random) -> bytes:
    """JSON, JSON lines or a table in which one value is another."""
    text = content.decode()
    try:
        return json.dumps(foreign_json(json.loads(text), chance)).encode("utf-8", "surrogatepass")
    except json.JSONDecodeError:
        pass
    lines = text.splitlines()
    at = chance.randrange(len(lines))
    if lines[at].startswith("{"):
        lines[at] = json.dumps(foreign_json(json.loads(lines[at]), chance))
    else:
        cells = lines[at].split(",")
        value = chance.choice(FOREIGN)
        cells[chance.randrange(len(cells))] = "" if value is None else str(value).replace(",", ";")
        lines[at] = ",".join(cells)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def foreign_header(content: bytes, chance: random.Random) -> bytes:
    """A safetensors file whose header says something else."""
    size = struct.unpack("<Q", content[:8])[0]
    header = json.dumps(foreign_json(json.loads(content[8 : 8 + size]), chance)).encode(
        "utf-8", "surrogatepass"
    )
    return struct.pack("<Q", len(header)) + header + content[8 + size :]


def foreign_cells(path: Path, chance: random.Random) -> None:
    """A database in which one cell holds what its column is not for."""
    with closing(sqlite3.connect(path)) as connection, connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        table = chance.choice(tables)
        columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
        rows = connection.execute(f'SELECT COUNT(*) FROM "{table}"').fetchone()[0]
        column, row = chance.choice(columns), chance.randrange(max(rows, 1))
        with suppress(sqlite3.IntegrityError):  # a key takes whole numbers only
            connection.execute(
                f'UPDATE OR IGNORE "{table}" SET "{column}" = ? '
                f'WHERE rowid = (SELECT rowid FROM "{table}" LIMIT 1 OFFSET {row})',
                (chance.choice(SQL_FOREIGN),),
            )
    connection.close()
