"""One worker of a survey: ``python -m runscope.survey.worker`` reads jobs, a line of JSON each, and answers in kind.

A process of its own, because a damaged file may cost a worker its memory or its life: the survey then says so for
that one reference, starts another worker and goes on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import orjson

from runscope.errors import RunscopeError, SeveralRuns
from runscope.survey.card import Card, card_of, unreadable


def cards_of(references: Sequence[str]) -> list[Card]:
    """Judge what references name: one as it is, several as runs of which some may continue others.

    Returns:
        A card for each training; one that says why for each reference that could not be read.
    """
    from runscope.history import Run
    from runscope.hub import saved_beside
    from runscope.rules import View
    from runscope.sources import LoadContext, load
    from runscope.stitching import find, line_of, stitch
    from runscope.store import RunStore
    from runscope.verdict import diagnose

    cards: list[Card] = []
    runs: list[Run] = []
    context = LoadContext(store=RunStore(), ask=False)
    waiting = list(references)[::-1]
    while waiting:
        reference = waiting.pop()
        try:
            runs.append(load(reference, context=context))
        except SeveralRuns as place:
            waiting += place.references[::-1]
        except RunscopeError as error:
            cards.append(unreadable(reference, error.message, error.hint))
        except MemoryError:
            raise
        except Exception as error:
            cards.append(
                unreadable(
                    reference,
                    f"it could not be read: {type(error).__name__}: {error}",
                    f"runscope show {reference} --debug shows where",
                )
            )
    for training in find(runs) if len(runs) > 1 else [[run] for run in runs]:
        try:
            line = line_of(training[0]) if len(training) == 1 else stitch(training)
            cards.append(card_of(diagnose(View(line, saved_beside(line)))))
        except Exception as error:
            cards += [
                unreadable(
                    run.reference,
                    f"it could not be judged: {type(error).__name__}: {error}",
                    f"runscope diagnose {run.reference} --debug shows where",
                )
                for run in training
            ]
    return cards


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """The cards of each group of references of a job."""
    return {"cards": [[c.as_dict() for c in cards_of(group)] for group in job["groups"]]}


def main() -> None:
    """Serve jobs until the input ends."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not stand among the answers
    for line in sys.stdin.buffer:
        out.write(orjson.dumps(answer(orjson.loads(line)), option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
        out.flush()


if __name__ == "__main__":
    main()
