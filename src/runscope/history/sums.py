"""A loss that was logged in parts only: their sum is the loss that was trained on.

Detectors log a loss for the boxes, one for the classes, one for what else they predict, each with its weight already in
it, and no sum (Ultralytics, YOLOv5 and v7). One part alone says little: boxes may get better while classes are
memorised.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from runscope.history.metrics import plain
from runscope.history.run import Run
from runscope.history.series import Series

_PART = "box|bbox|cls|dfl|obj|seg|sem|pose|kobj|rle|angle|giou|iou|l1|mask|rpn_cls|rpn_box|roi_cls|roi_box"
_NAMED = re.compile(rf"(train|val|valid|validation|eval)_(?:(?:{_PART})_loss|loss_(?:{_PART}))")
_HELD_OUT = ("val", "valid", "validation", "eval")
FEWEST = 2


def with_sums(run: Run) -> Run:
    """The run with the sums of its partial losses in the roles of the losses, where only parts were logged."""
    added: dict[str, Series] = {}
    roles: dict[str, str] = {}
    for role, heads in (("train_loss", ("train",)), ("eval_loss", _HELD_OUT)):
        chosen = run.roles.get(role)
        found = [_NAMED.fullmatch(plain(n)) for n in (chosen,) if n is not None]
        if chosen is None or not found or found[0] is None or found[0][1] not in heads:
            continue
        parts = _parts(run.series, found[0][1])
        if len(parts) < FEWEST:
            continue
        total = _sum(parts)
        if total is not None:
            added[total.name], roles[role] = total, total.name
    if not added:
        return run
    notes = tuple(n for n in run.notes if not any(f"is taken as {role};" in n for role in roles))
    said = tuple(
        f"{role} is the sum of {name.replace(' + ', ', ')}: only its parts were logged"
        for role, name in roles.items()
    )
    return replace(
        run, series={**run.series, **added}, roles={**run.roles, **roles}, notes=(*notes, *said),
        parts=tuple(with_sums(part) for part in run.parts),
    )  # fmt: skip


def _parts(series: Mapping[str, Series], head: str) -> list[Series]:
    found = []
    for name, values in series.items():
        match = _NAMED.fullmatch(plain(name))
        if match is not None and match[1] == head and len(values):
            found.append(values)
    return sorted(found, key=lambda s: s.name)


def _sum(parts: list[Series]) -> Series | None:
    """The sum at the steps that all parts have; None where these are less than half of the longest one's."""
    steps = parts[0].step
    for part in parts[1:]:
        steps = np.intersect1d(steps, part.step)
    if 2 * len(steps) < max(len(p) for p in parts) or not len(steps):
        return None
    rows = [p.sorted() for p in parts]
    places = [np.searchsorted(r.step, steps, side="right") - 1 for r in rows]
    value = np.sum([r.value[at] for r, at in zip(rows, places, strict=True)], axis=0)
    return Series(" + ".join(p.name for p in parts), steps, value, rows[0].time[places[0]])
