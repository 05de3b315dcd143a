"""Which column of a row is what: the names that data sets use, and the user's own by ``--columns``."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from runscope.errors import InputError, UsageError, nearest

ROLES = (
    "prompt", "completion", "messages", "text", "system", "input", "choices", "answer", "chosen", "rejected",
    "cluster", "tools",
)  # fmt: skip
"""What ``--columns`` can name a column for."""

PAIRS: tuple[tuple[str, str], ...] = (
    ("prompt", "completion"),
    ("instruction", "output"), ("instruction", "response"), ("instruction", "completion"),
    ("instruction", "answer"), ("instruction", "code"),
    ("question", "answer"), ("question", "response"), ("question", "output"), ("question", "completion"),
    ("question", "solution"), ("question", "answers"), ("question", "generated_solution"),
    ("question", "long_answer"), ("question", "best_answer"), ("question", "correct_answer"),
    ("query", "response"), ("query", "answer"), ("query", "answers"), ("query", "output"),
    ("problem", "solution"), ("problem", "generated_solution"), ("problem", "answer"),
    ("inputs", "targets"), ("input", "output"), ("input", "target"), ("input", "response"), ("input", "completion"),
    ("input", "label"), ("source", "target"), ("source_text", "target_text"), ("src", "tgt"),
    ("document", "summary"), ("dialogue", "summary"), ("article", "highlights"), ("article", "summary"),
    ("article", "abstract"), ("text", "summary"), ("text", "target"), ("text", "output"), ("text", "response"),
    ("user", "assistant"), ("human", "assistant"), ("human", "bot"), ("message_1", "message_2"),
    ("context", "response"), ("context", "completion"),
    ("prompt", "response"), ("prompt", "answer"), ("prompt", "output"), ("prompt", "target"), ("prompt", "solution"),
    ("prompt", "label"),
)  # fmt: skip
"""Columns that hold what is given and what the model is to say. The first pair that a row has counts: ``prompt``
beside an ``instruction`` holds the instruction once more, with or without the answer."""
SYSTEM = ("system", "system_prompt")
MORE = ("input", "context", "inputs", "passage", "support")
"""Columns whose text belongs to what is given: Alpaca's ``input``, Dolly's ``context``."""
NOTHING = ("", "<noinput>", "<no input>", "nan", "none", "n/a")
"""What data sets write for no input."""
CLUSTERS = ("cluster", "source", "group", "document")
"""Columns that say which examples share a source: they are not independent."""


def plain(name: str) -> str:
    """A column's name as it is compared: small letters, words joined by ``_``."""
    return re.sub(r"[\s-]+", "_", str(name).strip()).lower()


def parse_columns(words: str | Mapping[str, str] | None) -> dict[str, str]:
    """``prompt=description,completion=price`` as a mapping from role to column.

    Raises:
        UsageError: no such role, or nothing after it.
    """
    if not words:
        return {}
    pairs = (
        words.items()
        if isinstance(words, Mapping)
        else [
            (role.strip(), column.strip()) for role, _, column in (w.partition("=") for w in words.split(","))
        ]
    )
    found = {}
    for role, column in pairs:
        if role not in ROLES or not column:
            close = nearest(role, ROLES)
            raise UsageError(
                f"--columns does not know {role!r}" if column else f"--columns names no column for {role!r}",
                hint=(f"did you mean {close!r}? " if close and close != role else "")
                + "for example --columns prompt=description,completion=price; roles: "
                + ", ".join(ROLES),
            )
        found[role] = column
    return found


def chosen_columns(row: Mapping[str, Any], columns: Mapping[str, str], where: str) -> dict[str, Any]:
    """The row with the columns that the user names, under the names of their roles, and no others.

    A name with dots reaches into a column: ``translation.en``, ``answers.text.0``.

    Raises:
        InputError: the row has no such column.
    """
    taken = {role: _reached(row, column, where) for role, column in columns.items()}
    return {c: row[c] for c in CLUSTERS if c in row and "cluster" not in taken} | taken


def _reached(row: Mapping[str, Any], column: str, where: str) -> Any:
    if column in row:
        return row[column]
    value: Any = row
    for part in column.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            close = nearest(column, list(map(str, row)))
            raise InputError(
                f"{where} has no column {column!r}; found: {listed(row)}",
                hint=f"did you mean {close!r}?" if close else "name one of them with --columns",
            )
    return value


