"""Tables that are printed amid other lines: in boxes (Stable-Baselines3), below a header (spaCy, skorch), YOLO's."""

from __future__ import annotations

import re

from runscope.sources.tables.console.printed import N
from runscope.sources.tables.console.state import Row, State

_RULE = re.compile(r"^[-+=]{5,}$")
_BOXED = re.compile(r"^\|(\s*)(\S[^|]*?)\s*\|\s*([^|]*?)\s*\|$")
_INDENT = 3
"""A name that stands so far inside belongs to the section above it."""
_GAP = re.compile(r"\s{2,}|\t|\s*\|\s*")
_CLOCK = r"\d+(?::\d\d)+(?:\.\d+)?"
_CELL = re.compile(rf"(?:{N})%?|{_CLOCK}")
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
    """Rows of numbers below a header line: of ``spacy train``, ``E    #       LOSS TOK2VEC  SCORE``, and of others."""
    names = [name for name in _GAP.split(line.strip(" |")) if name]
    if names[:2] == ["E", "#"] or _is_header(names):
        state.columns = tuple(name for name in names if name != "cp")
        return {}
    if not state.columns:
        return None
    cells = [
        cell for cell in line.replace("|", " ").split() if cell != "+"
    ]  # skorch's mark of a saved checkpoint
    if len(cells) != len(state.columns) or not all(map(_CELL.fullmatch, cells)):
        return None
    named = dict(zip(state.columns, cells, strict=True))
    if state.columns[:2] != ("E", "#"):
        return {name.lower() if name.lower() in _COUNTS else name: cell for name, cell in named.items()}
    losses = [float(value) for name, value in named.items() if name.startswith("LOSS")]
    return {"epoch": named.pop("E"), "step": named.pop("#"), "train_loss": sum(losses), **named}


def _is_header(names: list[str]) -> bool:
    """Whether words name columns: one counts, one measures, and none is a number or a sentence."""
    if len(names) < 2 or any(re.search(r"[=:\d]{1}$|[=:]", name) or len(name) > 30 for name in names):
        return False
    counts = any(name.lower() in _COUNTS for name in names)
    return counts and any(_METRIC.search(name) and name.lower() not in _COUNTS for name in names)
