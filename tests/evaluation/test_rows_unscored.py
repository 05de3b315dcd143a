"""Rows and turns that data sets mark as not to be learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runscope.errors import InputError
from runscope.evaluation.examples.encoding import encode
from runscope.evaluation.examples.reading import read_examples
from runscope.evaluation.examples.scoring import Scoring
from tests.evaluation import letters


def said(role: str, content: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


ASKED, AGAIN = said("user", "is it?"), said("user", "sure?")


@pytest.mark.parametrize("template", [letters.CHATML, letters.MARKED])
@pytest.mark.parametrize("no", [0, 0.0, False])
def test_turns_with_a_weight_of_0_are_context(template: str, no: object, tmp_path: Path) -> None:
    rows = [{"messages": [ASKED, said("assistant", "no", weight=no), AGAIN, said("assistant", "yes", weight=1)]},
            {"messages": [ASKED, said("assistant", "yes"), AGAIN, said("assistant", "no", weight=no)]}]  # fmt: skip
    first, second = read_examples(letters.write(tmp_path / "rows.jsonl", rows))
    assert [first.completion, second.completion] == ["yes", "yes"], "the last one that counts"
    words = letters.tokenizer(template)
    for example in (first, second):
        for part in ("completion", "assistant"):
            made = encode(words, example, 256, scoring=Scoring(chats=part))  # type: ignore[arg-type]
            told = words.decode([made.ids[i] for i in made.scored])
            assert "yes" in told
            assert "no" not in told
    made = encode(words, first, 256)
    assert "no<|im_end|>" in words.decode(made.given), "the model reads it all the same"


def test_a_conversation_without_a_turn_that_counts_is_left_out(tmp_path: Path) -> None:
    rows = [
        {"messages": [ASKED, said("assistant", "yes")]},
        {"messages": [ASKED, said("assistant", "no", weight=0)]},
    ]
    notes: list[str] = []
    assert len(read_examples(letters.write(tmp_path / "rows.jsonl", rows), notes=notes)) == 1
    assert "1 row with nothing to score" in notes[0]


@pytest.mark.parametrize(("yes", "no"), [(True, False), (1, 0), ("1", "0"), (1.0, 0.0), ("true", "false")])
def test_answers_to_unlearn_are_left_out_however_they_are_marked(
    yes: object, no: object, tmp_path: Path
) -> None:
    rows = [{"prompt": "p", "completion": f"good {n}", "label": yes} for n in range(3)]
    rows += [{"prompt": "p", "completion": f"bad {n}", "label": no} for n in range(2)]
    notes: list[str] = []
    found = read_examples(letters.write(tmp_path / "rows.jsonl", rows), notes=notes)
    assert [e.completion for e in found] == ["good 0", "good 1", "good 2"]
    assert "2 rows marked as undesired" in notes[0]
    with pytest.raises(InputError, match="2 rows marked as undesired"):
        read_examples(letters.write(tmp_path / "bad.jsonl", rows[3:]))


def test_a_class_called_0_is_nothing_to_unlearn(tmp_path: Path) -> None:
    rows = [{"prompt": "p", "completion": f"answer {n}", "label": n} for n in range(3)]
    assert len(read_examples(letters.write(tmp_path / "rows.jsonl", rows))) == 3
