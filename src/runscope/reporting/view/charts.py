"""What is drawn of a line: its charts, from top to bottom, for the page and for pictures alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from runscope.evaluation.study import Study
from runscope.history import Run, Segment, Series, Timeline
from runscope.history.checkpoint import ADAPTER_A, ADAPTER_B, ADAPTER_UPDATE, Checkpoint
from runscope.reporting.view.curves import POINTS_A_WINDOW, SMOOTHING, not_finite, shares, smoothed, thinned
from runscope.reporting.view.layers import LayerMap, layer_map
from runscope.stats.arrays import Floats

Style = Literal["raw", "line", "tail", "points", "scores", "scores2", "dots0", "dots1", "dots2", "dots3"]
DOTS: tuple[Style, ...] = ("dots0", "dots1", "dots2", "dots3")
"""Values of the checkpoints, one curve beside the other."""

COLOURS = ("#0072b2", "#c4530a", "#00805c", "#a8467f", "#8a6500", "#4f5bb5")
"""After Okabe & Ito 2008, told apart by people who do not see all colours; darker, so that a thin line on white
has a contrast of 3 at least. The page has a lighter set for the dark."""
DASHES = ((), (8, 4), (2, 3), (10, 3, 2, 3))
SCREEN_POINTS = 40_000
"""Points of all curves together that a picture needs."""
FEWEST_POINTS = 200
"""Points that a curve keeps however many runs share the line."""
CALM_POINTS = 4000
"""What a long learning rate may take: it is smooth, and noisy curves need the room."""
EXPLODED = 300.0
"""Times its median from which on a curve's largest value leaves less than a pixel of 320 to the rest."""
SMOOTH_FROM = 30
"""Points from which on a smooth line says more than the points; of fewer it would hide the first and the last."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve of a chart.

    Attributes:
        label: what it shows.
        owner: the run, or (where trainings are compared) the training; empty for what belongs to no run.
        number: of the owner, which gives colour and dash; -1 for none.
        style: how it is drawn; ``scores`` and ``scores2`` have intervals.
        series: finite points on the continuous axis, strictly rising in step.
        bad: stretches that are no number, see :func:`runscope.reporting.view.curves.not_finite`.
        levels: the same curve smoothed, by :data:`SMOOTHING`; empty where it is drawn as it is.
        low, high: ends of the intervals.
    """

    label: str
    owner: str
    number: int
    style: Style
    series: Series
    bad: Sequence[Sequence[int]] = ()
    levels: tuple[Series, ...] = ()
    low: Floats | None = None
    high: Floats | None = None

    @property
    def colour(self) -> str:
        """Of the owner, on white; empty where it has none."""
        return COLOURS[self.number % len(COLOURS)] if self.number >= 0 else ""

    @property
    def dash(self) -> tuple[int, ...]:
        """Of the owner."""
        return DASHES[self.number % len(DASHES)] if self.number >= 0 else ()


@dataclass(frozen=True, eq=False)
class Chart:
    """One chart; ``log`` is how it is first shown, ``can_log`` whether it may be switched; ``heat`` a map in place of
    curves."""

    key: str
    title: str
    curves: tuple[Curve, ...]
    log: bool = False
    hint: str = ""
    heat: LayerMap | None = None

    @property
    def can_log(self) -> bool:
        """A few zeros (a skipped step) do not forbid a log scale: they are drawn at its lower edge."""
        lowest = [float(c.series.value.min()) for c in self.curves if len(c.series)]
        return bool(lowest) and min(lowest) >= 0 and any((c.series.value > 0).any() for c in self.curves)


@dataclass(frozen=True, eq=False)
class Strand:
    """A segment with the owner of its curves."""

    number: int
    owner: str
    segment: Segment


def strands(line: Timeline) -> list[Strand]:
    """Each run of a line owns its curves."""
    return [Strand(k, s.run.title, s) for k, s in enumerate(line.line)]


def charts(
    line: Timeline,
    study: Study | None = None,
    checkpoints: Sequence[Checkpoint] = (),
    *,
    room: int = SCREEN_POINTS,
) -> list[Chart]:
    """The charts of one line; those that would be empty are left out.

    Args:
        line: the stitched line.
        study: its evaluated checkpoints.
        checkpoints: those that were listed, with the norms of their adapters.
        room: points that all curves together may have; where there are more, the lowest and highest value of
            each of many short stretches stay.
    """
    held_out = _held_out(line, "held-out loss", "", -1)
    found = [
        *_logged(strands(line), held_out), *_scored(line),
        evaluated(study), second(study), forgotten(study), memorised(study), adapter(checkpoints),
    ]  # fmt: skip
    order = (
        "reward",
        "loss",
        "metric",
        "checkpoints",
        "second",
        "forgotten",
        "memorised",
        "rate",
        "norm",
        "adapter",
    )
    found.sort(key=lambda chart: order.index(chart.key))
    heat = layer_map(line)
    layers = [] if heat is None else [Chart("layers", heat.title, (), hint=heat.hint, heat=heat)]
    fitted = _fitted([c for c in found if c.curves], room)
    beside = len(fitted) - (bool(fitted) and fitted[-1].key == "adapter")
    return [*fitted[:beside], *layers, *fitted[beside:]]


