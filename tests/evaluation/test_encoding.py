"""Which tokens are given and which are scored, of every form and by every setting."""

from __future__ import annotations

from typing import Any

import pytest

from runscope.errors import InputError
from runscope.evaluation.examples.chats import chat_example
from runscope.evaluation.examples.encoding import Encoded, encode
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.scoring import Scoring, scoring_of
from tests.evaluation import letters

TRAINED = {"completion_only_loss": None, "assistant_only_loss": False, "max_length": 1024}
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Rome"}}}
TURNS: list[dict[str, Any]] = [
    {"role": "system", "content": "S"}, {"role": "user", "content": "q1"}, {"role": "assistant", "content": "a1"},
    {"role": "user", "content": "q2"}, {"role": "assistant", "content": "a2"}, {"role": "user", "content": "thanks"},
]  # fmt: skip


def chat(turns: list[dict[str, Any]], given: int | None = None) -> Example:
    found = chat_example(turns, {}, "", given)
    assert found is not None
    return found


def told(words: Any, row: Encoded) -> tuple[str, str]:
    return words.decode(row.given), words.decode([row.ids[i] for i in row.scored])


@pytest.mark.parametrize(
    ("score", "scored"),
    [
        ("auto", "a2<|im_end|>\n"),
        ("completion", "a2<|im_end|>\n"),
        ("last", "a2<|im_end|>\n"),
        ("assistant", "a1<|im_end|>\na2<|im_end|>\n"),
        (
            "all",
            "system\nS<|im_end|>\n<|im_start|>user\nq1<|im_end|>\n<|im_start|>assistant\na1<|im_end|>\n<|im_start|>user\n"
            "q2<|im_end|>\n<|im_start|>assistant\na2<|im_end|>\n<|im_start|>user\nthanks<|im_end|>\n",
        ),
    ],
)
def test_a_conversation_is_scored_as_it_is_asked(score: str, scored: str) -> None:
    words = letters.tokenizer(letters.CHATML)
    row = encode(words, chat(TURNS), 999, scoring=scoring_of(score))
    given, said = told(words, row)
    assert said == scored
    assert given.endswith("q2<|im_end|>\n<|im_start|>assistant\n"), (
        "an answer is made to the same question always"
    )


@pytest.mark.parametrize(
    ("training", "score", "scored"),
    [
        ({}, "auto", "a2<|im_end|>\n"),
        ({}, "assistant", "a1<|im_end|>\na2<|im_end|>\n"),
        (
            TRAINED,
            "auto",
            "a1<|im_end|>\n<|im_start|>user\nq2<|im_end|>\n<|im_start|>assistant\na2<|im_end|>\n",
        ),
        (TRAINED | {"assistant_only_loss": True}, "auto", "a1<|im_end|>\na2<|im_end|>\n"),
        (TRAINED, "completion", "a2<|im_end|>\n"),
    ],
)
def test_a_completion_of_several_turns(training: dict[str, Any], score: str, scored: str) -> None:
    words = letters.tokenizer(letters.CHATML)
    row = encode(words, chat(TURNS[1:5], given=1), 999, scoring=scoring_of(score, training))
    assert told(words, row)[1] == scored


def test_the_assistants_turns_are_found_with_marks_and_without() -> None:
    bare, marked = letters.tokenizer(letters.CHATML), letters.tokenizer(letters.MARKED)
    rows = [encode(w, chat(TURNS), 999, scoring=scoring_of("assistant")) for w in (bare, marked)]
    assert rows[0].ids == rows[1].ids
    newline = bare("\n", add_special_tokens=False)["input_ids"][0]
    assert [i for i in rows[0].scored if rows[0].ids[i] != newline] == list(rows[1].scored)


def test_a_tool_call_is_scored_as_the_template_writes_it_or_refused() -> None:
    call = chat(
        [{"role": "user", "content": "weather?"}, {"role": "assistant", "content": "", "tool_calls": [CALL]}]
    )
    words = letters.tokenizer(letters.CALLS)
    said = told(words, encode(words, call, 999))[1]
    assert said == 'CALL {"name": "weather", "arguments": {"city": "Rome"}}<|im_end|>\n'
    for score in ("completion", "assistant"):
        with pytest.raises(InputError, match="writes no tool calls"):
            encode(letters.tokenizer(letters.CHATML), call, 999, scoring=scoring_of(score))


