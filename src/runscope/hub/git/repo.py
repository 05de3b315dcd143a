"""A local clone (bare or not) or a git bundle, read with git itself. Nothing is ever checked out, nothing is run.

By hand: GitPython calls git as well, but under the repository's own configuration, which can name programs to run.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from runscope.errors import InputError, NotFound
from runscope.history.checkpoint import Commit, File, Ref
from runscope.hub.git.bundles import is_bundle, unbundled
from runscope.hub.git.sealed import SealedGit
from runscope.hub.safetensors import read_header

POINTER_BYTES = 1024
"""A Git LFS pointer is a text of less than 1024 bytes (Git LFS specification)."""
CHUNK_BYTES = 1 << 20
_LINK, _SUBMODULE = "120000", "160000"
_KINDS = {"heads": "branch", "remotes": "branch", "tags": "tag", "pr": "pull request"}


class GitRepo:
    """A repository on this disk.

    Attributes:
        name: what the user wrote.
        git: what reads its objects.
        bundled: it is a bundle.
    """

    def __init__(self, name: str, git: SealedGit, *, bundled: bool = False) -> None:
        self.name = name
        self.git = git
        self.bundled = bundled

    @classmethod
    def open(cls, path: Path) -> GitRepo:
        """Open a clone, a bare repository or a bundle.

        Raises:
            InputError: it is none of these, or a damaged one.
            UnsafeFile: it belongs to somebody else, or takes its objects from outside.
        """
        bundled = path.is_file()
        return cls(
            str(path), SealedGit.open(unbundled(path) if bundled else path, str(path)), bundled=bundled
        )

    def commits(self, revision: str | None = None) -> list[Commit]:
        """First-parent history, oldest first; empty where nothing was committed yet.

        Raises:
            NotFound: there is no such revision.
        """
        if revision is None and not self.git.refs and self.git.head is None:
            return []
        start = self._start(revision)
        text = self._git("log", "-z", "--first-parent", "--reverse", "--format=%H%x09%ct%x09%s", start)
        rows = (line.split("\t", 2) for line in text.decode("utf-8", "replace").split("\0") if line)
        return [Commit(sha, float(seconds or "nan"), title) for sha, seconds, title in rows]

    def _start(self, revision: str | None) -> str:
        """The commit that a revision names; for None the one of HEAD, else of main, else of any branch."""
        branches = [name for name in self.git.refs if name.startswith("refs/heads/")]
        head = [self.git.head] if self.git.head is not None else []
        names = [revision, f"origin/{revision}"] if revision else [*head, "refs/heads/main", *branches]
        for name in names:
            # ^{commit}: an annotated tag stands for its commit.
            status, found, _ = self.git.run(
                "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
            )
            if not status:
                return found.decode().strip()
        close = ", ".join(ref.name for ref in self.refs()[:6])
        raise NotFound(
            f"{self.name} has no revision {revision!r}",
            hint=f"it has {close}" if close else "nothing was committed there yet",
            status=404,
        )

    def trees(
        self, revisions: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> dict[str, tuple[File, ...]]:
        """Files of each commit. A Git LFS pointer counts with the size and id of what it points to.

        A whole history costs a few calls of git: what each commit changed, and how large the blobs are.
        """
        wanted = set(revisions)
        listed: dict[str, dict[str, str]] = {}
        for revision in reversed(revisions):
            if revision not in listed:
                listed |= {name: dict(tree) for name, tree in self._history(revision) if name in wanted}
        known = self._blobs(sorted({blob for tree in listed.values() for blob in tree.values()}))
        if progress is not None:
            progress(len(wanted))
        return {name: _files(tree, known) for name, tree in listed.items()}

    def _history(self, revision: str) -> Iterator[tuple[str, dict[str, str]]]:
        """Commits from the first one on with path → blob; the dictionary is changed from one to the next."""
        words = self._git(
            "log", "--reverse", "--first-parent", "--diff-merges=first-parent", "--raw", "--no-abbrev", "--no-renames",
            "-z", "--format=%x01%H", revision,
        ).decode("utf-8", "surrogateescape").split("\0")  # fmt: skip
        tree: dict[str, str] = {}
        commit = ""
        follow = iter(words)
        for word in (w.lstrip("\n") for w in follow):
            if word.startswith("\1"):
                if commit:
                    yield commit, tree
                commit = word[1:].strip()
            elif word.startswith(":"):
                path = next(follow, "")
                _, mode, _, blob, change = word[1:].split()
                if change == "D" or mode in (_LINK, _SUBMODULE):
                    tree.pop(path, None)
                else:
                    tree[path] = blob
        if commit:
            yield commit, tree

    def _blobs(self, blobs: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Id and size of the content behind each blob, Git LFS followed."""
        asked = "\n".join(blobs).encode()
        rows = self._git("cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", data=asked)
        words = (line.split() for line in rows.decode().split("\n"))
        sizes = {w[0]: int(w[2]) for w in words if len(w) == 3 and w[1] == "blob"}
        found = {blob: (blob, size) for blob, size in sizes.items()}
        small = [blob for blob, size in sizes.items() if size < POINTER_BYTES]
        for blob, content in self._contents(small):
            target = _pointer(content)
            if target is not None:
                found[blob] = target
        return found

    def _contents(self, blobs: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        data = self._git("cat-file", "--batch", data="\n".join(blobs).encode()) if blobs else b""
        position = 0
        while position < len(data):
            end = data.index(b"\n", position)
            blob, _, size = data[position:end].split()
            position = end + 1 + int(size) + 1
            yield blob.decode(), data[end + 1 : position - 1]

    def refs(self) -> list[Ref]:
        """Branches, tags and pull requests; of a clone also those of where it was cloned from."""
        named = [(name, name.split("/", 2)) for name in self.git.refs if name.count("/") > 1]
        named = [(name, words) for name, words in named if words[1] in _KINDS]
        asked = "\n".join(f"{self.git.refs[name]}^{{commit}}" for name, _ in named).encode()
        told = (
            self._git("cat-file", "--batch-check=%(objectname) %(objecttype)", data=asked)
            .decode()
            .split("\n")
        )
        found: dict[tuple[str, str], Ref] = {}
        for (_, (_, kind, short)), line in zip(named, told, strict=False):
            commit, _, what = line.partition(" ")
            if kind == "remotes":
                short = short.partition("/")[2]
            if kind == "pr":
                short = f"refs/pr/{short}"
            if short != "HEAD" and what == "commit":
                found.setdefault((_KINDS[kind], short), Ref(_KINDS[kind], short, commit))
        return list(found.values())

    def notes(self, commits: Sequence[Commit], revision: str | None) -> list[str]:  # noqa: ARG002
        """What is odd about the clone itself."""
        notes = []
        if self.git.shallow:
            notes.append(
                "the clone is shallow, older commits are not in it: git fetch --unshallow brings them"
            )
        if self.git.partial:
            notes.append(
                "the clone is partial: what it left with its remote is not fetched from there; "
                "git fetch --refetch brings it"
            )
        return notes

    def content(self, revision: str, path: str) -> bytes:
        """Content of a file, Git LFS followed.

        Raises:
            InputError: there is none, or its LFS object was never fetched.
        """
        with self._opened(revision, path) as file:
            return file.read()

    def header(self, revision: str, path: str) -> dict[str, Any]:
        """Header of a safetensors file; no more of the file is read.

        Raises:
            InputError: it is no safetensors file, or its LFS object was never fetched.
        """
        with self._opened(revision, path) as file:
            return read_header(file.read, path)

    def bring(self, revision: str, file: File, target: Path) -> None:
        """Write a file's content to ``target``, Git LFS followed.

        Raises:
            InputError: the LFS object was never fetched.
        """
        with self._opened(revision, file.path) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out, CHUNK_BYTES)

    @property
    def remedy(self) -> str:
        """How to get Git LFS objects that are not here."""
        if self.bundled:
            return "a bundle holds no Git LFS objects: name the Hub repository, or a clone of it"
        return f"git -C {self.name} lfs fetch --all"

    def has(self, file: File) -> bool:
        """Whether a file's content is here: the object that a Git LFS pointer names may never have been fetched."""
        return len(file.content_id) != 64 or self._lfs_object(file.content_id).is_file()

    @contextmanager
    def _opened(self, revision: str, path: str) -> Iterator[IO[bytes]]:
        blob = f"{revision}:{path}"
        size = int(self._git("cat-file", "-s", blob))
        target = _pointer(self._git("cat-file", "blob", blob)) if size < POINTER_BYTES else None
        if target is None:
            with self.git.stream("cat-file", "blob", blob) as answer:
                yield answer
            return
        stored = self._lfs_object(target[0])
        if not stored.is_file():
            raise InputError(
                f"{path} at {revision[:8]} is a Git LFS pointer whose content was not fetched",
                hint=self.remedy,
            )
        with stored.open("rb") as file:
            yield file

    def _lfs_object(self, content_id: str) -> Path:
        return self.git.common / "lfs" / "objects" / content_id[:2] / content_id[2:4] / content_id

    def _git(self, *words: str, data: bytes = b"") -> bytes:
        status, answer, said = self.git.run(*words, data=data)
        if status:
            lines = said.strip().split("\n")
            why = lines[0].removeprefix("fatal: ").removeprefix("error: ") or "no reason given"
            raise InputError(
                f"git cannot read {self.name}: {why}",
                hint="git fetch --refetch brings what a partial clone left out" if self.git.partial
                else "it may be damaged (git fsck says more): take another clone or bundle",
            )  # fmt: skip
        return answer


def is_git(path: Path) -> bool:
    """Whether a path is a clone, a bare repository or a bundle."""
    if path.is_file():
        return is_bundle(path)
    return (path / ".git").exists() or ((path / "HEAD").is_file() and (path / "objects").is_dir())


def _files(tree: dict[str, str], known: dict[str, tuple[str, int]]) -> tuple[File, ...]:
    rows = ((path, known.get(blob, (blob, 0))) for path, blob in sorted(tree.items()))
    return tuple(File(path, size, content_id) for path, (content_id, size) in rows)


def _pointer(content: bytes) -> tuple[str, int] | None:
    found = re.search(
        rb"\Aversion https://git-lfs.*?oid sha256:([0-9a-f]{64})\nsize (\d{1,18})\b", content, re.DOTALL
    )
    return (found[1].decode(), int(found[2])) if found else None
