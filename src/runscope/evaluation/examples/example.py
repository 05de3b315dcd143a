"""One example: what is given, and what a model is to say."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from runscope.evaluation.examples.media import Media

Turn = Mapping[str, Any]
"""A turn of a chat as templates take it: ``role`` and ``content`` (text), ``tool_calls`` and the like beside them."""


@dataclass(frozen=True)
class Chat:
    """A conversation as its row holds it.

    Attributes:
        turns: all of them, in order.
        given: how many of the first ones are the prompt, where the row has prompt and completion apart; None where
            it is one list of messages.
        tools: what the model may call, as templates take it.
        extra: other words for the template (``chat_template_kwargs`` of the row).
    """

    turns: tuple[Turn, ...]
    given: int | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    extra: tuple[tuple[str, Any], ...] = ()

    @property
    def answer(self) -> int:
        """Position of the last turn that is the assistant's, and not told to be left out of training."""
        return max(
            i for i, turn in enumerate(self.turns) if turn["role"] == "assistant" and not unweighted(turn)
        )


def unweighted(turn: Turn) -> bool:
    """Whether a turn is context alone: OpenAI's format has a ``weight`` of 0 for what is not trained on."""
    return turn.get("weight") is not None and turn["weight"] in (0, "0", False)


@dataclass(frozen=True)
class Example:
    """One example.

    Attributes:
        prompt: what is given; empty for plain text; of a chat the turns before the assistant's last.
        completion: what the model is to say, or the right answer.
        cluster: its source; its own identity where examples are independent.
        choices: what a model is to choose from; ``completion`` is one of them.
        chat: the whole conversation, where the row is one.
        parts: what else is asked: of a model with a head a second text, words, a picture, a sound; by a task of
            lm-evaluation-harness its requests.
        row: what else the user's file has of it, for scorers: tests, references, metadata. No part of its identity.
        apart: tells it from examples of the same content, where what else is in the row matters.
    """

    prompt: str | tuple[Turn, ...]
    completion: str
    cluster: str = ""
    choices: tuple[str, ...] = ()
    chat: Chat | None = None
    parts: tuple[Any, ...] = ()
    row: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    apart: str = ""

    @cached_property
    def id(self) -> str:
        """Identity: that of its content, and of the row where that matters."""
        return self.content if not self.apart else _digest([self.content, self.apart])

    @cached_property
    def content(self) -> str:
        """Identity of what a model reads and is to say."""
        content: list[Any] = [self.prompt, self.completion]
        if self.choices or self.chat:
            content.append(self.choices)
        if self.chat is not None:
            content += [self.chat.turns, self.chat.given, self.chat.tools, self.chat.extra]
        if self.parts:
            content.append({"parts": self.parts})
        return _digest(content)

    @property
    def size(self) -> int:
        """Characters, a stand-in for its tokens."""
        return len(self.shown) + len(self.completion)

    @property
    def shown(self) -> str:
        """The prompt as a person reads it."""
        if isinstance(self.prompt, str):
            return self.prompt or next((p.name for p in self.parts if isinstance(p, Media)), "")
        return "\n".join(f"{turn['role']}: {said(turn)}" for turn in self.prompt)

    def with_each_choice(self) -> list[Example]:
        """The prompt with each choice as its completion."""
        return [Example(self.prompt, choice, self.cluster) for choice in self.choices]


def apart_from_others(row: Mapping[str, Any]) -> str:
    """What tells an example from others of the same content: all of its row."""
    return _digest(row)


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:24]


def said(turn: Turn) -> str:
    """What a turn says, as text: its content, else its tool calls as JSON."""
    if turn.get("content"):
        return str(turn["content"])
    calls = [call.get("function", call) for call in turn.get("tool_calls") or ()]
    return (
        json.dumps(calls[0] if len(calls) == 1 else calls, ensure_ascii=False, default=str) if calls else ""
    )


def alike_at_first(some: Sequence[Any], others: Sequence[Any]) -> int:
    """How many of the first elements (tokens, characters) are the same in both."""
    both = zip(some, others, strict=False)
    return next((i for i, (a, b) in enumerate(both) if a != b), min(len(some), len(others)))


def shuffled(examples: Sequence[Example], seed: int, at_most: int | None = None) -> tuple[Example, ...]:
    """Examples in a random order that depends on nothing but the seed and their content."""
    ordered = sorted(examples, key=lambda e: e.id)
    random.Random(seed).shuffle(ordered)
    return tuple(ordered[:at_most])
