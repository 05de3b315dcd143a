"""Settings files that others can write are not obeyed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from runscope.errors import UnsafeFile

MOST_BYTES = 1 << 20


def read_own(path: Path) -> str:
    """The text of a settings file that nobody but its owner, who is this user or root, can change.

    Raises:
        UnsafeFile: somebody else owns it, or may write it or put another one in its place.
        OSError, UnicodeDecodeError: it cannot be read.
    """
    with path.open("rb") as file:
        problem = _problem(path, os.fstat(file.fileno()))
        if problem is not None:
            raise UnsafeFile(f"{path} is not obeyed: {problem[0]}", hint=problem[1])
        text = file.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise UnsafeFile(f"{path} is not obeyed: it is larger than any settings file", hint="remove it")
    return text.decode("utf-8")


def _problem(path: Path, status: os.stat_result) -> tuple[str, str] | None:
    """What is wrong, and what to do about it; None where all is well, or rights mean nothing on this system."""
    if not hasattr(os, "geteuid"):
        return None
    ours = {os.geteuid(), 0}
    if os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdigit():
        ours.add(int(os.environ["SUDO_UID"]))
    folder = path.absolute().parent.stat()
    if status.st_uid not in ours:
        return (
            "it belongs to another user of this machine",
            "work in a folder of your own, or make the file yours",
        )
    if _open_to_others(status):
        return "others can write it", f"chmod go-w {path}"
    if folder.st_uid not in ours or (_open_to_others(folder) and not folder.st_mode & stat.S_ISVTX):
        return (
            "others can replace it, since they can write its folder",
            f"chmod go-w {path.absolute().parent}",
        )
    return None


def _open_to_others(status: os.stat_result) -> bool:
    """Whether another user may write it; a group in which the owner is alone, as many systems make, is no other."""
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not _alone(status)


def _alone(status: os.stat_result) -> bool:
    try:
        import grp
        import pwd

        group, owner = grp.getgrgid(status.st_gid), pwd.getpwuid(status.st_uid)
    except (ImportError, KeyError):
        return False
    return group.gr_name == owner.pw_name and set(group.gr_mem) <= {owner.pw_name}
