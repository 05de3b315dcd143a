"""Checkpoints of a Hub repository, a local clone or a folder."""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from runscope.errors import InputError, UnsafeFile
from runscope.hub.checkpoint import AdapterFacts, Checkpoint, File
from runscope.hub.git_repo import Commit, GitRepo, is_git
from runscope.hub.hub_repo import HubRepo
from runscope.hub.titles import read_title
from runscope.store.home import cache_folder

Progress = Callable[[str, int, int | None], None]

WEIGHTS = (".safetensors", ".bin", ".gguf")
_USEFUL = (".safetensors", ".json", ".txt", ".model")
_NO_WEIGHTS = ("training_args.bin", "optimizer.bin", "scheduler.bin", "random_states.bin", "tokenizer.bin")


def list_checkpoints(
    reference: str, *, endpoint: str | None = None, token: str | None = None, progress: Progress | None = None
) -> tuple[Checkpoint, ...]:
    """List every commit or folder that holds weights, in the order they were saved.

    Args:
        reference: ``user/repo``, ``hf://user/repo@revision``, a clone, a bundle, or a folder with ``checkpoint-*``.
        endpoint, token: another Hub host, another account than the one logged in.
        progress: called with the commits read so far.

    Raises:
        NotFound, NotSignedIn, NotAllowed, TooManyRequests, Unreachable: the Hub refused.
        InputError: a path that holds neither a repository nor checkpoints.
    """
    path = Path(reference).expanduser()
    if path.exists() and not is_git(path):
        return _folders(path)
    repo: GitRepo | HubRepo
    if path.exists():
        repo, revision = GitRepo.open(path), "HEAD"
    else:
        name, _, revision = reference.removeprefix("hf://").partition("@")
        repo, revision = HubRepo(name, endpoint, token), revision or "main"
    commits = repo.commits(revision)
    found: list[Checkpoint] = []
    last: dict[str, frozenset[str]] = {}
    for number, commit in enumerate(commits):
        if progress is not None:
            progress("commits", number, len(commits))
        by_folder = _weight_folders(repo.files(commit.revision))
        for folder, files in by_folder.items():
            ids = frozenset(f.content_id for f in files if _is_weight(f.path))
            changed = ids != last.get(folder)
            last[folder] = ids
            if changed or read_title(commit.title).step is not None:
                found.append(_of_commit(repo, commit, folder, files, changed))
    return tuple(found)


def _of_commit(
    repo: GitRepo | HubRepo, commit: Commit, folder: str, files: list[File], changed: bool
) -> Checkpoint:
    facts = read_title(commit.title)
    named = re.search(r"checkpoint-(\d+)$", folder)
    notes = [] if changed else ["its weights are those of the checkpoint before"]
    step, source = (
        (int(named[1]), "folder") if named else (facts.step, "title" if facts.step is not None else "unknown")
    )
    if step is None and any(PurePosixPath(f.path).name == "trainer_state.json" for f in files):
        step, source = _state_step(repo, commit, folder), "trainer_state"
    return Checkpoint(
        repo=repo.name,
        revision=commit.revision,
        title=commit.title,
        own_step=step,
        step=step,
        step_source=source,  # type: ignore[arg-type]
        subfolder=folder,
        epoch=facts.epoch,
        saved_at=commit.saved_at,
        files=tuple(files),
        changed=changed,
        notes=tuple(notes),
    )


def _state_step(repo: GitRepo | HubRepo, commit: Commit, folder: str) -> int | None:
    try:
        state = json.loads(repo.content(commit.revision, str(PurePosixPath(folder) / "trainer_state.json")))
        return int(state["global_step"])
    except (ValueError, KeyError, TypeError, InputError):
        return None


def _weight_folders(files: Iterable[File]) -> dict[str, list[File]]:
    """Files by the folder that holds weights."""
    by_folder: dict[str, list[File]] = {}
    for file in files:
        folder = str(PurePosixPath(file.path).parent)
        by_folder.setdefault("" if folder == "." else folder, []).append(file)
    return {f: rows for f, rows in by_folder.items() if any(_is_weight(r.path) for r in rows)}


def _is_weight(path: str) -> bool:
    name = PurePosixPath(path).name
    return (
        name.endswith(WEIGHTS) and name not in _NO_WEIGHTS and not name.startswith(("optimizer", "rng_state"))
    )


