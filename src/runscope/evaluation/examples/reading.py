"""Examples to evaluate on: JSON lines, CSV, Parquet, or a data set of the Hub."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

from runscope.errors import InputError
from runscope.evaluation.examples import chats, choices, media
from runscope.evaluation.examples.columns import (
    CLUSTERS,
    PAIRS,
    as_text,
    by_plain_name,
    chosen_columns,
    cluster_of,
    likely_mapping,
    listed,
    named_cluster,
    nothing_in,
    paired,
    parse_columns,
)  # fmt: skip
from runscope.evaluation.examples.example import Example, apart_from_others
from runscope.evaluation.examples.left_out import LeftOut
from runscope.evaluation.examples.preferences import preference

_KNOWN_TO_TRAINERS = {"prompt", "messages", "conversations", "chosen"}
"""Columns by which TRL knows what else than a text a row is."""


Form = Callable[[Mapping[str, Any], Mapping[str, str], str], "Example | None"]


def read_examples(
    reference: str | Path,
    columns: str | Mapping[str, str] | None = None,
    text: str | None = None,
    notes: list[str] | None = None,
    cluster: str | None = None,
    form: Form | None = None,
    whole_rows: bool = False,
) -> tuple[Example, ...]:
    """Read examples, equal ones once, in the order of the file.

    Args:
        reference: ``.jsonl``, ``.json``, ``.csv`` or ``.parquet``; a folder that the ``datasets`` library saved
            or loads; or a data set on the Hub, ``hf://datasets/user/name`` or ``user/name``, with ``:split``
            behind it where it is not ``test``. The columns that it may have are on docs/evaluation.md.
        columns: which column is what where the names are others: ``prompt=description,completion=price``.
        text: column that counts before others where a row has no conversation, nor prompt and completion by these
            names: the one that the training took.
        notes: what was left out is appended to it.
        cluster: column that says which examples belong together; None takes one that is called so.
        form: makes an example of a row, as a task asks for it; None for :func:`example_of`.
        whole_rows: rows are equal only where all that stands in them is, and not what a model reads alone.

    Raises:
        InputError: no such file, another form, or no usable column.
        UsageError: ``columns`` names no role.
        MissingExtra: a data set is named, and ``datasets`` is not installed.
    """
    named, labelled, left = parse_columns(columns), False, LeftOut()
    unlearned = False
    found: dict[str, Example] = {}
    place = Path(reference).expanduser()
    folder = place.parent if place.is_file() else place
    rows: Iterable[Mapping[str, Any]] = rows_of(reference)
    if form is None and not named:
        rows = list(rows)
        unlearned = _has_undesired(rows)
    for number, row in enumerate(rows, 1):
        own = row
        taken = text is not None and form is None and isinstance(row.get(text), str)
        if taken and not named and not _KNOWN_TO_TRAINERS & row.keys():
            kept = {c: row[c] for c in (*CLUSTERS, cluster or "") if c in row and c != text}
            row = {"text": row[str(text)], **kept}
        where = f"{reference}, example {number}"
        undesired = unlearned and _label_of(row) in NO
        example = None if undesired else (form or example_of)(row, named, where)
        if example is not None and example.parts:
            example = replace(example, parts=media.at(example.parts, folder, where))
        if example is None:
            left.nothing_in(by_plain_name(row), str(reference), undesired=undesired)
        elif not left.is_broken(example):
            left.look(row, example)
            if cluster is not None:
                example = replace(example, cluster=named_cluster(row, cluster, where))
            if form is None:
                example = replace(example, row=own)
                if whole_rows and example.id in found and found[example.id].row != own:
                    example = replace(example, apart=apart_from_others(own))
            left.equal += example.id in found
            found.setdefault(example.id, example)
            labelled |= form is None and not example.prompt and "label" in row and not named
    if not found:
        raise left.error(str(reference))
    notes = [] if notes is None else notes
    notes += left.notes(str(reference), named=bool(named))
    if labelled:
        notes.append(
            f"{reference} has labels, which are not used: the loss is that of the texts themselves. "
            "To ask for the label behind the text: --columns prompt=text,completion=label"
        )
    return tuple(found.values())


YES, NO = ("True", "true", "1", "1.0"), ("False", "false", "0", "0.0")
"""What says of an answer that it is to be learned, or unlearned (KTO), in tables too."""


def _has_undesired(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether labels beside prompts and completions tell what is to be unlearned: there are no others than yes and no.

    Of one that is a class the 0 is as good as any.
    """
    return {label for row in rows if (label := _label_of(row)) is not None} <= {*YES, *NO}


