"""Which tokens of an example are scored, and what is cut: as the user says, or as the training did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Part = Literal["completion", "after", "assistant", "all"]
"""``completion``: what the model is to say, of a chat the assistant's last turn. ``after``: all that follows the
prompt. ``assistant``: every turn of the assistant. ``all``: every token but the first, which nothing predicts."""
SCORES = ("auto", "completion", "assistant", "all", "last")


@dataclass(frozen=True)
class Scoring:
    """What of an example is scored.

    Attributes:
        pairs: of examples with a prompt and a completion.
        chats: of conversations that are one list of messages.
        assistant_only: of ``pairs`` that are chats only the assistant's turns.
        end_token: the end-of-text token is added to what is no chat, and scored.
        text: column that the training took its texts from, where a row has no prompt or conversation.
        max_length: most tokens; None for what the model takes.
        keep: which end of a longer example is kept; in front the beginning-of-text token always is.
    """

    pairs: Part = "completion"
    chats: Part = "completion"
    assistant_only: bool = False
    end_token: bool = False
    text: str | None = None
    max_length: int | None = None
    keep: Literal["start", "end"] = "end"


COMPLETION = Scoring()
"""The completion alone: what tasks need that compare answers."""


def scoring_of(score: str, training: Mapping[str, Any] | None = None) -> Scoring:
    """How examples are scored.

    TRL's SFTTrainer adds the end-of-text token to what is no chat, scores the completion of prompt and completion
    (all of it where ``completion_only_loss`` is false), all tokens of texts and conversations (the assistant's turns
    where ``assistant_only_loss`` is set), and cuts the end at ``max_length``. That is followed where ``training`` is
    its configuration.

    Args:
        score: one of ``SCORES``; ``last`` is the assistant's last turn, ``auto`` what the training scored.
        training: the training's arguments, where they are known.
    """
    trained = _trained(training) if training and "completion_only_loss" in training else COMPLETION
    if score == "auto":
        return trained
    part: Part = "assistant" if score == "assistant" else "all" if score == "all" else "completion"
    return replace(trained, pairs=part, chats=part, assistant_only=False)


def _trained(training: Mapping[str, Any]) -> Scoring:
    whole = training["completion_only_loss"] is False
    assistant = bool(training.get("assistant_only_loss"))
    length = training.get("max_length", training.get("max_seq_length"))
    return Scoring(
        pairs="all" if whole else "after",
        chats="assistant" if assistant else "all",
        assistant_only=assistant,
        end_token=True,
        text=str(training.get("dataset_text_field") or "text"),
        max_length=length if isinstance(length, int) and length > 0 else None,
        keep="end" if training.get("truncation_mode") == "keep_end" else "start",
    )


def in_words(scoring: Scoring, training: Mapping[str, Any], score: str = "auto") -> str:
    """What was followed, as a note says it."""
    names = {
        "after": "what follows the prompt", "completion": "the completion", "all": "all tokens",
        "assistant": "the assistant's turns",
    }  # fmt: skip
    asked = score != "auto"
    parts = [names["assistant"] if scoring.assistant_only else names[scoring.pairs]]
    if score == "last":
        parts = ["the completion, of conversations the last turn"]
    elif scoring.chats != scoring.pairs:
        parts.append(f"of conversations without a prompt {names[scoring.chats]}")
    parts.append("the token that ends a text")
    if scoring.max_length:
        parts.append(f"the {'first' if scoring.keep == 'start' else 'last'} {scoring.max_length:,} tokens")
    packed = training.get("packing") and training.get("packing_strategy", "wrapped") == "wrapped"
    followed = "scored as the training's configuration says: "
    if asked:  # what ends a text, and where it is cut, is the training's still
        followed = f"scored as --score {score} says: {parts.pop(0)}; as the training's configuration says: "
    return f"{followed}{'; '.join(parts)}" + (
        ". Packed examples were cut anywhere there (packing strategy wrapped), here each is scored alone"
        if packed
        else ""
    )
