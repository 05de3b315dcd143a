"""Defaults from ``runscope.toml``: a table a command, the keys are its long options."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from runscope.errors import InputError

FILE = "runscope.toml"


def find(folder: Path | None = None) -> Path | None:
    """The nearest ``runscope.toml``, in the folder or above it."""
    here = (folder or Path.cwd()).resolve()
    return next((f for place in (here, *here.parents) if (f := place / FILE).is_file()), None)


def defaults(folder: Path | None = None) -> dict[str, Any]:
    """Option defaults as the parser wants them: command → option → value.

    Keys at the top of the file (``project = "me/pricer"``) hold for every command.

    Raises:
        InputError: the file is not TOML.
    """
    path = find(folder)
    if path is None:
        return {}
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} cannot be read: {error}", hint=f"mend {path}") from None
    from runscope.cli.app import COMMANDS

    common = {k.replace("-", "_"): v for k, v in settings.items() if not isinstance(v, dict)}
    tables = {k: v for k, v in settings.items() if isinstance(v, dict)}
    return {
        name: common | {k.replace("-", "_"): v for k, v in tables.get(name, {}).items()} for name in COMMANDS
    }
