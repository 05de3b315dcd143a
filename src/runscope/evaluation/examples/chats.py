"""Conversations in the forms that data sets have them, as turns that chat templates take."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any

from runscope.errors import InputError
from runscope.evaluation.examples.example import Chat, Example, Turn, said, unweighted

COLUMNS = (
    "messages",
    "conversations",
    "conversation",
    "dialogue",
    "dialog",
    "data",
    "items",
    "turns",
    "chat",
    "contents",
)
"""Columns that hold a whole conversation as a list."""
_ROLE = ("role", "from", "speaker", "author", "sender")
_CONTENT = ("content", "value", "text", "message", "utterance", "parts")
_ROLES = {
    "human": "user", "prompter": "user", "customer": "user", "student": "user",
    "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant", "model": "assistant", "ai": "assistant",
    "chatbot": "assistant", "bing": "assistant", "bard": "assistant", "function_call": "assistant",
    "tool_call": "assistant",
    "observation": "tool", "function_response": "tool", "tool_response": "tool", "function": "tool",
}  # fmt: skip
"""ShareGPT's and other sets' names of roles; one that is not here is passed to the template as it is."""


def turns_of(value: Any, where: str) -> tuple[Turn, ...]:
    """The turns of a conversation; none where the value is no conversation.

    A list of ``{role, content}`` or ``{from, value}``, or of ``{input, output}`` pairs; the same as text of JSON or of
    Python, as tables write them; or a list of each, as the ``datasets`` library keeps sequences.

    Raises:
        InputError: a turn holds an image or sound.
    """
    if isinstance(value, str) and value.lstrip()[:2] == "[{":
        value = _parsed(value)
    if isinstance(value, Mapping) and value and all(isinstance(column, list) for column in value.values()):
        lengths = {len(column) for column in value.values()}
        value = (
            [dict(zip(value, turn, strict=True)) for turn in zip(*value.values(), strict=True)]
            if len(lengths) == 1
            else ()
        )
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence) or not value:
        return ()
    if not all(isinstance(turn, Mapping) for turn in value):
        return ()
    if all(isinstance(t.get("input"), str) and isinstance(t.get("output"), str) for t in value):
        return tuple(
            {"role": role, "content": turn[column]}
            for turn in value
            for role, column in (("user", "input"), ("assistant", "output"))
        )
    found = [_turn(turn, where) for turn in value]
    return tuple(turn for turn in found if turn is not None) if None not in found else ()


def _parsed(text: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return ()


def roles_of(row: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """The roles in a row's conversation, each once."""
    found = next((turns for c in (*COLUMNS, "prompt") if (turns := turns_of(row.get(c), where))), ())
    return tuple(dict.fromkeys(str(turn["role"]) for turn in found))


def alternating(row: Mapping[str, Any]) -> tuple[Turn, ...]:
    """A conversation as a list of texts, the user's first (LIMA, UltraChat)."""
    for column in COLUMNS:
        value = row.get(column)
        if isinstance(value, list) and len(value) > 1 and all(isinstance(text, str) for text in value):
            return tuple({"role": ("user", "assistant")[i % 2], "content": t} for i, t in enumerate(value))
    return ()


def _turn(turn: Mapping[str, Any], where: str) -> Turn | None:
    """Role and content under these names, and whatever else the turn says; None where it has neither."""
    role = next((name for name in _ROLE if isinstance(turn.get(name), str)), None)
    content = next((name for name in _CONTENT if name in turn), None)
    if role is None or (content is None and not turn.get("tool_calls")):
        return None
    name = turn[role].strip()
    # A list that was saved as a table names every key in every turn: one that says nothing is left out.
    more = {k: v for k, v in turn.items() if k not in (role, content) and v is not None}
    own = _ROLES.get(name.lower(), name.lower() if name.lower() in ("user", "assistant", "system") else name)
    return {"role": own, "content": _text(turn.get(content) if content else None, where), **more}


def _text(content: Any, where: str) -> str:
    """Content as text: nothing is empty, parts are joined."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, Sequence):
        return str(content)
    texts = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
            continue
        if not isinstance(part, Mapping) or not isinstance(part.get("text"), str):
            kind = (
                part.get("type") or next(iter(part), "") if isinstance(part, Mapping) else type(part).__name__
            )
            seen = any(word in str(kind) for word in ("image", "audio", "video", "sound", "file"))
            raise InputError(
                f"{where} holds a turn with a part of the type {kind!r}: only text is evaluated",
                hint="leave out examples with images or sound"
                if seen
                else "write what is said as text in content (calls as tool_calls), or leave out such examples",
            )
        texts.append(part["text"])
    return "".join(texts)


def chat_example(
    turns: Sequence[Turn], row: Mapping[str, Any], cluster: str, given: int | None = None
) -> Example | None:
    """An example of a conversation; None where the assistant says nothing in it.

    Args:
        turns: all of them.
        row: its ``tools`` and ``chat_template_kwargs`` count.
        cluster: its source.
        given: how many of the first turns are the prompt, where that is told.
    """
    if not any(turn["role"] == "assistant" and not unweighted(turn) for turn in turns[given or 0 :]):
        return None
    tools, extra = _json(row.get("tools")), _json(row.get("chat_template_kwargs"))
    chat = Chat(
        tuple(turns), given, tuple(tools) if isinstance(tools, Sequence) else (),
        tuple(sorted(extra.items())) if isinstance(extra, Mapping) else (),
    )  # fmt: skip
    return Example(chat.turns[: chat.answer], said(chat.turns[chat.answer]), cluster, chat=chat)


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None
