"""TensorBoard log folders: every scalar of every event file of a run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from runscope.errors import SeveralRuns, UnreadableRun
from runscope.history import Run, Series
from runscope.sources.base import LoadContext, existing, finish
from runscope.sources.tensorboard.event_file import Item, Restart, Scalar, read_items

FORM = "TensorBoard folder"

_MARK = "tfevents"
_PARTS = frozenset(
    ("train", "training", "validation", "val", "valid", "eval", "evaluation", "test", "dev", "heldout")
)
"""Sub-folders that hold one part of a run: Keras writes ``train`` and ``validation``, estimators ``eval``."""
_HPARAMS = re.compile(r"\d{9,}(\.\d+)?")
"""Sub-folder that ``SummaryWriter.add_hparams`` makes: the time of the call."""
_DEEPEST, _MOST_ENTRIES = 4, 4000
"""How far event files are looked for below a folder: a home folder must not be walked through."""

Columns = dict[str, tuple[list[int], list[float], list[float]]]


def claims(reference: str) -> bool:
    """An event file, or a folder with one in it."""
    path = existing(reference)
    if path is None:
        return False
    return _MARK in path.name if path.is_file() else next(_folders(path), None) is not None


def members(reference: str) -> list[str]:
    """The folders of the runs below one; the reference itself for one run."""
    path = existing(reference)
    if path is None or path.is_file():
        return [reference]
    roots = _roots(path)
    return [str(root) for root in roots] if len(roots) > 1 else [reference]


def read(reference: str, context: LoadContext) -> Run:  # noqa: ARG001 - one signature for all sources
    """Read all event files of a folder as one run, in the order they were written.

    Raises:
        UnreadableRun: a file cannot be opened, or none holds a scalar.
        SeveralRuns: the folder holds folders of several runs.
    """
    path = Path(reference).expanduser()
    if path.is_file():
        return assemble(reference, path.parent, {"": _read([path])}, where=str(path))
    roots = _roots(path)
    if len(roots) > 1:
        names = tuple(str(root) for root in roots)
        shown = ", ".join(str(root.relative_to(path)) for root in roots[:12])
        raise SeveralRuns(
            f"{path} holds the logs of {len(roots)} runs: {shown}"
            + (f" and {len(roots) - 12} more" if len(roots) > 12 else ""),
            hint=f"name one of them, for example {names[0]}",
            references=names,
        )
    root = roots[0] if roots else path
    parts = {"": _read(_files(root))}
    for folder in sorted(f for f in _folders(root, 1) if f != root and not is_hparams(f.name)):
        parts[folder.name] = _read(_files(folder))
    return assemble(reference, root, parts, where=str(path))


@dataclass
class _Part:
    """What the event files of one folder hold."""

    columns: Columns = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, item: Item, file: str) -> None:
        if isinstance(item, Scalar):
            steps, values, times = self.columns.setdefault(item.tag, ([], [], []))
            steps.append(item.step)
            values.append(item.value)
            times.append(item.time)
        elif isinstance(item, Restart):
            self._purge(item.step)
        elif item.at_end:
            self.notes.append(
                f"{file} ends inside a record: the {item.size_bytes:,} bytes after the last one"
            )
        else:
            self.notes.append(f"{file} is damaged: {item.size_bytes:,} bytes in it were passed over")

    def _purge(self, step: int) -> None:
        """Drop what a later session trains again, as TensorBoard does."""
        dropped = 0
        for tag, columns in self.columns.items():
            keep = [i for i, s in enumerate(columns[0]) if s < step]
            dropped += len(columns[0]) - len(keep)
            steps, values, times = columns
            self.columns[tag] = (
                [steps[i] for i in keep],
                [values[i] for i in keep],
                [times[i] for i in keep],
            )
        if dropped:
            self.notes.append(
                f"a later session began at step {step}: {dropped:,} older points from there on were dropped"
            )


def _read(files: list[Path]) -> _Part:
    return read_part((file.name, _bytes(file)) for file in files)


def read_part(files: Iterable[tuple[str, bytes]]) -> _Part:
    """What event files of one folder (name, content) hold, in the order given."""
    part = _Part()
    for name, data in files:
        for item in read_items(data):
            part.add(item, name)
    return part


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UnreadableRun(
            f"{file} cannot be read: {error.strerror}", hint="check the path and its rights"
        ) from None


def assemble(reference: str, folder: PurePath, parts: Mapping[str, _Part], *, where: str) -> Run:
    """The run of a folder: what lies in it (``""``) and in its sub-folders, by name.

    Raises:
        UnreadableRun: there is no scalar.
    """
    series: dict[str, Series] = {}
    notes: list[str] = []
    for name, part in parts.items():
        full = _full_names(name, part, notes)
        for tag, column in part.columns.items():
            if tag in full and column[0]:
                series[full[tag]] = Series.of(full[tag], *column)
        notes += [f"{name}: {note}" if name else note for note in part.notes]
    times = [t for s in series.values() if len(t := s.time)]
    run = Run(
        reference=reference,
        id=folder.name,
        name=folder.name,
        source="tensorboard",
        series=series,
        step_key="step",
        started_at=min((float(t.min()) for t in times), default=None),
        ended_at=max((float(t.max()) for t in times), default=None),
        project=str(folder.parent),
        notes=tuple(notes),
    )
    return finish(run, where=where)


def _full_names(folder: str, part: _Part, notes: list[str]) -> dict[str, str]:
    """Tag → name in the run. Empty for a sub-folder that is a run of its own.

    ``SummaryWriter.add_scalars("loss", {"train": …})`` of torch makes a folder ``loss_train`` with the tag
    ``loss``: that is the metric ``loss/train``.
    """
    if not folder:
        return {tag: tag for tag in part.columns}
    if folder.lower() in _PARTS:
        return {tag: f"{folder}/{tag}" for tag in part.columns}
    heads = {tag: f"{tag.replace('/', '_')}_" for tag in part.columns}
    if heads and all(folder.startswith(head) for head in heads.values()):
        return {tag: f"{tag}/{folder.removeprefix(head)}" for tag, head in heads.items()}
    if part.columns:
        notes.append(f"the sub-folder {folder} is a run of its own: name it by its path")
    return {}


def _files(folder: Path) -> list[Path]:
    """Event files of one folder, oldest first."""
    return sorted((f for f in folder.iterdir() if _MARK in f.name and f.is_file()), key=lambda f: age(f.name))


def is_event_file(name: str) -> bool:
    """Whether a file of that name is one."""
    return _MARK in PurePath(name).name


def is_hparams(folder: str) -> bool:
    """Whether a folder of that name was made by ``SummaryWriter.add_hparams``: no run of its own."""
    return _HPARAMS.fullmatch(folder) is not None


def age(name: str) -> tuple[list[int], str]:
    """Sorts event files, oldest first: after the mark stand the second, the host, the process and a counter."""
    return ([int(digits) for digits in re.findall(r"\d+", name.partition(_MARK)[2])], name)


def _roots(path: Path) -> list[Path]:
    """The folders below a path that are runs; a part's run is the folder above it."""
    found = list(_folders(path))
    if path in found:
        return [path]
    return sorted({f.parent if f.name.lower() in _PARTS and f != path else f for f in found})


def _folders(path: Path, deepest: int = _DEEPEST) -> Iterator[Path]:
    """Folders with event files, from the path down, nearest first."""
    level, seen = [path], 0
    for _ in range(deepest + 1):
        below: list[Path] = []
        for folder in level:
            try:
                entries = sorted(os.scandir(folder), key=lambda e: e.name)
            except OSError:
                continue
            seen += len(entries)
            if any(_MARK in e.name and e.is_file() for e in entries):
                yield folder
            below += [Path(e.path) for e in entries if e.is_dir(follow_symlinks=False) and e.name[0] != "."]
            if seen > _MOST_ENTRIES:
                return
        level = below
