"""Questions with choices, in the forms that benchmarks have them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from runscope.errors import InputError
from runscope.evaluation.examples.columns import as_text, by_plain_name

LISTS = ("choices", "options", "endings", "mc1_targets")
"""Columns that hold a list of choices."""
SETS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("sol1", "sol2"), 0),
    (("option1", "option2"), 1),
    (("choice1", "choice2"), 0),
    (("ending0", "ending1", "ending2", "ending3"), 0),
    (("opa", "opb", "opc", "opd"), 0),
    (("answera", "answerb", "answerc"), 1),
    (("a", "b", "c", "d"), 0),
)
"""Choices in a column each, and from which number their positions are counted (PIQA, WinoGrande, COPA, SWAG, MedMCQA,
Social IQa, C-Eval)."""
ANSWERS = (
    "answer", "label", "answerkey", "answer_key", "gold", "completion", "target", "cop", "answer_index",
    "correct_answer", "solution",
)  # fmt: skip
"""Columns that say which choice is right."""
GIVEN = (
    "prompt", "ctx", "question", "question_stem", "query", "input", "instruction", "goal", "sentence", "startphrase",
)  # fmt: skip
BEFORE = ("passage", "article", "context", "support", "premise")
"""A text that the question is about."""


def choices_of(row: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], int] | None:
    """The choices, their labels where the row has some, and from which number positions count; None without."""
    value = next((row[c] for c in LISTS if row.get(c) is not None), None)
    labels: Sequence[Any] = ()
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if isinstance(value, Mapping):
        if value and all(len(str(k)) == 1 for k in value):  # a letter or number each
            given = {k: text for k, text in value.items() if text is not None}
            labels, value = list(given), list(given.values())
        else:
            labels, value = (
                value.get("label") or value.get("labels") or (),
                value.get("text") or value.get("choices"),
            )
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        if all(isinstance(c, Mapping) for c in value):  # {label, text} each
            labels, value = [c.get("label") for c in value], [c.get("text") for c in value]
        return tuple(str(as_text(c)) for c in value), tuple(map(str, labels)), 0
    for names, first in SETS:
        if all(as_text(row.get(n)) is not None for n in names):
            return tuple(str(as_text(row[n])) for n in names), (), first
    return None


def right_choice(
    row: Mapping[str, Any], choices: tuple[str, ...], labels: tuple[str, ...], first: int
) -> int | None:
    """Position of the right choice, None where nothing tells.

    In this order: a label of the row's own (ARC numbers some of its choices from 1), the text of a choice, a position
    counted from ``first``, a letter.
    """
    value = next((row[c] for c in ANSWERS if row.get(c) is not None), None)
    if value is None and sorted(labels) == ["0"] * (len(labels) - 1) + ["1"]:  # each says whether it is right
        return labels.index("1")
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    text = str(value).strip()
    if text in labels:
        return labels.index(text)
    if isinstance(value, str) and value in choices:
        return choices.index(value)
    if text in [c.strip() for c in choices] and not text.isdecimal():
        return [c.strip() for c in choices].index(text)
    if re.fullmatch(r"-?\d+", text):
        number = int(text) - first
    elif len(text) == 1 and text.isalpha():
        number = ord(text.upper()) - ord("A")
    else:
        return None
    return number if 0 <= number < len(choices) else None


def question_of(row: Mapping[str, Any]) -> str:
    """What stands before the choices."""
    asked = next((row[c] for c in GIVEN if isinstance(row.get(c), str)), "")
    before = next((row[c] for c in BEFORE if isinstance(row.get(c), str) and row[c] != asked), "")
    return f"{before}\n{asked}" if before and asked and "ctx" not in row else asked or before


def continued(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row of SWAG as heads for multiple choice are trained on it: the sentence that begins is part of each choice."""
    told = by_plain_name(row)
    begun, offered = told.get("sent2"), choices_of(told)
    if offered is None or not isinstance(begun, str) or not isinstance(told.get("sent1"), str):
        return row
    kept = {
        name: value for name, value in told.items() if name not in GIVEN and not name.startswith("ending")
    }
    return kept | {"prompt": told["sent1"], "choices": [f"{begun} {choice}" for choice in offered[0]]}


def spaced(prompt: Any, choices: Sequence[str]) -> tuple[str, ...]:
    """The choices with a space before them, where prompt and choices bring none."""
    bare = not isinstance(prompt, str) or not prompt or prompt[-1:].isspace() or choices[0][:1].isspace()
    return tuple(choices) if bare else tuple(f" {c}" for c in choices)


def unclear(where: str) -> InputError:
    """The error where nothing tells which choice is right."""
    return InputError(
        f"{where}, does not say which of its choices is right",
        hint="give answer (or label) as a position from 0, a letter, a label of the choices, or the text",
    )
