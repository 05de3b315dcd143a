"""Tables that are printed amid other lines: in boxes (Stable-Baselines3), below a header (spaCy, skorch), YOLO's."""

from __future__ import annotations

import re

from runscope.sources.tables.console.printed import N
from runscope.sources.tables.console.state import Row, State
from runscope.sources.tables.written.aligned import cells_below, spans_of

_RULE = re.compile(r"^[-+=]{5,}$")
_BOXED = re.compile(r"^\|(\s*)([^\W\d][^|]*?)\s*\|\s*([^|]*?)\s*\|$")
_INDENT = 3
"""A name that stands so far inside belongs to the section above it."""
_GAP = re.compile(r"\s{2,}|\t|\s*\|\s*")
_CLOCK = r"\d+(?::\d\d)+(?:\.\d+)?"
_CELL = re.compile(rf"(?:{N})(?:%|\s*(?:ms|s|m|h|min|sec))?|{_CLOCK}")
_CUT = re.compile(r"…|\.{2,3}")
_UNIT = re.compile(r"\s*\([^()]*\)$")
BOX = str.maketrans("│┃║┆┇┊┋╎╏", "|" * 9)
"""Bars of tables that are drawn in boxes (rich, polars, DuckDB, tabulate)."""
_FEWEST = 2
_COUNTS = frozenset(("epoch", "epochs", "step", "steps", "iter", "iteration", "it"))
_METRIC = re.compile(r"loss|acc|error|score|reward|f1|auc|rmse|mse|mae|ppl", re.IGNORECASE)
_YOLO = re.compile(rf"^\s*(\d+)/(\d+)\s+\S+?(?:[GM]B?)?\s+((?:(?:{N})(?:\s+|:|$))+)")
_YOLO_ALL = re.compile(rf"^\s*all\s+\d+\s+\d+\s+({N})\s+({N})\s+({N})\s+({N})")
_SCORES = ("metrics/precision", "metrics/recall", "metrics/mAP50", "metrics/mAP50-95")


def boxed(line: str, state: State) -> Row | None:
    """``| time/ | |`` and ``|    total_timesteps | 2048 |`` between rules: a row is a whole box."""
    text = line.strip()
    if _RULE.match(text):
        row, state.box, state.section = state.box or {}, {}, ""
        return row
    found = _BOXED.match(text) if state.box is not None else None
    if found is None or state.box is None:
        return None
    inside, name, value = len(found[1]) >= _INDENT, found[2], found[3]
    if not value:
        state.section = name.rstrip("/")
    elif re.fullmatch(N, value):
        state.box[f"{state.section}/{name}" if inside and state.section else name] = value
    return {}


def yolo(line: str, state: State) -> Row | None:
    """``3/100  2.6G  0.9  1.1 …`` below ``Epoch  GPU_mem  box_loss …``; the last of an epoch's lines is its mean."""
    words = line.split()
    if words[0] == "Epoch" and len(words) > 2 and words[1].lower() == "gpu_mem":
        state.columns, state.epoch, state.epoch_row = tuple(words), None, {}
        return {}
    if state.columns[:1] != ("Epoch",):
        return None
    scores = _YOLO_ALL.match(line)
    if scores is not None and state.epoch is not None:
        if _SCORES[0] not in state.epoch_row:  # the best checkpoint is validated again at the end
            state.epoch_row.update(zip(_SCORES, scores.groups(), strict=True))
        return {}
    found = _YOLO.match(line)
    if found is None:
        return None
    named = dict(zip(state.columns[2:], re.findall(N, found[3]), strict=False))
    losses = {f"train/{name}": value for name, value in named.items() if "loss" in name}
    if int(found[1]) == state.epoch:
        state.epoch_row.update(losses)
        return {}
    state.epoch, state.epoch_row = int(found[1]), {"epoch": found[1], **losses}
    return state.epoch_row


def columns(line: str, state: State) -> Row | None:
    """Rows of numbers below a header line: of ``spacy train``, ``E    #       LOSS TOK2VEC  SCORE``, and of others.

    Cells stand between bars, or below the name of their column: either way one may be empty.
    """
    cells = _between_bars(line) if "|" in line else None
    names = cells if cells is not None else [name for name in _GAP.split(line.strip()) if name]
    two_lines = _joined(state.above, cells)
    for header in (two_lines, names):
        if header[:2] == ["E", "#"] or _is_header([_UNIT.sub("", name) for name in header]):
            state.columns, state.above = tuple(header), None
            state.spans = [] if cells is not None else spans_of(line)
            return {}
    state.above = cells
    if not state.columns:
        return None
    if cells is not None and cells and all(_CUT.fullmatch(cell) for cell in cells):
        state.shortened = True
    row = _below(line, cells, state)
    if row is None or state.columns[:2] != ("E", "#"):
        return row
    losses = [float(value) for name, value in row.items() if name.startswith("LOSS")]
    return {"epoch": row.pop("E"), "step": row.pop("#"), "train_loss": sum(losses), **row}


def _between_bars(line: str) -> list[str]:
    bare = line.strip()
    if bare.startswith("|"):
        bare = bare.removeprefix("|").removesuffix("|")
    return [cell.strip() for cell in bare.split("|")]


def _joined(above: list[str] | None, cells: list[str] | None) -> list[str]:
    """Names of a header of two lines, as MATLAB's trainNetwork has it; empty where it is none."""
    if not above or not cells or len(above) != len(cells) or any(map(_CELL.fullmatch, (*above, *cells))):
        return []
    return [f"{upper} {lower}".strip() for upper, lower in zip(above, cells, strict=True)]


def _below(line: str, cells: list[str] | None, state: State) -> Row | None:
    """A line of numbers by the names of the header line; None where it is none."""
    if cells is None or state.spans:
        words = [
            word for word in line.replace("|", " ").split() if word != "+"
        ]  # skorch marks a saved checkpoint
        cells = words if len(words) == len(_named(state)) else cells_below(line, state.spans)
        names = _named(state) if cells is words else state.columns
    else:
        names = state.columns
    if cells is None or len(cells) != len(names) or not any(cells):
        return None
    numbers = {
        name.lower() if name.lower() in _COUNTS else name: cell
        for name, cell in zip(names, cells, strict=True) if _CELL.fullmatch(cell)
    }  # fmt: skip
    words = [name for name, cell in zip(names, cells, strict=True) if cell and not _CELL.fullmatch(cell)]
    if not numbers.keys() & {*_COUNTS, "E"} or len(numbers) < _FEWEST or any(map(_says_number, words)):
        return None
    return numbers


def _says_number(name: str) -> bool:
    """Whether a column counts or measures: a word there is no remark, and the line no row of the table."""
    return name.lower() in _COUNTS or _METRIC.search(name) is not None


def _named(state: State) -> tuple[str, ...]:
    return tuple(name for name in state.columns if name != "cp")


def _is_header(names: list[str]) -> bool:
    """Whether words name columns: one counts, one measures, and none is a number or a sentence."""
    if len(names) < _FEWEST or any(re.search(r"[=:\d]{1}$|[=:]", name) or len(name) > 30 for name in names):
        return False
    counts = any(name.lower() in _COUNTS for name in names)
    return counts and any(_METRIC.search(name) and name.lower() not in _COUNTS for name in names)
