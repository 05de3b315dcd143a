"""A local clone (bare or not) or a git bundle, read with git itself. Nothing is ever checked out."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from runscope.errors import InputError, MissingExtra, NotFound
from runscope.history.checkpoint import Commit, File, Ref
from runscope.hub.safetensors import read_header
from runscope.store.home import cache_folder

POINTER_BYTES = 1024
"""A Git LFS pointer is a text of less than 1024 bytes (Git LFS specification)."""
CHUNK_BYTES = 1 << 20
_LINK, _SUBMODULE = "120000", "160000"
_KINDS = {"heads": "branch", "remotes": "branch", "tags": "tag", "pr": "pull request"}


class GitRepo:
    """A repository on this disk.

    Attributes:
        name: what the user wrote.
        folder: where git runs.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder

    @classmethod
    def open(cls, path: Path) -> GitRepo:
        """Open a clone, a bare repository or a bundle.

        Raises:
            InputError: it is none of these, or a damaged one.
        """
        repo = cls(str(path), _unbundled(path) if path.is_file() else path)
        repo._git("rev-parse", "--git-dir")
        return repo

    def commits(self, revision: str | None = None) -> list[Commit]:
        """First-parent history, oldest first; empty where nothing was committed yet.

        Raises:
            NotFound: there is no such revision.
        """
        if revision is None and not self._git("for-each-ref", "--count=1"):
            return []
        start = self._start(revision)
        text = self._git("log", "--first-parent", "--reverse", "--format=%H%x09%ct%x09%s", start)
        rows = (line.split("\t", 2) for line in text.decode("utf-8", "replace").splitlines())
        return [Commit(sha, float(seconds), title) for sha, seconds, title in rows]

    def _start(self, revision: str | None) -> str:
        """The commit that a revision names; for None the one of HEAD, else of main, else of any branch."""
        branches = self._git("for-each-ref", "--format=%(refname)", "refs/heads").decode().split()
        names = [revision, f"origin/{revision}"] if revision else ["HEAD", "refs/heads/main", *branches]
        for name in names:
            # ^{commit}: an annotated tag stands for its commit.
            found = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
            if not found.returncode:
                return found.stdout.decode().strip()
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
            "-c", "log.showRoot=true", "log", "--reverse", "--first-parent", "--diff-merges=first-parent", "--raw",
            "--no-abbrev", "--no-renames", "-z", "--format=%x01%H", revision,
        ).decode("utf-8", "replace").split("\0")  # fmt: skip
        tree: dict[str, str] = {}
        commit = ""
        follow = iter(words)
        for word in (w.lstrip("\n") for w in follow):
            if word.startswith("\1"):
                if commit:
                    yield commit, tree
                commit = word[1:].strip()
            elif word.startswith(":"):
                path = next(follow)
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
        words = (line.split() for line in rows.decode().splitlines())
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
        text = self._git(
            "for-each-ref", "--format=%(refname)%09%(objectname)%09%(*objectname)", "refs/heads", "refs/tags",
            "refs/remotes", "refs/pr",
        ).decode("utf-8", "replace")  # fmt: skip
        found: dict[tuple[str, str], Ref] = {}
        for line in text.splitlines():
            name, own, peeled = line.split("\t")
            _, kind, short = name.split("/", 2)
            if kind == "remotes":
                short = short.partition("/")[2]
            if kind == "pr":
                short = f"refs/pr/{short}"
            if short != "HEAD":
                found.setdefault((_KINDS[kind], short), Ref(_KINDS[kind], short, peeled or own))
        return list(found.values())

    def notes(self, commits: Sequence[Commit], revision: str | None) -> list[str]:  # noqa: ARG002
        """What is odd about the clone itself."""
        if self._git("rev-parse", "--is-shallow-repository").strip() == b"true":
            return ["the clone is shallow, older commits are not in it: git fetch --unshallow brings them"]
        return []

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
        if self.folder != Path(self.name):
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
            command = [*_GIT, "cat-file", "blob", blob]
            with subprocess.Popen(
                command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            ) as process:
                assert process.stdout is not None
                yield process.stdout
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
        # A work tree shares the objects of the clone it belongs to.
        common = Path(self._git("rev-parse", "--git-common-dir").decode().strip())
        return self.folder / common / "lfs" / "objects" / content_id[:2] / content_id[2:4] / content_id

    def _git(self, *words: str, data: bytes | None = None) -> bytes:
        done = self._run(*words, data=data)
        if done.returncode:
            reason = done.stderr.decode("utf-8", "replace").strip().splitlines()
            why = reason[0].removeprefix("fatal: ") if reason else "no reason given"
            raise InputError(
                f"git cannot read {self.name}: {why}", hint="name a clone, a bare repository or a bundle"
            )
        return done.stdout

    def _run(self, *words: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        if shutil.which("git") is None:
            raise MissingExtra("git", extra="eval", needed_for="reading a local clone")
        return subprocess.run(
            [*_GIT, *words], cwd=self.folder, input=data or b"", capture_output=True, check=False
        )


_GIT = ("git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "protocol.ext.allow=never")
"""A repository from somewhere else must not name programs that git starts (fsmonitor, ext:: remotes)."""


def is_git(path: Path) -> bool:
    """Whether a path is a clone, a bare repository or a bundle."""
    if path.is_file():
        with path.open("rb") as file:
            return re.match(rb"# v\d git bundle", file.read(16)) is not None or path.suffix == ".bundle"
    return (path / ".git").exists() or ((path / "HEAD").is_file() and (path / "objects").is_dir())


def _files(tree: dict[str, str], known: dict[str, tuple[str, int]]) -> tuple[File, ...]:
    rows = ((path, known.get(blob, (blob, 0))) for path, blob in sorted(tree.items()))
    return tuple(File(path, size, content_id) for path, (content_id, size) in rows)


def _unbundled(bundle: Path) -> Path:
    """A bundle as a bare repository in the cache, made once for its content."""
    with bundle.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    folder = cache_folder("bundles") / f"{bundle.stem}-{digest}.git"
    if not folder.is_dir():
        made = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(made, ignore_errors=True)
        # A mirror: tags and pull requests come along.
        words = ["git", "clone", "-q", "--mirror", str(bundle.resolve()), str(made)]
        done = subprocess.run(words, capture_output=True, check=False)
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
