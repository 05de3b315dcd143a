"""Console logs: what a training prints, and what people paste into bug reports.

Read are the lines of the Hugging Face Trainer (``{'loss': 2.1, 'epoch': 0.1}`` between progress bars), nanoGPT and
litgpt, fairseq, Megatron-LM, Keras' progress lines, tables of Stable-Baselines3, spaCy and YOLO, and plain
``step 100 loss 2.1`` lines of loops.
"""

from __future__ import annotations

import ast
import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from runscope.sources.tables.cells import unwrapped
from runscope.sources.tables.console import dicts, grids, printed
from runscope.sources.tables.console.loops import changed, loop
from runscope.sources.tables.console.printed import N as _N
from runscope.sources.tables.console.processes import of_one_process
from runscope.sources.tables.console.state import Row, State
from runscope.sources.tables.documents.json_text import frame
from runscope.sources.tables.frames import NOTHING, is_filled, to_floats
from runscope.sources.tables.written.csv_text import of_one_form
from runscope.sources.text import Text, lines_of, without_colours

if TYPE_CHECKING:
    import pandas as pd

SOUGHT_BYTES = 1 << 18
"""A log's first lines tell of packages and settings: so much is looked at before it is none."""
FEWEST = 2
"""One line that looks like a metric is chance."""
_FAIRSEQ_JSON = re.compile(r"\|\s*(train|train_inner|valid|test)\s*\|\s*(\{.*\})\s*$")
_FAIRSEQ = re.compile(
    r"(?:\|\s*(?P<above>valid|train)\s*\|\s*)?\bepoch\s+(?P<epoch>\d+)(?::\s+\d+\s*/\s*\d+"
    r"|\s*\|\s*(?P<set>valid|train)\b[^|:=]*(?=\|)|(?=\s*\|\s*loss\s))(?P<rest>.*)$"
)
_MEGATRON = re.compile(r"iteration\s+(\d+)\s*/\s*(\d+)\s*\|(.*)$")
_MEGATRON_VALID = re.compile(r"validation (?:loss|results) at iteration (\d+)[^|]*\|(.*)$")
_NANO_STEP = re.compile(rf"\bstep (\d+): train loss ({_N}), val loss ({_N})")
_NANO_ITER = re.compile(rf"\biter (\d+): loss ({_N})(?:, time [\d.]+\s*ms)?")
_KERAS_EPOCH = re.compile(r"^Epoch (\d+)/(\d+)\s*$")
_KERAS_LINE = re.compile(r"^\s*(?:\x08|\d+/\d+\s).*?-\s.*\b(?:loss|val_loss):")


def is_console(head: str) -> bool:
    """Whether a text that begins so holds lines of metrics."""
    found = 0
    state = State()
    for line in lines_of(_plain(head)):
        found += _row(line, state) is not None
        if found >= FEWEST:
            return True
    return False


