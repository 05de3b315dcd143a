"""A service that builds obeys lines of its log: none that runscope prints begins or holds such a command."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from runscope.cli import main
from runscope.safe_text import harmless_json, harmless_line
from tests.robustness import files

NAMES = (
    "::error title=x::y", "::add-mask::loss", "::stop-commands::z", "##[set-env name=PATH]/x", "###[error]x",
    "##vso[task.setvariable variable=x]y", "##teamcity[buildStatus status='SUCCESS']",
)  # fmt: skip
COMMAND = re.compile(r"^\s*::[a-z-]+.*::|##(?:\[|vso\[|teamcity\[)", re.IGNORECASE | re.MULTILINE)
"""What the runners of GitHub, Azure and TeamCity look for."""
FORMS = ("text", "json", "jsonl", "markdown", "sarif", "junit", "chat")


def test_the_pattern_finds_each() -> None:
    assert all(COMMAND.search(f"a\n  {name}\nb") for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_line_of_text_gives_none(name: str) -> None:
    assert not COMMAND.search(harmless_line(f"a\n  {name}\nb"))
    written = harmless_json(json.dumps({"name": name, "names": [name]}, indent=1))
    assert not COMMAND.search(written)
    assert json.loads(written) == {"name": name, "names": [name]}


def test_no_run_is_called_so_that_a_runner_obeys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As run, metric and column, of a table of several and of each; where it is refused as well."""
    rows = [
        {"run": name, "step": step, "loss": files.loss(step), name: 1.0}
        for name in NAMES
        for step in files.STEPS
    ]
    file = tmp_path / "runs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    places = [str(file), *(f"{file}::{name}" for name in NAMES), *NAMES]
    for number, form in enumerate(FORMS):
        main(["scan", str(tmp_path), "--format", form])
        for place in (places[0], places[1 + number % len(NAMES)], NAMES[number % len(NAMES)]):
            main(["show", place, "--format", form])
            main(["diagnose", place, "--format", form])
            main(["stitch", place, places[1]])
    said = capsys.readouterr()
    for text in (said.out, said.err):
        found = COMMAND.search(text)
        assert found is None, text[max(0, found.start() - 80) : found.end() + 80]
    assert "add-mask" in said.out