def _folders(path: Path) -> tuple[Checkpoint, ...]:
    places = [p for p in path.glob("checkpoint-*") if p.is_dir()] or [path]
    found = []
    for place in places:
        files = [File(p.name, p.stat().st_size, _quick_id(p)) for p in sorted(place.iterdir()) if p.is_file()]
        weights = [f for f in files if _is_weight(f.path)]
        if not weights:
            continue
        named = re.search(r"checkpoint-(\d+)$", place.name)
        step = int(named[1]) if named else None
        found.append(
            Checkpoint(
                repo=str(path), revision=None, title=place.name, own_step=step, step=step,
                step_source="folder" if named else "unknown", subfolder=place.name if place != path else "",
                saved_at=(place / weights[0].path).stat().st_mtime, files=tuple(files), local_path=place,
            )
        )  # fmt: skip
    if not found:
        raise InputError(
            f"{path} holds no checkpoint",
            hint="name a folder with checkpoint-*/, a clone, or a Hub repository",
        )
    return tuple(sorted(found, key=lambda c: (c.own_step or 0, c.saved_at or 0)))


def _quick_id(path: Path) -> str:
    import hashlib

    if not _is_weight(path.name):
        return f"{path.stat().st_size}-{path.stat().st_mtime_ns}"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(
    checkpoint: Checkpoint,
    *,
    cache: Path | None = None,
    allow_pickle: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Bring a checkpoint's safetensors and configuration into a local folder.

    Nothing that would run code is fetched.

    Raises:
        UnsafeFile: its weights are pickles only.
        InputError, ServiceError: a file is missing, or the Hub refused.
    """
    weights = [f.path for f in checkpoint.files if _is_weight(f.path)]
    if not any(w.endswith(".safetensors") for w in weights) and not allow_pickle:
        raise UnsafeFile(
            f"{checkpoint.name} has its weights only as {PurePosixPath(weights[0]).name if weights else 'nothing'}, "
            "a format that can run code when it is loaded",
            hint="convert it to safetensors, or take another checkpoint",
        )
    if checkpoint.local_path is not None:
        return checkpoint.local_path
    folder = (
        (cache or cache_folder("checkpoints")) / f"{checkpoint.revision}" / (checkpoint.subfolder or "root")
    )
    if (folder / ".whole").exists():
        return folder
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    repo = _open(checkpoint)
    wanted = [f for f in checkpoint.files if f.path.endswith(_USEFUL)]
    for number, file in enumerate(wanted):
        if progress is not None:
            progress(f"fetching {checkpoint.name}", number, len(wanted))
        target = part / PurePosixPath(file.path).name
        target.write_bytes(repo.content(str(checkpoint.revision), file.path))
    (part / ".whole").touch()
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return folder


def _open(checkpoint: Checkpoint) -> GitRepo | HubRepo:
    path = Path(checkpoint.repo)
    return GitRepo.open(path) if path.exists() else HubRepo(checkpoint.repo)


def read_adapter(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with the facts of its LoRA adapter: from its configuration and its file's header only."""
    names = {PurePosixPath(f.path).name: f.path for f in checkpoint.files}
    if "adapter_config.json" not in names:
        return checkpoint
    config = json.loads(_read(checkpoint, names["adapter_config.json"]))
    header = _header(checkpoint, names.get("adapter_model.safetensors"))
    shapes = [t["shape"] for n, t in header.items() if n != "__metadata__"]
    count = 0
    for shape in shapes:
        size = 1
        for side in shape:
            size *= side
        count += size
    targets = config.get("target_modules") or ()
    facts = AdapterFacts(
        base_model=config.get("base_model_name_or_path"),
        rank=config.get("r"),
        alpha=config.get("lora_alpha"),
        target_modules=(targets,) if isinstance(targets, str) else tuple(sorted(targets)),
        parameters=count or None,
        dtype=next((t["dtype"] for n, t in header.items() if n != "__metadata__"), None),
    )
    return replace(checkpoint, adapter=facts)


def _read(checkpoint: Checkpoint, path: str) -> bytes:
    if checkpoint.local_path is not None:
        return (checkpoint.local_path / path).read_bytes()
    return _open(checkpoint).content(str(checkpoint.revision), path)


def _header(checkpoint: Checkpoint, path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    if checkpoint.local_path is None:
        repo = _open(checkpoint)
        if isinstance(repo, HubRepo):
            return repo.safetensors_header(str(checkpoint.revision), path)
    data = _read(checkpoint, path)
    (length,) = struct.unpack_from("<Q", data, 0)
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    return header
