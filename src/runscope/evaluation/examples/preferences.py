"""Rows with a chosen and a rejected answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runscope.evaluation.examples.chats import chat_example, turns_of
from runscope.evaluation.examples.columns import as_text, cluster_of, paired
from runscope.evaluation.examples.example import Example, alike_at_first

_MARK = "Assistant:"
"""Before each answer in dialogues that are one text, as Anthropic's are."""


def preference(row: Mapping[str, Any], where: str) -> Example | None:
    """The chosen answer as the completion, and both as choices, the chosen one first.

    Both as text or as turns, with a prompt of their own or with what they begin with alike.
    """
    both = [turns_of(row.get(name), where) for name in ("chosen", "rejected")]
    if all(both):
        return _of_turns(row, both[0], both[1], where)
    chosen, rejected = as_text(row.get("chosen")), as_text(row.get("rejected"))
    if chosen is None or rejected is None:
        return None
    begun = turns_of(row.get("prompt"), where)
    if begun:
        return Example(begun, chosen, cluster_of(row), (chosen, rejected))
    given = paired({**row, "completion": chosen, "output": chosen, "response": chosen, "answer": chosen})
    if given is not None:
        return Example(given[0], chosen, cluster_of(row, given[2]), (chosen, rejected))
    shared = chosen[: alike_at_first(chosen, rejected)]
    begin = shared.rfind(_MARK) + len(_MARK) if _MARK in shared else 0
    return Example(chosen[:begin], chosen[begin:], cluster_of(row), (chosen[begin:], rejected[begin:]))


def _of_turns(row: Mapping[str, Any], chosen: Any, rejected: Any, where: str) -> Example | None:
    """The last turns are what is compared; what stands before them in the chosen one is the prompt."""
    prompt = turns_of(row.get("prompt"), where)
    asked = as_text(row.get("prompt")) or as_text(row.get("question"))
    if not prompt and asked is not None:
        prompt = ({"role": "user", "content": asked},)
    system = as_text(row.get("system"))
    if system and prompt and prompt[0]["role"] != "system":
        prompt = ({"role": "system", "content": system}, *prompt)
    whole = chosen if chosen[0]["role"] != "assistant" else (*prompt, *chosen)
    example = chat_example(whole, row, cluster_of(row), len(whole) - 1)
    return example and Example(
        example.prompt, example.completion, example.cluster, (example.completion, str(rejected[-1]["content"])),
        example.chat,
    )  # fmt: skip
