"""Examples to evaluate on: JSON lines, CSV, Parquet, or a data set of the Hub."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
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
CHOICES = ("choices", "options", "endings")
"""Columns that hold what is to be chosen from."""
ANSWERS = ("answer", "label", "answerKey", "answer_key", "gold", "completion", "target")
"""Columns that say which choice is right."""
CLUSTERS = ("cluster", "source", "group", "document")
"""Columns that say which examples share a source: they are not independent."""


@dataclass(frozen=True)
class Example:
    """One example.

    Attributes:
        prompt: what is given, not scored; empty for plain text; messages of a chat before the last.
        completion: what is scored, or the right answer.
        cluster: its source; its own identity where examples are independent.
        choices: what a model is to choose from; ``completion`` is one of them.
    """

    prompt: str | tuple[Mapping[str, str], ...]
    completion: str
    cluster: str = ""
    choices: tuple[str, ...] = ()

    @cached_property
    def id(self) -> str:
        """Identity of the content."""
        content = [self.prompt, self.completion, *([self.choices] if self.choices else [])]
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:24]

    @property
    def size(self) -> int:
        """Characters, a stand-in for its tokens."""
        return len(self.shown) + len(self.completion)

    @property
    def shown(self) -> str:
        """The prompt as a person reads it."""
        if isinstance(self.prompt, str):
            return self.prompt
        return "\n".join(f"{m['role']}: {m['content']}" for m in self.prompt)

    def with_each_choice(self) -> list[Example]:
        """The prompt with each choice as its completion."""
        return [Example(self.prompt, choice, self.cluster) for choice in self.choices]


def read_examples(reference: str | Path) -> tuple[Example, ...]:
    """Read examples, equal ones once, in the order of the file.

    Args:
        reference: ``.jsonl``, ``.json``, ``.csv`` or ``.parquet``; a folder that the ``datasets`` library saved
            or loads; or a data set on the Hub, ``hf://datasets/user/name`` or ``user/name``, with ``:split``
            behind it where it is not ``test``. Columns ``prompt`` and ``completion`` (or
            ``instruction``/``output``, ``question``/``answer``), ``messages``, or ``text``; with ``choices``
            the answer may be a position, a letter or the text.

    Raises:
        InputError: no such file, another form, or no usable column.
        MissingExtra: a data set is named, and ``datasets`` is not installed.
    """
    place = Path(reference).expanduser()
    if place.is_file():
        rows = _rows(place)
    elif place.is_dir() or is_dataset(str(reference)):
        from runscope.evaluation.examples.hub_data import dataset_rows

        rows = dataset_rows(str(reference))
    else:
        raise InputError(
            f"there are no examples at {place}",
            hint="name a .jsonl, .csv or .parquet file, or a data set on the Hub as hf://datasets/user/name",
        )
    found: dict[str, Example] = {}
    for number, row in enumerate(rows, 1):
        example = _example(row, str(reference), number)
        found.setdefault(example.id, example)
    if not found:
        raise InputError(
            f"{reference} holds no example", hint="one JSON object a line, with prompt and completion"
        )
    return tuple(found.values())


def is_dataset(reference: str) -> bool:
    """Whether words name a data set on the Hub or a split of a folder, and not a file that is missing."""
    if reference.startswith("hf://datasets/"):
        return True
    name, _, _split = reference.partition(":")
    known_ending = Path(name).suffix.lower() in (".jsonl", ".json", ".csv", ".parquet", ".txt")
    return not known_ending and (Path(name).is_dir() or re.fullmatch(r"[\w.-]+/[\w.-]+", name) is not None)


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    if path.suffix.lower() in (".csv", ".parquet"):
        import pandas as pd

        try:
            table = (
                pd.read_parquet(path)
                if path.suffix.lower() == ".parquet"
                else pd.read_csv(path, dtype=str, keep_default_na=False)  # "NA" and "null" are answers too
            )
        except (ValueError, OSError) as error:
            raise InputError(
                f"{path} cannot be read: {error}", hint="is it a whole file of that kind?"
            ) from error
        yield from ({str(k): v for k, v in record.items()} for record in table.to_dict("records"))
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    if text.lstrip()[:1] == "[":  # one array
        yield from (row if isinstance(row, dict) else {} for row in _json(text, str(path)))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            row = _json(line, f"{path}, line {number},")
            yield row if isinstance(row, dict) else {}


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(
            f"{what} is not JSON: {error}", hint="one object a line, as JSON lines have it"
        ) from None


def _example(row: Mapping[str, Any], place: str, number: int) -> Example:
    cluster = next((str(row[c]) for c in CLUSTERS if row.get(c) not in (None, "")), "")
    choices = _choices(row)
    if choices:
        prompt = next(
            (row[p] for p in ("prompt", "question", "input", "instruction") if _is_text(row, p)), ""
        )
        gap = "" if not prompt or prompt[-1:].isspace() or choices[0][:1].isspace() else " "
        right = _right(row, choices)
        if right is None:
            raise InputError(
                f"{place}, example {number}, does not say which of its choices is right",
                hint="give answer (or label) as a position from 0, a letter, or the text",
            )
        spaced = tuple(gap + c for c in choices)
        return Example(prompt, spaced[right], cluster, spaced)
    messages = _turns(row.get("messages"))
    if messages:
        return Example(messages[:-1], messages[-1]["content"], cluster)
    for prompt, completion in FORMS:
        given, said = row.get(prompt), row.get(completion)
        if _turns(given) and _turns(said):  # a chat, as TRL has them
            return Example(_turns(given), _turns(said)[-1]["content"], cluster)
        if isinstance(given, str) and isinstance(said, str):
            return Example(given, said, cluster)
    if isinstance(row.get("text"), str):
        return Example("", row["text"], cluster)
    columns = ", ".join(sorted(map(str, row))) or "none"
    raise InputError(
        f"{place}, example {number}, has none of the columns that are known; its own: {columns}",
        hint="name them prompt and completion, or messages, or text",
    )


def _is_text(row: Mapping[str, Any], column: str) -> bool:
    return isinstance(row.get(column), str)


def _turns(value: Any) -> tuple[dict[str, str], ...]:
    """Messages of a chat, or nothing."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        return ()
    turns = list(value)
    if not all(isinstance(m, Mapping) and "role" in m and "content" in m for m in turns):
        return ()
    return tuple({"role": str(m["role"]), "content": str(m["content"])} for m in turns)


def _choices(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The choices: a list, a list as JSON, or what stands under ``text``."""
    value = next((row[c] for c in CHOICES if row.get(c) is not None), None)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return ()
    if isinstance(value, Mapping):
        value = value.get("text")
    return tuple(map(str, value)) if isinstance(value, Iterable) and not isinstance(value, str) else ()


def _right(row: Mapping[str, Any], choices: Sequence[str]) -> int | None:
    """Position of the right choice, None where nothing tells."""
    value = next((row[c] for c in ANSWERS if row.get(c) is not None), None)
    text = str(value).strip()
    if isinstance(value, str) and value in choices:
        return choices.index(value)
    if text.isdecimal():
        number = int(text)
    elif len(text) == 1 and text.isalpha():
        number = ord(text.upper()) - ord("A")
    else:
        return None
    return number if number < len(choices) else None


def shuffled(examples: Sequence[Example], seed: int, at_most: int | None = None) -> tuple[Example, ...]:
    """Examples in a random order that depends on nothing but the seed and their content."""
    ordered = sorted(examples, key=lambda e: e.id)
    random.Random(seed).shuffle(ordered)
    return tuple(ordered[:at_most])
