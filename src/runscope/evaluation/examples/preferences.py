"""Rows with a chosen and a rejected answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runscope.evaluation.examples.chats import chat_example, turns_of
from runscope.evaluation.examples.columns import as_text, cluster_of, paired
from runscope.evaluation.examples.example import Example, Turn, alike_at_first, said

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
    whole, other = (
        told if told[0]["role"] != "assistant" else (*prompt, *told)
        for told in (_to_the_answer(chosen), _to_the_answer(rejected))
    )
    example = chat_example(whole, row, cluster_of(row), len(whole) - 1)
    if example is None:
        return None
    # Where earlier turns differ too, the two are not answers to one question: there is nothing to choose.
    both = (example.completion, said(other[-1])) if whole[:-1] == other[:-1] else ()
    return Example(example.prompt, example.completion, example.cluster, both, example.chat)


def _to_the_answer(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The turns up to the assistant's last; all of them where it says nothing."""
    own = [i for i, turn in enumerate(turns) if turn["role"] == "assistant"]
    return tuple(turns[: own[-1] + 1] if own else turns)