def compared_charts(lines: Sequence[tuple[str, Timeline]], *, room: int = SCREEN_POINTS) -> list[Chart]:
    """The charts of several trainings on one axis: each owns its curves, whatever number of runs it took."""
    owned = [Strand(k, name, s) for k, (name, line) in enumerate(lines) for s in line.line]
    held_out = Chart(
        "heldout", "Held-out loss",
        tuple(c for k, (name, line) in enumerate(lines) for c in _held_out(line, "held-out loss", name, k)),
    )  # fmt: skip
    found = [held_out, *_logged(owned, ())]
    return _fitted(
        [replace(c, title="Training loss") if c.key == "loss" else c for c in found if c.curves], room
    )


def _logged(owned: Sequence[Strand], held_out: Sequence[Curve]) -> list[Chart]:
    loss = (*_role(owned, "train_loss", "training loss"), *held_out)
    norm = Chart("norm", "Gradient norm", tuple(_role(owned, "grad_norm", "gradient norm")))
    return [
        _readable(Chart("loss", "Loss", loss)),
        Chart("rate", "Learning rate", tuple(_role(owned, "learning_rate", "learning rate", smooth=False))),
        replace(norm, log=norm.can_log),
    ]


def _scored(line: Timeline) -> list[Chart]:
    """The reward of a policy, which tells more than its loss, and the held-out metric that may decide."""
    reward = Chart("reward", "Reward", tuple(_role(strands(line), "reward", "reward")))
    metric = line.roles.get("eval_metric", "")
    series = line.role("eval_metric")
    curves = (
        (Curve(metric, "", -1, "points", series.finite, not_finite(series)),)
        if series is not None and len(series)
        else ()
    )
    return [reward, Chart("metric", "Held-out metric", curves, hint=metric)]


def _readable(chart: Chart) -> Chart:
    """A log axis where the largest value would press all others to the ground: a loss that exploded."""
    values = [c.series.value for c in chart.curves if c.style != "tail" and len(c.series)]
    if not values or not chart.can_log:
        return chart
    every = np.concatenate(values)
    return replace(chart, log=_exploded(every))


def _role(owned: Sequence[Strand], role: str, label: str, *, smooth: bool = True) -> list[Curve]:
    return drawn(owned, lambda run: run.role(role), label, smooth=smooth)


def drawn(
    owned: Sequence[Strand], pick: Callable[[Run], Series | None], label: str, *, smooth: bool = True
) -> list[Curve]:
    """Each segment's share of a metric, its smooth lines, and its discarded tail; all points of it as yet."""
    found = []
    for strand in owned:
        series = pick(strand.segment.run)
        if series is None or not len(series):
            continue
        kept, dropped = strand.segment.kept(series).sorted(), strand.segment.dropped(series).sorted()
        noisy = smooth and len(kept.finite) >= SMOOTH_FROM
        if len(kept):
            levels = _levels(kept, len(owned)) if noisy else ()
            found.append(_curve(strand, label, kept, "raw" if noisy else "line", levels))
        if len(dropped):
            found.append(_curve(strand, f"{label}, discarded tail", dropped, "tail"))
    return found


def _levels(series: Series, runs: int) -> tuple[Series, ...]:
    """The more runs share the line, the fewer points each smooth line needs."""
    points = [max(60, round(POINTS_A_WINDOW / w / runs)) for w in SMOOTHING]
    finite = series.finite.value
    if finite.min() > 0 and _exploded(
        finite
    ):  # a mean would carry the explosion back to where nothing had happened
        logs = Series(
            series.name, series.step, np.log(np.where(series.value > 0, series.value, np.nan)), series.time
        )
        levels = [smoothed(logs, w, n) for w, n in zip(SMOOTHING, points, strict=True)]
        return tuple(Series(s.name, s.step, np.exp(s.value), s.time) for s in levels)
    return tuple(smoothed(series, w, n) for w, n in zip(SMOOTHING, points, strict=True))


def _exploded(values: Floats) -> bool:
    return bool(values.max() > EXPLODED * np.median(values) > 0)


def _curve(
    strand: Strand, label: str, series: Series, style: Style, levels: tuple[Series, ...] = ()
) -> Curve:
    return Curve(label, strand.owner, strand.number, style, series.finite, not_finite(series), levels)


def _held_out(line: Timeline, label: str, owner: str, number: int) -> tuple[Curve, ...]:
    series = line.role("eval_loss")
    if series is None or not len(series):
        return ()
    return (Curve(label, owner, number, "points", series.finite, not_finite(series)),)


def _fitted(found: Sequence[Chart], room: int) -> list[Chart]:
    """The same charts with as many points as there is room for."""
    curves = [(chart.key, curve) for chart in found for curve in chart.curves]
    lengths = [min(len(c.series), CALM_POINTS) if key == "rate" else len(c.series) for key, c in curves]
    kept = iter(zip(curves, shares(lengths, room, FEWEST_POINTS), strict=True))
    fitted = []
    for chart in found:
        small = []
        for _ in chart.curves:
            (_, curve), points = next(kept)
            small.append(
                curve if curve.low is not None else replace(curve, series=thinned(curve.series, points))
            )
        fitted.append(replace(chart, curves=tuple(small)))
    return fitted


