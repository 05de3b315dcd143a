"""Bring a checkpoint's files into a local folder: whole or not at all, each content once, nothing that runs code."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from runscope.errors import InputError, StoreError, UnsafeFile
from runscope.history.checkpoint import Checkpoint, File
from runscope.hub.listing import is_safe
from runscope.hub.opening import Repo, repo_of
from runscope.progress import Progress
from runscope.store.home import cache_folder

_USEFUL = (".safetensors", ".json", ".txt", ".model", ".jinja")
_PICKLES = (".bin", ".pt", ".pth")
_FORMATS = {
    ".gguf": "GGUF, llama.cpp's format of quantised weights", ".h5": "HDF5, a format of TensorFlow",
    ".msgpack": "MessagePack, a format of Flax",
}  # fmt: skip
"""Formats that run no code, and that are not evaluated."""
_WHOLE = ".whole"
LONGEST_NAME = 150
"""Letters of a folder's name; file systems take 255 bytes, and a mark goes behind it while it is filled."""
_NEEDLESS = ("trainer_state.json",)


def fetch(
    checkpoint: Checkpoint,
    *,
    cache: Path | None = None,
    allow_pickle: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Bring a checkpoint's safetensors and configuration into a local folder.

    Nothing that would run code is fetched. Two checkpoints that share a file (the tokenizer, most often) share it on
    disk. A fetch that was killed goes on where it stopped; what arrives is held against the size and the hash that the
    repository names.

    Raises:
        UnsafeFile: its weights are pickles only, or a path in it leads out of its folder.
        InputError: a file is missing or arrived damaged.
        ServiceError: the Hub refused.
        StoreError: there is no room for it.
    """
    _refuse(checkpoint, allow_pickle)
    if checkpoint.local_path is not None:
        return checkpoint.local_path
    home = cache or cache_folder("checkpoints")
    folder = _place(checkpoint, home)
    if (folder / _WHOLE).exists():
        return folder
    repo = repo_of(checkpoint)
    wanted = needed(checkpoint, allow_pickle=allow_pickle)
    with _disk(home):
        blobs = home / "blobs"
        blobs.mkdir(parents=True, exist_ok=True)
        part = folder.with_name(f"{folder.name}.{os.getpid()}.{threading.get_ident()}.part")
        shutil.rmtree(part, ignore_errors=True)
        for number, file in enumerate(wanted):
            if progress is not None:
                progress(f"fetching {checkpoint.name}", number, len(wanted))
            target = part / PurePosixPath(file.path).relative_to(checkpoint.subfolder or ".")
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(_blob(repo, checkpoint, file, blobs), target)
        part.mkdir(parents=True, exist_ok=True)
        (part / _WHOLE).touch()
        try:
            part.rename(folder)
        except OSError:
            if not (folder / _WHOLE).exists():
                raise
            shutil.rmtree(part, ignore_errors=True)  # another process was faster
    return folder


def needed(checkpoint: Checkpoint, *, allow_pickle: bool = False) -> list[File]:
    """The files of a checkpoint that are fetched: no optimiser, no scheduler, no log."""
    endings = (*_USEFUL, *(_PICKLES if allow_pickle else ()))
    return [f for f in checkpoint.files if f.path.endswith(endings) and Path(f.path).name not in _NEEDLESS]


def fetched(checkpoint: Checkpoint, *, cache: Path | None = None) -> Path | None:
    """Where a checkpoint already lies on this disk, or None."""
    if checkpoint.local_path is not None:
        return checkpoint.local_path
    try:
        folder = _place(checkpoint, cache or cache_folder("checkpoints"))
    except StoreError:  # there is no store: nothing lies in it
        return None
    return folder if (folder / _WHOLE).exists() else None


def contents_here(checkpoint: Checkpoint, *, cache: Path | None = None) -> frozenset[str]:
    """Ids of those of its files that an earlier fetch of any checkpoint left on this disk."""
    blobs = (cache or cache_folder("checkpoints")) / "blobs"
    wanted = needed(checkpoint, allow_pickle=True)
    return frozenset(f.content_id for f in wanted if _blob_place(checkpoint, f, blobs).exists())


def let_go(checkpoint: Checkpoint, *, but: frozenset[str] = frozenset(), cache: Path | None = None) -> None:
    """Remove a fetched checkpoint from this disk, but for what others share with it; it can be fetched again.

    Args:
        checkpoint: one that was fetched; a folder of the user's own stays.
        but: ids of contents that stay.
        cache: as of :func:`fetch`.
    """
    from filelock import FileLock

    if checkpoint.local_path is not None:
        return
    home = cache or cache_folder("checkpoints")
    folder = _place(checkpoint, home)
    (folder / _WHOLE).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    for file in needed(checkpoint, allow_pickle=True):
        blob = _blob_place(checkpoint, file, home / "blobs")
        with (
            suppress(OSError),
            FileLock(f"{blob}.lock"),
        ):  # a model that is being read may not be removed on Windows
            if file.content_id not in but and blob.stat().st_nlink == 1:
                blob.unlink()


def _place(checkpoint: Checkpoint, home: Path) -> Path:
    """Where its files go. One folder each, none inside another: ``checkpoint-100`` may hold a ``best``."""
    name = quote(checkpoint.subfolder, safe=" ")
    if len(name) > LONGEST_NAME:
        name = hashlib.sha256(name.encode()).hexdigest()
    if name in ("root", "%root"):
        name = f"%{name}"  # the root of the repository has that name already
    return home / str(checkpoint.revision) / (name or "root")


def _refuse(checkpoint: Checkpoint, allow_pickle: bool) -> None:
    hostile = [f.path for f in checkpoint.files if not is_safe(f.path)]
    if hostile or (checkpoint.subfolder and not is_safe(checkpoint.subfolder)):
        raise UnsafeFile(
            f"{checkpoint.name} holds a file that leads out of its folder: {hostile[:1] or checkpoint.subfolder}",
            hint="do not use this repository",
        )
    weights = [f.path for f in checkpoint.weights]
    other = next((kind for w in weights for ending, kind in _FORMATS.items() if w.endswith(ending)), None)
    if other is not None and all(w.endswith(tuple(_FORMATS)) for w in weights):
        raise InputError(
            f"{checkpoint.name} has its weights only as {other}",
            hint="name the checkpoint with safetensors that it was converted from",
        )
    if not any(w.endswith(".safetensors") for w in weights) and not allow_pickle:
        raise UnsafeFile(
            f"{checkpoint.name} has its weights only as {PurePosixPath(weights[0]).name if weights else 'nothing'}, "
            "a format that can run code when it is loaded",
            hint="convert it to safetensors, or take another checkpoint",
        )


def _blob(repo: Repo, checkpoint: Checkpoint, file: File, blobs: Path) -> Path:
    """The file by its content: from an earlier fetch, or brought now and checked."""
    from filelock import FileLock

    blob = _blob_place(checkpoint, file, blobs)
    # One name for all processes, so that a download that was killed goes on; only one works on it at a time.
    arriving = blob.with_name(f"{blob.name}.new")
    with FileLock(f"{blob}.lock"):
        if not blob.exists():
            repo.bring(str(checkpoint.revision), file, arriving)
            try:
                _check(arriving, file)
                arriving.replace(blob)
            finally:
                arriving.unlink(missing_ok=True)
                shutil.rmtree(f"{arriving}.part", ignore_errors=True)
    return blob


def _blob_place(checkpoint: Checkpoint, file: File, blobs: Path) -> Path:
    named = f"{checkpoint.repo}@{checkpoint.revision}:{file.path}"
    known = re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", file.content_id)
    return blobs / (file.content_id if known else hashlib.sha256(named.encode()).hexdigest())


def _check(arrived: Path, file: File) -> None:
    """Hold what arrived against the size and the id that the repository names.

    Raises:
        InputError: they differ.
    """
    size = arrived.stat().st_size
    if file.size_bytes and size != file.size_bytes:
        raise InputError(
            f"{file.path} arrived with {size:,} bytes instead of {file.size_bytes:,}",
            hint="call again: it is downloaded again",
        )
    kind = {64: "sha256", 40: "sha1"}.get(len(file.content_id))
    if kind is None:
        return
    digest = hashlib.new(kind, b"" if kind == "sha256" else f"blob {size}\0".encode(), usedforsecurity=False)
    with arrived.open("rb") as source:
        while chunk := source.read(1 << 20):
            digest.update(chunk)
    if digest.hexdigest() != file.content_id:
        raise InputError(
            f"{file.path} arrived damaged: its hash is not the one that the repository names",
            hint="call again: it is downloaded again",
        )


def _link(blob: Path, target: Path) -> None:
    try:
        target.hardlink_to(blob)
    except OSError:  # a file system without links
        shutil.copyfile(blob, target)


@contextmanager
def _disk(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"the checkpoint cannot be kept in {home}: {error.strerror or error}",
            hint="free some space, or set RUNSCOPE_HOME to a folder with space",
        ) from error
