"""What a label in a row means to a classifier: one of its names, a number, or a 0 or 1 for each.

A name may be a digit and no number of its own: of a model of stars, ``1`` is the name of number 0. Which of both a row
means only the whole file tells.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from runscope.errors import InputError

Reading = Literal["auto", "names", "numbers", "marks"]
"""How all labels of a file are read; ``auto`` where each is clear by itself."""
MOST_LABELS = 1_000_000
"""More than any classifier has (ImageNet's 21,841): a file may name any number."""
MISSING = "-1"
"""What GLUE and SNLI write where nobody gave a label."""
_HINT = "labels are the model's own names (id2label in config.json) or numbers from 0"
_UNNAMED = (
    "no names were saved with the model: write numbers from 0, or put id2label into a config.json beside it"
)


def names_of(config: Mapping[str, Any]) -> dict[str, int]:
    """Names of labels with their numbers, of a ``config.json``.

    ``id2label`` decides. Whoever sets that alone leaves LABEL_0, … or nothing in ``label2id``, and the other way round.

    Raises:
        InputError: the two contradict each other, or are no names and numbers.
    """
    try:
        count = min(int(config.get("num_labels") or 2), MOST_LABELS)
        own = config.get("id2label") or [f"LABEL_{k}" for k in range(count)]
        pairs = own.items() if isinstance(own, Mapping) else enumerate(own)
        names = {str(name): int(number) for number, name in pairs}
        others = {str(name): int(number) for name, number in (config.get("label2id") or {}).items()}
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(
            f"what config.json says of labels is damaged: {error}", hint="save or fetch it again"
        ) from None
    if unnamed(names) and sorted(others.values()) == list(range(len(names))):
        return others
    apart = [n for n in names if others.get(n, names[n]) != names[n]]
    if apart:
        raise InputError(
            f"config.json contradicts itself: the label {apart[0]!r} is number {names[apart[0]]} in id2label, and "
            f"{others[apart[0]]} in label2id",
            hint="make label2id the inverse of id2label, as the model was trained",
        )
    return names


def refuse_other_order(told: Iterable[Sequence[str]], names: Mapping[str, int]) -> None:
    """Stop where a data set numbers the model's labels in another order: a number in its rows is two labels then.

    Args:
        told: names of the labels of a data set, in its order; several where several columns have some.
        names: of the model, with their numbers.

    Raises:
        InputError: it does.
    """
    own = [name.casefold() for name, _ in sorted(names.items(), key=lambda pair: pair[1])]
    for others in told:
        theirs = [name.casefold() for name in others]
        if theirs != own and sorted(theirs) == sorted(own):
            raise InputError(
                f"the data set numbers its labels {', '.join(others[:6])}, and the model {', '.join(own[:6])}",
                hint="write the rows into a file with the names of their labels, or with the numbers that the training "
                "took",
            )


def unnamed(names: Mapping[str, int]) -> bool:
    """Whether labels have no other names than transformers gives them."""
    return all(name == f"LABEL_{number}" for name, number in names.items())


def doubtful(names: Mapping[str, int]) -> set[str]:
    """Names that would be other labels, or none, were they read as numbers."""
    odd = {n for n, number in names.items() if _number(n, len(names)) not in (None, number)}
    return odd | ({MISSING} & names.keys())


def reading_of(labels: Iterable[str], names: Mapping[str, int]) -> Reading:
    """How the labels of a file are read: all as names, or all as numbers.

    Args:
        labels: as the rows have them.
        names: of the model, with their numbers.

    Raises:
        InputError: they may be either, and mean other labels then, or are some of the one and some of the other.
    """
    said, odd = set(labels) - ({MISSING} - names.keys()), doubtful(names)
    if not said & odd:
        return "auto" if not odd else "names" if said <= names.keys() else "numbers"
    named, numbered = said <= names.keys(), all(_number(s, len(names)) is not None for s in said)
    if named != numbered:
        return "names" if named else "numbers"
    some = ", ".join(sorted(said)[:6]) + (", …" if len(said) > 6 else "")
    raise InputError(
        f"the labels {some} " + ("may be names of the model's or numbers, which mean other labels" if named
        else "are neither all names of the model's nor all numbers") + f"; its names, from number 0: {_listed(names)}",
        hint="write LABEL_0 for number 0, LABEL_1 for number 1, …, which is clear",
    )  # fmt: skip


def reading_of_lists(rows: Sequence[str], names: Mapping[str, int]) -> Reading:
    """The same where a row has several labels, as JSON: a 0 or 1 for each is another way to read ``[0, 1]``.

    Raises:
        InputError: as :func:`reading_of`.
    """
    told = [json.loads(row) if row[:1] in "[{" else [row] for row in rows]
    lists = [t for t in told if isinstance(t, list)]
    if lists and all(are_marks(t, len(names)) for t in lists):
        return "marks"
    read = reading_of({plain_label(v) for t in lists for v in t}, names)
    unclear = any(are_marks(t, len(names)) for t in lists)
    return "numbers" if read == "auto" and unclear else read


def are_marks(told: Sequence[Any], count: int) -> bool:
    """Whether a list may be a 0 or 1 for each label."""
    return len(told) == count and all(not isinstance(v, str) and v in (0, 1) for v in told)


def plain_label(value: Any) -> str:
    """A label of a list as text: 2.0 is 2."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def label_number(
    said: str, names: Mapping[str, int], every: Sequence[str] = (), read: Reading = "auto"
) -> int:
    """The number of a label.

    Args:
        said: what the row says.
        names: of the model, with their numbers.
        every: all labels in order, where the rows come in folders called by them. A model that was told no names
            (LABEL_0, …) was trained on their numbers in that order, as torchvision and ``datasets`` give them.
        read: how the labels of the file are read.

    Raises:
        InputError: the model has no such label.
    """
    count = len(names)
    if said in names and read != "numbers":
        return names[said]
    if unnamed(names) and said in every and len(every) == count:
        return every.index(said)
    if read != "names" and (number := _number(said, count)) is not None:
        return number
    if (number := _number(said.removeprefix("LABEL_"), count)) is not None and said.startswith("LABEL_"):
        return number
    if said.lower() in ("false", "true") and count == 2:
        return int(said.lower() == "true")
    alike = [number for name, number in names.items() if name.casefold() == said.casefold()]
    if len(alike) == 1:
        return alike[0]
    raise InputError(
        f"the model has no label {said[:60]!r}; it has {count:,}: {_listed(names)}",
        hint=_UNNAMED if unnamed(names) else _HINT,
    )


def _number(said: str, count: int) -> int | None:
    digits = said.removesuffix(".0")  # as tables write them
    return int(digits) if digits.isdecimal() and int(digits) < count else None


def _listed(names: Mapping[str, int]) -> str:
    return ", ".join(list(names)[:8]) + (", …" if len(names) > 8 else "")