def _label_of(row: Mapping[str, Any]) -> str | None:
    """The label beside a prompt and a completion; None where there is none."""
    plain = by_plain_name(row)
    label = plain.get("label")
    both = any(a in plain and b in plain for a, b in PAIRS if b != "label")
    return str(label) if both and label is not None else None


def rows_of(reference: str | Path) -> Iterator[Mapping[str, Any]]:
    """The rows of a file or data set, as they stand there.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    place = Path(reference).expanduser()
    if place.is_file():
        return _rows(place)
    if place.is_dir() or is_dataset(str(reference)):
        name, _, split = (str(place), "", "") if place.is_dir() else str(reference).partition(":")
        inside = (
            media.folder_rows(Path(name).expanduser(), split) if Path(name).expanduser().is_dir() else None
        )
        if inside is not None:
            return inside
        from runscope.evaluation.examples.hub_data import dataset_rows

        return dataset_rows(str(reference))
    raise InputError(
        f"there are no examples at {place}",
        hint="name a .jsonl, .csv or .parquet file, or a data set on the Hub as hf://datasets/user/name",
    )


def is_dataset(reference: str) -> bool:
    """Whether words name a data set on the Hub or a split of a folder, and not a file that is missing."""
    if reference.startswith("hf://datasets/"):
        return True
    name, _, _split = reference.partition(":")
    known_ending = Path(name).suffix.lower() in (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".txt")
    return not known_ending and (Path(name).is_dir() or re.fullmatch(r"[\w.-]+/[\w.-]+", name) is not None)


def example_of(row: Mapping[str, Any], columns: Mapping[str, str], where: str) -> Example | None:
    """The example that a row holds; None where it says nothing to score.

    Args:
        row: as the file has it.
        columns: the user's own, by role.
        where: names the row in errors.

    Raises:
        InputError: no column is known, or what it holds cannot be evaluated.
    """
    told = chosen_columns(row, columns, where) if columns else by_plain_name(row)
    if "text" in told and "parent_id" in told and "role" in told:
        raise InputError(
            f"{where}, is a single message of a tree of conversations",
            hint="make a row with messages of each path from a first message to a last answer",
        )
    example = _asked(told, where) or _conversation(told, where) or _plain(told)
    if example is not None:
        return example
    if turns := chats.alternating(told):
        return chats.chat_example(turns, told, cluster_of(told))
    if chats.roles_of(told, where) or "text" in told or nothing_in(told):
        return None  # a conversation without an answer, no text, or an empty cell
    raise InputError(
        f"{where}, has no prompt/completion, messages or text column; found: {listed(row)}",
        hint=f"if this is what you mean: {likely_mapping(row)}",
    )


def _asked(row: Mapping[str, Any], where: str) -> Example | None:
    """A question with choices, or with a chosen and a rejected answer."""
    if "chosen" in row and "rejected" in row:
        return preference(row, where)
    found = choices.choices_of(row)
    if found is None:
        return None
    offered, labels, first = found
    right = choices.right_choice(row, offered, labels, first)
    if right is None:
        raise choices.unclear(where)
    talk = _conversation(row, where)
    prompt = talk.prompt if talk is not None else choices.question_of(row)
    offered = choices.spaced(prompt, offered)
    return Example(prompt, offered[right], cluster_of(row), offered)


def _conversation(row: Mapping[str, Any], where: str) -> Example | None:
    """A chat as one list, or as a prompt and what follows."""
    for column in chats.COLUMNS:
        turns = chats.turns_of(row.get(column), where)
        if turns:
            system = as_text(row.get("system")) or as_text(row.get("system_prompt"))
            if system and turns[0]["role"] != "system":
                turns = ({"role": "system", "content": system}, *turns)
            return chats.chat_example(turns, row, cluster_of(row))
    for given, said in (("prompt", "completion"), ("input", "output"), ("prompt", "response")):
        before = chats.turns_of(row.get(given), where)
        after = chats.turns_of(row.get(said), where)
        if before and not after and as_text(row.get(said)) is not None:
            after = ({"role": "assistant", "content": as_text(row[said])},)
        if after and not before and as_text(row.get(given)) is not None:
            before = ({"role": "user", "content": as_text(row[given])},)
        if before and after:
            return chats.chat_example((*before, *after), row, cluster_of(row), len(before))
    return None


def _plain(row: Mapping[str, Any]) -> Example | None:
    """A prompt and its completion as text, or one text."""
    pair = paired(row)
    if pair is not None:
        return Example(pair[0], pair[1], cluster_of(row, pair[2]))
    text = row.get("text")
    if not isinstance(text, str) and "text" not in row:  # a whole dialogue in one text
        told = next((row[c] for c in chats.COLUMNS if isinstance(row.get(c), str)), "")
        text = told if told.lstrip()[:2] != "[{" else ""
        system = as_text(row.get("system"))
        text = f"{system}\n{text}" if system and text else text
    return Example("", text, cluster_of(row)) if isinstance(text, str) and text.strip() else None


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    ending = path.suffix.lower()
    if ending in (".csv", ".tsv", ".parquet"):
        yield from _table(path, ending)
        return
    text = _text(path)
    if text.lstrip()[:1] == "[":  # one array
        yield from (row if isinstance(row, dict) else {} for row in _json(text, str(path)))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            row = _json(line, f"{path}, line {number},")
            yield row if isinstance(row, dict) else {}


def decoded(raw: bytes, errors: str = "replace") -> str:
    """Text of UTF-8, or of UTF-16 where it begins with that mark, as editors and shells of Windows write it."""
    if raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return raw.decode("utf-16", errors=errors)
    return raw.decode("utf-8-sig", errors=errors)


def _table(path: Path, ending: str) -> Iterator[Mapping[str, Any]]:
    """Rows of Python's own values: lists, mappings, and whole numbers that stay whole beside empty cells."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if ending == ".parquet":
            yield from pq.read_table(path).to_pylist()
            return
        text = StringIO(_text(path), newline="")
        # "NA" and "null" are answers too
        table = pd.read_csv(text, sep=_separator(text), dtype=str, keep_default_na=False)
    except (ValueError, OSError, pa.ArrowException) as error:
        raise InputError(
            f"{path} cannot be read: {error}", hint="is it a whole file of that kind?"
        ) from error
    yield from ({str(k): v for k, v in record.items()} for record in table.to_dict("records"))


def _text(path: Path) -> str:
    """What a file says.

    Raises:
        InputError: it is in another coding: its letters would be others.
    """
    try:
        return decoded(path.read_bytes(), errors="strict")
    except UnicodeDecodeError as error:
        line = path.read_bytes().count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line:,}, is not UTF-8", hint="save it as UTF-8") from None


def _separator(text: StringIO) -> str:
    """What stands between the names of a table's columns: a comma, else what spreadsheets write in its place."""
    first = text.readline()
    text.seek(0)
    return next((mark for mark in ",\t;" if mark in first), ",")


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(
            f"{what} is not JSON: {error}", hint="one object per line, as JSON lines have it"
        ) from None
