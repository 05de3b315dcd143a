"""A local clone (bare or not) or a git bundle, read with git itself."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from runscope.errors import InputError, MissingExtra, NotFound
from runscope.hub.checkpoint import File
from runscope.store.home import cache_folder


@dataclass(frozen=True)
class Commit:
    """One commit: hash, Unix seconds, title."""

    revision: str
    saved_at: float
    title: str


@dataclass(frozen=True)
class GitRepo:
    """A repository on this disk.

    Attributes:
        name: what the user wrote.
        folder: where git runs.
    """

    name: str
    folder: Path

    @classmethod
    def open(cls, path: Path) -> GitRepo:
        """Open a clone, a bare repository or a bundle.

        Raises:
            InputError: it is none of these, or a damaged one.
        """
        folder = _unbundled(path) if path.is_file() else path
        repo = cls(str(path), folder)
        repo._git("rev-parse", "--git-dir")
        return repo

    def commits(self, revision: str = "HEAD") -> list[Commit]:
        """First-parent history, oldest first.

        Raises:
            NotFound: there is no such revision.
        """
        try:
            text = self._git("log", "--first-parent", "--format=%H%x09%cI%x09%s", revision).decode(
                "utf-8", "replace"
            )
        except InputError:
            raise NotFound(
                f"{self.name} has no revision {revision!r}", hint="git log shows what is there"
            ) from None
        commits = []
        for line in text.splitlines():
            sha, date, title = line.split("\t", 2)
            commits.append(Commit(sha, datetime.fromisoformat(date).timestamp(), title))
        return commits[::-1]

    def _default(self) -> str:
        """The branch that HEAD names; where it names none that exists (a bundle), main, or the first there is."""
        branches = self._git("for-each-ref", "--format=%(refname)", "refs/heads").decode().split()
        head = (
            (self.folder / self._git("rev-parse", "--git-dir").decode().strip() / "HEAD").read_text().strip()
        )
        named = head.removeprefix("ref: ")
        if not branches or named in branches or not head.startswith("ref: "):
            return "HEAD"
        return "refs/heads/main" if "refs/heads/main" in branches else branches[0]

    def files(self, revision: str) -> Iterator[File]:
        """Files of a commit. A Git LFS pointer counts with the size and id of what it points to."""
        for line in self._git("ls-tree", "-r", "-l", "-z", revision).decode("utf-8", "replace").split("\0"):
            facts, _, path = line.partition("\t")
            if not path:
                continue
            _, _, blob, size = facts.split()
            pointer = _pointer(self.read(revision, path)) if size != "-" and int(size) < 200 else None
            yield (
                File(path, pointer[1], pointer[0])
                if pointer
                else File(path, int(size) if size != "-" else 0, blob)
            )

    def read(self, revision: str, path: str) -> bytes:
        """Content of a file as git holds it.

        Raises:
            InputError: it is not there.
        """
        return self._git("cat-file", "blob", f"{revision}:{path}")

    def content(self, revision: str, path: str) -> bytes:
        """Content of a file, Git LFS followed.

        Raises:
            InputError: the LFS object was never fetched.
        """
        data = self.read(revision, path)
        pointer = _pointer(data) if len(data) < 200 else None
        if pointer is None:
            return data
        directory = Path(self._git("rev-parse", "--git-dir").decode().strip())
        stored = (self.folder / directory) / "lfs" / "objects" / pointer[0][:2] / pointer[0][2:4] / pointer[0]
        if not stored.is_file():
            raise InputError(
                f"{path} at {revision[:8]} is a Git LFS pointer whose content was not fetched",
                hint=f"git -C {self.name} lfs fetch --all",
            )
        return stored.read_bytes()

    def _git(self, *words: str) -> bytes:
        if shutil.which("git") is None:
            raise MissingExtra("git", extra="eval", needed_for="reading a local clone")
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", *words], cwd=self.folder, capture_output=True, check=False
        )
        if done.returncode:
            reason = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise InputError(
                f"git cannot read {self.name}: {reason[0].removeprefix('fatal: ') if reason else 'no reason given'}",
                hint="name a clone, a bare repository or a bundle",
            )
        return done.stdout


def is_git(path: Path) -> bool:
    """Whether a path is a clone, a bare repository or a bundle."""
    if path.is_file():
        with path.open("rb") as file:
            return file.read(16).startswith(b"# v2 git bundle") or path.suffix == ".bundle"
    return (path / ".git").exists() or ((path / "HEAD").is_file() and (path / "objects").is_dir())


def _unbundled(bundle: Path) -> Path:
    """A bundle as a bare repository in the cache, made once for its content."""
    with bundle.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    folder = cache_folder("bundles") / f"{bundle.stem}-{digest}.git"
    if not folder.is_dir():
        made = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(made, ignore_errors=True)
        done = subprocess.run(
            ["git", "clone", "-q", "--bare", str(bundle.resolve()), str(made)],
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise InputError(f"{bundle} is no whole git bundle", hint="make it again with git bundle create")
        try:
            made.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(made, ignore_errors=True)
    return folder


def _pointer(content: bytes) -> tuple[str, int] | None:
    found = re.search(
        rb"\Aversion https://git-lfs.*?oid sha256:([0-9a-f]{64})\nsize (\d+)", content, re.DOTALL
    )
    return (found[1].decode(), int(found[2])) if found else None
