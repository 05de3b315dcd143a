"""What makes a model's input of pictures and sounds: the repository's own processor, and where it lies."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from runscope.errors import InputError
from runscope.evaluation.examples.limits import memory_limited
from runscope.evaluation.models import loading
from runscope.evaluation.settings import EvaluateSettings

FILES = ("preprocessor_config.json", "processor_config.json")
"""Where transformers writes what a processor was told; the second since its version 5."""


def load_processor(auto: str, what: str, settings: EvaluateSettings, *places: Path) -> Any:
    """The processor that lies with a checkpoint, else that of its repository, else the base's.

    Args:
        auto: transformers' class that loads it.
        what: it is called in an error.
        settings: whether code of a repository may run.
        places: of the checkpoint and its base.

    Raises:
        InputError: none of them has one that can be loaded.
    """
    transformers: Any = import_module("transformers")
    failed = ""
    for place in loading.with_repositories(places):
        if place.is_dir() and not any((place / name).is_file() for name in FILES):
            continue
        loader = getattr(transformers, auto)
        try:
            with memory_limited():  # a filter bank of a million frequencies is made here
                return loader.from_pretrained(str(place), trust_remote_code=settings.trust_remote_code)
        except Exception as error:  # a damaged file, or a package that it needs
            failed = f" that can be loaded: {loading.first_line(error)}"
    raise InputError(
        f"no {what} lies at {' or '.join(map(str, loading.with_repositories(places)))}{failed}",
        hint=f"save it there ({FILES[0]}), or name the model that has it with --base",
    )
