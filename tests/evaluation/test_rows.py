"""Rows as people have them: what is given and what is to be said, by the names that data sets use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from runscope.errors import InputError, UsageError
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.reading import read_examples
from tests.evaluation import letters


def turn(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def one(tmp_path: Path, row: dict[str, Any], columns: str | None = None) -> Example:
    (found,) = read_examples(letters.write(tmp_path / "row.jsonl", [row]), columns)
    return found


ASKED, SAID = "Which one?", "That one."
CHAT = [turn("user", ASKED), turn("assistant", SAID)]
SHARED = [{"from": "human", "value": ASKED}, {"from": "gpt", "value": SAID}]
PAIRS: dict[str, dict[str, Any]] = {
    "alpaca": {"instruction": ASKED, "input": "", "output": SAID, "text": "Below is an instruction"},
    "dolly": {"instruction": ASKED, "context": "", "response": SAID, "category": "open_qa"},
    "gpteacher": {"instruction": ASKED, "input": "<noinput>", "response": SAID},
    "gpt4all": {"prompt": ASKED, "response": SAID, "source": "x"},
    "codes with the prompt written out": {"instruction": ASKED, "input": "", "output": SAID, "prompt": "Do it"},
    "self-instructed code": {"seed": "s", "prompt": "p", "instruction": ASKED, "response": SAID, "concepts": ["c"]},
    "metamath": {"query": ASKED, "response": SAID, "type": "t", "original_question": "o"},
    "gsm8k": {"question": ASKED, "answer": SAID},
    "code feedback": {"query": ASKED, "answer": SAID, "lang": "py"},
    "function calls": {"id": 1, "query": ASKED, "answers": SAID, "tools": "[]"},
    "problems": {"problem": ASKED, "solution": SAID, "answer": "4", "lang": "py"},
    "math, generated": {"question": ASKED, "generated_solution": SAID, "expected_answer": "4"},
    "flan": {"inputs": ASKED, "targets": SAID, "task": "t"},
    "input and target": {"input": ASKED, "target": SAID},
    "translation pairs": {"source": ASKED, "target": SAID},
    "summaries": {"document": ASKED, "summary": SAID, "id": "1"},
    "dialogue summaries": {"dialogue": ASKED, "summary": SAID, "topic": "t"},
    "news": {"article": ASKED, "highlights": SAID, "id": "1"},
    "counselling": {"Context": ASKED, "Response": SAID},
    "medicine": {"Question": ASKED, "Complex_CoT": "long", "Response": SAID},
    "comments": {"prompt": ASKED, "label": SAID},
    "role play": {"message_1": ASKED, "message_2": SAID, "topic": "t"},
    "squad": {"question": ASKED, "context": "", "answers": {"text": [SAID, "other"], "answer_start": [1]}},
    "trivia": {"question": ASKED, "answer": {"value": SAID, "aliases": []}},
    "science": {"question": ASKED, "correct_answer": SAID, "distractor1": "x", "support": ""},
    "numbers": {"question": ASKED, "answer": 19},
}  # fmt: skip
CHATS: dict[str, dict[str, Any]] = {
    "messages": {"messages": CHAT, "source": "x"},
    "messages beside their prompt": {"prompt": ASKED, "prompt_id": "1", "messages": CHAT, "category": "c"},
    "sharegpt": {"id": "1", "conversations": SHARED},
    "items": {"items": SHARED},
    "conversation": {"conversation": CHAT, "language": "English"},
    "input and output in turn": {"source": "x", "conversation": [{"input": ASKED, "output": SAID}]},
    "texts in turn": {"conversations": [ASKED, SAID], "source": "x"},
    "data": {"id": "1", "data": [ASKED, SAID]},
    "prompt and completion as turns": {"prompt": CHAT[:1], "completion": CHAT[1:]},
    "turns and a text": {"input": CHAT[:1], "output": SAID, "category": "c"},
    "JSON in a cell": {"messages": json.dumps(CHAT)},
    "parts": {"messages": [turn(t["role"], [{"type": "text", "text": t["content"]}]) for t in CHAT]},
    "null keys of a table": {"messages": [t | {"tool_calls": None, "name": None} for t in CHAT]},
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_prompt_and_its_completion_by_the_names_of_data_sets(name: str, tmp_path: Path) -> None:
    found = one(tmp_path, PAIRS[name])
    assert (found.prompt, found.completion) == (ASKED, "19" if name == "numbers" else SAID)


@pytest.mark.parametrize("name", CHATS)
def test_a_conversation_by_the_names_of_data_sets(name: str, tmp_path: Path) -> None:
    found = one(tmp_path, CHATS[name])
    assert found.prompt == (turn("user", ASKED),)
    assert found.completion == SAID
    assert found.chat is not None


def test_what_belongs_to_the_question_is_given_with_it(tmp_path: Path) -> None:
    rows = {
        "Name it\na cat": {"instruction": "Name it", "input": "a cat", "output": "x"},
        "Name it\nin the yard": {"instruction": "Name it", "context": "in the yard", "response": "x"},
        "Be short\nName it": {"system_prompt": "Be short", "question": "Name it", "response": "x"},
    }
    for given, row in rows.items():
        assert one(tmp_path, row).prompt == given
    chat = one(tmp_path, {"system": "Be short", "conversations": SHARED})
    assert [t["role"] for t in chat.prompt if isinstance(t, dict)] == ["system", "user"]


def test_the_last_turn_that_is_the_assistants_is_the_answer(tmp_path: Path) -> None:
    thanks = one(tmp_path, {"messages": [*CHAT, turn("user", "thanks")]})
    assert (thanks.prompt, thanks.completion) == ((CHAT[0],), SAID)
    more = [turn("assistant", "a1"), turn("user", "q2"), turn("assistant", "a2")]
    long = one(tmp_path, {"prompt": CHAT[:1], "completion": more})
    assert (long.prompt, long.completion) == ((CHAT[0], *more[:2]), "a2")
    assert long.chat is not None
    assert long.chat.given == 1


def test_nothing_said_is_never_the_word_none(tmp_path: Path) -> None:
    call = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Rome"}}}
    asked = turn("assistant", None, tool_calls=[call])
    found = one(tmp_path, {"messages": [turn("user", "weather?"), asked]})
    assert json.loads(found.completion) == call["function"]
    told = one(
        tmp_path,
        {"messages": [turn("user", "weather?"), asked, turn("tool", "sunny"), turn("assistant", "Sun")]},
    )
    assert found.shown == "user: weather?"
    assert told.completion == "Sun"
    assert "None" not in told.shown
    assert '"city": "Rome"' in told.shown


def test_rows_that_say_nothing_are_left_out_and_counted(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"text": "words"}, {"text": " "}, {"text": None}, {"messages": [turn("user", "anybody?")]},
        {"prompt": "p", "completion": "good", "label": True}, {"prompt": "p", "completion": "bad", "label": False},
    ]  # fmt: skip
    notes: list[str] = []
    found = read_examples(letters.write(tmp_path / "rows.jsonl", rows), notes=notes)
    assert [e.completion for e in found] == ["words", "good"]
    assert "3 rows with nothing to score" in notes[0]
    assert "1 row marked as undesired" in notes[1]
    with pytest.raises(InputError, match="2 rows with nothing"):
        read_examples(letters.write(tmp_path / "none.jsonl", rows[1:3]))


PREFERENCES: dict[str, dict[str, Any]] = {
    "texts": {"prompt": ASKED, "chosen": SAID, "rejected": "no"},
    "question and system": {"system": "", "question": ASKED, "chosen": SAID, "rejected": "no"},
    "turns": {"prompt": CHAT[:1], "chosen": CHAT[1:], "rejected": [turn("assistant", "no")]},
    "whole conversations": {"chosen": CHAT, "rejected": [CHAT[0], turn("assistant", "no")], "score_chosen": 7.0},
    "their messages beside them": {"prompt": ASKED, "chosen": CHAT, "rejected": [CHAT[0], turn("assistant", "no")],
                                   "messages": CHAT},
    "dialogues as text": {"chosen": f"\n\nHuman: {ASKED}\n\nAssistant:{SAID}",
                          "rejected": f"\n\nHuman: {ASKED}\n\nAssistant:no"},
}  # fmt: skip


@pytest.mark.parametrize("name", PREFERENCES)
def test_the_chosen_answer_is_the_completion_and_both_are_choices(name: str, tmp_path: Path) -> None:
    found = one(tmp_path, PREFERENCES[name])
    assert (found.completion, found.choices) == (SAID, (SAID, "no"))
    assert ASKED in found.shown


CHOICES: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "MMLU": ({"question": "2+2?", "subject": "math", "choices": ["3", "4"], "answer": 1}, " 4", (" 3", " 4")),
    "ARC, letters": (
        {"question": "2+2?", "choices": {"text": ["3", "4"], "label": ["A", "B"]}, "answerKey": "B"},
        " 4", (" 3", " 4"),
    ),
    "ARC, labels from 1": (
        {"question": "2+2?", "choices": {"text": ["3", "4", "5"], "label": ["1", "2", "3"]}, "answerKey": "2"},
        " 4", (" 3", " 4", " 5"),
    ),
    "labels and texts each": (
        {"question": "2+2?", "choices": [{"label": "1", "text": "3"}, {"label": "2", "text": "4"}], "answerKey": "1"},
        " 3", (" 3", " 4"),
    ),
    "HellaSwag": (
        {"ctx": "A man", "ctx_a": "A", "endings": ["runs", "eats"], "label": "1"}, " eats", (" runs", " eats"),
    ),
    "WinoGrande": ({"sentence": "_ ran", "option1": "Ann", "option2": "Bob", "answer": "1"}, " Ann", (" Ann", " Bob")),
    "PIQA": ({"goal": "Open it", "sol1": "push", "sol2": "pull", "label": 1}, " pull", (" push", " pull")),
    "MedMCQA": (
        {"question": "?", "opa": "a1", "opb": "b1", "opc": "c1", "opd": "d1", "cop": 2}, " c1",
        (" a1", " b1", " c1", " d1"),
    ),
    "Social IQa": (
        {"context": "Ann ran", "question": "Why?", "answerA": "fun", "answerB": "fear", "answerC": "?", "label": "2"},
        " fear", (" fun", " fear", " ?"),
    ),
    "C-Eval": (
        {"question": "2+2?", "A": "3", "B": "4", "C": "5", "D": "6", "answer": "B"}, " 4", (" 3", " 4", " 5", " 6"),
    ),
    "RACE": (
        {"article": "A man ran.", "question": "Who?", "options": ["a dog", "a man"], "answer": "B"}, " a man",
        (" a dog", " a man"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHOICES)
def test_choices_in_the_forms_of_benchmarks(name: str, tmp_path: Path) -> None:
    row, right, every = CHOICES[name]
    found = one(tmp_path, row)
    assert (found.completion, found.choices) == (right, every)
    asked = next(row[c] for c in ("question", "ctx", "sentence", "goal") if c in row)
    assert str(found.prompt).endswith(asked)
    assert str(found.prompt).startswith(row.get("article", row.get("context", asked)))


def test_choices_after_a_conversation_stand_behind_its_turns(tmp_path: Path) -> None:
    found = one(tmp_path, {"messages": CHAT, "choices": ["That one.", "This one."], "answer": 1})
    assert (found.prompt, found.completion) == ((CHAT[0],), "This one.")


@pytest.mark.parametrize(
    ("row", "columns", "given", "said"),
    [
        ({"description": "a lamp", "price": 19}, "prompt=description,completion=price", "a lamp", "19"),
        ({"description": "a lamp", "price": 19.5}, "completion=price, prompt=description", "a lamp", "19.5"),
        (
            {"translation": {"en": "cat", "fr": "chat"}},
            "prompt=translation.en,completion=translation.fr",
            "cat",
            "chat",
        ),
        ({"a": "x", "prompt": "no", "completion": "no"}, "text=a", "", "x"),
        ({"q": ASKED, "system": "no", "answers": ["x", "y"]}, "prompt=q,completion=answers.1", ASKED, "y"),
    ],
)
def test_any_columns_by_name(
    row: dict[str, Any], columns: str, given: str, said: str, tmp_path: Path
) -> None:
    found = one(tmp_path, row, columns)
    assert (found.prompt, found.completion) == (given, said)


def test_columns_of_a_table(tmp_path: Path) -> None:
    pd.DataFrame({"text_in": ["a", "b"], "n": [1, None]}).astype({"n": "Int64"}).to_parquet(
        tmp_path / "t.parquet"
    )
    with pytest.raises(InputError, match="found: n, text_in"):
        read_examples(tmp_path / "t.parquet")
    pd.DataFrame({"q": ["a", "b"], "n": [1, 2]}).to_parquet(tmp_path / "u.parquet")
    assert [e.completion for e in read_examples(tmp_path / "u.parquet", "prompt=q,completion=n")] == [
        "1",
        "2",
    ]


@pytest.mark.parametrize(
    ("row", "mapping"),
    [
        ({"description": "a lamp", "price": "19"}, "prompt=description,completion=price"),
        ({"foo": "x", "bar": "y"}, "prompt=foo,completion=bar"),
        ({"body": "long words"}, "text=body"),
        ({"translation": {"en": "cat", "fr": "chat"}}, "prompt=translation.en,completion=translation.fr"),
        ({"review": "fine", "id": 3, "rating": 5}, "prompt=review,completion=rating"),
    ],
)
def test_what_is_refused_names_its_columns_and_the_likely_mapping(
    row: dict[str, Any], mapping: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        one(tmp_path, row)
    assert f"--columns {mapping}" in caught.value.hint
    assert all(column in caught.value.message for column in row)


def test_an_image_is_refused_where_it_stands(tmp_path: Path) -> None:
    seen = turn("user", [{"type": "image", "image": "cat.png"}, {"type": "text", "text": "what?"}])
    with pytest.raises(InputError, match="example 1 holds a turn with a part of the type 'image'"):
        one(tmp_path, {"messages": [seen, turn("assistant", "a cat")]})


@pytest.mark.parametrize(
    ("columns", "said"),
    [("promt=a", "did you mean 'prompt'"), ("prompt=", "names no column"), ("a", "names no column")],
)
def test_roles_that_mean_nothing_are_told(columns: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        one(tmp_path, {"a": "b"}, columns)
    assert said in f"{caught.value.message} {caught.value.hint}"


def test_a_column_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column 'descripton'; found: description, price") as caught:
        one(tmp_path, {"description": "a", "price": "b"}, "prompt=descripton,completion=price")
    assert "'description'" in caught.value.hint


def test_labels_beside_texts_are_said_to_be_unused(tmp_path: Path) -> None:
    data = letters.write(tmp_path / "rows.jsonl", [{"text": "great film", "label": 1}])
    notes: list[str] = []
    (found,) = read_examples(data, notes=notes)
    assert found.completion == "great film"
    assert "--columns prompt=text,completion=label" in notes[0]
    (asked,) = read_examples(data, "prompt=text,completion=label", notes=[])
    assert (asked.prompt, asked.completion) == ("great film", "1")
