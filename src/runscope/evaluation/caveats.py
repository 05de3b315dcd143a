"""What a reader has to know before trusting a number: what was cut, left out, or says nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.scoring import Scoring
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.tasks.kinds import CUT, TASKS, UNENDED, Row, Task
from runscope.evaluation.tasks.speech import LOST


def left_unscored(examples: Sequence[Example], scoring: Scoring) -> list[str]:
    """A note where chats end with somebody else than the assistant, and only its turns are scored."""
    if scoring.chats == "all":
        return []
    count = sum(e.chat is not None and e.chat.answer < len(e.chat.turns) - 1 for e in examples)
    chats = "1 conversation ends" if count == 1 else f"{count:,} conversations end"
    return (
        [f"{chats} with a turn that is not the assistant's, which is not scored: the answer before it is"]
        if count
        else []
    )


def without_effect(settings: EvaluateSettings) -> list[str]:
    """A note on options for answers where none are asked for; what a task of the user's own does with them is its."""
    asked = {settings.task, settings.beside} - {None}
    if "answer" in asked or not asked <= TASKS.keys():
        return []
    given = [f"--scorer {settings.scorer}"] if settings.scorer != EvaluateSettings.scorer else []
    given += [f"--samples {settings.samples}"] if settings.samples > 1 else []
    given += [f"--temperature {settings.temperature:g}"] if settings.temperature else []
    given += (
        [f"--extract {settings.extract}"] if settings.extract is not None and "number" not in asked else []
    )
    return (
        [
            f"{' and '.join(given)} had no effect: the task was {settings.task} (--task answer asks for answers)"
        ]
        if given
        else []
    )


def cut_notes(rows: Sequence[Row], task: Task) -> list[str]:
    """What was cut off examples and answers, from the rows of one checkpoint."""
    cut = [row[CUT] for row in rows if CUT in row]
    lost = sum(row.get("tokens") == 0 for row in rows)
    unended = sum(bool(row.get(UNENDED)) for row in rows)
    of = f"of {len(rows):,}"
    scoring = task.settings.scoring
    where = f"the model takes, and were cut {task.cuts}"
    if scoring.max_length and scoring.keep == "start":
        where = f"the training's {scoring.max_length:,} tokens, and were cut at the end as it did"
    notes = (
        [f"{len(cut):,} {of} examples are longer than {where} (by {max(cut):,} tokens at most)"]
        if cut
        else []
    )
    if lost:
        notes.append(f"{lost:,} {of} examples have nothing left to score after that, and count for nothing")
    if unheard := [row[LOST] for row in rows if LOST in row]:
        notes.append(
            f"{len(unheard):,} {of} sounds are longer than the model takes, and were cut at the end (by "
            f"{max(unheard):.1f} seconds at most)"
        )
    if unended:
        notes.append(
            f"{unended:,} {of} answers had not ended at --max-new-tokens and were cut off there; if more would change "
            "how they score, allow more"
        )
    return notes


def futile(task: Task, examples: Sequence[Example], rows: Mapping[int, Sequence[Row]]) -> str:
    """Why a comparison of answers is none, to be said before anything else; "" where it is one.

    Args:
        task: what was asked.
        examples: in the order in which they were asked.
        rows: of every checkpoint, as far as it was asked.
    """
    asked = [(row, example) for own in rows.values() for row, example in zip(own, examples, strict=False)]
    answers = [
        str(said) for row, _ in asked if "answer" in row for said in row.get("answers", [row["answer"]])
    ]
    if not answers or task.metric.continuous:  # a loss says something, whatever the answers say
        return ""
    empty = sum(not a.strip() for a in answers)
    if empty == len(answers):
        return "Every answer of every checkpoint is empty: this shows nothing about which is better."
    values = np.array([task.scores(row, e)[task.metric.name] for row, e in asked])
    if task.metric.lower_is_better or values.any():
        return ""
    shown = f"asked for {asked[0][1].completion.strip()[:40]!r}, the first said {answers[0].strip()[:40]!r}"
    blank = f", {empty:,} of them empty" if empty else ""
    return (
        f"Every answer of every checkpoint is wrong ({len(answers):,} answers{blank}; {shown}): this shows nothing "
        "about which is better. Are the scorer, --extract and --max-new-tokens right?"
    )
