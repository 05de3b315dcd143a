"""Whether a checkpoint's files are all there and whole, told without loading it.

A training that was killed while it saved leaves a folder that looks like a checkpoint. That is a fault of this one
alone: the others can be evaluated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runscope.errors import InputError
from runscope.hub.safetensors import refuse_cut
from runscope.schema import read_object

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
CONFIGURATIONS = ("config.json", ADAPTER_CONFIG, "generation_config.json", "tokenizer.json")
INDEX = "model.safetensors.index.json"


def refuse_broken(folder: Path) -> None:
    """Stop at a checkpoint whose saving or copying did not come to its end.

    Raises:
        InputError: weights are cut off or no safetensors, a shard is missing, a configuration is no JSON, or what lies
            there is no file at all.
    """
    for place in folder.iterdir():
        if place.exists() and not (place.is_file() or place.is_dir()):  # whoever opens a pipe waits for ever
            raise InputError(f"{place.name} is a pipe or a device, and no file", hint="put the file there")
    for name in CONFIGURATIONS:
        if (folder / name).is_file():
            _json(folder / name)
    index = _json(folder / INDEX) if (folder / INDEX).is_file() else {}
    places = index.get("weight_map")
    shards = sorted({str(v) for v in places.values()}) if isinstance(places, dict) else []
    if missing := [s for s in shards if not (folder / s).is_file()]:
        raise InputError(
            f"{missing[0]} is missing, one of {len(shards):,} files of weights",
            hint="fetch or save it again",
        )
    for file in sorted(folder.glob("*.safetensors")):
        refuse_cut(file)


def _json(file: Path) -> dict[str, Any]:
    try:
        return read_object(file.read_bytes())
    except ValueError as error:
        raise InputError(
            f"{file.name} was cut off or damaged: {error}", hint="fetch or save it again"
        ) from error
