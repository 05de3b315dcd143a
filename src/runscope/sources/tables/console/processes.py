"""Lines of several processes of one training in one log: those of the first are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runscope.sources.tables.console.loops import counters_in
from runscope.sources.text import lines_of

_FIRST_IN_LINE = re.compile(r"^\[?(?:rank|default)[ _]?(\d+)\]?[:\s]", re.IGNORECASE)
"""``[rank1]: step 10 loss 2.1`` of torchtitan, ``[default1]:`` of torchrun: what stands so is no number of its own."""
_MARKS = (
    re.compile(r"^\[\d+,(?:mpirank:)?(\d+)(?:,[\w-]+)?\]<std\w+>:"),  # mpirun, Horovod, SageMaker
    re.compile(r"^\((?:[\w.]+ )?pid=(\d+)[^)]*\)"),  # Ray
    re.compile(r"\b(?:(?:local|global)_)?(?:rank|gpu|worker|process|device)[ _:#=-]*(\d+)\b", re.IGNORECASE),
    re.compile(r"^(\d+): "),  # srun --label
)
"""What a process puts into its lines, or a launcher before them; the same step comes with several of them."""
_QUOTES = {ord(sign): None for sign in "\"'"}
_SHARE = 0.5


def of_one_process(text: str, notes: list[str]) -> Iterator[str]:
    """The lines without those of other processes than the first; how many they are is said in a note."""
    ranks = _ranks(text, _FIRST_IN_LINE)
    if len({rank for rank in ranks if rank is not None}) < 2:
        told = ((mark, _ranks(text, mark)) for mark in _MARKS)
        ranks = next((found for mark, found in told if _tell_processes(mark, found, text)), [])
    known = {rank for rank in ranks if rank is not None}
    if len(known) < 2:
        yield from lines_of(text)
        return
    first, lost = min(known), 0
    own = {_form(line) for line, rank in zip(lines_of(text), ranks, strict=True) if rank == first}
    for line, rank in zip(lines_of(text), ranks, strict=True):
        # One that the first does not print may be the only evaluation.
        if rank in (None, first) or _form(line) not in own:
            yield line
        else:
            lost += 1
    notes.append(f"{lost:,} lines of other processes than rank {first} were left out")


_NUMBER = re.compile(r"[-+]?\d[\d.,:]*(?:e[-+]?\d+)?", re.IGNORECASE)


def _form(line: str) -> str:
    """A line without its numbers: what two processes that do the same both print."""
    return _NUMBER.sub("#", line)


def _ranks(text: str, mark: re.Pattern[str]) -> list[int | None]:
    return [None if (found := mark.search(line)) is None else int(found[1]) for line in lines_of(text)]


def _tell_processes(mark: re.Pattern[str], ranks: list[int | None], text: str) -> bool:
    """Whether most steps that stand in marked lines stand there with several marks: a step alone has one."""
    if len({rank for rank in ranks if rank is not None}) < 2:
        return False
    marks: dict[tuple[tuple[str, str], ...], set[int]] = {}
    for line, rank in zip(lines_of(text), ranks, strict=True):
        counted = None if rank is None else counters_in(mark.sub(" ", line).translate(_QUOTES))
        if counted and rank is not None:
            marks.setdefault(tuple(sorted(counted.items())), set()).add(rank)
    several = sum(len(found) > 1 for found in marks.values())
    return several > 1 and several >= _SHARE * len(marks)
