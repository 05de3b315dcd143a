"""The one folder that runscope keeps things in."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from runscope.errors import StoreError


def home() -> Path:
    """``RUNSCOPE_HOME``, or the user's cache folder; for a user without a home one that goes with the process."""
    from platformdirs import user_cache_path

    given = os.environ.get("RUNSCOPE_HOME")
    place = Path(given) if given else user_cache_path("runscope", appauthor=False)
    return place if given or place.is_absolute() else _passing()


@lru_cache(maxsize=1)
def _passing() -> Path:
    place = tempfile.mkdtemp(prefix="runscope-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return Path(place)


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
