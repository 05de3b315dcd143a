"""Labels of a file are read one way: as the model's names or as its numbers. A wrong reading is a sure wrong number."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from runscope.errors import InputError
from runscope.evaluation import EvaluateSettings, Study, evaluate
from runscope.evaluation.examples.labels import label_number, names_of, reading_of, reading_of_lists
from runscope.hub import fetch, list_checkpoints
from tests.evaluation import headed

pytestmark = pytest.mark.filterwarnings("ignore::Warning")
STARS = {str(k + 1): k for k in range(5)}


def study(folder: Path, data: Path, **settings: Any) -> Study:
    words = EvaluateSettings(full=True, device="cpu", sample=0, **settings)
    return evaluate(list_checkpoints(str(folder)), data, fetch=fetch, settings=words)


def saved(folder: Path, head: str = "SequenceClassification", **config: Any) -> Path:
    for step in (1, 2):
        torch.manual_seed(step)
        headed.bert(head, initializer_range=0.5, **config).save_pretrained(folder / f"checkpoint-{step}")
        headed.tokenizer().save_pretrained(folder / f"checkpoint-{step}")
    return folder


NAMES = st.lists(
    st.sampled_from(["1", "2", "3", "4", "10", "0", "-1", "good", "Bad", "LABEL_1"]),
    min_size=2, max_size=5, unique=True,
)  # fmt: skip


@given(NAMES, st.data())
def test_a_file_of_names_or_of_numbers_is_read_as_what_it_is_or_refused(names: list[str], data: Any) -> None:
    numbers = {name: k for k, name in enumerate(names)}
    truth = data.draw(st.lists(st.integers(0, len(names) - 1), min_size=1))
    for said in ([names[k] for k in truth], [str(k) for k in truth]):
        try:
            read = reading_of(said, numbers)
        except InputError:
            assert {names[k] for k in truth} <= {str(k) for k in range(len(names))} or set(said) <= {*names}
            continue
        assert [label_number(s, numbers, read=read) for s in said] == truth


@given(st.integers(1, 4), st.data())
def test_lists_of_numbers_and_marks_for_each_label_are_told_apart(count: int, data: Any) -> None:
    from runscope.evaluation.tasks.multi_label import hot_labels

    names = {f"LABEL_{k}": k for k in range(count)}
    marks = data.draw(st.lists(st.lists(st.integers(0, 1), min_size=count, max_size=count), min_size=2))
    number = lambda s: label_number(s, names)  # noqa: E731
    said = [json.dumps(m) for m in marks]
    assert [hot_labels(s, count, number, reading_of_lists(said, names)) for s in said] == marks
    as_numbers = [[k for k, mark in enumerate(row) if mark] for row in marks]
    if all(len(row) == count for row in as_numbers):
        return  # every row has every label: [0, 1] of each
    said = [json.dumps(row) for row in as_numbers]
    assert [hot_labels(s, count, number, reading_of_lists(said, names)) for s in said] == marks


def test_names_that_are_digits_are_no_numbers_and_numbers_no_names(tmp_path: Path) -> None:
    rng = random.Random(2)
    folder = saved(tmp_path / "out", id2label={k: n for n, k in STARS.items()}, label2id=STARS)
    rows = [{"text": headed.letters(rng), "label": k % 5} for k in range(30)]
    headed.write(tmp_path / "numbers.jsonl", rows)
    headed.write(tmp_path / "names.jsonl", [r | {"label": r["label"] + 1} for r in rows])
    pd.DataFrame(rows).to_csv(tmp_path / "numbers.csv", index=False)
    found = [study(folder, tmp_path / n) for n in ("names.jsonl", "numbers.jsonl", "numbers.csv")]
    model = headed.bert("SequenceClassification").from_pretrained(folder / "checkpoint-2").eval()
    with torch.no_grad():
        each = [model(**headed.tokenizer()(r["text"], return_tensors="pt")).logits[0] for r in rows]
    loss = np.mean([-float(v.log_softmax(-1)[r["label"]]) for v, r in zip(each, rows, strict=True)])
    assert [f.scores[1].mean for f in found] == pytest.approx([loss] * 3, abs=1e-5)
    headed.write(tmp_path / "either.jsonl", [r for r in rows if r["label"] in (1, 2)])
    with pytest.raises(InputError, match="1, 2 may be names of the model's or numbers") as caught:
        study(folder, tmp_path / "either.jsonl")
    assert "LABEL_0" in caught.value.hint
    headed.write(tmp_path / "clear.jsonl", [r | {"label": f"LABEL_{r['label']}"} for r in rows])
    assert study(folder, tmp_path / "clear.jsonl").scores[1].mean == pytest.approx(loss, abs=1e-5)


def test_names_in_id2label_alone_or_in_label2id_alone_are_names() -> None:
    own = {"dog": 0, "cat": 1}
    assert names_of({"id2label": {"0": "dog", "1": "cat"}, "label2id": None}) == own
    assert names_of({"id2label": {"0": "dog", "1": "cat"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}}) == own
    assert names_of({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": own}) == own
    assert names_of({}) == {"LABEL_0": 0, "LABEL_1": 1}
    with pytest.raises(InputError, match="contradicts itself: the label 'dog' is number 0"):
        names_of({"id2label": {"0": "dog", "1": "cat"}, "label2id": {"dog": 1, "cat": 0}})


def test_names_of_id2label_alone_count_before_the_order_of_folders() -> None:
    assert label_number("cat", names_of({"id2label": {0: "dog", 1: "cat"}}), ("cat", "dog")) == 1


def test_folders_called_by_numbers_are_in_the_order_of_their_names() -> None:
    names = names_of({"num_labels": 12})
    every = sorted(map(str, range(12)))
    assert [label_number(n, names, every) for n in every] == list(range(12)), "as torchvision numbers them"


def test_no_label_is_minus_1_and_minus_100_of_classes_and_a_number_of_regressions(tmp_path: Path) -> None:
    rows = [{"text": f"a b {c}", "label": k} for c, k in zip("cdefgh", (0, 1, 0, 1, -1, -100), strict=True)]
    headed.write(tmp_path / "rows.jsonl", rows)
    found = study(saved(tmp_path / "classes"), tmp_path / "rows.jsonl")
    assert found.scores[1].examples == 4
    assert any("2 rows with nothing to score" in note for note in found.notes)
    number = study(saved(tmp_path / "number", num_labels=1), tmp_path / "rows.jsonl")
    assert number.scores[1].examples == 6
    assert number.scores[1].scores["absolute_error"] > 15, "that of -100 is about 100"
    mood = {"-1": 0, "0": 1, "1": 2}
    folder = saved(tmp_path / "moods", id2label={k: n for n, k in mood.items()}, label2id=mood)
    assert study(folder, headed_rows(tmp_path / "moods.jsonl", ["-1", "0", "1"])).scores[1].examples == 6


def headed_rows(path: Path, labels: list[Any]) -> Path:
    headed.write(
        path, [{"text": f"x y {c}", "label": labels[k % len(labels)]} for k, c in enumerate("abcdef")]
    )
    return path


def test_lists_as_python_writes_them_into_a_table_are_lists(tmp_path: Path) -> None:
    folder = saved(tmp_path / "out", num_labels=3, problem_type="multi_label_classification")
    rows = [{"text": f"a b {c}", "labels": ["LABEL_0", "LABEL_2"][: k % 3]} for k, c in enumerate("cdefgh")]
    headed.write(tmp_path / "rows.jsonl", rows)
    pd.DataFrame(rows).to_csv(tmp_path / "rows.csv", index=False)
    marks = [{f"LABEL_{k}": int(f"LABEL_{k}" in r["labels"]) for k in range(3)} for r in rows]
    pd.DataFrame([{"id": k, "text": r["text"], **m} for k, (r, m) in enumerate(zip(rows, marks, strict=True))]).to_csv(
        tmp_path / "marks.csv", index=False
    )  # fmt: skip
    found = [study(folder, tmp_path / n) for n in ("rows.jsonl", "rows.csv", "marks.csv")]
    assert [f.scores[1].mean for f in found] == pytest.approx([found[0].scores[1].mean] * 3)
    assert not any("not read" in note for f in found for note in f.notes)
    tagger = saved(tmp_path / "tagger", "TokenClassification", num_labels=2)
    tags = [{"tokens": ["a", c], "ner_tags": [0, k % 2]} for k, c in enumerate("bcdefg")]
    headed.write(tmp_path / "tags.jsonl", tags)
    pd.DataFrame(tags).to_csv(tmp_path / "tags.csv", index=False)
    both = [study(tagger, tmp_path / n).scores[1].mean for n in ("tags.jsonl", "tags.csv")]
    assert both[0] == pytest.approx(both[1])


def test_swag_is_read_as_its_trainers_read_it(tmp_path: Path) -> None:
    rng, words = random.Random(7), headed.tokenizer()
    rows = [
        {
            "sent1": headed.letters(rng), "sent2": "a b", "startphrase": "not this", "label": k % 4,
            **{f"ending{n}": headed.letters(rng, 1, 4) for n in range(4)},
        }
        for k in range(12)
    ]  # fmt: skip
    headed.write(tmp_path / "swag.jsonl", rows)
    folder = saved(tmp_path / "out", "MultipleChoice")
    model = headed.bert("MultipleChoice").from_pretrained(folder / "checkpoint-2").eval()
    losses = []
    for row in rows:
        made = words.pad(
            [words(row["sent1"], f"a b {row[f'ending{n}']}") for n in range(4)], return_tensors="pt"
        )
        with torch.no_grad():
            logits = model(**{k: v[None] for k, v in made.items()}).logits[0].log_softmax(-1)
        losses.append(-float(logits[row["label"]]))
    assert study(folder, tmp_path / "swag.jsonl").scores[1].mean == pytest.approx(np.mean(losses), abs=1e-5)


def test_a_list_of_one_label_is_that_label_and_several_are_refused_where_one_was_learned(
    tmp_path: Path,
) -> None:
    names = {"id2label": {0: "neg", 1: "pos"}}
    rows = [{"text": f"a {c}", "label": k % 2} for k, c in enumerate("bcdefg")]
    headed.write(tmp_path / "plain.jsonl", rows)
    headed.write(tmp_path / "lists.jsonl", [r | {"label": [r["label"]]} for r in rows])
    headed.write(tmp_path / "marks.jsonl", [r | {"label": [1 - r["label"], r["label"]]} for r in rows])
    for told, problem in (("one", "single_label_classification"), ("unsaid", None)):
        folder = saved(tmp_path / told, problem_type=problem, **names)
        found = [study(folder, tmp_path / n) for n in ("plain.jsonl", "lists.jsonl")]
        assert [f.task for f in found] == ["classify"] * 2
        assert found[0].scores[1].mean == found[1].scores[1].mean
    assert study(folder, tmp_path / "marks.jsonl").task == "multi-label", (
        "nothing says that one excludes the other"
    )
    with pytest.raises(InputError, match="has several labels, and the model gives one") as caught:
        study(tmp_path / "one", tmp_path / "marks.jsonl")
    assert "--task multi-label" in caught.value.hint
    assert study(tmp_path / "one", tmp_path / "marks.jsonl", task="multi-label").task == "multi-label"


def test_a_data_set_that_numbers_the_labels_otherwise_is_refused(tmp_path: Path) -> None:
    import datasets

    folder = saved(tmp_path / "out", id2label={0: "neg", 1: "pos"})
    rows = {"text": [f"a {c}" for c in "bcdefg"], "label": [0, 1] * 3}
    for name, order in (("same", ["NEG", "POS"]), ("other", ["pos", "neg"]), ("unknown", ["bad", "good"])):
        kinds = {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=order)}
        datasets.Dataset.from_dict(rows, features=datasets.Features(kinds)).save_to_disk(str(tmp_path / name))
    assert (
        study(folder, tmp_path / "same").scores[1].mean == study(folder, tmp_path / "unknown").scores[1].mean
    )
    with pytest.raises(InputError, match="numbers its labels pos, neg, and the model neg, pos"):
        study(folder, tmp_path / "other")


def test_unknown_columns_get_the_likely_mapping(tmp_path: Path) -> None:
    headed.write(tmp_path / "odd.jsonl", [{"verdict": "pos", "Headline": "a long b", "id": "9" * 20}] * 2)
    with pytest.raises(InputError) as caught:
        study(saved(tmp_path / "out"), tmp_path / "odd.jsonl")
    assert caught.value.hint.endswith("--columns prompt=Headline,completion=verdict")


@pytest.mark.parametrize(
    ("first", "second", "columns"),
    [
        ("question", "passage", None),
        ("claim", "evidence", None),
        ("asked", "told", "prompt=asked,input=told,completion=label"),
    ],
)
def test_both_texts_of_a_pair_are_read(first: str, second: str, columns: str | None, tmp_path: Path) -> None:
    folder = saved(tmp_path / "out")
    rows = [{"sentence1": f"a {c}", "sentence2": f"{c} b c", "label": k % 2} for k, c in enumerate("defghi")]
    headed.write(tmp_path / "known.jsonl", rows)
    named = [{first: r["sentence1"], second: r["sentence2"], "label": r["label"]} for r in rows]
    headed.write(tmp_path / "named.jsonl", named)
    known = study(folder, tmp_path / "known.jsonl").scores[1].mean
    assert study(folder, tmp_path / "named.jsonl", columns=columns).scores[1].mean == pytest.approx(known)


def test_a_column_that_is_named_and_not_read_is_refused(tmp_path: Path) -> None:
    headed.write(tmp_path / "rows.jsonl", [{"a": "x y", "b": "z", "c": 1}] * 2)
    with pytest.raises(InputError, match="names a column for system, which a classifier does not read"):
        study(saved(tmp_path / "out"), tmp_path / "rows.jsonl", columns="prompt=a,system=b,completion=c")


def test_a_base_that_calls_the_labels_otherwise_is_no_row_0(tmp_path: Path) -> None:
    names = {"id2label": {0: "neg", 1: "pos"}}
    folder, rows = saved(tmp_path / "out", **names), headed_rows(tmp_path / "rows.jsonl", [0, 1])
    saved(tmp_path / "swapped", id2label={0: "POS", 1: "NEG"})
    saved(tmp_path / "same", id2label={0: "NEG", 1: "POS"})
    saved(tmp_path / "unnamed", num_labels=2)
    for name, there in (("same", True), ("unnamed", True), ("swapped", False)):
        found = evaluate(
            list_checkpoints(str(folder)), rows, fetch=fetch, base=tmp_path / name / "checkpoint-1",
            settings=EvaluateSettings(full=True, device="cpu", sample=0),
        )  # fmt: skip
        assert (found.base is not None) == there
        assert (
            any("calls its labels POS, NEG, and the checkpoint neg, pos" in n for n in found.notes) != there
        )
