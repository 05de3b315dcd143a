"""Which repository a reference names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from runscope.errors import InputError, UnknownReference, nearest_beside
from runscope.history.checkpoint import Checkpoint, Commit, File, Ref
from runscope.hub.git.repo import GitRepo, is_git
from runscope.hub.hub_repo import HubRepo

_SCHEMES = ("hf://", "http://", "https://")
_OWNED = re.compile(r"\w[\w.-]*/\w[\w.-]*")
"""``user/repo``. What is written otherwise, and without a scheme, is a path."""


class Repo(Protocol):
    """What a clone, a bundle and a Hub repository have in common."""

    name: str

    def commits(self, revision: str | None = None) -> list[Commit]:
        """History of a revision, oldest first."""

    def trees(
        self, revisions: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> dict[str, tuple[File, ...]]:
        """Files of each commit."""

    def refs(self) -> list[Ref]:
        """Branches, tags, pull requests."""

    def notes(self, commits: Sequence[Commit], revision: str | None) -> list[str]:
        """What is odd about it, its history at a revision being known."""

    def content(self, revision: str, path: str) -> bytes:
        """Content of a small file."""

    def header(self, revision: str, path: str) -> dict[str, Any]:
        """Header of a safetensors file."""

    def bring(self, revision: str, file: File, target: Path) -> None:
        """Write a file's content to ``target``."""

    @property
    def remedy(self) -> str:
        """How to get a content that is not here."""

    def has(self, file: File) -> bool:
        """Whether a file's content can be had."""


def open_repo(
    reference: str, *, endpoint: str | None = None, token: str | None = None
) -> tuple[Repo | Path, str | None]:
    """The repository, or the plain folder, that a reference names, and the revision in it (None: the default one).

    Args:
        reference: ``user/repo``, ``hf://user/repo``, a page's address, a clone, a bundle, a folder; all but the folder
            with ``@revision`` behind it where another branch, a tag, ``refs/pr/1`` or a commit is meant.
        endpoint, token: another Hub host, another account than the one logged in.

    Raises:
        UnknownReference: it is blank, or a path at which nothing is.
        InputError: it is a file that is no bundle.
    """
    hub_name, _, hub_revision = _id(reference).partition("@")
    if not hub_name.strip():
        raise UnknownReference(
            f"{reference!r} names no repository",
            hint="name user/repo, hf://user/repo, a clone, a git bundle, or a folder with checkpoint-*/",
        )
    for name, revision in _ways(reference):
        path = Path(name).expanduser()
        if not path.exists():
            continue
        if is_git(path):
            return GitRepo.open(path), revision
        if path.is_file():
            raise InputError(
                f"{path} is no repository and no folder",
                hint="name a Hub repository, a clone, a git bundle, or a folder with checkpoint-*/",
            )
        if revision is None:
            return path, None
    written = reference.partition("@")[0]
    if not reference.startswith(_SCHEMES) and not _OWNED.fullmatch(written):
        close = nearest_beside(Path(written))
        raise UnknownReference(
            f"{reference} is neither a path on this disk nor the name of a repository",
            hint=(f"did you mean {close}? " if close is not None else "")
            + "name user/repo (hf://NAME where it has no owner), a clone, a git bundle, or a folder with checkpoint-*/",
        )
    return HubRepo(hub_name, endpoint, token), hub_revision or None


def _ways(reference: str) -> list[tuple[str, str | None]]:
    """A path as it stands, else what stands before its last ``@``."""
    if reference.startswith(_SCHEMES):
        return []
    before, at, after = reference.rpartition("@")
    return [(reference, None), *([(before, after)] if at and before and after else [])]


def _id(reference: str) -> str:
    """``user/repo@revision`` from any way of writing a Hub repository."""
    if not reference.startswith(("http://", "https://")):
        return reference.removeprefix("hf://").strip("/")
    words = reference.partition("://")[2].partition("?")[0].strip("/").split("/")[1:]
    name = "/".join(words[:2])
    return f"{name}@{'/'.join(words[3:])}" if len(words) > 3 and words[2] in ("tree", "commits") else name


def repo_of(checkpoint: Checkpoint) -> Repo:
    """The repository that a checkpoint came from.

    Raises:
        InputError: it was a path, and nothing is there any more.
    """
    path = Path(checkpoint.repo).expanduser()
    return GitRepo.open(path) if path.exists() else HubRepo(checkpoint.repo, checkpoint.endpoint)
