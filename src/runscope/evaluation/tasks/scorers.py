"""Scorers: how good an answer is, 1 for right and 0 for wrong, or any number.

A scorer is a function of an answer and a target; one with a third argument called ``row`` gets the example's whole row
too: other references, tests, metadata. Users bring their own as ``module:function``; one that gives errors rather than
points says so::

    from runscope.evaluation import scorer

    @scorer(lower_is_better=True, unit="edits")
    def edit_distance(answer: str, target: str) -> float: ...
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from runscope.errors import InputError, RunscopeError, UsageError, nearest
from runscope.evaluation.settings import EvaluateSettings

Score = Callable[..., float]
"""Of an answer and a target, and where it asks for it the ``row`` of the example."""
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+|(?<=\d)\.?)(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Scorer:
    """A function that scores answers, and how to read its scores.

    Attributes:
        name: what the score is called in results.
        min_effect: smallest difference of the mean score that matters, unless the user says another.
    """

    name: str
    score: Score
    lower_is_better: bool = False
    unit: str = ""
    min_effect: float = 0.02

    @cached_property
    def reads_row(self) -> bool:
        """Whether the function asks for the example's row."""
        try:
            return "row" in inspect.signature(self.score).parameters
        except (TypeError, ValueError):  # some built-in functions have no signature
            return False

    def __call__(self, answer: str, target: str, row: Mapping[str, Any] | None = None) -> float:
        """Score an answer.

        Args:
            answer: what the model said.
            target: the right answer.
            row: of the example, for functions that ask for it.

        Raises:
            InputError: the function raised, or gave no number.
        """
        try:
            return float(self.score(answer, target, **({"row": row or {}} if self.reads_row else {})))
        except RunscopeError:
            raise
        except Exception as error:  # a user's own function
            raise InputError(
                f"the scorer {self.name} failed on the target {target[:60]!r}: {type(error).__name__}: {error}",
                hint="it takes an answer and a target, and gives a number",
            ) from error


def scorer(
    *, name: str | None = None, lower_is_better: bool = False, unit: str = "", min_effect: float = 0.02
) -> Callable[[Score], Scorer]:
    """Decorate a function ``(answer, target[, row]) -> float`` with how its scores are read."""

    def wrap(function: Score) -> Scorer:
        return Scorer(name or function.__name__, function, lower_is_better, unit, min_effect)

    return wrap


@scorer(name="exact_match")
def exact(answer: str, target: str) -> float:
    """Equal but for the space around them."""
    return answer.strip() == target.strip()


@scorer(name="regex_match")
def regex(answer: str, target: str) -> float:
    """The target is a regular expression that is found in the answer."""
    return re.search(target, answer) is not None


@scorer(name="json_match")
def json_equal(answer: str, target: str) -> float:
    """The first JSON value in the answer equals the target's, whatever the order of keys and the space."""
    found = first_json(answer)
    return found is not _NOTHING and found == json.loads(target)


_NOTHING = object()


def first_json(text: str) -> Any:
    """The first JSON object or array in a text, the whole of it where it is another value; else a sentinel."""
    decoder = json.JSONDecoder()
    for begin in (0, *(m.start() for m in re.finditer(r"[{\[]", text))):
        try:
            value, end = decoder.raw_decode(text[begin:].lstrip())
        except ValueError:
            continue
        if begin or isinstance(value, dict | list) or not text.lstrip()[end:].strip():
            return value
    return _NOTHING


def read_number(text: str) -> float | None:
    """The first number in a text: ``$1,234.50`` is 1234.5; None where there is none."""
    found = next((m[0] for m in _NUMBER.finditer(text) if any(c.isdigit() for c in m[0])), None)
    return float(found.replace(",", "")) if found is not None else None


def is_hit(guess: float, truth: float, absolute: float | None, relative: float | None) -> bool:
    """Whether a guess lies within the absolute tolerance, or within the relative one of the truth."""
    error = abs(guess - truth)
    return error <= max(absolute or 0.0, (relative or 0.0) * abs(truth))


def target_number(target: str) -> float:
    """The number that is right.

    Raises:
        InputError: there is none in the target.
    """
    truth = read_number(target)
    if truth is None:
        raise InputError(
            f"the target {target[:60]!r} contains no number",
            hint="this scorer needs a number in every completion",
        )
    return truth


def _number(absolute: float | None, relative: float | None, answer: str, target: str) -> float:
    guess = read_number(answer)
    return guess is not None and is_hit(guess, target_number(target), absolute, relative)


SCORERS: Mapping[str, Scorer] = {"exact": exact, "regex": regex, "json": json_equal}


def find_scorer(settings: EvaluateSettings) -> Scorer:
    """The scorer that the settings name; a user's own is imported, from the current folder too.

    Raises:
        UsageError: nothing has that name, or it cannot be imported.
    """
    name = settings.scorer
    if name == "number":
        return Scorer("hit_rate", partial(_number, settings.tolerance, settings.relative_tolerance))
    if name in SCORERS:
        return SCORERS[name]
    if ":" not in name:
        close = nearest(name, [*SCORERS, "number"])
        raise UsageError(
            f"there is no scorer {name!r}",
            hint=f"did you mean {close!r}?" if close else "exact, number, regex, json, or module:function",
        )
    found = import_named(name)
    return found if isinstance(found, Scorer) else Scorer(name.partition(":")[2], found)


def import_named(name: str) -> Any:
    """What ``module:attribute`` names.

    Raises:
        UsageError: no such module or attribute, or it is no function or class.
    """
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"{name} cannot be imported: {error}", hint="module:name, with the module here or installed"
        ) from error
    if not callable(found):
        raise UsageError(f"{name} is no function", hint="name a function of (answer, target)")
    return found
