"""Examples in every form that they come in."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from runscope.errors import InputError
from runscope.evaluation.examples.encoding import encode
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.reading import read_examples
from tests.evaluation import tiny

ROWS = [{"prompt": "a = ", "completion": "b"}, {"prompt": "c = ", "completion": "NA"}]
EXPECTED = (Example("a = ", "b"), Example("c = ", "NA"))


def test_files_of_all_forms_hold_the_same(tmp_path: Path) -> None:
    table = pd.DataFrame(ROWS)
    table.to_csv(tmp_path / "e.csv", index=False)
    table.to_parquet(tmp_path / "e.parquet")
    (tmp_path / "e.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    (tmp_path / "e.json").write_text(json.dumps(ROWS, indent=1))
    for form in ("csv", "parquet", "jsonl", "json"):
        assert read_examples(tmp_path / f"e.{form}") == EXPECTED, form


def test_a_line_separator_inside_a_text_is_text(tmp_path: Path) -> None:
    row = {"prompt": "one\u2028two", "completion": "b"}
    (tmp_path / "e.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\r\n", encoding="utf-8")
    assert read_examples(tmp_path / "e.jsonl") == (Example("one\u2028two", "b"),)


def test_data_sets_in_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="the library datasets is not installed")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    made = datasets.Dataset.from_list(ROWS)
    made.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": made.select([0]), "test": made.select([1])}).save_to_disk(tmp_path / "two")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "train.jsonl").write_text(json.dumps(ROWS[0]))
    assert read_examples(tmp_path / "one") == EXPECTED
    assert read_examples(tmp_path / "two") == EXPECTED[1:]
    assert read_examples(f"{tmp_path / 'two'}:train") == EXPECTED[:1]
    assert read_examples(tmp_path / "plain") == EXPECTED[:1]
    with pytest.raises(InputError, match="no split 'dev'") as caught:
        read_examples(f"{tmp_path / 'two'}:dev")
    assert ":train" in caught.value.hint


def test_choices_by_position_letter_and_text(tmp_path: Path) -> None:
    rows = [
        {"question": "Sky?", "choices": ["red", "blue"], "answer": 1},
        {"question": "Grass?", "choices": ["red", "green"], "answer": "B"},
        {"question": "Blood?", "choices": ["red", "green"], "answer": "red"},
        {"question": "Snow?", "choices": {"text": ["red", "white"], "label": ["A", "B"]}, "answerKey": "B"},
    ]
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = read_examples(tmp_path / "c.jsonl")
    assert [e.completion for e in found] == [" blue", " green", " red", " white"]
    assert found[0].choices == (" red", " blue")
    (tmp_path / "bad.jsonl").write_text(json.dumps(rows[0] | {"answer": 7}))
    with pytest.raises(InputError, match="does not say which"):
        read_examples(tmp_path / "bad.jsonl")


def test_chats_as_one_list_and_as_two(tmp_path: Path) -> None:
    user, said = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    rows = [{"messages": [user, said]}, {"prompt": [user], "completion": [said]}]
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, rows)))
    one, two = read_examples(tmp_path / "c.jsonl")
    assert (one.prompt, one.completion) == (two.prompt, two.completion) == ((user,), "b")
    assert one.id != two.id, "a trainer scores all of the first, and the completion of the second"


def test_a_chat_is_encoded_by_the_models_template() -> None:
    words = tiny.tokenizer()
    words.chat_template = (
        "<s>{% for m in messages %} {{ '?' if m['role'] == 'user' else '=' }} {{ m['content'] }}{% endfor %}"
        "{% if add_generation_prompt %} ={% endif %}"
    )
    chat = Example(({"role": "user", "content": "x y"},), "a b")
    encoded = encode(words, chat, 64)
    assert words.decode(encoded.ids).split() == ["<s>", "?", "x", "y", "=", "a", "b"]
    assert encoded.scored == (5, 6)
    assert encode(words, Example("x y", "a b"), 64, chat=True) == encoded


def test_what_is_no_example_names_its_columns(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text('{"foo": 1, "bar": 2}')
    with pytest.raises(InputError, match="bar, foo"):
        read_examples(tmp_path / "e.jsonl")
    with pytest.raises(InputError, match="no examples at"):
        read_examples(tmp_path / "missing.jsonl")
