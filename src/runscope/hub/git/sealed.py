"""git as a reader of objects and nothing else: whatever a repository says in its configuration, git does not see it.

A repository can name programs in some forty keys of its configuration (``gpg.program``, ``core.fsmonitor``,
``core.sshCommand``, ``remote.*.uploadpack``, filters, hooks, pagers), and every version brings more. So git never runs
in the repository: it runs in a folder of our own, with an empty configuration, nothing of the environment that
speaks to it, and no transport allowed. Of the repository it gets the folder of objects and the list of branches, which
is read here. git itself stays because it reads packs of gigabytes fast, streams large contents, and is kept by many.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from runscope.errors import InputError, MissingExtra, UnsafeFile

MOST_BYTES = 1 << 29
"""An answer of git that is longer than 512 MiB is a tree that was built to fill the memory."""
MOST_SECONDS = 900
"""A history of 100,000 commits takes git a few seconds."""
_SMALL_BYTES = 1 << 26
"""The list of branches of the largest public repositories has some megabytes."""
_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NOT_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)|[/.]$|^[/.]")
"""What git-check-ref-format(1) forbids."""
_SETTINGS = """\
[core]
\trepositoryformatversion = {version}
\tbare = true
\tfsmonitor = false
\thooksPath = /dev/null
\tattributesFile = /dev/null
\tcommitGraph = false
[protocol]
\tallow = never
[log]
\tmailmap = false
\tshowSignature = false
\tshowRoot = true
[extensions]
{extensions}"""


@dataclass
class SealedGit:
    """A repository's objects and branches, read by git from a folder of our own.

    Attributes:
        name: what the user wrote, for messages.
        common: the repository's own folder (``.git``, or the bare repository; of a work tree the one it belongs to).
        refs: full name → hash, as they stand.
        head: hash that HEAD stands for, None where nothing was committed there.
        shallow: older commits were not fetched.
        partial: contents may be missing that a remote holds; they are not fetched.
    """

    name: str
    common: Path
    refs: Mapping[str, str] = field(default_factory=dict)
    head: str | None = None
    shallow: bool = False
    partial: bool = False
    _place: Path = Path()

    @classmethod
    def open(cls, path: Path, name: str) -> SealedGit:
        """Open a clone, a work tree or a bare repository.

        Raises:
            InputError: it is none, or is built in a way that is not read.
            UnsafeFile: it belongs to somebody else, or takes its objects from outside.
            MissingExtra: git is not installed.
        """
        git_program()
        own = _git_folder(path, name)
        common = _common_folder(own, name)
        for place in {path, own, common}:
            _require_ours(place, name)
        objects = common / "objects"
        if not objects.is_dir():
            raise _no_repository(name)
        if (common / "reftable").exists():
            raise InputError(
                f"{name} keeps its branches as a reftable, which is not read here",
                hint="git refs migrate --ref-format=files, or git bundle create x.bundle --all and name the bundle",
            )
        _require_inside(common, objects, name)
        _require_plain(objects, name)
        found = _packed(common / "packed-refs") | _loose(common)
        repo = cls(
            name, common, found, _resolved(_text(own / "HEAD"), found),
            shallow=bool(_hashes(common / "shallow")), partial=any((objects / "pack").glob("*.promisor")),
        )  # fmt: skip
        repo._place = _scratch(found, _hashes(common / "shallow"))
        weakref.finalize(repo, shutil.rmtree, repo._place, ignore_errors=True)
        return repo

    def run(self, *words: str, data: bytes = b"") -> tuple[int, bytes, str]:
        """Exit status, answer and complaint of one call.

        Raises:
            InputError: the answer has no end, or does not come.
        """
        with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said:
            asked.write(data)
            asked.seek(0)
            with self._started(words, asked, said) as process:
                assert process.stdout is not None
                answer = process.stdout.read(MOST_BYTES + 1)
                if len(answer) > MOST_BYTES:
                    process.kill()
            said.seek(0)
            complaint = said.read(4096).decode("utf-8", "replace")
        if len(answer) > MOST_BYTES or process.returncode == -9:
            raise InputError(
                f"{self.name} has more files and commits than can be read",
                hint="name a revision with @REVISION, or another clone",
            )
        return process.returncode, answer, complaint

    @contextmanager
    def stream(self, *words: str) -> Iterator[IO[bytes]]:
        """The answer of one call, as it comes."""
        with self._started(words, subprocess.DEVNULL, subprocess.DEVNULL) as process:
            assert process.stdout is not None
            yield process.stdout

    @contextmanager
    def _started(
        self, words: tuple[str, ...], asked: IO[bytes] | int, said: IO[bytes] | int
    ) -> Iterator[subprocess.Popen[bytes]]:
        command = [git_program(), "--no-pager", *words]
        environment = sealed(self._place, self.common / "objects")
        with subprocess.Popen(
            command, cwd=self._place, env=environment, stdin=asked, stdout=subprocess.PIPE, stderr=said
        ) as process:
            watch = threading.Timer(MOST_SECONDS, process.kill)
            watch.daemon = True
            watch.start()
            try:
                yield process
            finally:
                watch.cancel()


def sealed(place: Path, objects: Path) -> dict[str, str]:
    """An environment in which git sees one folder of objects, our settings and nothing else."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "SSH_", "GPG_", "XDG_"))}
    for talk in ("PAGER", "EDITOR", "VISUAL", "BROWSER"):
        kept.pop(talk, None)
    return kept | {
        "GIT_DIR": str(place), "GIT_OBJECT_DIRECTORY": str(objects.absolute()), "HOME": str(place),
        "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_SYSTEM": os.devnull, "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1", "GIT_NO_REPLACE_OBJECTS": "1", "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "",
        "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_CEILING_DIRECTORIES": "/", "LC_ALL": "C",
    }  # fmt: skip


