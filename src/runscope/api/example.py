"""The bundled example: a fine-tune that was killed in its fourth epoch and resumed as a second run."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from runscope.api.recipe import Recipe
from runscope.errors import InputError
from runscope.evaluation.tasks.scorers import scorer

PRICE_DIGITS = 5
"""Of a price in cents, the last two of which are cents; the digits of a shelf follow."""


def folder() -> Path:
    """Where the bundled data lies.

    Raises:
        InputError: it was left out of the installation.
    """
    place = Path(str(files("runscope"))) / "demo_data"
    if not (place / "killed.wandb").is_file():
        raise InputError("the demo data is not installed", hint="install runscope from a release or a clone")
    return place


@scorer(lower_is_better=True, unit="dollars", min_effect=2.0)
def price_error(answer: str, target: str) -> float:
    """How many dollars a price is off that is written digit by digit; one that cannot be read counts as 0 dollars."""
    return abs(_dollars(answer) - _dollars(target))


def _dollars(text: str) -> float:
    digits = "".join(text.split())[:PRICE_DIGITS]
    return int(digits) / 100 if digits.isascii() and digits.isdigit() else 0.0


def recipe() -> Recipe:
    """What the demo investigates: two runs, the repository they pushed to, held-out, training and other examples.

    The loss decides, and beside it the answers are judged by how far off their prices are. The other examples are what
    the base knew before: what the fine-tune forgets of it is told. The last three are averaged.
    """
    place = folder()
    return Recipe(
        runs=(str(place / "killed.wandb"), str(place / "resumed.wandb")),
        hub=str(place / "pricer.bundle"),
        data=place / "heldout.jsonl",
        train_data=place / "train.jsonl",
        also=place / "general.jsonl",
        base=str(place / "base"),
        settings={
            "beside": "answer",
            "scorer": "runscope.api.example:price_error",
            "max_new_tokens": PRICE_DIGITS,
            "average": "last:3",
        },
    )
