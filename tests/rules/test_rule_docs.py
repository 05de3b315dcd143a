"""The pages of docs/rules/ are those that the rules' docstrings make."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "make_rule_docs.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_rule_docs", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_pages_are_up_to_date(tool: ModuleType) -> None:
    assert tool.differing(tool.FOLDER) == [], "run python tools/make_rule_docs.py"


def test_an_outdated_and_a_left_over_page_are_seen(tool: ModuleType, tmp_path: Path) -> None:
    for name, text in tool.pages().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert tool.differing(tmp_path) == []
    (tmp_path / "GRD001.md").write_text("old", encoding="utf-8")
    (tmp_path / "GRD999.md").write_text("no such rule", encoding="utf-8")
    assert tool.differing(tmp_path) == ["GRD001.md", "GRD999.md"]
