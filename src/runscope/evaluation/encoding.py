"""Examples as token ids, cut as the trainers cut them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from runscope.errors import InputError
from runscope.evaluation.examples import Example


@dataclass(frozen=True)
class Encoded:
    """Token ids of an example, and how many of the last ones are scored."""

    ids: tuple[int, ...]
    scored: int


def encode(tokenizer: Any, example: Example, limit: int) -> Encoded:
    """Prompt and completion as one text, split where the prompt's own tokens end.

    Tokenised together because that is what the model was trained on: a token may reach over the seam, and
    then belongs to the completion. What is longer than ``limit`` loses the beginning of its prompt.
    """
    if isinstance(example.prompt, str):
        before = list(tokenizer(example.prompt)["input_ids"]) if example.prompt else []
        whole = list(tokenizer(example.prompt + example.completion)["input_ids"])
    else:
        before, whole = _chat(tokenizer, example)
    shared = 0
    while shared < min(len(before), len(whole) - 1) and before[shared] == whole[shared]:
        shared += 1
    scored = len(whole) - max(shared, 1)  # nothing predicts the first token
    if scored < 1:
        raise InputError(
            f"an example has no token to score: {example.completion[:60]!r}",
            hint="leave out empty completions",
        )
    kept = whole[-limit:]
    return Encoded(tuple(kept), min(scored, len(kept) - 1))


def _chat(tokenizer: Any, example: Example) -> tuple[list[int], list[int]]:
    if tokenizer.chat_template is None:
        raise InputError(
            "the examples are chats, but the model's tokenizer has no chat template",
            hint="give prompt and completion as text, or name a base with a chat template",
        )
    turns = [dict(m) for m in example.prompt if isinstance(m, dict)]
    answer = {"role": "assistant", "content": example.completion}
    before = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template([*turns, answer], tokenize=False)
    as_ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (before, whole)]
    return list(as_ids[0]), list(as_ids[1])


def batches(encoded: Sequence[Encoded], tokens: int) -> Iterator[list[int]]:
    """Positions of examples, longest first, in batches of at most ``tokens`` with padding."""
    order = sorted(range(len(encoded)), key=lambda i: -len(encoded[i].ids))
    batch: list[int] = []
    for position in order:
        width = len(encoded[batch[0]].ids) if batch else 0
        if batch and width * (len(batch) + 1) > tokens:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch
