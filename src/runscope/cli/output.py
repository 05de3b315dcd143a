"""Data to stdout, talk to stderr; what strangers wrote never steers the terminal."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from runscope.errors import StoreError, UsageError
from runscope.safe_text import harmless_json, harmless_line
from runscope.store.files import write_beside

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console


PIPE_WIDTH = 160


def stdout() -> Console:
    """The console for results; plain text where it is not a terminal, or where ``NO_COLOR`` is set."""
    from runscope.cli.console import SafeConsole

    console = SafeConsole(highlight=False)
    # A pipe has no width: tables keep their columns, whatever reads them.
    return console if console.is_terminal else SafeConsole(highlight=False, width=PIPE_WIDTH)


def note(text: str, *, quiet: bool = False) -> None:
    """One line of talk."""
    if not quiet:
        print(harmless_line(text), file=sys.stderr)  # noqa: T201


def notes(texts: Iterable[str], *, quiet: bool = False) -> None:
    """Lines of talk, each marked."""
    for text in texts:
        note(f"note: {text}", quiet=quiet)


def print_text(text: str) -> None:
    """Print text that is to be read by people or by another program."""
    sys.stdout.write(harmless_line(text))
    sys.stdout.flush()


def print_raw(text: str) -> None:
    """Print a document in which nothing of a stranger's steers a terminal any more."""
    sys.stdout.write(text)
    sys.stdout.flush()


def print_bytes(form: str, write: Callable[[Path], object]) -> None:
    """Send what is written to a file down a pipe.

    Raises:
        UsageError: stdout is a terminal, which shows no pictures.
    """
    if sys.stdout.isatty():
        raise UsageError(
            f"a terminal shows no {form}",
            hint=f"name a file, --output {'card.png' if form == 'card' else f'curve.{form}'}, or send it down a pipe",
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"picture.{form}"
        write(path)
        sys.stdout.buffer.write(path.read_bytes())
        sys.stdout.buffer.flush()


def print_json(data: Mapping[str, Any] | Sequence[Any], *, line: bool = False) -> None:
    """Print an object; on one line for JSON lines."""
    print_raw(as_json(data, line=line))


def as_json(data: Mapping[str, Any] | Sequence[Any], *, line: bool = False) -> str:
    """An object as text that every JSON parser takes: no bare NaN."""
    if not line:
        with suppress(TypeError):  # a number of more than 64 bits, or half a letter
            text = orjson.dumps(data, option=orjson.OPT_INDENT_2).decode()
            return harmless_json(text) + "\n"
    text = json.dumps(data, ensure_ascii=False, indent=None if line else 2, allow_nan=False)
    return harmless_json(text) + "\n"


def table_forms(table: Callable[[], pd.DataFrame]) -> dict[str, Callable[[Path], object]]:
    """Writers for a table, by ending; the table is built only when one of them is asked for."""
    from runscope.history.axes import write_table

    return dict.fromkeys((".csv", ".parquet"), lambda path: write_table(table(), path))


def json_form(data: Callable[[], Mapping[str, Any]]) -> dict[str, Callable[[Path], object]]:
    """Writer for an object as ``.json``."""
    return {".json": lambda path: path.write_text(as_json(data()), encoding="utf-8", errors="replace")}


def save(path: Path, forms: Mapping[str, Callable[[Path], object]], *, quiet: bool = False) -> None:
    """Write a file in the form its ending names.

    Args:
        path: where to.
        forms: ending → writer.
        quiet: do not say that it was written.

    Raises:
        UsageError: no form has that ending.
        StoreError: it cannot be written.
    """
    writer = forms.get(path.suffix.lower())
    if writer is None:
        raise UsageError(
            f"nothing is written as {path.suffix or 'a file without ending'!r}",
            hint=f"the endings here are {', '.join(sorted(forms))}",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_beside(path, writer)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror}", hint="choose another place with --output"
        ) from error
    note(f"wrote {path}", quiet=quiet)
