"""Whether a run on this disk has changed, without reading it."""

from __future__ import annotations

from pathlib import Path

_LOGS = (".wandb", ".json", ".jsonl", ".csv", ".parquet", ".db", ".yaml")
_DEPTH = 3

Mark = tuple[tuple[str, int, int], ...]


def mark_of(reference: str) -> Mark | None:
    """Path, size and date of every log file that a reference stands for; None for a run in a service.

    Weights are no logs: a folder of checkpoints costs no more than its few small files.
    """
    path = Path(reference).expanduser()
    try:
        if not path.exists():
            return None
        files = [path] if path.is_file() else _logs(path, _DEPTH)
        return tuple(sorted((str(f), s.st_size, s.st_mtime_ns) for f in files if (s := f.stat()) is not None))
    except OSError:  # a checkpoint is just being deleted
        return ()


def changed_at(mark: Mark | None) -> float | None:
    """Unix seconds of the last change."""
    return max((row[2] / 1e9 for row in mark), default=None) if mark else None


def _logs(folder: Path, depth: int) -> list[Path]:
    found = []
    for entry in folder.iterdir():
        if entry.is_symlink() or entry.name.startswith("."):
            continue
        if entry.is_dir() and depth > 1:
            found += _logs(entry, depth - 1)
        elif entry.suffix in _LOGS or "tfevents" in entry.name:
            found.append(entry)
    return found
