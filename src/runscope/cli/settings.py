"""Defaults of options: from ``runscope.toml``, and from the environment.

What is said on the command line holds; then what the environment says, then the file. ``RUNSCOPE_FORMAT=json``
holds for every command that has ``--format``, ``RUNSCOPE_DIAGNOSE_FORMAT=json`` for one.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from typer.models import OptionInfo

from runscope.errors import InputError, nearest

FILE = "runscope.toml"
PREFIX = "RUNSCOPE_"
Defaults = dict[str, dict[str, Any]]


def find(folder: Path | None = None) -> Path | None:
    """The nearest ``runscope.toml``, in the folder or above it."""
    here = (folder or Path.cwd()).resolve()
    return next((f for place in (here, *here.parents) if (f := place / FILE).is_file()), None)


def defaults(folder: Path | None = None, environment: Mapping[str, str] | None = None) -> Defaults:
    """Option defaults as the parser wants them: command → option → value.

    Args:
        folder: where the search for the file begins; the current one by default.
        environment: the process's own by default.

    Raises:
        InputError: the file is not TOML, or holds a key that no command knows.
    """
    known = _options()
    path = find(folder)
    found = _from_file(path, known) if path is not None else {name: {} for name in known}
    given = os.environ if environment is None else environment
    for command, options in known.items():
        for name, option in options.items():
            common = given.get(f"{PREFIX}{name.upper()}")
            own = given.get(f"{PREFIX}{command.upper()}_{name.upper()}")
            for value in (common if option.takes(common) else None, own):
                if value:
                    found[command][name] = value.split() if option.several else value
    return found


@dataclass(frozen=True)
class _Option:
    """What the parser knows of an option: whether it may be given several times, and what it takes."""

    several: bool
    choices: tuple[str, ...]

    def takes(self, value: object) -> bool:
        """Whether a value that is said for all commands fits this one: not every form is one of every command."""
        return not self.choices or value in self.choices


def _options() -> dict[str, dict[str, _Option]]:
    """Command → option, read from the commands' signatures; arguments are no options."""
    from runscope.cli.app import COMMANDS

    return {
        name: {
            parameter: _option(hint)
            for parameter, hint in get_type_hints(command, include_extras=True).items()
            if parameter != "debug"
            and any(isinstance(m, OptionInfo) for m in getattr(hint, "__metadata__", ()))
        }
        for name, command in COMMANDS.items()
    }


def _option(hint: Any) -> _Option:
    """What an annotation says: ``list[…]`` may be given several times, an enumeration has choices."""
    kinds = [hint.__origin__]
    for kind in kinds:
        kinds += get_args(kind)
    enumerations = [k for k in kinds if isinstance(k, type) and issubclass(k, StrEnum)]
    return _Option(any(get_origin(k) is list for k in kinds), tuple(c.value for e in enumerations for c in e))


def _from_file(path: Path, known: Mapping[str, Mapping[str, _Option]]) -> Defaults:
    """Keys at the top of the file (``project = "me/pricer"``) hold for every command that has them."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} cannot be read: {error}", hint=f"mend {path}") from None
    anywhere = {option for options in known.values() for option in options}
    common = {_plain(k): v for k, v in content.items() if not isinstance(v, dict)}
    _refuse_unknown(path, common, anywhere, "an option")
    tables = {k: v for k, v in content.items() if isinstance(v, dict)}
    _refuse_unknown(path, tables, set(known), "a command")
    found: Defaults = {}
    for name, options in known.items():
        own = {_plain(k): v for k, v in tables.get(name, {}).items()}
        _refuse_unknown(path, own, set(options), f"an option of {name}")
        found[name] = {k: v for k, v in common.items() if k in options and options[k].takes(v)} | own
    return found


def _plain(key: str) -> str:
    return key.replace("-", "_")


def _refuse_unknown(path: Path, given: Mapping[str, Any], known: set[str], what: str) -> None:
    for key in given:
        if key not in known:
            close = nearest(key, known)
            raise InputError(
                f"{path.name}: {key!r} is not {what}",
                hint=f"did you mean {close!r}?"
                if close
                else f"one of {', '.join(sorted(known))}; mend {path}",
            )
