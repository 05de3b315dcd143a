"""What a file is that holds no run, in words for whoever named it."""

from __future__ import annotations

import re
from pathlib import Path

import orjson

from runscope.errors import UnreadableRun
from runscope.sources.packed import content_of, is_packed, unpacked_name
from runscope.sources.tables import files as tables
from runscope.sources.text import head_of

_CSV = "name a CSV file with a header line (step,loss,val_loss) and one row per step"
_SWANLAB = (".swanlab", "send it with swanlab sync, and save get_metrics() of the run as CSV")
_KINDS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    ((".xlsx", ".xls", ".xlsm", ".ods"), "it is a spreadsheet", "save the sheet with the curves as CSV, and name that"),
    ((".pkl", ".pickle", ".joblib"), "it is a pickle, which is never opened since it may run code",
     "load it in Python and write JSON: json.dump(history, open('history.json', 'w'))"),
    ((".npy", ".npz", ".mat", ".h5", ".hdf5", ".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".keras", ".onnx",
      ".gguf"), "it holds arrays or weights, and no log", _CSV),
    ((".png", ".jpg", ".jpeg", ".svg", ".pdf", ".gif", ".html", ".htm", ".docx"), "it is a picture or a page",
     "name the log that its curves were drawn from"),
    ((".zip", ".tgz", ".tar", ".zst", ".7z", ".rar"), "it is an archive",
     "unpack it, and name what was in it"),
    ((_SWANLAB[0],), "it is SwanLab's own file, which is not read", _SWANLAB[1]),
    ((".ipynb",), "no cell of the notebook shows a table or lines of losses",
     "run it again, or name the log that it wrote"),
    ((".md", ".markdown"), "none of its tables counts steps or epochs and tells a loss", _CSV),
)  # fmt: skip
_SQLITE = b"SQLite format 3\0"
_NUMBERS = re.compile(r"[\s\d.,;eE+\-\[\]]+")
_METRIC = re.compile(r"loss|acc|f1|bleu|rouge|score|reward|perplexity", re.IGNORECASE)
_SMALL = 1 << 24
"""A document of results is smaller than this; larger ones are not looked into for a hint."""


def why_no_run(path: Path) -> tuple[str, str] | None:
    """Why a file holds no run, and what to name in its place; None where its kind says nothing."""
    if path.is_dir():
        found = next((file for depth in ("*", "*/*") for file in path.glob(f"{depth}{_SWANLAB[0]}")), None)
        if found is not None:
            return f"{found.name} in it is SwanLab's own file, which is not read", _SWANLAB[1]
        card = next((file for file in sorted(path.glob("*.md")) if tables.kind_of(file) is not None), None)
        return None if card is None else (f"{card.name} in it has a table of the training", f"name {card}")
    if not path.is_file():
        return None
    ending = unpacked_name(path).suffix.lower()
    if not path.stat().st_size:
        return "it is empty", "name another file, or wait until something was logged"
    with path.open("rb") as opened:
        if opened.read(len(_SQLITE)) == _SQLITE:
            return (
                "it is an SQLite database, but neither MLflow's nor Trackio's",
                "export the curve as CSV: a search over settings (Optuna) has one value a trial, and no curve",
            )
    known = next(((what, hint) for endings, what, hint in _KINDS if ending in endings), None)
    if known is not None:
        return known
    if is_packed(path) and not head_of(path):
        return "it cannot be unpacked", "it is damaged, or was packed in another way: take another copy of it"
    if ending in (".json", ".jsonl", ".ndjson"):
        return _document(path)
    head = head_of(path)
    if _NUMBERS.fullmatch(head):
        return "it holds numbers, and nothing says of what they are", _CSV
    if "\0" in head or "\ufffd" in head:
        return None
    return "no two of its lines have both a step or an epoch and a metric", _CSV


def _document(path: Path) -> tuple[str, str] | None:
    try:
        data = orjson.loads(content_of(path)[0]) if path.stat().st_size < _SMALL else None
    except (ValueError, OSError, UnreadableRun):
        return "it is no whole JSON", "take another copy of it, or wait until it is written"
    if isinstance(data, list) and data and not any(isinstance(value, dict) for value in data):
        return (
            "it holds numbers, and nothing says of what they are",
            'write {"loss": [...], "val_loss": [...]}',
        )
    if isinstance(data, dict) and any(_METRIC.search(str(name)) for name in data):
        return (
            "it holds one value of each metric, the result of a training or of an evaluation, and no curve",
            "name the log that it sums up: trainer_state.json, a CSV, event files",
        )
    return None
