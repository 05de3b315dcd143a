"""A tree that changes: a scan that remembers says what a scan from nothing says."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from runscope.sources import list_references, load
from runscope.survey.memory import Memory
from runscope.survey.scratch import STALE_SECONDS, Scratch, opened
from runscope.survey.survey import Survey, take
from runscope.survey.work import Done, Task
from runscope.survey.worker import done
from tests.survey.tree import resumed_logs, trainer_folder

ROUNDS = int(os.environ.get("RUNSCOPE_TORTURE") or 8)


class Here:
    """The real work, in this process, with a list of what was read."""

    def __init__(self, scratch: Path | None = None) -> None:
        self._scratch = Scratch(scratch)
        self.judged: list[str] = []
        self.lots = 0

    def done(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Done]]:
        for task in tasks:
            if task.lot is None:
                self.judged += task.references
            else:
                self.lots += 1
            yield task, done(task, self._scratch)

    def close(self) -> None:
        """Nothing is held."""


def scanned(tree: Path, memory: Memory | None, work: Here | None = None) -> Survey:
    return take([str(tree)], list_references(str(tree), apart=False), work or Here(), memory)


def added(tree: Path, number: int, rng: np.random.Generator) -> None:
    kind = rng.integers(4)
    if kind == 0:
        trainer_folder(tree / f"fit-{number}", seed=number, steps=300)
    elif kind == 1:
        resumed_logs(tree / "logs", f"pricer-{number}", seed=number)
    elif kind == 2:
        first, second = resumed_logs(tree / f"apart-{number}", "log", seed=number)
        second.unlink() if rng.random() < 0.5 else first.unlink()
    else:
        place = trainer_folder(tree / f"long-{number}", seed=number, steps=300)
        trainer_folder(tree / f"long-{number}-resumed", seed=number, steps=600, first=300)
        if rng.random() < 0.3:
            shutil.rmtree(place)


def changed(tree: Path, rng: np.random.Generator) -> None:
    """One log is removed, cut, damaged, touched or moved."""
    files = sorted(f for f in tree.rglob("*.json*") if f.is_file())
    file = files[rng.integers(len(files))]
    how = rng.integers(5)
    if how == 0:
        file.unlink()
    elif how == 1:
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(lines[: len(lines) * 2 // 3]))
    elif how == 2:
        file.write_text('{"step": 1, "los')
    elif how == 3:
        os.utime(file, ns=(0, int(rng.integers(10**18))))
    else:
        file.parent.rename(file.parent.with_name(f"{file.parent.name}-moved-{rng.integers(10**6)}"))


@pytest.mark.parametrize("seed", range(2))
def test_what_is_remembered_says_what_a_scan_from_nothing_says(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tree, memory = tmp_path / "runs", Memory(tmp_path / "cards.sqlite")
    for number in range(8):
        added(tree, number, rng)
    joined = 0
    for number in range(8, 8 + ROUNDS // 2):
        with opened(tmp_path) as scratch:
            again = scanned(tree, memory, Here(scratch))
        assert again.cards == scanned(tree, None).cards
        joined += len(again.joined)
        added(tree, number, rng)
        changed(tree, rng)
    assert joined


def test_where_one_run_of_many_changes_only_what_it_touches_is_read(tmp_path: Path) -> None:
    tree, memory = tmp_path / "runs", Memory(tmp_path / "cards.sqlite")
    for number in range(6):
        resumed_logs(tree / f"group-{number}", f"pricer-{number}", seed=number)
    scanned(tree, memory)
    file = tree / "group-3" / "pricer-3-resumed.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-3]))
    work = Here()
    survey = scanned(tree, memory, work)
    assert len(survey.joined) == 6
    assert set(work.judged) == {str(file), str(file.with_name("pricer-3.jsonl"))}
    assert work.lots <= 1
    again = Here()
    scanned(tree, memory, again)
    assert not again.judged
    assert not again.lots


def test_what_was_read_is_kept_for_one_scan_and_read_again_where_it_is_damaged(tmp_path: Path) -> None:
    file, _ = resumed_logs(tmp_path / "logs", "pricer", seed=1)
    left = tmp_path / "home" / "reading-by-one-that-was-killed"
    left.mkdir(parents=True)
    os.utime(left, (0, time.time() - 2 * STALE_SECONDS))
    with opened(tmp_path / "home") as folder:
        assert folder is not None
        assert not left.exists()
        scratch = Scratch(folder)
        assert scratch.get(str(file)) is None
        done(Task((str(file),)), scratch)
        kept = scratch.get(str(file))
        assert kept is not None
        assert kept.points == load(file).points
        (written,) = folder.iterdir()
        written.write_bytes(written.read_bytes()[:-40])
        assert scratch.get(str(file)) is None
    assert not folder.exists()
    (tmp_path / "a file").write_text("")
    with opened(tmp_path / "a file" / "home") as nowhere:
        assert nowhere is None
        Scratch(nowhere).keep(str(file), kept)
