"""The bundled example: a fine-tune that was killed in its fourth epoch and resumed as a second run."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from runscope.errors import InputError


def folder() -> Path:
    """Where the bundled data lies.

    Raises:
        InputError: it was left out of the installation.
    """
    place = Path(str(files("runscope"))) / "demo_data"
    if not place.is_dir():
        raise InputError("the demo data is not installed", hint="install runscope from a release or a clone")
    return place
