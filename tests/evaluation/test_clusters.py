"""Which rows of held-out examples count as one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runscope.errors import InputError
from runscope.evaluation.examples.reading import read_examples


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    lines = [
        {"prompt": f"{i}+1=", "completion": str(i + 1), "source": "book", "page": i // 2} for i in range(8)
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_a_column_is_taken_by_its_name_or_the_users_word(rows: Path) -> None:
    assert {e.cluster for e in read_examples(rows)} == {"book"}
    assert [e.cluster for e in read_examples(rows, cluster="page")] == [str(i // 2) for i in range(8)]
    assert {e.cluster for e in read_examples(rows, cluster="none")} == {""}
    assert [e.id for e in read_examples(rows, cluster="page")] == [e.id for e in read_examples(rows)]


def test_an_unknown_column_is_refused(rows: Path) -> None:
    with pytest.raises(InputError, match="no column 'pages'") as caught:
        read_examples(rows, cluster="pages")
    assert "did you mean 'page'" in caught.value.hint
