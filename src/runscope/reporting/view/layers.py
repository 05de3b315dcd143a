"""Gradients by layer as a picture: layer × step, with what happened to the layers that findings name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from runscope.history import Histograms, Timeline
from runscope.history.layers import depth, gradients_by_layer
from runscope.rules import Finding
from runscope.stats.arrays import Bools, Floats, Ints

ROWS, COLUMNS = 64, 160
"""Of the page: a row then has 5 pixels, which an eye still follows, and a column no less on a wide screen."""
DECADES = 8
"""Range of the colours at most: float32 loses to rounding what lies further below the largest."""
PAUSE = 5
"""Times the usual distance of two records from which on nothing is drawn between them."""
FATES = {"GRD002": "hardly any gradient", "GRD006": "exactly zero", "GRD008": "explodes"}
"""Findings that name layers, and what they say of one."""
MEASURES = {"rms": "root mean square of the gradient", "norm": "norm of the gradient"}


@dataclass(frozen=True, eq=False)
class LayerMap:
    """A picture of (rows, columns) cells.

    Attributes:
        names: of the rows, in order of depth; of several layers that share a row what they have in common.
        shown: the same without what all have in common.
        left, right: (columns,) continuous steps.
        size: (rows, columns) as ``measure`` says; NaN where nothing finite was logged.
        zero: (rows, columns) share of the elements in the bin around zero; NaN where that is not known.
        bad: (rows, columns) whether a gradient was logged that is NaN or infinite.
        measure: ``rms`` or ``norm``.
        low, high: the range of colours.
    """

    names: tuple[str, ...]
    shown: tuple[str, ...]
    left: Floats
    right: Floats
    size: Floats
    zero: Floats
    bad: Bools
    measure: str
    low: float
    high: float

    @property
    def title(self) -> str:
        """What is shown."""
        return "Gradients by layer"

    @property
    def hint(self) -> str:
        """How to read it."""
        return f"colour: {MEASURES[self.measure]}; the first layer on top"

    @property
    def zeros_known(self) -> bool:
        """Whether histograms tell how many elements are near zero."""
        return self.measure == "rms" and bool(np.isfinite(self.zero).any())

    def levels(self) -> Floats:
        """(rows, columns) place of each size between ``low`` (0) and ``high`` (1), by decades; NaN where none is."""
        span = np.log10(self.high / self.low)
        with np.errstate(divide="ignore", invalid="ignore"):
            place = (np.log10(self.size) - np.log10(self.low)) / span
        return np.where(self.size > 0, np.clip(place, 0, 1), np.nan)


def layer_map(line: Timeline, *, rows: int = ROWS, columns: int = COLUMNS) -> LayerMap | None:
    """The picture, or None where fewer than two layers were logged.

    Args:
        line: the stitched line.
        rows: how many there may be; more layers than that share rows by their block, then by neighbourhood.
        columns: how many there may be; more records than that share one, which shows their median.
    """
    found = gradients_by_layer(line)
    if not found:
        return None
    borders, left, right = _columns(
        np.unique(np.concatenate([h.step for h in found.layers.values()])), columns
    )
    grids = {name: _grid(h, borders) for name, h in found.layers.items()}
    groups = _grouped(list(grids), rows)
    size = np.stack([_together([grids[n][0] for n in names], found.measure) for names in groups.values()])
    zero = np.stack([_mean([grids[n][1] for n in names]) for names in groups.values()])
    bad = np.stack([np.any([grids[n][2] for n in names], axis=0) for names in groups.values()])
    positive = size[size > 0]
    if not len(positive) and not bad.any() and not (size == 0).any():
        return None
    high = float(positive.max()) if len(positive) else 1.0
    low = max(float(positive.min()), high * 10.0**-DECADES) if len(positive) else 0.1
    names = tuple(groups)
    return LayerMap(
        names, _without_common(names), left, right, size, zero, bad, found.measure, min(low, high / 10), high
    )


@dataclass(frozen=True)
class LayerRow:
    """One layer in a table: its first and last size, the largest, the share near zero in the end, its fate."""

    name: str
    first: float | None
    last: float | None
    highest: float | None
    zero: float | None
    fate: str


def layer_rows(shown: LayerMap, fates: Mapping[str, str]) -> list[LayerRow]:
    """The picture as a table, for people who do not see it."""
    rows = []
    for k, name in enumerate(shown.names):
        size, zero = shown.size[k][np.isfinite(shown.size[k])], shown.zero[k][np.isfinite(shown.zero[k])]
        known = len(size) > 0
        fate = fates.get(name, "") or ("NaN or infinite" if shown.bad[k].any() else "")
        rows.append(
            LayerRow(
                name, float(size[0]) if known else None, float(size[-1]) if known else None,
                float(size.max()) if known else None, float(zero[-1]) if len(zero) else None, fate,
            )
        )  # fmt: skip
    return rows


def fates_of(findings: Iterable[Finding], shown: LayerMap) -> dict[str, str]:
    """What findings say of the rows; of a row of several layers where they say it of one of them."""
    fates: dict[str, list[str]] = {}
    for finding in findings:
        for layer in finding.evidence.get("layers", ()) if finding.code in FATES else ():
            row = _row_of(str(layer), shown.names)
            if row is not None and FATES[finding.code] not in fates.setdefault(row, []):
                fates[row].append(FATES[finding.code])
    return {row: ", ".join(said) for row, said in fates.items()}


def _row_of(layer: str, names: Sequence[str]) -> str | None:
    if layer in names:
        return layer
    block = _block(layer)
    return block if block in names else next((n for n in names if " to " in n and _between(layer, n)), None)


def _between(layer: str, row: str) -> bool:
    first, _, last = row.partition(" to ")
    return depth(first) <= depth(layer) and depth(_block(layer)) <= depth(last)


def _columns(steps: Ints, most: int) -> tuple[Ints, Floats, Floats]:
    """First record of each column; its edges half-way to the neighbours, but not across a pause."""
    apart = np.diff(steps)
    usual = float(np.median(apart)) if len(apart) else 1.0
    pauses = np.flatnonzero(apart > PAUSE * usual)
    pauses = np.sort(pauses[np.argsort(-apart[pauses], kind="stable")][: most // 2]) + 1
    even = np.linspace(0, len(steps), min(most - len(pauses), len(steps)) + 1).astype(np.int64)
    at = np.unique(np.concatenate((even, pauses)))
    first, last = steps[at[:-1]], steps[at[1:] - 1]
    half = np.minimum((first[1:] - last[:-1]) / 2, usual)
    left = np.asarray(first - np.concatenate(([usual / 2], half)), dtype=np.float64)
    right = np.asarray(last + np.concatenate((half, [usual / 2])), dtype=np.float64)
    return first, left, right


def _grid(h: Histograms, borders: Ints) -> tuple[Floats, Floats, Bools]:
    """Median size and share of zeros in each column, and whether something in it is not finite."""
    size, zero = np.full(len(borders), np.nan), np.full(len(borders), np.nan)
    bad = np.zeros(len(borders), dtype=np.bool_)
    column = np.searchsorted(borders, h.step, side="right") - 1
    starts = np.flatnonzero(np.concatenate(([True], column[1:] != column[:-1])))
    for begin, end in zip(starts, [*starts[1:], len(column)], strict=True):
        place, values, shares = column[begin], h.rms[begin:end], h.zero_share[begin:end]
        finite = np.isfinite(values)
        bad[place] = not finite.all()
        if finite.any():
            size[place] = np.median(values[finite])
        if np.isfinite(shares).any():
            zero[place] = np.mean(shares[np.isfinite(shares)])
    return size, zero, bad


def _grouped(names: Sequence[str], rows: int) -> dict[str, list[str]]:
    """Rows and the layers in them: each its own, else by block, else neighbours together."""
    if len(names) <= rows:
        return {name: [name] for name in names}
    blocks: dict[str, list[str]] = {}
    for name in names:
        blocks.setdefault(_block(name), []).append(name)
    if len(blocks) <= rows:
        return blocks
    each = list(blocks)
    at = np.linspace(0, len(each), rows + 1).astype(int)
    chunks = [each[a:b] for a, b in pairwise(at)]
    return {
        chunk[0] if len(chunk) == 1 else f"{chunk[0]} to {chunk[-1]}": [
            n for block in chunk for n in blocks[block]
        ]
        for chunk in chunks
    }


def _block(name: str) -> str:
    """A layer's name up to its first number."""
    found = re.match(r"^.*?(?<![A-Za-z])\d+(?=$|[._/])", name)
    return found[0] if found else name


def _together(sizes: Sequence[Floats], measure: str) -> Floats:
    """Of several layers: the norm of all, or the root mean square over layers."""
    squares = np.stack(sizes) ** 2
    known = np.isfinite(squares)
    total = np.where(known, squares, 0).sum(axis=0)
    count = known.sum(axis=0)
    with np.errstate(invalid="ignore"):
        size = np.sqrt(total if measure == "norm" else total / np.maximum(count, 1))
    return np.where(count > 0, size, np.nan)


def _mean(shares: Sequence[Floats]) -> Floats:
    stacked = np.stack(shares)
    known = np.isfinite(stacked)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, stacked, 0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _without_common(names: Sequence[str]) -> tuple[str, ...]:
    """Names without the whole parts that all begin and end with."""
    parts = [re.split(r"(?<=[./])|(?=\.weight$|\.bias$)", name) for name in names]
    head = tail = 0
    shortest = min(len(p) for p in parts)
    while head < shortest - 1 and len({p[head] for p in parts}) == 1:
        head += 1
    while tail < shortest - 1 - head and len({p[-1 - tail] for p in parts}) == 1:
        tail += 1
    return tuple("".join(p[head : len(p) - tail]) or n for p, n in zip(parts, names, strict=True))
