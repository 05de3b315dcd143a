"""The bundled example: a fine-tune that was killed in its fourth epoch and resumed as a second run."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from runscope.api.recipe import Recipe
from runscope.errors import InputError


def folder() -> Path:
    """Where the bundled data lies.

    Raises:
        InputError: it was left out of the installation.
    """
    place = Path(str(files("runscope"))) / "demo_data"
    if not (place / "killed.wandb").is_file():
        raise InputError("the demo data is not installed", hint="install runscope from a release or a clone")
    return place


def recipe() -> Recipe:
    """What the demo investigates: two runs, the repository they pushed to, held-out, training and other examples.

    The others are what the base knew before: what the fine-tune forgets of it is told. The last three are averaged.
    """
    place = folder()
    return Recipe(
        runs=(str(place / "killed.wandb"), str(place / "resumed.wandb")),
        hub=str(place / "pricer.bundle"),
        data=place / "heldout.jsonl",
        train_data=place / "train.jsonl",
        also=place / "general.jsonl",
        base=str(place / "base"),
        settings={"average": "last:3"},
    )