def by_plain_name(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row under plain names; of two that become alike the one that is spelled so already counts."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if plain(name) not in found or plain(name) == name:
            found[plain(name)] = value
    return found


def as_text(value: Any) -> str | None:
    """A cell as text; None where it is no text and no number."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value != value:  # an empty cell of a table
        return None
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)
    if isinstance(value, Mapping):  # SQuAD's and TriviaQA's answers
        inner = value.get("text", value.get("value"))
        return as_text(inner) if isinstance(inner, str | list) else None
    if isinstance(value, list) and value and isinstance(value[0], str):  # several right answers: the first
        return value[0]
    return None


def list_in(value: Any) -> Any:
    """The list that a cell of a table holds as JSON or as Python writes it; anything else as it is."""
    if not (isinstance(value, str) and value.strip()[:1] == "[" and value.strip()[-1:] == "]"):
        return value
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return found if isinstance(found, list) else value
    return value


def paired(row: Mapping[str, Any]) -> tuple[str, str, tuple[str, ...]] | None:
    """What is given, what is to be said, and the columns that this is made of, where a row has both as text.

    System prompt, instruction and input stand in this order, each on a line of its own.
    """
    for given, said in PAIRS:
        if given not in row or said not in row:
            continue
        prompt, completion = as_text(row[given]), as_text(row[said])
        if prompt is None or completion is None:
            continue
        more = [c for c in MORE if c not in (given, said) and isinstance(row.get(c), str)]
        system = [c for c in SYSTEM if isinstance(row.get(c), str)]
        parts = [*(row[c] for c in system[:1]), prompt, *(row[c] for c in more[:1])]
        first = [p for p in parts if p is prompt or p.strip().lower() not in NOTHING]
        return "\n".join(first), completion, (given, said, *more[:1], *system[:1])
    return None


def nothing_in(row: Mapping[str, Any]) -> bool:
    """Whether a row has columns that are known, and nothing in one of them: nothing asked, or no answer."""
    names = (*PAIRS, ("chosen", "rejected"))
    return any(a in row and b in row and (_empty(row[a]) or _empty(row[b])) for a, b in names)


def _empty(value: Any) -> bool:
    """None, NaN, an empty list, or answers of which there are none (SQuAD's questions without one)."""
    if isinstance(value, Mapping):
        return "text" in value and _empty(value["text"])
    return value is None or value == [] or (isinstance(value, float) and value != value)


def cluster_of(row: Mapping[str, Any], used: Collection[str] = ()) -> str:
    """The source of a row, of a column that is not part of the example itself."""
    return next((str(row[c]) for c in CLUSTERS if c not in used and row.get(c) not in (None, "")), "")


def named_cluster(row: Mapping[str, Any], column: str, where: str) -> str:
    """The source of a row by the column that the user names; "" where it is ``none``.

    Raises:
        InputError: the row has no such column.
    """
    if column == "none":
        return ""
    if column not in row:
        close = nearest(column, list(map(str, row)))
        raise InputError(
            f"{where} has no column {column!r}; found: {listed(row)}",
            hint=(f"did you mean {close!r}? " if close else "") + "--cluster none takes every row for itself",
        )
    return "" if row[column] is None else str(row[column])


def listed(row: Mapping[str, Any]) -> str:
    """The columns of a row, in words."""
    return ", ".join(sorted(map(str, row))) or "none"


_GIVEN = (
    "prompt", "instruction", "question", "query", "input", "problem", "history", "context", "source", "description",
    "title", "article", "document", "passage", "dialog", "user", "human", "request", "task", "review", "body",
    "sentence", "content", "text",
)  # fmt: skip
_SAID = (
    "completion", "response", "answer", "output", "target", "label", "solution", "summary", "highlights", "price",
    "reply", "assistant", "bot", "gpt", "translation", "category", "class", "score", "rating", "result", "value",
    "expected", "caption", "headline",
)  # fmt: skip


def likely_mapping(row: Mapping[str, Any]) -> str:
    """The ``--columns`` that a row of unknown names most likely needs."""
    flat = dict(_flat(row))
    texts = [n for n, value in flat.items() if as_text(value) not in (None, "") and not _is_a_name(n)]
    better, worse = (_likeliest(texts, (word,)) for word in ("chosen", "rejected"))
    if better and worse:
        given = _likeliest(texts, _GIVEN)
        return "--columns " + (f"prompt={given}," if given else "") + f"chosen={better},rejected={worse}"
    if not texts:
        return "--columns prompt=COLUMN,completion=COLUMN"
    if len(texts) == 1:
        return f"--columns text={texts[0]}"
    said = _likeliest(texts, _SAID) or texts[-1]
    others = [n for n in texts if n != said]
    given = _likeliest(others, _GIVEN) or others[0]
    return f"--columns prompt={given},completion={said}"


def likely_label_mapping(row: Mapping[str, Any]) -> str:
    """The ``--columns`` for a text and its label: the longest text, and what is called most like a label."""
    flat = {n: said for n, value in _flat(row) if (said := as_text(value)) and not _is_a_name(n)}
    if len(flat) < 2:
        return "--columns prompt=COLUMN,completion=COLUMN"
    text = max(flat, key=lambda name: len(flat[name]))
    others = [name for name in flat if name != text]
    return f"--columns prompt={text},completion={_likeliest(others, _SAID) or others[-1]}"


def _flat(row: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            said = {
                k: v for k, v in value[0].items() if not isinstance(v, int | float)
            }  # scores and counts beside it
            yield from _flat(said, f"{before}{name}.0.")
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _likeliest(names: Iterable[str], words: Iterable[str]) -> str | None:
    """The first name that holds one of the words, the likeliest word first."""
    known = [(_words(n), n) for n in names]
    return next((name for word in words for own, name in known if {word, f"{word}s"} & own), None)


def _words(name: str) -> set[str]:
    """The words of a name; of one with dots those of its last part."""
    parts = [part for part in name.split(".") if not part.isdecimal()]
    return {word for word in re.split(r"[^a-z]+", plain(parts[-1] if parts else name)) if word}


def _is_a_name(column: str) -> bool:
    """Whether a column names a row, and says nothing of what is in it."""
    return bool(_words(column) & {"id", "ids", "idx", "index", "uuid", "uid", "url", "hash", "role", "type"})
