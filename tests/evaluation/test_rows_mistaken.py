"""Rows of which something is missing, is called otherwise, or would be left out unsaid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from runscope.errors import InputError
from runscope.evaluation.examples.encoding import encode
from runscope.evaluation.examples.reading import read_examples
from tests.evaluation import letters
from tests.evaluation.test_rows import ASKED, CHAT, SAID, one, turn

EMPTY: dict[str, dict[str, Any]] = {
    "null completion": {"prompt": "p", "completion": None},
    "null prompt": {"prompt": None, "completion": "c"},
    "NaN": {"instruction": "p", "input": "", "output": float("nan")},
    "a question without an answer": {
        "context": "c",
        "question": "q",
        "answers": {"text": [], "answer_start": []},
    },
    "no list of answers": {"question": "q", "answers": []},
    "null beside a chosen answer": {"prompt": "p", "chosen": "c", "rejected": None},
}


@pytest.mark.parametrize("name", EMPTY)
def test_a_row_with_an_empty_cell_is_left_out_and_the_others_are_not(name: str, tmp_path: Path) -> None:
    notes: list[str] = []
    place = letters.write(tmp_path / "rows.jsonl", [EMPTY[name], {"prompt": ASKED, "completion": SAID}])
    (found,) = read_examples(place, notes=notes)
    assert (found.prompt, found.completion) == (ASKED, SAID)
    assert "1 row with nothing to score" in notes[0]
    with pytest.raises(InputError, match="1 row with nothing to score") as caught:
        read_examples(letters.write(tmp_path / "rows.jsonl", [EMPTY[name]]))
    assert "what the model is to say" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "value",
    [
        str(CHAT), json.dumps(CHAT), {"role": ["user", "assistant"], "content": [ASKED, SAID]},
        [turn("User", ASKED), turn("Chatbot", SAID)],
        [{"role": "user", "parts": [{"text": ASKED}]}, {"role": "model", "parts": [{"text": SAID}]}],
    ],
)  # fmt: skip
def test_conversations_in_the_forms_of_tables_and_services(value: Any, tmp_path: Path) -> None:
    for column in ("messages", "contents"):
        found = one(tmp_path, {column: value})
        assert (found.prompt, found.completion) == ((turn("user", ASKED),), SAID)
    pd.DataFrame({"messages": [str(CHAT)]}).to_csv(tmp_path / "t.csv")
    (found,) = read_examples(tmp_path / "t.csv")
    assert found.completion == SAID


def test_a_prompt_of_text_and_an_answer_of_turns(tmp_path: Path) -> None:
    found = one(tmp_path, {"prompt": ASKED, "completion": CHAT[1:]})
    assert (found.prompt, found.completion) == ((turn("user", ASKED),), SAID)


def test_who_answers_must_be_known(tmp_path: Path) -> None:
    place = letters.write(tmp_path / "r.jsonl", [{"messages": [turn("user", "q"), turn("claude", "a")]}])
    with pytest.raises(InputError, match="roles: user, claude") as caught:
        read_examples(place)
    assert "assistant" in (caught.value.hint or "")


def test_turns_that_a_template_leaves_out_are_not_left_out_silently(tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}{% if m['role'] == 'user' %}<|im_start|>user {{ m['content'] }}"
        "{% elif m['role'] == 'assistant' %}<|im_start|>assistant {{ m['content'] }}<|im_end|>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant {% endif %}"
    )
    turns = [turn("user", "q1"), turn("gpt-4", "first words"), turn("user", "q2"), turn("assistant", "a")]
    found = one(tmp_path, {"messages": turns})
    with pytest.raises(InputError, match="leaves out what 'gpt-4' says"):
        encode(letters.tokenizer(template), found, 999)
    assert encode(letters.tokenizer(letters.CHATML), found, 999).scored


@pytest.mark.parametrize(
    ("part", "hint"), [({"type": "thinking", "thinking": "hm"}, "as text"), ({"type": "image"}, "images")]
)
def test_parts_that_are_no_text_are_refused_in_their_own_words(
    part: dict[str, str], hint: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=part["type"]) as caught:
        one(tmp_path, {"messages": [turn("user", "q"), turn("assistant", [part])]})
    assert hint in (caught.value.hint or "")


def test_words_that_are_in_no_example_are_named(tmp_path: Path) -> None:
    row = {
        "instruction": "do it now", "input": "", "output": "it is done", "history": [["once upon", "a time"]],
        "text": "Below is: do it now", "category": "open_qa", "tools": '[{"does": "this and that"}]',
    }  # fmt: skip
    notes: list[str] = []
    place = letters.write(tmp_path / "r.jsonl", [row])
    read_examples(place, notes=notes)
    assert notes == [f"not read, of {place}: history, tools (--columns says which column is what)"]
    notes.clear()
    read_examples(place, columns="prompt=instruction,completion=output", notes=notes)
    assert not notes, "who names columns knows what is left out"


@pytest.mark.parametrize(
    "row", [{"messages": CHAT}, {"prompt": ASKED, "chosen": SAID, "rejected": "No one."}]
)
def test_where_everything_is_read_nothing_is_said(row: dict[str, Any], tmp_path: Path) -> None:
    notes: list[str] = []
    read_examples(letters.write(tmp_path / "r.jsonl", [row]), notes=notes)
    assert notes == []


def test_two_answers_are_compared_where_the_question_is_one(tmp_path: Path) -> None:
    bye = turn("user", "bye")
    found = one(tmp_path, {"chosen": [*CHAT, bye], "rejected": [CHAT[0], turn("assistant", "No."), bye]})
    assert found.choices == (SAID, "No.")
    longer = [*CHAT, bye, turn("assistant", "Bye.")]
    other = [CHAT[0], turn("assistant", "No."), bye, turn("assistant", "Oh.")]
    assert one(tmp_path, {"chosen": longer, "rejected": other}).choices == ()


CHOICES: dict[str, dict[str, Any]] = {
    "letters": {"question": "q", "options": {"A": "x", "B": "y"}, "answer": "B"},
    "each says whether it is right": {
        "question": "q",
        "mc1_targets": {"choices": ["x", "y"], "labels": [0, 1]},
    },
    "a premise": {"premise": "q", "choice1": "x", "choice2": "y", "label": 1},
}


@pytest.mark.parametrize("name", CHOICES)
def test_choices_in_further_forms(name: str, tmp_path: Path) -> None:
    found = one(tmp_path, CHOICES[name])
    assert (found.prompt, found.completion, found.choices) == ("q", " y", (" x", " y"))


@pytest.mark.parametrize(
    ("row", "hint"),
    [
        ({"uuid": "1 2", "enquiry_id": "a b", "question_text": "q", "gold_answer": "a"},
         "prompt=question_text,completion=gold_answer"),
        ({"instruction": "i", "chosen_response": "a", "rejected_response": "b"},
         "prompt=instruction,chosen=chosen_response,rejected=rejected_response"),
        ({"question": "q", "replies": [{"text": "a", "score": 1}]}, "prompt=question,completion=replies.0.text"),
    ],
)  # fmt: skip
def test_a_likely_mapping_reads_what_it_names(row: dict[str, Any], hint: str, tmp_path: Path) -> None:
    place = letters.write(tmp_path / "r.jsonl", [row])
    with pytest.raises(InputError) as caught:
        read_examples(place)
    assert (caught.value.hint or "").endswith(f"--columns {hint}")
    assert read_examples(place, columns=hint)


def test_messages_of_a_tree_are_refused(tmp_path: Path) -> None:
    row = {"message_id": "1", "parent_id": None, "text": "Is it so?", "role": "prompter"}
    with pytest.raises(InputError, match="single message of a tree"):
        one(tmp_path, row)


def test_half_a_character_is_left_out_and_counted(tmp_path: Path) -> None:
    place = tmp_path / "r.jsonl"
    place.write_text('{"prompt": "a \\ud83d", "completion": "b"}\n{"prompt": "c", "completion": "d"}\n')
    notes: list[str] = []
    assert [e.completion for e in read_examples(place, notes=notes)] == ["d"]
    assert "1 row with broken characters" in notes[0]


def test_equal_rows_are_counted(tmp_path: Path) -> None:
    notes: list[str] = []
    rows = [{"prompt": "p", "completion": "c", "id": i} for i in range(3)]
    assert len(read_examples(letters.write(tmp_path / "r.jsonl", rows), notes=notes)) == 1
    assert "2 rows equal to another one" in notes[0]


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_that_begin_with_a_mark_of_their_coding(coding: str, tmp_path: Path) -> None:
    place = tmp_path / "r.jsonl"
    place.write_text('{"prompt": "p\u00e9", "completion": "c"}\n', encoding=coding)
    (found,) = read_examples(place)
    assert found.prompt == "p\u00e9"


@pytest.mark.parametrize(("name", "mark"), [("r.csv", ","), ("r.csv", ";"), ("r.csv", "\t"), ("r.tsv", "\t")])
def test_tables_are_divided_as_spreadsheets_divide_them(name: str, mark: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(f'prompt{mark}completion\n"p, q; \u00e9"{mark}NA\n')
    (found,) = read_examples(tmp_path / name)
    assert (found.prompt, found.completion) == ("p, q; \u00e9", "NA")


@pytest.mark.parametrize("name", ["r.csv", "r.jsonl"])
def test_another_coding_is_refused_and_its_letters_are_not_guessed(name: str, tmp_path: Path) -> None:
    text = "prompt,completion\np\u00e9,c\n" if name == "r.csv" else '{"prompt": "p"}\n{"prompt": "p\u00e9"}\n'
    (tmp_path / name).write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match="line 2, is not UTF-8"):
        read_examples(tmp_path / name)
