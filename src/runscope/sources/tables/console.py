"""Console logs: what a training prints, and what people paste into bug reports.

Read are the lines of the Hugging Face Trainer (``{'loss': 2.1, 'epoch': 0.1}`` between progress bars), nanoGPT and
litgpt, fairseq, Megatron-LM, Keras' progress lines, spaCy's table, and plain ``step 100 loss 2.1`` lines of loops.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from runscope.sources.tables import printed
from runscope.sources.tables.cells import unwrapped
from runscope.sources.tables.csv_text import of_one_form
from runscope.sources.tables.json_text import frame
from runscope.sources.tables.printed import N as _N
from runscope.sources.text import Text, without_colours

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
SOUGHT_BYTES = 1 << 18
"""A log's first lines tell of packages and settings: so much is looked at before it is none."""
FEWEST = 2
"""One line that looks like a metric is chance."""
_DICT = re.compile(r"\{\s*['\"][\w./@()-]+['\"]\s*:\s*[^{}]*\}")
_BAR = re.compile(r"\|\s*(\d+)/(\d+)\s*\[")
_LAST_BAR = re.compile(r".*\|\s*(\d+)/(\d+)\s*\[")
_FAIRSEQ_JSON = re.compile(r"\|\s*(train|train_inner|valid|test)\s*\|\s*(\{.*\})\s*$")
_FAIRSEQ = re.compile(r"epoch\s+(\d+)(?::\s+(\d+)\s*/\s*(\d+)|\s*\|\s*(valid|train)\b[^|]*)(.*)$")
_MEGATRON = re.compile(r"iteration\s+(\d+)\s*/\s*(\d+)\s*\|(.*)$")
_MEGATRON_VALID = re.compile(r"validation (?:loss|results) at iteration (\d+)[^|]*\|(.*)$")
_NANO_STEP = re.compile(rf"\bstep (\d+): train loss ({_N}), val loss ({_N})")
_NANO_ITER = re.compile(rf"\biter (\d+): loss ({_N})(?:, time [\d.]+\s*ms)?")
_KERAS_EPOCH = re.compile(r"^Epoch (\d+)/(\d+)\s*$")
_KERAS_LINE = re.compile(r"^\s*(?:\x08|\d+/\d+\s).*?-\s.*\b(?:loss|val_loss):")
_COUNTER = re.compile(
    r"(?<![/\w])(epoch|global[_ ]step|step|iteration|iter|it|batch)s?\b(?:\(train\))?\s*[:=#]?\s*\[?\s*"
    r"(\d{1,3}(?:,\d{3})+|\d+)(?:\.0+)?(?![.,]?\d)(?:\s*(?:/|of)\s*(\d+))?\]?",
    re.IGNORECASE,
)
_PLACE = re.compile(r"\bepoch\b(?:\(train\))?\s*:?\s*\[\s*\d+\]\s*\[\s*(\d+)\s*/\s*(\d+)\]", re.IGNORECASE)
"""``Epoch: [3][ 40/100]``: PyTorch's ImageNet example, DETR, mmengine."""
_BATCHES = re.compile(r"(\d+)\s*/\s*(\d+)\s+(?:batch|step|iteration)(?:e?s)\b", re.IGNORECASE)
_WORDS = r"(?:loss|acc|accuracy|norm|rate)"
_PAIR = re.compile(rf"([A-Za-z][\w./@-]*(?: {_WORDS})?)\s*[:=]?\s+?=?\s*({_N})(?![\w.:/])", re.IGNORECASE)
_NAMED = re.compile(rf"([A-Za-z][\w./@-]*(?:[ _]{_WORDS})?)\s*[:=]\s*({_N})(%?)(?![\w:/])", re.IGNORECASE)
_HELD_OUT = (
    r"(?:val|valid|validation|validating|validate|eval|evaluation|evaluating|evaluate|test|testing|dev)"
)
_OF_HELD_OUT = re.compile(rf"(?<![\w/\\.-]){_HELD_OUT}(?![\w/\\.-])", re.IGNORECASE)
_NAMES_HELD_OUT = re.compile(rf"(?:^|[_/.-]){_HELD_OUT}(?:$|[_/.-])", re.IGNORECASE)
_NAMES_SCORE = re.compile(r"acc|accuracy|f1|auc", re.IGNORECASE)
_LOSS = re.compile(r"loss\b|\bxent\b|\bnll\b", re.IGNORECASE)


def is_console(head: str) -> bool:
    """Whether a text that begins so holds lines of metrics."""
    found = 0
    state = _State()
    for line in _lines(unwrapped(without_colours(head))):
        found += _row(line, state) is not None
        if found >= FEWEST:
            return True
    return False


