"""A report's recipe: everything needed to make it again, as TOML.

Paths in the file are relative to it, so that a folder with data, recipe and report can be moved.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from runscope.errors import InputError

SCHEMA = "runscope.recipe/1"
_PATHS = ("data", "train_data")
_REFERENCES = ("hub", "base")


@dataclass(frozen=True)
class Recipe:
    """The arguments of one investigation, as the user gave them.

    Attributes:
        runs: references of the runs.
        hub: repository, clone or folder with the checkpoints.
        data, train_data: held-out and training examples.
        base: base model of the adapters.
        at, force, scale: joins decided by hand.
        ignore, roles: roles hidden and named by hand.
        project: where bare W&B names are looked up.
        settings: of the evaluation.
    """

    runs: tuple[str, ...]
    hub: str | None = None
    data: Path | None = None
    train_data: Path | None = None
    base: str | None = None
    at: tuple[int, ...] = ()
    force: bool = False
    scale: tuple[float, ...] = ()
    ignore: tuple[str, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    project: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for :func:`runscope.api.investigate`."""
        arguments = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "settings"}
        arguments |= {"at": self.at or None, "scale": self.scale or None}
        return arguments | dict(self.settings)

    def command(self) -> str:
        """The command line that these arguments came from."""
        words = ["runscope", "report", *self.runs]
        for option in ("hub", "data", "train_data", "base", "project"):
            if (value := getattr(self, option)) is not None:
                words += [f"--{option.replace('_', '-')}", str(value)]
        for option in ("at", "scale", "ignore"):
            for value in getattr(self, option):
                words += [f"--{option}", str(value)]
        for role, name in self.roles.items():
            words += ["--map", f"{role}={name}"]
        return shlex.join(words + (["--force"] if self.force else []))

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """Read a recipe file.

        Raises:
            InputError: it is missing, no TOML, or no recipe.
        """
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(
                f"{path} cannot be read: {error.strerror}", hint="name an existing recipe.toml"
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path} is not TOML: {error}", hint="runscope report writes recipes") from None
        if content.get("schema") != SCHEMA or not isinstance(content.get("investigation"), dict):
            raise InputError(
                f"{path} is not a recipe of schema {SCHEMA}", hint="runscope report writes recipes"
            )
        given = content["investigation"]
        unknown = set(given) - {f.name for f in fields(cls)}
        if unknown or not given.get("runs"):
            raise InputError(
                f"{path}: "
                + (f"unknown keys {', '.join(sorted(unknown))}" if unknown else "no runs are named"),
                hint="it was made by another version, or edited",
            )
        return cls(**{k: _read_value(k, v, path.parent) for k, v in given.items()})

    def write(self, path: Path, *, facts: Mapping[str, Any]) -> None:
        """Write the recipe, with facts (versions, hashes) that tell what it was made from."""
        import tomli_w

        given = {
            k: _write_value(k, v, path.parent)
            for k, v in asdict(self).items()
            if v not in (None, (), {}, False)
        }
        content = {"schema": SCHEMA, "investigation": given, "made_from": _toml(facts)}
        path.write_text(tomli_w.dumps(content), encoding="utf-8")

    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of every input that is a file on this machine, by reference."""
        named = [*self.runs, *(str(p) for p in (self.data, self.train_data) if p is not None)]
        return {name: sha256(Path(name)) for name in named if Path(name).is_file()}


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_value(key: str, value: Any, folder: Path) -> Any:
    if key == "runs":
        return [_relative(v, folder) for v in value]
    if key in _PATHS:
        return os.path.relpath(value, folder)
    if key in _REFERENCES:
        return _relative(value, folder)
    return list(value) if isinstance(value, tuple) else value


def _read_value(key: str, value: Any, folder: Path) -> Any:
    if key == "runs":
        return tuple(_resolved(v, folder) for v in value)
    if key in _PATHS:
        return folder / value
    if key in _REFERENCES:
        return _resolved(value, folder)
    return tuple(value) if isinstance(value, list) else value


def _relative(reference: str, folder: Path) -> str:
    """A path on this machine as seen from the recipe; any other reference unchanged."""
    return os.path.relpath(reference, folder) if Path(reference).exists() else reference


def _resolved(reference: str, folder: Path) -> str:
    path = folder / reference
    return str(path) if path.exists() else reference


def _toml(value: Any) -> Any:
    """A value as TOML has them: no null, no tuple."""
    if isinstance(value, Mapping):
        return {str(k): _toml(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_toml(v) for v in value if v is not None]
    return value if isinstance(value, str | int | float | bool) else str(value)
