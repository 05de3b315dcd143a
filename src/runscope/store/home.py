"""The one folder that runscope keeps things in."""

from __future__ import annotations

import os
from pathlib import Path

from runscope.errors import StoreError


def home() -> Path:
    """``RUNSCOPE_HOME``, or the user's cache folder."""
    from platformdirs import user_cache_path

    given = os.environ.get("RUNSCOPE_HOME")
    return Path(given) if given else user_cache_path("runscope", appauthor=False)


def cache_folder(kind: str) -> Path:
    """A folder below the home, made where it is missing.

    Raises:
        StoreError: it cannot be made.
    """
    folder = home() / kind
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be made: {error.strerror}", hint="set RUNSCOPE_HOME to a folder with space"
        ) from error
    return folder
