"""Examples as token ids: which of them are scored, and where a model goes on by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runscope.errors import InputError
from runscope.evaluation.examples import templates
from runscope.evaluation.examples.example import Chat, Example, alike_at_first
from runscope.evaluation.examples.scoring import COMPLETION, Scoring


@dataclass(frozen=True)
class Encoded:
    """Token ids of an example.

    Attributes:
        ids: what the model reads.
        scored: positions in ``ids`` whose tokens are scored, rising; never the first, which nothing predicts.
        given: what stands before a generated answer: the prompt by itself, as it is when nobody knows the answer.
        cut: how many tokens were cut off.
    """

    ids: tuple[int, ...]
    scored: tuple[int, ...]
    given: tuple[int, ...] = ()
    cut: int = 0

    @property
    def first(self) -> int:
        """The earliest scored position; the last one where none is."""
        return self.scored[0] if self.scored else len(self.ids) - 1


def encode(
    tokenizer: Any, example: Example, limit: int, *, chat: bool = False, scoring: Scoring = COMPLETION
) -> Encoded:
    """Prompt and completion as one text, split where the prompt's own tokens end.

    Tokenised together because that is what the model was trained on: a token may reach over the seam, and
    then belongs to the completion.

    Args:
        tokenizer: of the model.
        example: what to encode.
        limit: most tokens that the model takes.
        chat: a prompt of plain text is what a user says.
        scoring: what is scored, and which end of a longer example is kept.

    Raises:
        InputError: a chat without a template, or a template that does not render what is to be scored.
    """
    talk = example.chat
    if talk is None and (chat or not isinstance(example.prompt, str)):
        talk = _as_chat(example)
    given, ids, scored = (
        _text(tokenizer, example, scoring) if talk is None else _chat(tokenizer, talk, scoring)
    )
    return _cut(tokenizer, given, ids, [i for i in scored if i > 0], limit, scoring)


def _as_chat(example: Example) -> Chat:
    turns = example.prompt
    if isinstance(turns, str):
        turns = ({"role": "user", "content": turns},)
    return Chat((*turns, {"role": "assistant", "content": example.completion}), len(turns))


def _text(tokenizer: Any, example: Example, scoring: Scoring) -> tuple[list[int], list[int], list[int]]:
    prompt, completion = str(example.prompt), example.completion
    if scoring.end_token and tokenizer.eos_token and not completion.endswith(tokenizer.eos_token):
        completion += tokenizer.eos_token
    given = text_ids(tokenizer, prompt) if prompt else []
    ids = text_ids(tokenizer, prompt + completion)
    if not prompt or scoring.pairs == "all":
        return given, ids, list(range(len(ids)))
    return given, ids, list(range(alike_at_first(given, ids), len(ids))) if completion else []


def text_ids(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text, with one beginning-of-text token where the tokenizer adds one.

    A prompt that was exported with its special tokens begins with one already.
    """
    ids = list(tokenizer(text)["input_ids"])
    begin = tokenizer.bos_token_id
    return ids[1:] if begin is not None and ids[:2] == [begin, begin] else ids


def _chat(tokenizer: Any, chat: Chat, scoring: Scoring) -> tuple[list[int], list[int], list[int]]:
    templates.require_template(tokenizer)
    templates.require_roles(tokenizer, chat)
    given = templates.render_ids(tokenizer, chat, chat.turns[: chat.answer], prompt=True)
    part = scoring.chats if chat.given is None else scoring.pairs
    if part == "completion":
        turns = chat.turns[: chat.answer + 1]
        templates.require_rendered(tokenizer, chat, chat.answer)
        ids = templates.render_ids(tokenizer, chat, turns)
        return given, ids, list(range(alike_at_first(given, ids), len(ids)))
    ids = templates.render_ids(tokenizer, chat, chat.turns)
    scored = set(range(len(ids)))
    if part == "assistant" or (scoring.assistant_only and chat.given is not None):
        for number, turn in enumerate(chat.turns):
            if turn["role"] == "assistant":
                templates.require_rendered(tokenizer, chat, number)
        scored = set(templates.assistant_positions(tokenizer, chat))
    if chat.given is not None and part in ("after", "assistant"):
        before = templates.render_ids(tokenizer, chat, chat.turns[: chat.given], prompt=True)
        scored &= set(range(alike_at_first(before, ids), len(ids)))
    return given, ids, sorted(scored)


def _cut(
    tokenizer: Any, given: list[int], ids: list[int], scored: list[int], limit: int, scoring: Scoring
) -> Encoded:
    """What is longer than the limit loses its end, or its beginning behind the beginning-of-text token."""
    longest = min(limit, scoring.max_length or limit)
    away = max(len(ids) - longest, 0)
    if away and scoring.keep == "start":
        ids, scored = ids[:longest], [i for i in scored if i < longest]
    elif away:
        ids, scored = shortened(tokenizer, ids, longest), [i - away for i in scored if i > away]
    return Encoded(tuple(ids), tuple(scored), tuple(given or ids[:1]), away)


def shortened(tokenizer: Any, ids: Sequence[int], longest: int) -> list[int]:
    """The last ids, behind the beginning-of-text token where there is one: models are lost without it."""
    if len(ids) <= longest:
        return list(ids)
    begin = tokenizer.bos_token_id
    if begin is not None and ids[0] == begin and longest > 1:
        return [begin, *ids[len(ids) - longest + 1 :]]
    return list(ids[-longest:])


def require_scored(rows: Sequence[Encoded], examples: Sequence[Example], scoring: Scoring) -> None:
    """Refuse what a loss cannot be taken of, but for what the training cut off too.

    Raises:
        InputError: a completion is empty.
    """
    for row, example in zip(rows, examples, strict=True):
        if not row.scored and not (row.cut and scoring.keep == "start"):
            raise InputError(
                f"an example has no token to score: prompt {example.shown[-60:]!r}, "
                f"completion {example.completion[:60]!r}",
                hint="leave out empty completions",
            )


def longest_first(lengths: Sequence[int]) -> list[int]:
    """Positions in order of length: batches need little padding, and what does not fit shows at once."""
    return sorted(range(len(lengths)), key=lambda i: -lengths[i])
