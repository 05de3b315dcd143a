"""What a model's chat template makes of a conversation, and which tokens of it are the assistant's."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from runscope.errors import InputError
from runscope.evaluation.examples.example import Chat, Turn, said, unweighted
from runscope.evaluation.examples.limits import limited

_ROLES = ("system", "user", "assistant", "tool")
"""What every template is written for."""
_MARKED = re.compile(r"\{%-?\s*generation\s*-?%\}")


def require_template(tokenizer: Any) -> None:
    """Refuse a chat where nothing says how it is written.

    Raises:
        InputError: the tokenizer has no chat template.
    """
    if tokenizer.chat_template is None:
        raise InputError(
            "the examples are chats, but the model's tokenizer has no chat template",
            hint="give prompt and completion as text, or name a base with a chat template",
        )


def render(tokenizer: Any, chat: Chat, turns: Sequence[Turn], *, prompt: bool = False) -> str:
    """The turns as the template writes them.

    Args:
        tokenizer, chat: the chat's tools are offered.
        turns: some of the chat's.
        prompt: with what stands before the assistant's next turn.

    Raises:
        InputError: the template refuses the conversation.
    """
    from jinja2 import TemplateError

    try:
        with limited():
            return str(
                tokenizer.apply_chat_template(
                    [dict(t) for t in turns], tokenize=False, add_generation_prompt=prompt,
                    tools=[dict(t) for t in chat.tools] or None, **dict(chat.extra),
                )
            )  # fmt: skip
    except (  # what a template's own expressions raise
        TemplateError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        roles = ", ".join(str(t["role"]) for t in turns)
        raise InputError(
            f"the model's chat template refuses a conversation of {roles}: {error}",
            hint="leave such examples out, or bring them into the form that the model was trained on",
        ) from error


def render_ids(tokenizer: Any, chat: Chat, turns: Sequence[Turn], *, prompt: bool = False) -> list[int]:
    """The same as token ids; the template writes the special tokens itself."""
    if not turns and not prompt:
        return []
    text = render(tokenizer, chat, turns, prompt=prompt)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def require_roles(tokenizer: Any, chat: Chat) -> None:
    """Refuse a conversation of which the template leaves out turns, as it does not know their role.

    Raises:
        InputError: it does.
    """
    odd = [
        turn for turn in chat.turns if turn["role"] not in _ROLES and str(turn.get("content") or "").strip()
    ]
    if not odd:
        return
    text = render(tokenizer, chat, chat.turns)
    for turn in odd:
        if str(turn["content"]).strip() not in text:
            raise InputError(
                f"the model's chat template leaves out what {turn['role']!r} says",
                hint=f"name the roles as it does: {', '.join(_ROLES)}",
            )


def require_rendered(tokenizer: Any, chat: Chat, number: int) -> None:
    """Refuse to score a turn that the template leaves out: a call of a tool.

    Raises:
        InputError: the turn of that number is a tool call, and the template writes none.
    """
    turn = chat.turns[number]
    if turn.get("content") or not turn.get("tool_calls"):
        return
    silent = {k: v for k, v in turn.items() if k != "tool_calls"}
    before = chat.turns[:number]
    if render(tokenizer, chat, (*before, turn)) == render(tokenizer, chat, (*before, silent)):
        raise InputError(
            f"an answer is a tool call ({said(turn)[:80]}), and the model's chat template writes no tool calls",
            hint="name a base whose template does, or leave such examples out",
        )


def assistant_positions(tokenizer: Any, chat: Chat) -> list[int]:
    """Positions of the tokens that the assistant says, of the whole conversation; not of turns with a weight of 0.

    By the template's own ``{% generation %}`` marks; where it has none, what each of the assistant's turns adds behind
    the words that invite it, as the templates that TRL trains with mark it.
    """
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default", "")
    if _MARKED.search(template or "") and tokenizer.is_fast:
        with limited():
            made = tokenizer.apply_chat_template(
                [dict(t) for t in chat.turns], tokenize=True, return_dict=True, return_assistant_tokens_mask=True,
                tools=[dict(t) for t in chat.tools] or None, **dict(chat.extra),
            )  # fmt: skip
        found = [i for i, own in enumerate(made["assistant_masks"]) if own]
    else:
        found = _by_difference(tokenizer, chat, lambda _turn: True)
    if any(map(unweighted, chat.turns)):
        context = set(_by_difference(tokenizer, chat, unweighted))
        found = [i for i in found if i not in context]
    return found


def _by_difference(tokenizer: Any, chat: Chat, wanted: Callable[[Turn], bool]) -> list[int]:
    text = render(tokenizer, chat, chat.turns)
    spans, end = [], 0
    for i, turn in enumerate(chat.turns):
        if turn["role"] != "assistant" or not wanted(turn):
            continue
        begin = len(render(tokenizer, chat, chat.turns[:i], prompt=True))
        upto = render(tokenizer, chat, chat.turns[: i + 1])
        if not text.startswith(upto) or not end <= begin <= len(upto):
            # Some templates write earlier turns otherwise than the last one, without their thinking.
            begin = text.find(said(turn).strip(), end)
            if begin < 0:
                raise InputError(
                    "the model's chat template does not show which words are the assistant's",
                    hint="score another part: --score last or --score all",
                )
            upto = text[: begin + len(said(turn).strip())]
        spans.append((begin, len(upto)))
        end = len(upto)
    return _within(tokenizer, text, spans)


def _within(tokenizer: Any, text: str, spans: Sequence[tuple[int, int]]) -> list[int]:
    """Positions of the tokens that begin within one of the spans of characters."""
    if tokenizer.is_fast:
        made = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        begins = [begin for begin, _ in made["offset_mapping"]]
    else:  # counted in tokens of what stands before
        whole = tokenizer(text, add_special_tokens=False)["input_ids"]
        edges = [
            [len(tokenizer(text[:place], add_special_tokens=False)["input_ids"]) for place in span]
            for span in spans
        ]
        return [i for i in range(len(whole)) if any(a <= i < b for a, b in edges)]
    return [i for i, place in enumerate(begins) if any(a <= place < b for a, b in spans)]
