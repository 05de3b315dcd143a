"""One worker of a survey: ``python -m runscope.survey.worker [SCRATCH]`` reads jobs, a line of JSON each, and answers.

A process of its own, because a damaged file may cost a worker its memory or its life: the survey then says so for
that one reference, starts another worker and goes on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import orjson

from runscope.errors import RunscopeError, SeveralRuns
from runscope.history import Run
from runscope.history.parts import taken_apart
from runscope.safe_text import whole_letters
from runscope.sources.base import LoadContext
from runscope.survey.card import Card, card_of, unreadable
from runscope.survey.scratch import Scratch
from runscope.survey.work import Done, Lot, Task, as_runs


def done(task: Task, scratch: Scratch | None = None) -> Done:
    """Judge what a reference names, or a training of several; or say which runs of a lot are one training.

    Args:
        task: what is asked.
        scratch: where runs are kept that another task of the same scan may ask for; read again where None.
    """
    kept = scratch or Scratch()
    if task.lot is not None:
        return _joined(task.references, task.lot, kept)
    return (
        _judged(task.references[0], kept) if len(task.references) == 1 else _together(task.references, kept)
    )


def _judged(reference: str, scratch: Scratch) -> Done:
    """A card for each run, judged on its own; one that says why for each reference that could not be read."""
    from runscope.stitching import digest, line_of, profile

    cards: list[Card] = []
    digests = []
    context = _context()
    waiting = [reference]
    while waiting:
        reference = waiting.pop()
        try:
            run = _load(reference, context)
            scratch.keep(reference, run)
        except SeveralRuns as place:
            waiting += place.references[::-1]
            continue
        except _Unreadable as reason:
            cards.append(reason.card)
            continue
        card = _card([run], lambda run=run: line_of(run))  # type: ignore[misc]
        cards.append(card)
        if card.error is None:
            digests += [digest(profile(part), reference) for part in taken_apart(run)]
    return Done(cards, digests)


def _together(references: Sequence[str], scratch: Scratch) -> Done:
    """The card of runs that are one training; none where one has changed since and cannot be read any more."""
    from runscope.stitching import stitch

    context = _context()
    try:
        runs = [scratch.get(reference) or _load(reference, context) for reference in references]
    except (SeveralRuns, _Unreadable):
        return Done(lost=True)
    return Done([_card(runs, lambda: stitch([part for run in runs for part in taken_apart(run)]))])


class _Changed(Exception):
    """A run is not there any more as it was judged: the next scan sees it as it is then."""


def _joined(references: Sequence[str], lot: Lot, scratch: Scratch) -> Done:
    """The trainings of several runs in a lot. Only runs that have to be compared anew are read."""
    from runscope.stitching import Answers, Plan, find_planned

    context = _context()
    answers = Answers(lot.told(), lot.before)

    @cache
    def parts(number: int) -> dict[int, Run]:
        try:
            run = scratch.get(references[number]) or _load(references[number], context)
            return {part.part: part for part in taken_apart(run)}
        except (SeveralRuns, _Unreadable) as error:
            raise _Changed from error

    def session(number: int, part: int) -> Run:
        try:
            return parts(number)[part]
        except KeyError as error:
            raise _Changed from error

    ordered = [partial(session, *member) for member in lot.members]
    try:
        found = find_planned(ordered, Plan.of_part(lot.plan), answers)
    except _Changed:
        return Done(answers=answers.now)
    if not lot.whole:
        return Done(answers=answers.now)
    trainings = as_runs([references[lot.members[n][0]] for n in training] for training in found)
    return Done(trainings=trainings, answers=answers.now)


class _Unreadable(Exception):
    def __init__(self, card: Card) -> None:
        super().__init__(card.headline)
        self.card = card


def _context() -> LoadContext:
    from runscope.store import RunStore

    return LoadContext(store=RunStore(), ask=False)


def _load(reference: str, context: LoadContext) -> Run:
    """Read a run.

    Raises:
        SeveralRuns: the place holds several.
        _Unreadable: it cannot be read; the card says why.
    """
    from runscope.sources import load

    try:
        return load(reference, context=context)
    except (SeveralRuns, MemoryError):
        raise
    except RunscopeError as error:
        raise _Unreadable(unreadable(reference, error.message, error.hint)) from error
    except Exception as error:
        said = f"it could not be read: {type(error).__name__}: {error}"
        hint = f"runscope show {reference} --debug shows where"
        raise _Unreadable(unreadable(reference, said, hint)) from error


def _card(runs: Sequence[Run], line: Callable[[], Any]) -> Card:
    """The card of one training."""
    from runscope.hub import saved_beside
    from runscope.rules import View
    from runscope.verdict import diagnose

    try:
        whole = line()
        return card_of(diagnose(View(whole, saved_beside(whole))))
    except MemoryError:
        raise
    except Exception as error:
        said = f"it could not be judged: {type(error).__name__}: {error}"
        hint = f"runscope diagnose {runs[0].reference} --debug shows where"
        return unreadable(runs[0].reference, said, hint)


def answer(job: Mapping[str, Any], do: Callable[[Task], Done] = done) -> dict[str, Any]:
    """What comes of each task of a job, as JSON has both."""
    return {"done": [do(Task.from_dict(task)).as_dict() for task in job["tasks"]]}


def serve(do: Callable[[Task], Done]) -> None:
    """Do jobs until the input ends."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not stand among the answers
    for line in sys.stdin.buffer:
        out.write(_as_line(answer(orjson.loads(line), do)))
        out.flush()


def _as_line(told: dict[str, Any]) -> bytes:
    """A line of JSON; logs may name halves of letters, which no encoding takes: a sign replaces them."""
    try:
        return orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n"
    except TypeError:
        return orjson.dumps(_whole_letters_in(told), option=orjson.OPT_SERIALIZE_NUMPY) + b"\n"


def _whole_letters_in(value: Any) -> Any:
    if isinstance(value, str):
        return whole_letters(value)
    if isinstance(value, dict):
        return {_whole_letters_in(key): _whole_letters_in(part) for key, part in value.items()}
    return [_whole_letters_in(part) for part in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    serve(partial(done, scratch=Scratch(*map(Path, sys.argv[1:]))))