def write_sealed(
    place: Path, refs: Mapping[str, str], shallow: Sequence[str] = (), *, sha256: bool = False
) -> None:
    """A git folder without objects: our settings, and the given branches."""
    long = sha256 or any(len(commit) == 64 for commit in refs.values())
    (place / "refs").mkdir(exist_ok=True)
    extensions = "\tobjectformat = sha256\n" if long else ""
    (place / "config").write_text(_SETTINGS.format(version=int(long), extensions=extensions))
    (place / "HEAD").write_text("ref: refs/heads/main\n")
    lines = "".join(f"{refs[name]} {name}\n" for name in sorted(refs))
    (place / "packed-refs").write_text(lines, encoding="utf-8", errors="surrogateescape", newline="\n")
    if shallow:
        (place / "shallow").write_text("".join(f"{commit}\n" for commit in shallow))


def read_refs(text: str) -> dict[str, str]:
    """Full name → hash from lines ``hash name``; what is no branch, tag or the like is left out."""
    found = {}
    for line in text.split("\n"):
        commit, _, name = line.partition(" ")
        if _HASH.fullmatch(commit) and is_ref(name):
            found[name] = commit
    return found


def is_ref(name: str) -> bool:
    """Whether a name is one that git takes for a branch, a tag or the like."""
    return name.startswith("refs/") and not _NOT_IN_REF.search(name)


def _scratch(refs: Mapping[str, str], shallow: Sequence[str]) -> Path:
    place = Path(tempfile.mkdtemp(prefix="runscope-git-"))
    write_sealed(place, refs, shallow)
    return place


def git_program() -> str:
    """Path of git.

    Raises:
        MissingExtra: it is not installed.
    """
    found = shutil.which("git")
    if found is None:
        raise MissingExtra("git", extra="eval", needed_for="reading a local clone")
    return str(Path(found).absolute())


def _no_repository(name: str) -> InputError:
    return InputError(
        f"{name} is no git repository, or a damaged one", hint="name a clone, a bare repository or a bundle"
    )


def _git_folder(path: Path, name: str) -> Path:
    """``.git`` of a clone, what the file ``.git`` of a work tree names, or the bare repository itself."""
    inner = path / ".git"
    if inner.is_file():
        word, _, place = _text(inner).partition(": ")
        if word != "gitdir" or not place.strip():
            raise _no_repository(name)
        return path / place.strip()
    return inner if inner.is_dir() else path


