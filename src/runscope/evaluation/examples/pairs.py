"""Rows for models of embeddings: two texts and how alike they are; what is asked, what fits, and what does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runscope.errors import InputError
from runscope.evaluation.examples.columns import as_text, by_plain_name, chosen_columns, cluster_of, listed
from runscope.evaluation.examples.example import Example

Row = Mapping[str, Any]
TWO = (
    ("sentence1", "sentence2"), ("sentence_a", "sentence_b"), ("text1", "text2"), ("question1", "question2"),
    ("premise", "hypothesis"), ("prompt", "input"), ("anchor", "positive"), ("query", "passage"),
)  # fmt: skip
"""Two texts that are compared, as sentence-transformers' data sets name them."""
SCORES = ("score", "similarity_score", "similarity", "label", "labels", "completion")
ASKED = ("anchor", "query", "question", "prompt", "sentence1", "premise", "title")
FITS = ("positive", "pos", "answer", "passage", "document", "context", "chosen", "completion", "response",
        "sentence2", "entailment", "hypothesis", "abstract")  # fmt: skip
DOES_NOT = ("negative", "neg", "negative_1", "hard_negative", "rejected", "contradiction")


def task_of(row: Row, columns: Mapping[str, str]) -> str:
    """What a model of embeddings is asked, by the columns of the first row."""
    told = set(columns) or set(by_plain_name(row))
    if told & set(DOES_NOT):
        return "triplets"
    if told & set(SCORES[:-1]) or {"prompt", "input", "completion"} <= told:
        return "similarity"
    return "retrieval"


def compared(row: Row, columns: Mapping[str, str], where: str) -> Example | None:
    """Two texts and how alike they are; None where a text is empty or the number is missing.

    Raises:
        InputError: the row has no two texts with a number.
    """
    told = _told(row, columns, where)
    both = next((pair for pair in TWO if all(isinstance(told.get(n), str) for n in pair)), None)
    score = next((n for n in SCORES if n in told), None)
    if both is None or score is None:
        raise _missing(row, where, "two texts and how alike they are", "sentence1, sentence2 and score")
    first, second = (told[n] for n in both)
    said = as_text(told[score])
    if said is None or not first.strip() or not second.strip():
        return None
    return Example(first, said, cluster_of(told, (*both, score)), parts=(second,))


def triplet(row: Row, columns: Mapping[str, str], where: str) -> Example | None:
    """What is asked, what fits, and what does not; None where one of them is empty.

    Raises:
        InputError: the row has no such three texts.
    """
    texts = _named(row, columns, where, (ASKED, FITS, DOES_NOT))
    if len(texts) < 3:
        raise _missing(row, where, "three texts", "anchor, positive and negative")
    if not all(t.strip() for t in texts):
        return None
    return Example(texts[0], texts[1], cluster_of(_told(row, columns, where)), parts=(texts[2],))


def fitting(row: Row, columns: Mapping[str, str], where: str) -> Example | None:
    """What is asked and what fits; None where one of them is empty.

    Raises:
        InputError: the row has no such two texts.
    """
    texts = _named(row, columns, where, (ASKED, FITS))
    if len(texts) < 2:
        raise _missing(
            row, where, "two texts that belong together", "anchor and positive, or query and answer"
        )
    if not all(t.strip() for t in texts):
        return None
    return Example(texts[0], texts[1], cluster_of(_told(row, columns, where)))


def _named(
    row: Row, columns: Mapping[str, str], where: str, wanted: Sequence[Sequence[str]]
) -> tuple[str, ...]:
    """Texts by the first name of each kind that the row has; of several texts in a cell the first."""
    told = _told(row, columns, where)
    cells = (next((told[n] for n in names if n in told), None) for names in wanted)
    return tuple(text for cell in cells if (text := as_text(cell)) is not None)


def _told(row: Row, columns: Mapping[str, str], where: str) -> Mapping[str, Any]:
    return chosen_columns(row, columns, where) if columns else by_plain_name(row)


def _missing(row: Row, where: str, what: str, names: str) -> InputError:
    return InputError(
        f"{where}, has no {what}; found: {listed(row)}", hint=f"name the columns {names}, or see --columns"
    )