def read_console(source: Text) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The lines of metrics as a table, and what was passed over."""
    text = source.text
    notes = [*source.notes, "read from a console log: metrics have the digits that were printed"]
    state = _State()
    lines = _lines(unwrapped(without_colours(text)))
    rows = [row for line in lines[:-1] if (row := _row(line, state)) is not None]
    last = _row(lines[-1], state)
    if last is not None and (source.ended or _is_whole(lines, last, rows)):
        rows.append(last)
    elif lines[-1].strip() and not source.ended:
        notes.append("the last line has no end and was left out")
    if state.total is not None:
        notes += _settle(rows, state.total)
    return frame(rows), tuple(notes)


def _is_whole(lines: list[str], row: Row, rows: list[Row]) -> bool:
    """Whether a last line without its end has all that a line of its kind has, and a last number that is not cut."""
    if row.keys() not in [other.keys() for other in rows[-MOST_KINDS:]]:
        return False
    word = lines[-1].split()[-1]
    above = [line.split()[-1] for line in lines[:-1][-MOST_KINDS:] if line.strip()]
    return not re.search(r"[\w.+-]$", word) or of_one_form(word, above)


MOST_KINDS = 20
"""Lines of one kind come again within so many others."""
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


@dataclass
class _State:
    """What earlier lines said.

    Attributes:
        step, total: where the Trainer's progress bar stands.
        first_epoch: 0 or 1, from which a loop counts its epochs.
        epoch, epoch_row: of Keras, whose lines name it once, and what its lines said of it.
        columns: of spaCy's table.
        counters: of a line that held nothing else: the lines below it belong to that epoch or step.
        last: counters of the last metrics.
        shown: what a progress bar showed last.
    """

    step: int | None = None
    total: int | None = None
    first_epoch: int | None = None
    epoch: int | None = None
    epoch_row: Row = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    counters: Row = field(default_factory=dict)
    last: Row = field(default_factory=dict)
    shown: Row = field(default_factory=dict)


def _row(line: str, state: _State) -> Row | None:
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
        values = ast.literal_eval(
            re.sub(
                r"(?<![\w'\"])(nan|inf|NaN|Infinity)(?![\w'\"])",
                r"'\1'",
                found[0].replace(": null", ": None"),
            )
        )
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


def _own_form(line: str, state: _State) -> Row | None:
    for reader in _OWN_FORMS:
        row = reader(line)
        if row is not None:
            return _changed(dict(row), state) if reader is printed.litgpt else dict(row)
    return None


_OWN_FORMS = (printed.boosting, printed.litgpt, printed.darknet, printed.espnet, printed.estimator)


def _loop(line: str, state: _State) -> Row | None:
    """``Epoch 3/10, step 120: loss 0.52, lr=1e-4``: a counter, and a loss beside its name.

    The counter may stand in a line of its own above, or in a progress bar.
    """
    row: Row = {}
    for name, at, _total in _COUNTER.findall(line):
        row.setdefault(name.lower().replace(" ", "_"), at.replace(",", ""))
    place = _PLACE.search(line) or _BATCHES.search(line)
    if place is not None and not row.keys() - {"epoch"}:
        row["step"] = _counted_on(row, place, state)
    rest = _BATCHES.sub(" ", _COUNTER.sub(" ", line))
    if not _LOSS.search(line):
        if row and not re.search(r"\w", rest):
            state.counters, state.last = row, {}
        after = printed.opennmt(line)
        return {**state.last, **after} if after and state.last else None
    pairs = [(name, value) for name, value, _ in _NAMED.findall(rest)]
    if not any(
        _LOSS.search(name) for name, _ in pairs
    ):  # a place in a program is a name and a number as well
        pairs = _PAIR.findall(rest)
    values = _of_their_data({_spelt(name): value.replace(",", "") for name, value in pairs}, rest)
    if not any(_LOSS.search(name) for name in values):
        return None
    bars = _BAR.findall(line)
    if bars and not row.keys() - {"epoch"}:
        if all(_NAMES_HELD_OUT.search(name) for name in values if _LOSS.search(name)):
            return {}  # the bar of an evaluation: means on their way
        row["step"] = _counted_on(row, _LAST_BAR.search(line), state)
        values = _changed(values, state)
    if not row and all(_NAMES_HELD_OUT.search(name) for name in values if _LOSS.search(name)):
        row = state.last  # an evaluation, told after the last step that was
    row = row if "epoch" in row else {**state.counters, **row}
    return {**row, **values} if row else None


def _counted_on(row: Row, place: re.Match[str] | None, state: _State) -> int:
    """The step of a batch that is counted within its epoch; epochs begin at 0 or 1."""
    assert place is not None, "found by the caller"
    at, total = int(place[1]), int(place[2])
    epoch = int((state.counters | row).get("epoch", 0))
    if state.first_epoch is None:
        state.first_epoch = min(epoch, 1)
    return max(0, epoch - state.first_epoch) * total + at


def _spelt(name: str) -> str:
    return re.sub(r"\s+", "_", name.strip()).lower()


def _of_their_data(values: Row, text: str) -> Row:
    """Metrics of a line that is about held-out data, under names that say so.

    A word before the first name says it (``Test set: Average loss: 0.3``), or the names of all losses do, for a score
    beside them (``val loss: 0.4 acc: 0.9``).
    """
    names = [name for name in values if not _NAMES_HELD_OUT.search(name)]
    losses = [name for name in values if _LOSS.search(name)]
    begin = re.split(r"[:=]", text, maxsplit=1)[0]
    word = _OF_HELD_OUT.search(begin)
    if word is not None and names and _spelt(begin[word.start() :]) not in values:
        return {name if name not in names else f"val/{name}": value for name, value in values.items()}
    if losses and not set(losses) & set(names):
        return {
            f"val/{name}" if name in names and _NAMES_SCORE.fullmatch(name) else name: value
            for name, value in values.items()
        }
    return values


def _changed(values: Row, state: _State) -> Row:
    """Without what a progress bar goes on showing from an earlier evaluation or epoch."""
    held = {n: v for n, v in values.items() if _NAMES_HELD_OUT.search(n) or n.endswith("_epoch")}
    stale = {name for name, value in held.items() if state.shown.get(name) == value}
    state.shown |= held
    return {name: value for name, value in values.items() if name not in stale}


_READERS: tuple[Callable[[str, _State], Row | None], ...] = (
    _trainer, _nanogpt, _megatron, _fairseq, _keras, _spacy, _own_form, _loop
)  # fmt: skip