def _common_folder(own: Path, name: str) -> Path:
    named = _text(own / "commondir").strip()
    common = own / named if named else own
    if not common.is_dir():
        raise _no_repository(name)
    return common


def _require_ours(place: Path, name: str) -> None:
    """Respect git's own guard: a repository of somebody else is read only where the user allows it.

    Raises:
        UnsafeFile: it belongs to another user.
    """
    if not hasattr(os, "geteuid"):
        return
    owner, user = place.stat().st_uid, os.geteuid()
    ours = (
        {user, int(os.environ["SUDO_UID"])}
        if user == 0 and os.environ.get("SUDO_UID", "").isdigit()
        else {user}
    )
    if owner in ours or _allowed(place):
        return
    raise UnsafeFile(
        f"{name} belongs to another user of this machine",
        hint=f"where you trust them: git config --global --add safe.directory {place.absolute()}",
    )


def _allowed(place: Path) -> bool:
    """Whether the user's own settings name the folder (or ``*``) in ``safe.directory``."""
    place = place.resolve()
    listed: list[str] = []
    for scope in ("--global", "--system"):
        done = subprocess.run(
            [git_program(), "config", scope, "--type=path", "--null", "--get-all", "safe.directory"],
            cwd=place.anchor, capture_output=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        listed += os.fsdecode(done.stdout).split("\0")
    mine = {"*", str(place), str(place.parent)}
    return any(word in mine or (word.endswith("/*") and str(place).startswith(word[:-1])) for word in listed)


def _require_inside(common: Path, objects: Path, name: str, depth: int = 0) -> None:
    """Refuse objects that are borrowed from another place of this disk.

    Raises:
        UnsafeFile: an alternate leads out of the repository.
    """
    for line in _text(objects / "info" / "alternates").split("\n"):
        if not line or line.startswith("#"):
            continue
        borrowed = (objects / line).resolve()
        if depth > 4 or not borrowed.is_relative_to(common.resolve()):
            raise UnsafeFile(
                f"{name} takes its objects from {line}, which lies outside of it",
                hint="where it is yours: git repack -a -d in it, then delete objects/info/alternates",
            )
        _require_inside(common, borrowed, name, depth + 1)


def _require_plain(objects: Path, name: str) -> None:
    """Refuse what a read would hang on: a pipe or a device in the place of an object.

    Raises:
        UnsafeFile: there is one.
    """
    for folder in (f.path for f in _entries(objects) if f.is_dir()):
        for entry in _entries(folder):
            if not entry.is_dir() and not entry.is_file() and Path(entry.path).exists():
                raise UnsafeFile(
                    f"{name} holds a pipe or a device where an object belongs: {entry.name}",
                    hint="do not use this repository",
                )


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(folder) as entries:
        return list(entries)
    return []


def _text(path: Path) -> str:
    """A small text file; nothing where there is none."""
    with suppress(OSError):
        if path.is_file() and path.stat().st_size <= _SMALL_BYTES:
            return path.read_bytes().decode("utf-8", "surrogateescape").rstrip("\r\n")
    return ""


def _hashes(path: Path) -> list[str]:
    return [line for line in _text(path).split("\n") if _HASH.fullmatch(line)]


def _packed(path: Path) -> dict[str, str]:
    return read_refs(_text(path))


def _loose(common: Path) -> dict[str, str]:
    """Branches that have a file each; one that stands for another one is followed."""
    texts: dict[str, str] = {}
    for folder, _, names in os.walk(common / "refs"):
        for name in names:
            full = (Path(folder) / name).relative_to(common).as_posix()
            if is_ref(full):
                texts[full] = _text(common / full)
    known = {name: text for name, text in texts.items() if _HASH.fullmatch(text)}
    packed = _packed(common / "packed-refs")
    resolved = {name: _resolved(text, packed | known) for name, text in texts.items()}
    return {name: commit for name, commit in resolved.items() if commit is not None}


def _resolved(text: str, refs: Mapping[str, str]) -> str | None:
    """What ``HEAD`` or a branch's file says: a hash, or ``ref: `` and the branch it stands for."""
    if _HASH.fullmatch(text):
        return text
    return refs.get(text.removeprefix("ref:").strip()) if text.startswith("ref:") else None
