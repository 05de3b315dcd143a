"""Console logs: what a training prints, and what people paste into bug reports.

Read are the lines of the Hugging Face Trainer (``{'loss': 2.1, 'epoch': 0.1}`` between progress bars), nanoGPT and
litgpt, fairseq, Megatron-LM, Keras' progress lines, spaCy's table, and plain ``step 100 loss 2.1`` lines of loops.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from runscope.sources.tables.json_text import frame
from runscope.sources.text import Text, without_colours

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
SOUGHT_BYTES = 1 << 18
"""A log's first lines tell of packages and settings: so much is looked at before it is none."""
FEWEST = 2
"""One line that looks like a metric is chance."""
_N = r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan|[-+]?inf|NaN"
_DICT = re.compile(r"\{\s*'[\w./@-]+'\s*:\s*[^{}]*\}")
_BAR = re.compile(r"\|\s*(\d+)/(\d+)\s*\[")
_FAIRSEQ_JSON = re.compile(r"\|\s*(train|train_inner|valid|test)\s*\|\s*(\{.*\})\s*$")
_FAIRSEQ = re.compile(r"epoch\s+(\d+)(?::\s+(\d+)\s*/\s*(\d+)|\s*\|\s*(valid|train)\b[^|]*)(.*)$")
_MEGATRON = re.compile(r"iteration\s+(\d+)\s*/\s*(\d+)\s*\|(.*)$")
_MEGATRON_VALID = re.compile(r"validation (?:loss|results) at iteration (\d+)[^|]*\|(.*)$")
_NANO_STEP = re.compile(rf"\bstep (\d+): train loss ({_N}), val loss ({_N})")
_NANO_ITER = re.compile(rf"\biter (\d+): loss ({_N})(?:, time [\d.]+\s*ms)?")
_KERAS_EPOCH = re.compile(r"^Epoch (\d+)/(\d+)\s*$")
_KERAS_LINE = re.compile(r"^\s*(?:\x08|\d+/\d+\s).*?-\s.*\b(?:loss|val_loss):")
_COUNTER = re.compile(
    r"\b(epoch|global[_ ]step|step|iteration|iter|it|batch)\b\s*[:=#]?\s*\[?(\d+)(?:\s*(?:/|of)\s*(\d+))?\]?",
    re.I,
)
_PAIR = re.compile(
    rf"([A-Za-z][\w./@-]*(?: (?:loss|acc|accuracy|norm|rate))?)\s*[:=]?\s+?=?\s*({_N})(?![\w.:/])"
)
_NAMED = re.compile(
    rf"([A-Za-z][\w./@-]*(?:[ _](?:loss|acc|accuracy|norm|rate))?)\s*[:=]\s*({_N})(%?)(?![\w:])"
)
_LOSS = re.compile(r"\b[\w./]*loss\b", re.IGNORECASE)


def is_console(head: str) -> bool:
    """Whether a text that begins so holds lines of metrics."""
    found = 0
    state = _State()
    for line in _lines(without_colours(head)):
        found += _row(line, state) is not None
        if found >= FEWEST:
            return True
    return False


