"""Examples as token ids, cut as the trainers cut them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runscope.errors import InputError
from runscope.evaluation.examples.reading import Example


@dataclass(frozen=True)
class Encoded:
    """Token ids of an example, how many of the last ones are scored, and how many were cut off in front."""

    ids: tuple[int, ...]
    scored: int
    cut: int = 0

    def prompt(self, limit: int) -> tuple[int, ...]:
        """The ids before the scored ones, the last ``limit`` of them."""
        return self.ids[: len(self.ids) - self.scored][-limit:]


def encode(tokenizer: Any, example: Example, limit: int, *, chat: bool = False) -> Encoded:
    """Prompt and completion as one text, split where the prompt's own tokens end.

    Tokenised together because that is what the model was trained on: a token may reach over the seam, and
    then belongs to the completion. What is longer than ``limit`` loses the beginning of its prompt.

    Args:
        tokenizer: of the model.
        example: what to encode.
        limit: most tokens.
        chat: a prompt of plain text is what a user says.

    Raises:
        InputError: nothing to score, or a chat without a template.
    """
    turns = example.prompt
    if chat and isinstance(turns, str):
        turns = ({"role": "user", "content": turns},)
    if isinstance(turns, str):
        if turns and not example.completion:
            ids = tuple(tokenizer(turns)["input_ids"])
            return Encoded(ids[-limit:], 0, max(len(ids) - limit, 0))
        before = list(tokenizer(turns)["input_ids"]) if turns else []
        whole = list(tokenizer(turns + example.completion)["input_ids"])
    else:
        before, whole = _chat(tokenizer, [dict(t) for t in turns], example.completion)
    shared = 0
    while shared < min(len(before), len(whole) - 1) and before[shared] == whole[shared]:
        shared += 1
    scored = len(whole) - max(shared, 1)  # nothing predicts the first token
    if scored < 1:
        raise _nothing_to_score(example)
    kept = whole[-limit:]
    return Encoded(tuple(kept), min(scored, len(kept) - 1), len(whole) - len(kept))


def require_scored(rows: Sequence[Encoded], examples: Sequence[Example]) -> None:
    """Refuse what a loss cannot be taken of.

    Raises:
        InputError: a completion is empty.
    """
    for row, example in zip(rows, examples, strict=True):
        if not row.scored:
            raise _nothing_to_score(example)


def _nothing_to_score(example: Example) -> InputError:
    return InputError(
        f"an example has no token to score: prompt {example.shown[-60:]!r}, completion {example.completion[:60]!r}",
        hint="leave out empty completions",
    )


def _chat(tokenizer: Any, turns: list[dict[str, str]], completion: str) -> tuple[list[int], list[int]]:
    if tokenizer.chat_template is None:
        raise InputError(
            "the examples are chats, but the model's tokenizer has no chat template",
            hint="give prompt and completion as text, or name a base with a chat template",
        )
    answer = {"role": "assistant", "content": completion}
    before = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template([*turns, answer], tokenize=False)
    as_ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (before, whole)]
    return list(as_ids[0]), list(as_ids[1])


def longest_first(lengths: Sequence[int]) -> list[int]:
    """Positions in order of length: batches need little padding, and what does not fit shows at once."""
    return sorted(range(len(lengths)), key=lambda i: -lengths[i])
