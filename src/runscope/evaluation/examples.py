"""Examples to evaluate on: JSON lines, CSV or Parquet."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runscope.errors import InputError

FORMS: tuple[tuple[str, str], ...] = (
    ("prompt", "completion"),
    ("instruction", "output"),
    ("question", "answer"),
    ("input", "output"),
)
"""Columns that hold what is given and what the model is to say."""
CLUSTERS = ("cluster", "source", "group", "document")
"""Columns that say which examples share a source: they are not independent."""


@dataclass(frozen=True)
class Example:
    """One example.

    Attributes:
        prompt: what is given, not scored; empty for plain text; messages of a chat before the last.
        completion: what is scored.
        cluster: its source; its own identity where examples are independent.
    """

    prompt: str | tuple[Mapping[str, str], ...]
    completion: str
    cluster: str = ""

    @property
    def id(self) -> str:
        """Identity of the content."""
        text = json.dumps([self.prompt, self.completion], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    @property
    def shown(self) -> str:
        """The prompt as a person reads it."""
        if isinstance(self.prompt, str):
            return self.prompt
        return "\n".join(f"{m['role']}: {m['content']}" for m in self.prompt)


def read_examples(path: str | Path) -> tuple[Example, ...]:
    """Read examples, equal ones once, in the order of the file.

    Args:
        path: ``.jsonl`` / ``.json`` lines, ``.csv`` or ``.parquet`` with ``prompt`` and ``completion`` (or
            ``instruction``/``output``, ``question``/``answer``), ``messages``, or ``text``.

    Raises:
        InputError: no such file, another form, or no usable column.
    """
    place = Path(path).expanduser()
    if not place.is_file():
        raise InputError(f"there are no examples at {place}", hint="name a .jsonl, .csv or .parquet file")
    found: dict[str, Example] = {}
    for number, row in enumerate(_rows(place), 1):
        example = _example(row, place, number)
        found.setdefault(example.id, example)
    if not found:
        raise InputError(
            f"{place} holds no example", hint="one JSON object a line, with prompt and completion"
        )
    return tuple(found.values())


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    if path.suffix.lower() in (".csv", ".parquet"):
        import pandas as pd

        try:
            table = (
                pd.read_parquet(path) if path.suffix.lower() == ".parquet" else pd.read_csv(path, dtype=str)
            )
        except (ValueError, OSError) as error:
            raise InputError(
                f"{path} cannot be read: {error}", hint="is it a whole file of that kind?"
            ) from error
        yield from ({str(k): v for k, v in record.items()} for record in table.to_dict("records"))
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(
                    f"{path}, line {number}, is not JSON: {error}",
                    hint="one object a line, as JSON lines have it",
                ) from None
            yield row if isinstance(row, dict) else {}


def _example(row: Mapping[str, Any], path: Path, number: int) -> Example:
    cluster = next((str(row[c]) for c in CLUSTERS if row.get(c) is not None), "")
    messages = row.get("messages")
    if isinstance(messages, Sequence) and not isinstance(messages, str) and len(messages):
        turns = tuple({"role": str(m["role"]), "content": str(m["content"])} for m in messages)
        return Example(turns[:-1], turns[-1]["content"], cluster)
    for prompt, completion in FORMS:
        if isinstance(row.get(prompt), str) and isinstance(row.get(completion), str):
            return Example(row[prompt], row[completion], cluster)
    if isinstance(row.get("text"), str):
        return Example("", row["text"], cluster)
    columns = ", ".join(map(str, row)) or "none"
    raise InputError(
        f"{path}, example {number}, has none of the columns that are known; its own: {columns}",
        hint="name them prompt and completion, or messages, or text",
    )


def shuffled(examples: Sequence[Example], seed: int, at_most: int | None = None) -> tuple[Example, ...]:
    """Examples in a random order that depends on nothing but the seed and their content."""
    ordered = sorted(examples, key=lambda e: e.id)
    random.Random(seed).shuffle(ordered)
    return tuple(ordered[:at_most])
