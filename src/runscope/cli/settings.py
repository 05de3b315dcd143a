"""Defaults of options: from the environment, the project's ``runscope.toml``, and the user's own.

What is said on the command line holds; then what the environment says, then the nearest ``runscope.toml``, then the
user's. ``RUNSCOPE_FORMAT=json`` holds for every command that has ``--format``, ``RUNSCOPE_DIAGNOSE_FORMAT=json``
for one.

A project's file comes with the project: whoever wrote it may be a stranger. So it may not set what runs code, sends
what was found elsewhere, or writes outside of its folder; the command line and the user's own file may.
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

from runscope.errors import InputError, UnsafeFile, nearest
from runscope.store.trusted_file import read_own

FILE = "runscope.toml"
PREFIX = "RUNSCOPE_"
RUNS_CODE = {
    "on_finding": "runs a command",
    "trust_remote_code": "runs code of a repository",
    "trust_task_code": "runs code of a task",
    "allow_pickle": "loads files that can run code",
    "trust_recipe": "runs what a recipe names",
    "webhook": "sends what is found to a web address",
}
"""What a project's file may not set; and no option that takes ``module:name``, which imports code."""
WRITES = ("output", "offline")
Defaults = dict[str, dict[str, Any]]


def find(folder: Path | None = None) -> Path | None:
    """The nearest ``runscope.toml``, in the folder or above it; None where the folder is gone."""
    try:
        here = (folder or Path.cwd()).resolve()
    except OSError:
        return None
    return next((f for place in (here, *here.parents) if _is_file(f := place / FILE)), None)


def own_file() -> Path:
    """Where the user's own settings are, of which nothing is refused."""
    from platformdirs import user_config_path

    return user_config_path("runscope", appauthor=False) / FILE


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def defaults(folder: Path | None = None, environment: Mapping[str, str] | None = None) -> Defaults:
    """Option defaults as the parser wants them: command → option → value.

    Args:
        folder: where the search for the file begins; the current one by default.
        environment: the process's own by default.

    Raises:
        InputError: the file is not TOML, or holds a key that no command knows.
    """
    mine, path = own_file(), find(folder)
    given = {
        k: v for k, v in (os.environ if environment is None else environment).items() if k.startswith(PREFIX)
    }
    if not given and path is None and not _is_file(mine):
        return {}
    known = _options()
    found: Defaults = _from_file(mine, known) if _is_file(mine) else {name: {} for name in known}
    if path is not None and not (_is_file(mine) and path.samefile(mine)):
        for command, values in _from_file(path, known, trusted=False).items():
            found[command] |= values
    if "RUNSCOPE_EVENT" in given:  # a command that ``watch`` called: it tells of a finding under such names
        from runscope.watching.hooks import WORDS

        given = {k: v for k, v in given.items() if k.removeprefix(PREFIX).lower() not in WORDS}
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
    """What the parser knows of an option: whether it may be given several times, what it takes, if that is code."""

    several: bool
    choices: tuple[str, ...]
    imports: bool = False

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
    several = any(get_origin(k) is list for k in kinds)
    imports = any("module:" in (m.help or "") for m in hint.__metadata__ if isinstance(m, OptionInfo))
    return _Option(several, tuple(c.value for e in enumerations for c in e), imports)


def _from_file(path: Path, known: Mapping[str, Mapping[str, _Option]], *, trusted: bool = True) -> Defaults:
    """Keys at the top of the file (``project = "me/pricer"``) hold for every command that has them."""
    try:
        content = tomllib.loads(read_own(path))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path.name} cannot be read: {error}", hint=f"mend {path}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint="check its rights") from None
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
        for key, value in found[name].items():
            _require_plain(path, key, value)
            if not trusted:
                _require_harmless(path, key, value, options[key])
    return found


def _require_plain(path: Path, key: str, value: Any) -> None:
    """Refuse what no option takes: tables, dates, lists of lists."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(v, str | int | float) for v in values):
        raise InputError(
            f"{path.name}: {_written(key)} is no text, number or list of them", hint=f"mend {path}"
        )


def _require_harmless(path: Path, key: str, value: Any, option: _Option) -> None:
    """Refuse in a project's file what a stranger's file must not decide.

    Raises:
        UnsafeFile: it runs code, sends something elsewhere, or writes outside of the project.
    """
    does = RUNS_CODE.get(key) if value not in (False, "") else None
    if option.imports and any(":" in str(v) for v in (value if isinstance(value, list) else [value])):
        does = f"imports and runs {value}"
    if does is not None:
        raise UnsafeFile(
            f"{path} sets {_written(key)}, which {does}: a project's file may not",
            hint=f"where you want it, give --{_written(key)} on the command line or set it in {own_file()}",
        )
    if key in WRITES and not (path.parent / str(value)).resolve().is_relative_to(path.parent.resolve()):
        raise UnsafeFile(
            f"{path} sets {_written(key)} to {value}, which lies outside of its folder: a project's file may not",
            hint=f"give --{_written(key)} on the command line, or set it in {own_file()}",
        )


def _written(key: str) -> str:
    return key.replace("_", "-")


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