def test_a_template_that_refuses_a_conversation_is_named() -> None:
    words = letters.tokenizer("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(InputError, match="roles must alternate"):
        encode(words, chat(TURNS), 999)
    with pytest.raises(InputError, match="no chat template"):
        encode(letters.tokenizer(), chat(TURNS), 999)


@pytest.mark.parametrize("prompt", ["the loss of", "<s>the loss of"])
def test_a_text_begins_once(prompt: str) -> None:
    words = letters.tokenizer()
    row = encode(words, Example(prompt, " a checkpoint"), 999)
    assert row.ids[0] == words.bos_token_id
    assert row.ids.count(words.bos_token_id) == row.given.count(words.bos_token_id) == 1
    assert told(words, row)[1] == " a checkpoint"


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("limit", [5, 8, 13])
def test_what_is_cut_in_front_keeps_its_beginning_token(limit: int, bos: bool) -> None:
    words = letters.tokenizer(bos=bos)
    whole = encode(words, Example("it has not seen " * 9, "yes or no"), 999)
    row = encode(words, Example("it has not seen " * 9, "yes or no"), limit)
    assert len(row.ids) == limit
    assert row.cut == len(whole.ids) - limit
    assert (row.ids[0] == words.bos_token_id) == bos
    kept = [whole.ids[i] for i in whole.scored][-len(row.scored) :]
    assert [row.ids[i] for i in row.scored] == kept
    assert len(row.scored) == min(len(whole.scored), limit - 1)


def test_what_the_training_cut_at_the_end_is_cut_there() -> None:
    words, example = letters.tokenizer(), Example("the loss of", " a checkpoint is what it says")
    whole = encode(words, example, 999, scoring=scoring_of("auto", TRAINED))
    assert told(words, whole)[1].endswith("says</s>"), "the token that ends a text is scored"
    for length in range(1, len(whole.ids) + 1):
        row = encode(words, example, 999, scoring=scoring_of("auto", TRAINED | {"max_length": length}))
        assert row.ids == whole.ids[:length]
        assert row.scored == tuple(i for i in whole.scored if i < length)


@pytest.mark.parametrize(
    ("prompt", "completion"),
    [
        ("call foo(", ")"),
        ("the ch", "eckpoint"),
        ("Answer:", " yes"),
        ("word\n", "\nword"),
        ("a number", "s"),
    ],
)
def test_an_answer_begins_behind_the_prompts_own_tokens(prompt: str, completion: str) -> None:
    """A token that reaches over the seam belongs to what is scored, and is not missing where an answer is made."""
    words = letters.tokenizer()
    row = encode(words, Example(prompt, completion), 999)
    assert words.decode(row.given) == f"<s>{prompt}"
    assert words.decode(row.ids) == f"<s>{prompt}{completion}"
    assert completion in told(words, row)[1]


@pytest.mark.parametrize("prompt", ["", "the loss of"])
@pytest.mark.parametrize("trained", [{}, TRAINED, TRAINED | {"completion_only_loss": False}])
@pytest.mark.parametrize("score", ["auto", "completion", "assistant", "all", "last"])
def test_no_setting_scores_the_first_token_or_one_twice(
    score: str, trained: dict[str, Any], prompt: str
) -> None:
    words = letters.tokenizer(letters.MARKED)
    for example in (Example(prompt, "yes or no"), chat(TURNS), chat(TURNS[1:5], given=1)):
        for limit in (3, 9, 999):
            row = encode(words, example, limit, scoring=scoring_of(score, trained))
            assert list(row.scored) == sorted(set(row.scored))
            assert all(0 < i < len(row.ids) <= limit for i in row.scored)
            assert row.given


def test_only_a_trainers_own_configuration_is_followed() -> None:
    assert scoring_of("auto", {"max_length": 20, "learning_rate": 1e-4}) == Scoring(), (
        "a model's generation length"
    )
    followed = scoring_of("auto", TRAINED)
    assert (followed.pairs, followed.chats, followed.end_token, followed.max_length) == (
        "after",
        "all",
        True,
        1024,
    )
    assert scoring_of("last", TRAINED).end_token, "what is asked for says which part, not how a text ends"
