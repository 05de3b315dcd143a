"""A log of many parts: what is the same forty times is said three times and counted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runscope.api import diagnose, report
from runscope.cli import main
from runscope.reporting.view.crowd import SHOWN, crowded
from runscope.rules import Finding


@pytest.fixture(scope="module")
def many_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log that was resumed nineteen times."""
    rng = np.random.default_rng(0)
    file = tmp_path_factory.mktemp("parts") / "loop.jsonl"
    rows = [
        {"step": step, "train/loss": 2 * np.exp(-step / 300) + 0.05 * rng.random()}
        for part in range(20)
        for step in range(part * 20 + 1, part * 20 + 31)
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


def finding(code: str, severity: str, step: int) -> Finding:
    return Finding(
        code=code, name="x", severity=severity, probability=0.5, first_step=step, last_step=step, message="x"
    )  # type: ignore[arg-type]  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ABC"), st.sampled_from(["info", "warning", "critical"]), st.integers(0, 99)
        ),
        max_size=40,
    )
)
def test_nothing_grave_is_only_counted_and_nothing_is_lost(given: list[tuple[str, str, int]]) -> None:
    findings = [finding(*one) for one in given]
    shown, rest = crowded(findings)
    counted = [f for found in rest.values() for f in found]
    assert sorted(map(id, (*shown, *counted))) == sorted(map(id, findings))
    assert all(f.severity == "info" for f in counted)
    kept = set(map(id, shown))
    assert [id(f) for f in findings if id(f) in kept] == list(map(id, shown))
    for code in "ABC":
        assert sum(f.code == code and f.severity == "info" for f in shown) <= SHOWN + 1


def test_the_terminal_counts_what_is_the_same_and_verbose_says_each(
    many_parts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diagnose", str(many_parts)]) == 0
    short = capsys.readouterr().out
    assert main(["diagnose", str(many_parts), "--verbose"]) == 0
    full = capsys.readouterr().out
    assert short.count("RES007 ") == SHOWN
    assert "more of RES007" in short
    assert full.count("RES007 ") == 19
    assert "loop (part 2) resumed" in " ".join(short.split())


def test_the_page_folds_them(many_parts: Path, tmp_path: Path) -> None:
    page = report(diagnose(many_parts), tmp_path / "page.html").read_text()
    above, folded = page.split('<details id="crowd">')
    assert above.count('<span class="codeword">RES007') == SHOWN
    numbers = re.findall(r'id="finding-(\d+)"', above + folded)
    assert sorted(map(int, numbers)) == list(range(1, len(numbers) + 1))
    assert '<details id="more-resumes">' in page
    assert '<details id="runs">' in page
