"""TensorBoard log folders: every scalar of every event file of a run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from runscope.errors import UnreadableRun
from runscope.history import Run, Series
from runscope.sources.base import LoadContext, existing, facts_beside, finish, folder_name, identity, of_hydra
from runscope.sources.tensorboard.event_file import Item, Restart, Scalar, read_items

FORM = "TensorBoard folder"

_MARK = "tfevents"
_PARTS = frozenset(
    ("train", "training", "validation", "val", "valid", "eval", "evaluation", "test", "dev", "heldout")
)
"""Sub-folders that hold one part of a run: Keras writes ``train`` and ``validation``, estimators ``eval``."""
_HPARAMS = re.compile(r"\d{9,}(\.\d+)?")
"""Sub-folder that ``SummaryWriter.add_hparams`` makes: the time of the call."""

_HEAD = 1 << 16
"""The tags of a folder stand in so many bytes of each of its files: every one is logged early."""

Columns = dict[str, tuple[list[int], list[float], list[float]]]


def claims(reference: str) -> bool:
    """An event file, or a folder with one in it."""
    path = existing(reference)
    if path is None:
        return False
    if path.is_file():
        return _MARK in path.name
    return bool(_files(path)) or any(_files(folder) for folder in _parts_below(path))


def is_part(folder: Path, inner: Path) -> bool:  # noqa: ARG001 - one signature for all sources
    """Whether a folder inside a run's own holds a part of it: of its data, of its settings, of one metric."""
    if inner.name.lower() in _PARTS or is_hparams(inner.name):
        return True
    files = _files(inner)
    begun = read_part((file.name, _bytes(file, _HEAD)) for file in files)
    return bool(files) and bool(_full_names(inner.name, begun, []))


def read(reference: str, context: LoadContext) -> Run:  # noqa: ARG001 - one signature for all sources
    """Read all event files of a folder as one run, in the order they were written.

    Raises:
        UnreadableRun: a file cannot be opened, or none holds a scalar.
    """
    path = Path(reference).expanduser()
    if path.is_file():
        return assemble(reference, path.parent, {"": _read([path])}, where=str(path), place=path)
    parts = {"": _read(_files(path))}
    for folder in _subfolders(path):
        if _files(folder) and not is_hparams(folder.name):
            parts[folder.name] = _read(_files(folder))
        elif not is_hparams(folder.name):
            parts |= {name: _read(_files(part)) for name, part in _parts_inside(folder, folder.name)}
    return assemble(reference, path, parts, where=str(path))


@dataclass
class _Part:
    """What the event files of one folder hold."""

    columns: Columns = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, item: Item, file: str) -> None:
        if isinstance(item, Scalar):
            column = self.columns.get(item.tag)
            if column is None:
                column = self.columns[item.tag] = ([], [], [])
            steps, values, times = column
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


def _bytes(file: Path, most: int = -1) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(most)
    except OSError as error:
        raise UnreadableRun(
            f"{file} cannot be read: {error.strerror}", hint="check the path and its rights"
        ) from None


def assemble(
    reference: str,
    folder: PurePath,
    parts: Mapping[str, _Part],
    *,
    where: str,
    place: PurePath | str | None = None,
) -> Run:
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
    name = folder_name(folder) if isinstance(folder, Path) else folder.name
    run = Run(
        reference=reference,
        id=identity(name, place or folder),
        name=name,
        source="tensorboard",
        series=series,
        step_key="step",
        config={**of_hydra(folder), **facts_beside(folder)} if isinstance(folder, Path) else {},
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
    tag, slash, data = folder.rpartition("/")
    if slash and part.columns.keys() == {tag}:  # tensorboardX makes a folder loss/train
        return {tag: f"{tag}/{data}"}
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
    try:
        found = [f for f in folder.iterdir() if _MARK in f.name and f.is_file()]
    except OSError:
        return []
    return sorted(found, key=lambda f: age(f.name))


def is_event_file(name: str) -> bool:
    """Whether a file of that name is one."""
    return _MARK in PurePath(name).name


def is_hparams(folder: str) -> bool:
    """Whether a folder of that name was made by ``SummaryWriter.add_hparams``: no run of its own."""
    return _HPARAMS.fullmatch(folder) is not None


def age(name: str) -> tuple[list[int], str]:
    """Sorts event files, oldest first: after the mark stand the second, the host, the process and a counter."""
    return ([int(digits) for digits in re.findall(r"\d+", name.partition(_MARK)[2])], name)


def _subfolders(path: Path) -> list[Path]:
    try:
        return sorted(
            Path(e.path) for e in os.scandir(path) if e.is_dir(follow_symlinks=False) and e.name[0] != "."
        )
    except OSError:
        return []


_DEEPEST_TAG = 4


def _parts_inside(folder: Path, head: str) -> Iterator[tuple[str, Path]]:
    """Folders ``loss/train`` inside a run's own, as ``add_scalars`` of tensorboardX makes them, by their paths."""
    for part in _parts_below(folder):
        if _files(part):
            yield f"{head}/{part.name}", part
    if head.count("/") < _DEEPEST_TAG:
        for inner in _subfolders(folder):
            if inner.name.lower() not in _PARTS:
                yield from _parts_inside(inner, f"{head}/{inner.name}")


def _parts_below(path: Path) -> list[Path]:
    """Sub-folders that hold one part of a run, whose own folder may hold no event file."""
    return [folder for folder in _subfolders(path) if folder.name.lower() in _PARTS]
