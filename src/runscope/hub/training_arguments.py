"""What a training was told, from the ``training_args.bin`` beside a checkpoint: read, and nothing in it run.

The file is a pickle, which can call any function when Python loads it. Here every name in it stands for an empty shell,
whatever it names: nothing is imported, nothing called, and what comes out are numbers, texts, lists and mappings.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping
from typing import Any

from runscope.errors import RunscopeError
from runscope.history.checkpoint import Checkpoint
from runscope.hub.opening import repo_of

FILE = "training_args.bin"
LARGEST_BYTES = 1 << 20
"""The Trainer's are a few thousand bytes."""
_LEGACY_PARTS = 8
"""Pickles in a row in files of PyTorch before 1.6, of which the fourth or so is the object."""


def training_args(checkpoint: Checkpoint) -> dict[str, Any]:
    """The training's arguments by name; empty where the file is missing, or is none of the Trainer's.

    Of a repository the file is read from there, as no pickle is ever fetched with a checkpoint.
    """
    file = checkpoint.file(FILE)
    if checkpoint.local_path is not None:
        place = checkpoint.local_path / FILE
        try:
            return parse(place.read_bytes()) if place.stat().st_size <= LARGEST_BYTES else {}
        except OSError:
            return {}
    if file is None or file.size_bytes > LARGEST_BYTES:
        return {}
    try:
        return parse(repo_of(checkpoint).content(str(checkpoint.revision), file.path))
    except RunscopeError:
        return {}


def parse(content: bytes) -> dict[str, Any]:
    """The plain values among the attributes of the pickled object; empty where there is none."""
    try:
        made = _made(content)
    except Exception:  # a damaged pickle raises of every kind, from within the unpickler
        return {}
    state = getattr(made, "state", None)
    if not isinstance(state, Mapping):
        return {}
    return {str(k): v for k, v in state.items() if v is None or isinstance(v, bool | int | float | str)}


def _made(content: bytes) -> Any:
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
            if archive.getinfo(name).file_size > LARGEST_BYTES:
                return None
            return _Shells(io.BytesIO(archive.read(name))).load()
    source = io.BytesIO(content)
    for _ in range(_LEGACY_PARTS):
        made = _Shells(source).load()
        if isinstance(made, _Shell):
            return made
    return None


class _Shell:
    """Stands for every object: takes whatever it is given, and does nothing."""

    def __init__(self, *_given: Any, **_named: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __call__(self, *_given: Any, **_named: Any) -> _Shell:
        return _Shell()

    def __setitem__(self, _key: Any, _value: Any) -> None:
        pass

    def __hash__(self) -> int:
        return id(self)

    def append(self, _value: Any) -> None:
        """As a list is filled."""

    def extend(self, _values: Any) -> None:
        """As a list is filled."""

    def add(self, _value: Any) -> None:
        """As a set is filled."""


class _Shells(pickle.Unpickler):
    """Gives a shell for every name, so that no code is reached."""

    def find_class(self, _module: str, _name: str) -> Any:
        return _Shell

    def persistent_load(self, _pid: Any) -> Any:
        return _Shell()
