"""Defaults of options: from ``runscope.toml``, and from the environment.

What is said on the command line holds; then what the environment says, then the file. ``RUNSCOPE_FORMAT=json``
holds for every command that has ``--format``, ``RUNSCOPE_DIAGNOSE_FORMAT=json`` for one.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
        for option, several in options.items():
            words = [
                given.get(f"{PREFIX}{option.upper()}"),
                given.get(f"{PREFIX}{command.upper()}_{option.upper()}"),
            ]
            for value in filter(None, words):
                found[command][option] = value.split() if several else value
    return found


def _options() -> dict[str, dict[str, bool]]:
    """Command → long option → whether it may be given several times; arguments are no options."""
    import typer

    from runscope.cli.app import app

    group = typer.main.get_command(app)
    return {
        name: {
            str(p.name): bool(getattr(p, "multiple", False))
            for p in command.params
            if p.param_type_name == "option" and p.name not in ("help", "debug")
        }
        for name, command in getattr(group, "commands", {}).items()
    }


def _from_file(path: Path, known: Mapping[str, Mapping[str, bool]]) -> Defaults:
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
        found[name] = {k: v for k, v in common.items() if k in options} | own
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
