"""Runs in a repository on the Hub: ``trainer_state.json`` and the event files below ``runs/``.

The Trainer pushes its state with ``hub_strategy`` ``checkpoint`` (``last-checkpoint/``) or ``all_checkpoints``
(``checkpoint-N/``). A state holds the whole clean history up to its step, whatever was interrupted before; so each
revision of a repository is a check of what a stitched line says of the steps before it.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import PurePosixPath

from runscope.errors import SeveralRuns, StoreError, UnreadableRun
from runscope.history import Run
from runscope.history.checkpoint import Commit, File
from runscope.hub.opening import Repo, open_repo
from runscope.progress import Progress
from runscope.sources.base import MEMBER, LoadContext
from runscope.sources.tensorboard import source as tensorboard
from runscope.sources.trainer import source as trainer_state
from runscope.store import home
from runscope.store.files import write_whole

FORM = "hf://user/repo"

_SCHEME = "hf://"
_LAST = "last-checkpoint"


def claims(reference: str) -> bool:
    """``hf://user/repo``, or the address of its page."""
    if reference.startswith(_SCHEME):
        return True
    scheme, _, rest = reference.partition("://")
    host, _, path = rest.partition("/")
    own = os.environ.get("HF_ENDPOINT", "").partition("://")[2].partition("/")[0]
    hosts = {"huggingface.co", "hf.co", *([own] if own else [])}
    return scheme in ("http", "https") and host in hosts and path.strip("/").count("/") >= 1


def read(reference: str, context: LoadContext) -> Run:
    """Read the newest Trainer state of a revision; without one, its event files.

    Raises:
        UnreadableRun: the revision holds neither.
        SeveralRuns: there are event files of several runs, and none is named.
        NotFound, NotSignedIn, NotAllowed, TooManyRequests, Unreachable, ServiceError: the Hub refused.
    """
    place, _, folder = reference.partition(MEMBER)
    repo, revision = _open(place)
    commits = repo.commits(revision)
    if not commits:
        raise UnreadableRun(f"{place} holds no commit", hint="name another revision with @REVISION")
    commit = commits[-1]
    files = [f for f in repo.trees([commit.revision])[commit.revision] if _below(f.path, folder)]
    states = _newest_states(files)
    if states:
        return _state_run(reference, repo, commit, states, context.progress)
    return _events_run(reference, place, repo, commit, files)


def _open(place: str) -> tuple[Repo, str | None]:
    repo, revision = open_repo(place)
    assert not isinstance(repo, os.PathLike), "an address is no folder"
    return repo, revision


def _below(path: str, folder: str) -> bool:
    return not folder or PurePosixPath(path).is_relative_to(folder)


def _newest_states(files: list[File]) -> list[File]:
    """The states that may cover most steps: the folder's own, the last checkpoint's, and the highest step's."""
    states = [f for f in files if PurePosixPath(f.path).name == trainer_state.NAME]
    numbered = [(int(m[1]), f) for f in states if (m := re.search(r"checkpoint-(\d+)/[^/]*$", f.path))]
    others = [f for f in states if not re.search(r"checkpoint-\d+/[^/]*$", f.path)]
    return [*others, *([max(numbered, key=lambda pair: pair[0])[1]] if numbered else [])]


def _state_run(
    reference: str, repo: Repo, commit: Commit, states: list[File], progress: Progress | None
) -> Run:
    """The run of the state that covers most steps."""
    runs = []
    for number, file in enumerate(states):
        if progress is not None:
            progress("trainer states", number, len(states))
        where = f"{file.path} of {repo.name} at {commit.revision[:8]}"
        state = trainer_state.parse_state(BytesIO(_content(repo, commit, file)), where)
        folder = PurePosixPath(repo.name) / PurePosixPath(file.path).parent
        if folder.name == _LAST:
            folder = folder.parent
        run = trainer_state.state_run(reference, folder, state, where=where, place=f"hf://{repo.name}")
        runs.append(replace(run, project=repo.name))
    return max(runs, key=trainer_state.covered)


def _events_run(reference: str, place: str, repo: Repo, commit: Commit, files: list[File]) -> Run:
    by_folder: dict[str, list[File]] = {}
    for file in files:
        if tensorboard.is_event_file(file.path):
            by_folder.setdefault(str(PurePosixPath(file.path).parent), []).append(file)
    by_folder = {
        f: rows for f, rows in by_folder.items() if not tensorboard.is_hparams(PurePosixPath(f).name)
    }
    if not by_folder:
        raise UnreadableRun(
            f"{place} holds neither {trainer_state.NAME} nor event files at {commit.revision[:8]}",
            hint="the Trainer pushes its state with hub_strategy='checkpoint' or 'all_checkpoints'; "
            "name the W&B run instead, or an older revision with @REVISION",
        )
    if len(by_folder) > 1:
        references = tuple(f"{place}{MEMBER}{name}" for name in sorted(by_folder))
        raise SeveralRuns(
            f"{place} holds event files of {len(by_folder)} runs: {', '.join(sorted(by_folder)[:12])}",
            hint=f"name one of them, for example {references[0]}",
            references=references,
        )
    ((name, rows),) = by_folder.items()
    rows = sorted(rows, key=lambda f: tensorboard.age(PurePosixPath(f.path).name))
    part = tensorboard.read_part((PurePosixPath(f.path).name, _content(repo, commit, f)) for f in rows)
    where = f"{name} of {repo.name} at {commit.revision[:8]}"
    folder = PurePosixPath(repo.name) / name
    return tensorboard.assemble(reference, folder, {"": part}, where=where, place=f"hf://{folder}")


def _content(repo: Repo, commit: Commit, file: File) -> bytes:
    """A file's content; the same content is asked for once and kept."""
    kept = home() / "hub" / "files" / (file.content_id or "unknown")
    if file.content_id:
        with suppress(OSError):
            return kept.read_bytes()
    content = repo.content(commit.revision, file.path)
    if not file.is_content(content):
        raise UnreadableRun(
            f"{file.path} arrived damaged: its hash is not the one that the repository names",
            hint="call again: it is downloaded again",
        )
    if file.content_id:
        with suppress(StoreError):  # without room for it, it can still be read
            write_whole(kept, lambda path: path.write_bytes(content))
    return content
