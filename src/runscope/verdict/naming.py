"""What trainings are called that stand side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain, count

from runscope.verdict.types import Diagnosis


def told_apart(diagnoses: Sequence[Diagnosis], otherwise: str = "training") -> list[str]:
    """The name of each training; those of one name by the folders that tell them apart, else by a number.

    Args:
        diagnoses: one for each training.
        otherwise: what a training without a run is called.
    """
    runs = [d.timeline.runs for d in diagnoses]
    names = [r[0].name if r else otherwise for r in runs]
    often = Counter(names)
    places = [_place(r[0].reference) if r and often[n] > 1 else () for r, n in zip(runs, names, strict=True)]
    found: list[str] = []
    for number, name in enumerate(names):
        others = [p for n, p in enumerate(places) if n != number and names[n] == name]
        named = (_shortest(places[number], others) if others else None) or name
        numbered = (f"{named} ({n})" for n in count(2))
        found.append(next(f for f in chain([named], numbered) if f not in found))
    return found


def _place(reference: str) -> tuple[str, ...]:
    return tuple(part for part in reference.split("/") if part not in ("", "."))


def _shortest(place: tuple[str, ...], others: Sequence[tuple[str, ...]]) -> str | None:
    """The shortest end of a path that none of the others has; None where there is none, or one has the whole path."""
    for length in range(2, len(place) + 1):
        end = place[-length:]
        if all(other[-length:] != end for other in others):
            return "/".join(end)
    return None