def read_console(source: Text) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The lines of metrics as a table, and what was passed over."""
    text = source.text
    notes = [*source.notes, "read from a console log: metrics have the digits that were printed"]
    if not source.ended:
        text, notes = text[: text.rfind("\n") + 1], [*notes, "the last line has no end and was left out"]
    state = _State()
    rows = [row for line in _lines(without_colours(text)) if (row := _row(line, state)) is not None]
    if state.total is not None:
        notes += _settle(rows, state.total)
    return frame(rows), tuple(notes)


STEADY = 0.9
"""Share of equal distances between logs from which on the bar told the step of each."""


def _settle(rows: list[Row], total: int) -> list[str]:
    """Steps of the Trainer's lines, where its progress bar lags behind: it is drawn ten times a second at most.

    Every so many steps a loss is logged; the bar is never ahead, so it bounds that number from below, and the planned
    steps bound it from above.
    """
    logged = [row for row in rows if "loss" in row and "step" in row]
    seen = [int(row["step"]) for row in logged]
    ahead = [b - a for a, b in pairwise(seen)]
    if len(ahead) < 2 or ahead.count(max(set(ahead), key=ahead.count)) >= STEADY * len(ahead):
        return []
    every = max(1, math.ceil(max(step / number for number, step in enumerate(seen, 1)) - 1e-9))
    if every * len(seen) > total:
        for row in rows:
            row.pop("step", None)
        return ["the progress bar does not tell the steps: rows are counted instead"]
    step = 0
    for row in rows:
        if row.keys() & {"loss"} and "step" in row:
            step += every
        if "step" in row:
            row["step"] = step
    return [f"the progress bar lags behind: losses are taken to be logged every {every} steps"]


def _lines(text: str) -> list[str]:
    return text.replace("\r", "\n").split("\n")


class _State:
    """What earlier lines said: where a progress bar stands, which epoch goes on."""

    step: int | None = None
    total: int | None = None
    epoch: int | None = None
    columns: tuple[str, ...] = ()


def _row(line: str, state: _State) -> Row | None:
    """The metrics that a line tells of, None where it tells of none."""
    if not line.strip():
        return None
    for reader in _READERS:
        row = reader(line, state)
        if row is not None:
            return row or None
    return None


def _trainer(line: str, state: _State) -> Row | None:
    """``{'loss': 2.1, …}`` as the Trainer prints it; a progress bar before it tells the step."""
    bars = _BAR.findall(line)
    if bars:
        done, total = (int(part) for part in bars[-1])
        if state.total is None or total >= state.total:  # the bar of an evaluation is a shorter one
            state.step, state.total = done, total
    found = _DICT.search(line)
    if found is None:
        return None
    try:
        values = ast.literal_eval(re.sub(r"(?<![\w'])(nan|inf)(?![\w'])", r"'\1'", found[0]))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    row = {str(name): value for name, value in values.items() if _number(value) is not None}
    if not row:
        return None
    if state.step is not None and "step" not in row:
        row = {"step": state.step, **row}
    return row


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _nanogpt(line: str, _: _State) -> Row | None:
    found = _NANO_STEP.search(line)
    if found is not None:
        return {"iter": found[1], "train/loss": found[2], "val/loss": found[3]}
    found = _NANO_ITER.search(line)
    return None if found is None else {"iter": found[1], "loss": found[2]}


def _megatron(line: str, _: _State) -> Row | None:
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


def _fairseq(line: str, _: _State) -> Row | None:
    found = _FAIRSEQ_JSON.search(line)
    if found is not None:
        try:
            values = ast.literal_eval(found[2])
        except (ValueError, SyntaxError):
            return {}
        head = "valid/" if found[1] == "valid" else ""
        if found[1] == "train":  # the mean of an epoch, beside the lines of its steps
            head = "train_epoch/"
        row = {name.removeprefix(f"{found[1]}_"): v for name, v in values.items() if _number(v) is not None}
        step = row.pop("num_updates", None)
        named = {f"{head}{name}" if name != "epoch" else name: value for name, value in row.items()}
        return named if step is None else {"num_updates": step, **named}
    found = _FAIRSEQ.search(line)
    if found is None or "loss" not in found[5]:
        return None
    row = dict(re.findall(rf"\b([a-z_]+)[ =]({_N})", found[5]))
    step = row.pop("num_updates", None)
    head = "valid/" if found[4] == "valid" else "train_epoch/" if found[4] else ""
    named = {f"{head}{name}": value for name, value in row.items()}
    return {"epoch": found[1], **({} if step is None else {"num_updates": step}), **named}


def _keras(line: str, state: _State) -> Row | None:
    found = _KERAS_EPOCH.match(line.strip())
    if found is not None:
        state.epoch = int(found[1])
        return {}
    if state.epoch is None or not _KERAS_LINE.match(line):
        return None
    done = re.search(r"(\d+)/(\d+)\s", line)
    if done is None or done[1] != done[2]:  # a progress bar on its way
        return {}
    pairs = re.findall(rf"\b(\w+): ({_N})", line)
    return {"epoch": state.epoch, **dict(pairs)}


def _spacy(line: str, state: _State) -> Row | None:
    """The table of ``spacy train``: ``E    #       LOSS TOK2VEC  LOSS NER  ENTS_F  SCORE``."""
    words = re.split(r"\s{2,}", line.strip())
    if words[:2] == ["E", "#"]:
        state.columns = tuple(words)
        return {}
    if not state.columns:
        return None
    cells = line.split()
    if len(cells) != len(state.columns) or not all(re.fullmatch(_N, cell) for cell in cells):
        return None
    named = dict(zip(state.columns, cells, strict=True))
    losses = [float(value) for name, value in named.items() if name.startswith("LOSS")]
    return {"epoch": named.pop("E"), "step": named.pop("#"), "train_loss": sum(losses), **named}


def _loop(line: str, _: _State) -> Row | None:
    """``Epoch 3/10, step 120: loss 0.52, lr=1e-4``: a counter, and a loss beside its name."""
    if not _LOSS.search(line):
        return None
    row: Row = {}
    for name, at, total in _COUNTER.findall(line):
        row.setdefault(name.lower().replace(" ", "_"), at)
        del total
    rest = _COUNTER.sub(" ", line)
    pairs = [(name, value) for name, value, _ in _NAMED.findall(rest)] or _PAIR.findall(rest)
    values = {re.sub(r"\s+", "_", name.strip()).lower(): value.replace(",", "") for name, value in pairs}
    if not row or not any("loss" in name for name in values):
        return None
    return {**row, **values}


_READERS: tuple[Callable[[str, _State], Row | None], ...] = (
    _trainer, _nanogpt, _megatron, _fairseq, _keras, _spacy, _loop
)  # fmt: skip
