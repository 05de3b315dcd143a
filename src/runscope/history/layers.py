"""The gradient of each layer over the training, however it was logged: histograms, or a norm for each layer.

Names that are known to be norms of one layer's gradient, beside any prefix (``train/``):

- ``grad_norm/layers.0.weight``, ``gradient_norm.layers.0``, ``layer_grad_norm/0``;
- ``grad_2.0_norm/layers.0.weight`` (Lightning, ``lightning.pytorch.utilities.grad_norm``);
- ``l2_norm/grad/layers.0.weight`` (Composer, ``OptimizerMonitor``);
- ``grad/layers.0.weight.norm`` (OLMo), ``gradients/layers.0.weight/norm``;
- ``layers.0/grad_norm``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from runscope.history.run import Histograms, Run
from runscope.history.series import Series
from runscope.history.timeline import Segment, Timeline

FEWEST = 2
"""Layers from which on there is something to set side by side."""

_GRAD = r"(?:grad(?:ient)?s?)"
_HISTOGRAM = re.compile(rf"^(?:.*/)?{_GRAD}(?:_hist\w*)?[/.](?P<layer>.+)$", re.IGNORECASE)
_NORMS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"^(?P<kind>.*?{_GRAD}[_./-]?(?:l?\d(?:[._]\d)?[_./-])?norms?)[/.](?P<layer>.+)$",
        rf"^(?P<kind>.*?norms?/{_GRAD})/(?P<layer>.+)$",
        rf"^(?P<kind>(?:.*/)?{_GRAD})[/.](?P<layer>.+)[._/](?:l2_?)?norm$",
        rf"^(?P<layer>.*\d.*?)[._/]{_GRAD}_?norm$",
    )
)
_NO_LAYER = re.compile(
    r"(^|[._/-])(total|global|overall|all|sum|mean|avg|average|median|max|min|std|var|(un|pre|post)?_?clip\w*"
    r"|before\w*|after\w*|ranks?|gpus?|workers?|devices?|nodes?|seeds?|envs?|agents?|folds?|epochs?|steps?)"
    r"(?=$|[._/\d-])",
    re.IGNORECASE,
)
"""What tells of all layers together, or of something else that is counted."""


@dataclass(frozen=True, eq=False)
class GradientsByLayer:
    """Gradients of the layers of one training.

    Attributes:
        layers: by name, in order of depth; steps on the continuous axis, strictly rising. Of a logged norm,
            ``rms`` is that norm, and nothing more is known of the zeros than whether all elements are 0.
        measure: ``rms`` (root mean square of the elements: layers of any size compare) or ``norm``.
        latest: the layers that the last run with any has.
    """

    layers: Mapping[str, Histograms] = field(default_factory=dict)
    measure: str = "rms"
    latest: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return len(self.layers) >= FEWEST


def gradients_by_layer(line: Timeline) -> GradientsByLayer:
    """What was logged of each layer's gradient; histograms where there are both, since they say more.

    Args:
        line: the stitched line; discarded tails are left out.
    """
    for measure, found_in in (("rms", _watched), ("norm", _norms)):
        parts: dict[str, list[Histograms]] = {}
        latest: frozenset[str] = frozenset()
        for segment in line.line:
            found = [
                (name, kept) for name, h in found_in(segment.run) if len((kept := _kept(segment, h)).step)
            ]
            for name, kept in found:
                parts.setdefault(name, []).append(kept)
            latest = frozenset(name for name, _ in found) or latest
        if len(parts) >= FEWEST:
            layers = {name: _joined(name, parts[name]) for name in sorted(parts, key=depth)}
            return GradientsByLayer(layers, measure, latest)
    return GradientsByLayer()


def depth(name: str) -> tuple[str, ...]:
    """Sort key: numbers in a name count as numbers, and come before words."""
    return tuple(f"{int(part):08d}" if part.isdigit() else part for part in re.split(r"(\d+)", name))


def _watched(run: Run) -> Iterator[tuple[str, Histograms]]:
    found = [(match["layer"], h) for name, h in run.histograms.items() if (match := _HISTOGRAM.match(name))]
    graphs = {name[:7] for name, _ in found}
    # A second model that is watched in one process has its number before each name: graph_1layers.0.weight.
    cut = 7 if len(graphs) == 1 and re.fullmatch(r"graph_\d", next(iter(graphs))) else 0
    for name, histograms in found:
        yield name[cut:] or name, histograms


def _norms(run: Run) -> Iterable[tuple[str, Histograms]]:
    """The family of names (one prefix) with most layers: a norm before and one after clipping are two families."""
    families: dict[str, dict[str, Series]] = {}
    for name, series in run.series.items():
        found = layer_of(name)
        if found is not None and len(series):
            kind, layer = found
            families.setdefault(kind, {})[layer] = series
    most = max(families.values(), key=len, default={})
    return [(layer, _as_histograms(layer, series)) for layer, series in most.items()]


def layer_of(name: str) -> tuple[str, str] | None:
    """Kind and layer that a name tells of."""
    for pattern in _NORMS:
        found = pattern.match(name)
        if found and not _NO_LAYER.search(found["layer"]):
            return found.groupdict().get("kind") or "", found["layer"]
    return None


def _as_histograms(name: str, norm: Series) -> Histograms:
    """No element is larger than the norm of all."""
    size = np.abs(norm.value)
    return Histograms(name, norm.step, -size, size, norm.value, np.where(size == 0, 1.0, np.nan))


def _kept(segment: Segment, h: Histograms) -> Histograms:
    rows = segment.kept(Series.of(h.name, h.step, np.arange(len(h.step)))).sorted()
    at = rows.value.astype(np.int64)
    return Histograms(h.name, rows.step, h.low[at], h.high[at], h.rms[at], h.zero_share[at])


def _joined(name: str, parts: list[Histograms]) -> Histograms:
    """Parts of one layer end to end; of a step that two runs logged the later run's stays."""
    step = np.concatenate([p.step for p in parts])
    at = Series.of(name, step, np.arange(len(step))).sorted().value.astype(np.int64)
    columns = (
        np.concatenate([getattr(p, f) for p in parts])[at] for f in ("low", "high", "rms", "zero_share")
    )
    return Histograms(name, step[at], *columns)