def read_console(source: Text) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The lines of metrics as a table, and what was passed over."""
    text, ended = _plain(source.text), source.ended
    notes = [*source.notes, "read from a console log: metrics have the digits that were printed"]
    del source  # each copy that is left behind is one more of the whole file
    state = State()
    lines = of_one_process(text, notes)
    cells = frame(_whole(_rows(lines, state, notes, ended=ended), state))
    below = _counted_below(text) if state.unplaced and ended else None
    if below is not None:
        notes.append("each epoch or step is counted below its metrics")
        cells = frame(below)
    elif state.unplaced:
        what = "line of metrics" if state.unplaced == 1 else "lines of metrics"
        notes.append(f"{state.unplaced:,} {what} at no epoch or step: left out")
    for name, second in state.seconds.items():
        notes.append(
            f"behind {name} stands a second number that no word names, read as {second}: if it is of held-out data, "
            f"--map eval_loss={second} says so"
        )
    if state.shortened:
        notes.append("the table was shortened when it was printed: rows are missing where it has dots")
    if state.total is not None:
        cells = _settled(cells, state.total, notes)
    return cells, tuple(notes)


def _counted_below(text: str) -> list[Row] | None:
    """The metrics of each line where what counts them stands below (``epoch 3 finished``); None in another log.

    Read from the last line up, all lines are counted, and all of them alike: one that was printed before the first
    epoch makes the first group another one.
    """
    state, rows = State(), list[Row]()
    for line in reversed(text.split("\n")):
        row = _row(line, state)
        if state.unplaced:
            return None
        rows += [] if row is None else [row]
    groups: dict[str, set[str]] = {}
    for row in rows:
        groups.setdefault(str([row.get(name) for name in _COUNTED]), set()).update(row)
    kinds = [*groups.values()]
    alike = len(kinds) > 1 and all(kind == kinds[0] for kind in kinds)
    return rows[::-1] if alike else None


MOST_KINDS = 20
"""Lines of one kind come again within so many others."""
STEADY = 0.9
"""Share of equal distances between logs from which on the bar told the step of each."""


def _rows(lines: Iterator[str], state: State, notes: list[str], *, ended: bool) -> Iterator[Row]:
    """The metrics of each line that has some; of a last one without its end where it is whole."""
    above, rows = deque[str](maxlen=MOST_KINDS), deque[Row](maxlen=MOST_KINDS)
    line = next(lines)
    for below in chain(lines, (None,)):
        row = _row(line, state)
        if below is None and not ended and (row is None or not _is_whole(line, row, above, rows)):
            if line.strip():
                notes.append("the last line has no end and was left out")
            return
        twice = below is not None and row is not None and rows and _told_again(line, row, above, rows)
        if row is not None and not twice:
            rows.append(row)
            yield row
        above.append(line)
        line = below or ""


def _told_again(line: str, row: Row, above: Sequence[str], rows: Sequence[Row]) -> bool:
    """Whether a line tells what the one above told, and no number besides: a logger that prints twice."""
    if not row.items() <= rows[-1].items():
        return False
    if row.keys() & {*_COUNTED} - {"epoch"}:
        return True
    here, there = set(_DIGITS.findall(line)), set(_DIGITS.findall(above[-1] if above else ""))
    return here <= there or there <= here


_DIGITS = re.compile(r"\d[\d.]*")


def _whole(rows: Iterator[Row], state: State) -> Iterator[Row]:
    """The rows, each once no line below adds to it: Keras and YOLO tell of one epoch in several."""
    waiting = deque[Row]()
    for row in rows:
        waiting.append(row)
        while waiting and waiting[0] is not state.epoch_row:
            yield waiting.popleft()
    yield from waiting


def _is_whole(line: str, row: Row, above: Iterable[str], rows: Iterable[Row]) -> bool:
    """Whether a last line without its end has all that a line of its kind has, and a last number that is not cut."""
    if row.keys() not in [other.keys() for other in rows]:
        return False
    word = line.split()[-1]
    if word[-1] in ":=|":  # a number was to come, unless all lines end so
        return all(a.split()[-1][-1] == word[-1] for a in above if a.strip())
    return not re.search(r"[\w.+-]$", word) or of_one_form(word, [a.split()[-1] for a in above if a.strip()])


def _settled(cells: pd.DataFrame, total: int, notes: list[str]) -> pd.DataFrame:
    """Steps of the Trainer's lines, where its progress bar lags behind: it is drawn ten times a second at most.

    Every so many steps a loss is logged; the bar is never ahead, so it bounds that number from below, and the planned
    steps bound it from above.
    """
    if not {"loss", "step"} <= {*cells.columns}:
        return cells
    counted = is_filled(cells["step"])
    logged = counted & is_filled(cells["loss"])
    seen = np.trunc(to_floats(cells["step"])[logged])
    ahead, often = np.unique(np.diff(seen), return_counts=True)
    if len(seen) < 3:
        return cells
    stride = max(1.0, float(ahead[often.argmax()]))
    told = seen[0] == 1 or (seen[0] > 0 and seen[0] % stride == 0)  # a loss is logged at no step 0
    if told and often.max() >= STEADY * (len(seen) - 1):
        return cells
    every = max(1, math.ceil((seen / np.arange(1, len(seen) + 1)).max() - 1e-9))
    if every * len(seen) > total:
        notes.append("the progress bar does not tell the steps: rows are counted instead")
        return cells.drop(columns="step")
    notes.append(f"the progress bar lags behind: losses are taken to be logged every {every} steps")
    return cells.assign(step=np.where(counted, every * np.cumsum(logged), NOTHING))


def _plain(text: str) -> str:
    plain = (
        unwrapped(without_colours(text)).translate(grids.BOX).replace("#011", "\t")
    )  # as syslog writes a tab
    return dicts.on_one_line(plain.replace("\r", "\n"))


def _row(line: str, state: State) -> Row | None:
    """The metrics that a line tells of, None where it tells of none."""
    if not line.strip():
        return None
    for reader in _READERS:
        row = reader(line, state)
        if row is not None:
            state.last = {name: row[name] for name in _COUNTED if name in row} or state.last
            return row or None
    return None


_COUNTED = ("epoch", "step", "global_step", "iteration", "iter", "it", "batch")


def _nanogpt(line: str, _: State) -> Row | None:
    found = _NANO_STEP.search(line)
    if found is not None:
        return {"iter": found[1], "train/loss": found[2], "val/loss": found[3]}
    found = _NANO_ITER.search(line)
    return None if found is None else {"iter": found[1], "loss": found[2]}


def _megatron(line: str, _: State) -> Row | None:
    found = _MEGATRON.search(line)
    if found is not None:
        row: Row = {"iteration": found[1], "train_iters": found[2]}
        return row | _bars(found[3])
    found = _MEGATRON_VALID.search(line)
    if found is None:
        return None
    named = {f"validation {name.removesuffix(' value')}": value for name, value in _bars(found[2]).items()}
    return {"iteration": found[1], **named}


def _bars(text: str) -> Row:
    """``name: value | name: value |``."""
    row = {}
    for part in text.split("|"):
        name, colon, value = part.rpartition(":")
        if colon and re.fullmatch(_N, value.strip()):
            row[re.sub(r"\s*\([^)]*\)", "", name).strip()] = value.strip().replace(",", "")
    return row


def _fairseq(line: str, _: State) -> Row | None:
    found = _FAIRSEQ_JSON.search(line)
    if found is not None:
        try:
            values = ast.literal_eval(found[2])
        except (ValueError, SyntaxError):
            return {}
        head = "valid/" if found[1] == "valid" else ""
        if found[1] == "train":  # the mean of an epoch, beside the lines of its steps
            head = "train_epoch/"
        row = {name.removeprefix(f"{found[1]}_"): v for name, v in values.items() if dicts.is_value(v)}
        step = row.pop("num_updates", None)
        named = {f"{head}{name}" if name != "epoch" else name: value for name, value in row.items()}
        return named if step is None else {"num_updates": step, **named}
    found = _FAIRSEQ.search(line)
    if found is None or "loss" not in found["rest"]:
        return None
    pairs = re.findall(rf"\b([a-z_]+)[ =]({_N})", found["rest"])
    row = dict(pairs)
    if "loss" not in row or len(row) < len(
        pairs
    ):  # another form, or of several sets of data, as fairseq prints none
        return None
    step = row.pop("num_updates", None)
    data = found["set"] or found["above"]
    head = "valid/" if data == "valid" else "train_epoch/" if data else ""
    named = {f"{head}{name}": value for name, value in row.items()}
    return {"epoch": found["epoch"], **({} if step is None else {"num_updates": step}), **named}


def _keras(line: str, state: State) -> Row | None:
    found = _KERAS_EPOCH.match(line.strip())
    if found is not None:
        state.epoch, state.epoch_row = int(found[1]), {}
        state.counters = {"epoch": found[1]}
        return {}
    if state.epoch is None or not _KERAS_LINE.match(line):
        return None
    done = re.search(r"(\d+)/(\d+)\s", line)
    if done is None or done[1] != done[2]:  # a progress bar on its way
        return {}
    pairs = dict(re.findall(rf"\b(\w+): ({_N})", line))
    if state.epoch_row.get("epoch") == state.epoch:  # its last batch, and again with what was held out
        state.epoch_row.update(pairs)
        return {}
    state.epoch_row = {"epoch": state.epoch, **pairs}
    return state.epoch_row


def _own_form(line: str, state: State) -> Row | None:
    for reader in _OWN_FORMS:
        row = reader(line)
        if row is not None:
            return changed(dict(row), state) if reader is printed.litgpt else dict(row)
    return None


_OWN_FORMS = (
    printed.boosting, printed.litgpt, printed.darknet, printed.espnet, printed.estimator, printed.llmc, printed.wenet,
    printed.marian,
)  # fmt: skip


_READERS: tuple[Callable[[str, State], Row | None], ...] = (
    dicts.row, _nanogpt, _megatron, _fairseq, _keras, grids.boxed, grids.yolo, grids.columns, _own_form, loop
)  # fmt: skip