def evaluated(study: Study | None) -> Chart:
    """Scores of the evaluated checkpoints with their intervals."""
    chart = Chart("checkpoints", "Evaluated checkpoints", ())
    if study is None:
        return chart
    better = "lower" if study.lower_is_better else "higher"
    curves: list[Curve] = []
    named: tuple[tuple[str, Style, tuple[str, str, str]], ...] = (
        ("held-out examples", "scores", ("mean", "low", "high")),
        ("training examples", "scores2", ("train_mean", "train_low", "train_high")),
    )
    for label, style, names in named:
        rows = [
            (s.checkpoint.step, *(getattr(s, n) for n in names))
            for s in study.scores
            if s.checkpoint.step is not None and all(getattr(s, n) is not None for n in names)
        ]
        curves += _with_intervals(label, style, rows)
    hint = f"{metric_label(study)} with its 95% interval; {better} is better"
    return replace(chart, curves=tuple(curves), hint=hint)


def second(study: Study | None) -> Chart:
    """The metric of a second task on the same examples."""
    if study is None or study.beside is None:
        return Chart("second", "", ())
    name = study.beside.metric.replace("_", " ")
    rows = [
        (s.checkpoint.step, s.beside_mean, s.beside_low, s.beside_high)
        for s in study.scores
        if s.checkpoint.step is not None and s.beside_mean is not None
    ]
    better = "lower" if study.beside.lower_is_better else "higher"
    hint = f"{name} on the same examples with its 95% interval; {better} is better"
    return Chart("second", name.capitalize(), _with_intervals("held-out examples", "scores", rows), hint=hint)


def _with_intervals(label: str, style: Style, rows: Sequence[tuple[Any, ...]]) -> tuple[Curve, ...]:
    """One curve of (step, mean, low, high); none where there are no rows."""
    if not rows:
        return ()
    step, mean, low, high = (np.array(column) for column in zip(*sorted(rows), strict=True))
    return (Curve(label, "", -1, style, Series.of(label, step, mean), low=low, high=high),)


def forgotten(study: Study | None) -> Chart:
    """How much worse than the base each checkpoint is on the second set of examples."""
    chart = Chart("forgotten", "What was forgotten", ())
    if study is None or study.forgetting is None:
        return chart
    said = study.forgetting
    rows = [
        (s.checkpoint.step, s.forgotten, s.forgotten_low, s.forgotten_high)
        for s in study.scores
        if s.checkpoint.step is not None and s.forgotten is not None
    ]
    return replace(
        chart,
        curves=_with_intervals(said.data, "scores", rows),
        hint=f"{said.metric} on {said.data} less that of {said.reference}; above 0 is worse",
    )


def memorised(study: Study | None) -> Chart:
    """What each evaluated checkpoint knows of its training examples that it does not know of others."""
    names = {
        "membership (0.5 is chance)": "membership_auc",
        "training completions said word for word": "verbatim_rate",
        "held-out completions said word for word": "verbatim_held_out",
    }
    scores = study.scores if study is not None else ()
    rows = {
        label: [(s.checkpoint.step, getattr(s, name)) for s in scores if getattr(s, name) is not None]
        for label, name in names.items()
    }
    hint = "membership: how often a training example has a lower loss than a held-out one"
    said = [value for label in list(rows)[1:] for _, value in rows[label]]
    if said and not any(said):  # two lines on the ground tell less than a sentence
        rows = dict(list(rows.items())[:1])
        hint += "; no completion is said word for word"
    return Chart("memorised", "Memorising", _dotted(rows), hint=hint)


def adapter(checkpoints: Sequence[Checkpoint]) -> Chart:
    """Norms of a LoRA adapter's matrices in each checkpoint."""
    names = {"A": ADAPTER_A, "B": ADAPTER_B, "what they add to the weights": ADAPTER_UPDATE}
    rows = {
        label: [(c.step, c.extra[name]) for c in checkpoints if name in c.extra]
        for label, name in names.items()
    }
    hint = "norms of the LoRA matrices in each checkpoint; A begins random, B at zero"
    return Chart("adapter", "Adapter", _dotted(rows), hint=hint)


def _dotted(rows: Mapping[str, Sequence[tuple[int | None, float]]]) -> tuple[Curve, ...]:
    """A curve for each label that has two values or more at known steps."""
    curves = []
    for style, (label, pairs) in zip(DOTS, rows.items(), strict=False):
        known = {step: value for step, value in pairs if step is not None and np.isfinite(value)}
        if len(known) > 1:
            steps = sorted(known)
            curves.append(Curve(label, "", -1, style, Series.of(label, steps, [known[s] for s in steps])))
    return tuple(curves)


def metric_label(study: Study) -> str:
    """The metric of a study as people say it; a loss is in nats a completion token."""
    return "loss per token" if study.metric == "loss" else study.metric.replace("_", " ")
