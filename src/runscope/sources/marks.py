"""Whether a run on this disk has changed, without reading it."""

from __future__ import annotations

from pathlib import Path

_NO_LOGS = (
    ".safetensors",
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".gguf",
    ".h5",
    ".keras",
    ".msgpack",
    ".npz",
    ".onnx",
)
_WAL = "-wal"
"""Beside a database: what was written to it last (SQLite's write-ahead log); the file itself follows much later."""
_DEPTH = 5

Mark = tuple[tuple[str, int, int], ...]


def mark_of(reference: str) -> Mark | None:
    """Path, size and date of every file that a reference stands for; None for a run in a service.

    A log may have any name: MLflow's metrics are files called after them. Only weights are none: a folder of
    checkpoints costs no more than its few small files.
    """
    path = Path(reference).expanduser()
    try:
        if not path.exists():
            return None
        files = _with_wal(path) if path.is_file() else _logs(path, _DEPTH)
        return tuple(sorted((str(f), s.st_size, s.st_mtime_ns) for f in files if (s := f.stat()) is not None))
    except OSError:  # a checkpoint is just being deleted
        return ()


def changed_at(mark: Mark | None) -> float | None:
    """Unix seconds of the last change."""
    return max((row[2] / 1e9 for row in mark), default=None) if mark else None


def _with_wal(file: Path) -> list[Path]:
    beside = file.with_name(f"{file.name}{_WAL}")
    return [file, beside] if beside.exists() else [file]


def _logs(folder: Path, depth: int) -> list[Path]:
    found = []
    for entry in folder.iterdir():
        if entry.is_symlink() or entry.name.startswith("."):
            continue
        if entry.is_dir() and depth > 1:
            found += _logs(entry, depth - 1)
        elif entry.is_file() and entry.suffix not in _NO_LOGS:
            found.append(entry)
    return found
