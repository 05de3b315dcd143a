"""Rows for models with a head: texts, pictures or sounds with a label, words with tags."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from runscope.errors import InputError
from runscope.evaluation.examples.columns import (
    as_text,
    by_plain_name,
    chosen_columns,
    cluster_of,
    likely_label_mapping,
    list_in,
    listed,
)
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.media import COLUMNS, WORDS, Kind, media_in

PAIRS = (
    ("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"), ("question", "sentence"),
    ("question", "passage"), ("question", "context"), ("text", "text_pair"), ("text1", "text2"), ("text_a", "text_b"),
    ("query", "passage"), ("sentence_a", "sentence_b"), ("claim", "evidence"), ("prompt", "input"),
)  # fmt: skip
"""Two texts that are read together, as GLUE and its kin name them; last as ``--columns`` does."""
TEXTS = (
    "text",
    "sentence",
    "content",
    "review",
    "prompt",
    "input",
    "document",
    "title",
    "tweet",
    "question",
    "body",
)
LABELS = ("label", "labels", "target", "score", "stars", "rating", "class", "category", "intent", "emotion",
          "sentiment", "completion", "answer")  # fmt: skip
SPOKEN = ("text", "sentence", "transcript", "transcription", "normalized_text", "raw_transcription", "target",
          "completion", "label")  # fmt: skip
WORDS_OF_TEXT = ("tokens", "words")
TAGS = ("ner_tags", "tags", "labels", "label", "pos_tags", "chunk_tags", "upos")
Row = Mapping[str, Any]


def labelled(
    row: Row, columns: Mapping[str, str], where: str, missing: Collection[str], *, several: bool = False
) -> Example | None:
    """A text, or two, with a label as text; None where the text is empty or the label is missing.

    Args:
        row, columns, where: as :func:`runscope.evaluation.examples.reading.example_of` has them.
        missing: what stands for no label.
        several: the label may be a list, or columns of 0 and 1 each named by a label; it becomes JSON then.

    Raises:
        InputError: the row has no text or no label.
    """
    told = _told(row, columns, where)
    texts: tuple[str, ...] | None
    texts = next((pair for pair in PAIRS if all(isinstance(told.get(n), str) for n in pair)), None)
    if texts is None:
        texts = next(((name,) for name in TEXTS if isinstance(told.get(name), str)), ())
    label = next((name for name in LABELS if name in told and name not in texts), None)
    if unread := columns.keys() - {*texts, label, "cluster"}:
        raise InputError(
            f"--columns names a column for {', '.join(sorted(unread))}, which a classifier does not read",
            hint="prompt is the text, input a second one beside it, completion the label",
        )
    if texts and label is None and several and (marked := _marked(row)):
        told, label = {**told, "label": marked}, "label"
    if not texts or label is None:
        raise InputError(
            f"{where}, has no {'text' if not texts else 'label'} for a classifier; found: {listed(row)}",
            hint="text and label, or sentence1, sentence2 and label; is this what you mean: "
            + likely_label_mapping(row),
        )
    value = _label_in(told[label], several=several)
    if isinstance(value, list | Mapping) and not several:
        raise InputError(
            f"{where}, has several labels, and the model gives one",
            hint="one label for each text; --task multi-label where each label is a yes or no of its own",
        )
    said = _json(value) if isinstance(value, list | Mapping) else _label_words(value, missing)
    if said is None or not told[texts[0]].strip():
        return None
    return Example(
        told[texts[0]], said, cluster_of(told, (*texts, label)), parts=tuple(told[n] for n in texts[1:])
    )


def shown(
    row: Row,
    columns: Mapping[str, str],
    where: str,
    kind: Kind,
    missing: Collection[str],
    *,
    several: bool = False,
) -> Example | None:
    """A picture or sound with a label as text; None where the label or the picture is missing.

    Args:
        row, columns, where: as :func:`runscope.evaluation.examples.reading.example_of` has them.
        kind: picture or sound.
        missing: what stands for no label.
        several: the label may be a list; it becomes JSON then.

    Raises:
        InputError: the row has no such thing, or no label.
    """
    told = _told(row, columns, where)
    found = media_in(told, kind, where)
    label = next((name for name in LABELS if name in told and (found is None or name != found[1])), None)
    if found is None or label is None:
        if label is not None and any(name in told for name in COLUMNS[kind]):
            return None  # an empty cell
        raise InputError(
            f"{where}, has no {WORDS[kind] if found is None else 'label'}; found: {listed(row)}",
            hint=f"{kind} (the place of a file) and label; else --columns prompt=COLUMN,completion=COLUMN",
        )
    value = _label_in(told[label], several=several)
    said = _json(value) if several and isinstance(value, list) else _label_words(value, missing)
    if said is None:
        return None
    media, column = found
    names = tuple(map(str, told.get("label_names") or ()))
    return Example(
        "", said, cluster_of(told, (column, label)), names if said in names else (), parts=(media,)
    )


def spoken(row: Row, columns: Mapping[str, str], where: str) -> Example | None:
    """A sound and what is said in it; None where nothing is.

    Raises:
        InputError: the row has no sound, or no text.
    """
    told = _told(row, columns, where)
    found = media_in(told, "audio", where)
    text = next((name for name in SPOKEN if name in told and (found is None or name != found[1])), None)
    if found is None or text is None:
        if text is not None and any(name in told for name in COLUMNS["audio"]):
            return None
        raise InputError(
            f"{where}, has no {'sound' if found is None else 'text of what is said'}; found: {listed(row)}",
            hint="audio (the place of a file) and text; else --columns prompt=COLUMN,completion=COLUMN",
        )
    said = as_text(told[text])
    if said is None or not said.strip():
        return None
    return Example("", said, cluster_of(told, (found[1], text)), parts=(found[0],))


def tagged(row: Row, columns: Mapping[str, str], where: str) -> Example | None:
    """Words with a tag each; None where there are none.

    Raises:
        InputError: the row has no words or tags, or not as many of the one as of the other.
    """
    told = _told(row, columns, where)
    told = {name: list_in(value) for name, value in told.items()}
    words = next((told[n] for n in (*WORDS_OF_TEXT, "prompt") if _listed(told.get(n))), None)
    tags = next((told[n] for n in (*TAGS, "completion") if _listed(told.get(n))), None)
    if words is None or tags is None:
        raise InputError(
            f"{where}, has no words with tags; found: {listed(row)}",
            hint="tokens and ner_tags (or tags), a list each; else --columns prompt=COLUMN,completion=COLUMN",
        )
    if len(words) != len(tags):
        raise InputError(
            f"{where}, has {len(words):,} words and {len(tags):,} tags", hint="one tag for each word"
        )
    if not words:
        return None
    said = tuple("" if tag is None else str(tag) for tag in tags)
    return Example(
        " ".join(map(str, words)), " ".join(said), cluster_of(told), parts=(tuple(map(str, words)), said)
    )


def _marked(row: Row) -> dict[str, int]:
    """Columns of 0 and 1, each named by a label, as the Jigsaw data have them."""
    found = {str(n): v for n, v in row.items() if str(v) in ("0", "1", "0.0", "1.0", "True", "False")}
    return {n: int(str(v) in ("1", "1.0", "True")) for n, v in found.items()}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _label_in(value: Any, *, several: bool) -> Any:
    """A label, or a list of them; a list of one is that label where the model gives one."""
    told = list_in(value)
    return told[0] if isinstance(told, list) and len(told) == 1 and not several else told


def _label_words(value: Any, missing: Collection[str]) -> str | None:
    """A label as text; None where it is missing."""
    said = as_text(value)
    return None if said is None or said.strip() in ("", *missing) else said


def _told(row: Row, columns: Mapping[str, str], where: str) -> Mapping[str, Any]:
    return chosen_columns(row, columns, where) if columns else by_plain_name(row)


def _listed(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
