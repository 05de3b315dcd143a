"""Git bundles, unpacked into bare repositories: each once for its content, whoever else unpacks it at the same time."""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

from runscope.errors import InputError, StoreError
from runscope.hub.git.sealed import git_program, read_refs, sealed, write_sealed
from runscope.store.home import cache_folder


def is_bundle(path: Path) -> bool:
    """Whether a file is a bundle, or is called one."""
    try:
        with path.open("rb") as file:
            return re.match(rb"# v\d git bundle", file.read(16)) is not None or path.suffix == ".bundle"
    except OSError:
        return path.suffix == ".bundle"


def unbundled(bundle: Path) -> Path:
    """A bundle as a bare repository in the cache; in a folder that goes with the process where there is no cache.

    Raises:
        InputError: it is no whole bundle.
    """
    try:
        with bundle.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise InputError(
            f"{bundle} cannot be read: {error.strerror}", hint="check the path and its rights"
        ) from None
    folder = _home() / f"{bundle.stem}-{digest}.git"
    if not folder.is_dir():
        made = folder.with_name(f".{digest}-{uuid.uuid4().hex}")
        try:
            _unpack(bundle, made)
            made.rename(folder)
        except OSError as error:
            if not folder.is_dir():  # else another process was faster
                raise StoreError(
                    f"{bundle} cannot be unpacked in {folder.parent}: {error.strerror}",
                    hint="free some space, or set RUNSCOPE_HOME to a folder with space",
                ) from None
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return folder


def _home() -> Path:
    try:
        folder = cache_folder("bundles")
        if os.access(folder, os.W_OK):
            return folder
    except StoreError:
        pass
    place = tempfile.mkdtemp(prefix="runscope-bundle-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return Path(place)


def _unpack(bundle: Path, target: Path) -> None:
    """Objects by ``git bundle unbundle``, which uses no transport and runs no hook; branches as the bundle has them."""
    (target / "objects").mkdir(parents=True)
    with bundle.open("rb") as file:
        sha256 = b"\n@object-format=sha256\n" in file.read(512)
    write_sealed(target, {}, sha256=sha256)
    done = subprocess.run(
        [git_program(), "bundle", "unbundle", str(bundle.absolute())], cwd=target, stdin=subprocess.DEVNULL,
        env=sealed(target, target / "objects"), capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace")
        raise InputError(
            f"{bundle} is no whole git bundle"
            + (": it needs commits that are not in it" if "prerequisite" in said else ""),
            hint="make it again with git bundle create x.bundle --all",
        )
    text = done.stdout.decode("utf-8", "surrogateescape")
    refs = read_refs(text)
    write_sealed(target, refs, sha256=sha256)
    head = re.search(r"^([0-9a-f]{40,64}) HEAD$", text, re.MULTILINE)
    if head is not None:
        branches = [name for name in refs if name.startswith("refs/heads/") and refs[name] == head[1]]
        (target / "HEAD").write_text(f"ref: {min(branches, key=_likely)}\n" if branches else f"{head[1]}\n")


def _likely(branch: str) -> tuple[bool, str]:
    return branch not in ("refs/heads/main", "refs/heads/master"), branch
