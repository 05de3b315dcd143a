"""What a page of the docs shows and marks ``<!-- run -->`` is run as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.world import build, services

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(p for p in DOCS.glob("*.md"))
BLOCK = re.compile(
    r"<!-- run(?::(?P<needs>[^>]*))? -->\n```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """A code block that is run.

    Attributes:
        needs: services, and ``exit N`` where another status than 0 is right.
    """

    language: str
    code: str
    needs: tuple[str, ...]

    @property
    def status(self) -> int:
        return int(self.needs[self.needs.index("exit") + 1]) if "exit" in self.needs else 0


def blocks(page: Path) -> list[Block]:
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(m["language"], m["code"], tuple((m["needs"] or "").split())) for m in found]


def test_there_are_blocks_to_run() -> None:
    assert sum(len(blocks(page)) for page in PAGES) >= 12
    marks = sum(page.read_text(encoding="utf-8").count("<!-- run") for page in PAGES)
    assert marks == sum(len(blocks(page)) for page in PAGES), "a mark without a block after it runs nothing"


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: p.stem)
def test_what_the_page_shows_works(page: Path, tmp_path: Path) -> None:
    """Every block in the order of the page, in one folder; Python blocks of a page are one session."""
    folder = tmp_path / "here"
    folder.mkdir()
    build(folder)
    todo = blocks(page)
    with services({need for block in todo for need in block.needs}, tmp_path) as environment:
        for block in [b for b in todo if b.language == "sh"]:
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", block.code], cwd=folder, env=environment, capture_output=True,
                text=True, timeout=240,
            )  # fmt: skip
            assert done.returncode == block.status, (
                f"{block.code}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            )
        session = "\n".join(b.code for b in todo if b.language == "python")
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", session], cwd=folder, env=environment, capture_output=True, text=True,
            timeout=240,
        )  # fmt: skip
        assert done.returncode == 0, f"{session}\n{done.stderr[-3000:]}"
