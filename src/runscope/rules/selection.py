"""The metric that decides which step is best: what the user names, what the author selected by, what the task goes by.

A held-out loss stands for the task well enough unless there is a metric that the checkpoint is chosen by. Then that
metric decides, and the loss is a second opinion.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from runscope.history import Series
from runscope.history.metrics import Better, bare, held_out, meaning, plain, rank, telling
from runscope.rules.context import preference_margins, reinforcement_names
from runscope.rules.finding import View
from runscope.stats.arrays import Floats
from runscope.stats.curves import noise
from runscope.stats.overfitting.turn import MATTERS, Turn, turn

FEWEST = 2
"""Two values of a metric say which is better; a turn needs three."""
POINTS = 0.02
"""A score between 0 and 1 that is 0.02 lower is worse in a way that matters: what ``evaluate`` takes for scores."""

SMALL = 0.05
"""Of a score or an error rate that is itself small: a twentieth of its best value."""
OF_EVALUATIONS = ("F1", "exact match", "correlation with the truth", "ranking score")
"""Scores that are computed in evaluations; an accuracy may be of the training batches."""
GAIN = 0.25
"""A metric that gained less than a quarter of what matters stood still: half a point of an accuracy comes and goes."""
PROBABILITY_DECIDES = ("accuracy", "F1", "exact match", "error", "precision or recall")
"""Scores of answers that a threshold or the likeliest class gives: a loss that rises beside them is of probabilities
that are surer than right (Guo et al. 2017, arXiv 1706.04599)."""

How = Literal["given", "selected", "usual", "alone"]


@dataclass(frozen=True)
class Deciding:
    """The metric that decides.

    Attributes:
        series: its finite values.
        better: which way is better.
        words: what it is called.
        how: named by the user, selected by the author of the training, what such tasks are judged by, or the only
            thing that was measured on held-out data.
    """

    series: Series
    better: Better
    words: str
    how: How

    @property
    def name(self) -> str:
        """As it was logged."""
        return self.series.name

    @property
    def best(self) -> int:
        """Step of the best logged value; of several as good, the first."""
        return int(self.series.step[int(np.argmin(self.oriented))])

    @property
    def oriented(self) -> Floats:
        """The values so that lower is better."""
        return self.series.value if self.better == "lower" else -self.series.value

    @property
    def matters(self) -> float:
        """The smallest difference that matters, in the metric's own unit."""
        low, high = float(np.min(self.series.value)), float(np.max(self.series.value))
        best = abs(low if self.better == "lower" else high)
        if low >= 0 and high <= 1:
            return max(min(POINTS, SMALL * best), 1e-9)
        if low >= 0 and high <= 100 and meaning(self.name) is not None:
            return max(min(100 * POINTS, SMALL * best), 1e-9)
        return max(MATTERS * max(abs(low), abs(high)), 1e-300)

    @property
    def turned(self) -> Turn | None:
        """How it turned after its best; None with fewer than three values."""
        known = meaning(self.name)
        like_a_loss = known is not None and known.monotone and self.better == "lower"
        return turn(self.oriented, logs=like_a_loss) if len(self.series) >= 3 else None

    @property
    def of_answers(self) -> bool:
        """Whether it counts answers that probabilities give, so that a loss beside it may be of their calibration."""
        return self.words in PROBABILITY_DECIDES

    @property
    def contrast(self) -> str:
        """What a model is whose loss got worse while this metric got better."""
        if self.of_answers:
            return "less well calibrated, not worse at the task"
        return "worse by its loss, but not worse at the task"

    def at(self, step: int) -> float:
        """Its value at the last evaluation up to a step, or at the first."""
        place = int(np.searchsorted(self.series.step, step, side="right")) - 1
        return float(self.series.value[max(place, 0)])

    def gained_since(self, step: int) -> float:
        """How much better its best value after a step is than its value there; 0 where it is not, beyond its noise."""
        later = self.oriented[self.series.step > step]
        if not len(later):
            return 0.0
        now = self.at(step) if self.better == "lower" else -self.at(step)
        gain = now - float(np.min(later))
        return gain if gain > self._sure else 0.0

    def ended_worse_than(self, step: int) -> bool:
        """Whether its last value is worse than its value at a step, beyond its noise."""
        now = self.at(step) if self.better == "lower" else -self.at(step)
        return float(self.oriented[-1]) - now > self._sure

    @property
    def _sure(self) -> float:
        """The smallest difference between two values that is not said to be none."""
        return max(noise(self.oriented), GAIN * self.matters)


def deciding(view: View) -> Deciding | None:
    """The metric that decides, or None where the loss does."""
    return view.remember("deciding", lambda: _deciding(view))


def _deciding(view: View) -> Deciding | None:
    if view.metric is not None:
        series = _finite(view, view.metric.name)
        return None if series is None else Deciding(series, view.metric.better, _words(series.name), "given")
    selected = _selected(view)
    if selected is not None:
        return None if isinstance(selected, str) else selected
    return _usual(view) or _alone(view)


def _alone(view: View) -> Deciding | None:
    """The held-out metric of a training that logged no held-out loss: nothing else can decide."""
    loss = view.get("eval_loss")
    if (loss is not None and len(loss.finite) >= FEWEST) or reinforcement_names(view):
        return None
    if preference_margins(view) is not None:
        return None
    other = second_opinion(view) or _stand_in(view)
    known = other is not None and meaning(other.name) is not None and held_out(other.name)
    return replace(other, how="alone") if other is not None and known else None


def _stand_in(view: View) -> Deciding | None:
    """A held-out metric that falls or rises with the loss that was not logged: an error, a log-likelihood.

    Not a loss itself: one that is logged and plays no role was set aside.
    """
    for name in view.timeline.names:
        known = meaning(name)
        if known is None or not known.monotone or known.words == "loss" or not held_out(name):
            continue
        series = _finite(view, name)
        if series is not None and len(series) >= 3:
            return Deciding(series, known.better, known.words, "usual")
    return None


def _selected(view: View) -> Deciding | Literal["loss"] | None:
    """What the author of the training selected by: the configuration says it, or the best value that it recorded."""
    wanted = view.config("metric_for_best_model", "checkpoint_metric", "monitor")
    names = [n for n in view.timeline.names if measured_apart(view, n)]
    if isinstance(wanted, str) and wanted:
        if plain(wanted).split("_")[-1] == "loss":
            return "loss"
        named = [n for n in names if plain(n) == plain(wanted)] or [
            n for n in names if bare(n) == bare(wanted)
        ]
        for name in named:
            series = _finite(view, name)
            if series is not None:
                return Deciding(series, _direction(view, name), _words(name), "selected")
    return _recorded(view, names)


def _direction(view: View, name: str) -> Better:
    """As configured, else as the name says, else as the Trainer takes it: greater is better."""
    greater = view.config("greater_is_better")
    if isinstance(greater, bool):
        return "higher" if greater else "lower"
    mode = view.config("mode", "checkpoint_mode")
    if mode in ("min", "max"):
        return "lower" if mode == "min" else "higher"
    known = meaning(name)
    return known.better if known is not None else "higher"


def _recorded(view: View, names: Iterable[str]) -> Deciding | Literal["loss"] | None:
    """The held-out metric whose best value the Trainer's state records as ``best_metric``."""
    best = view.config("best_metric")
    if isinstance(best, bool) or not isinstance(best, int | float) or not np.isfinite(best):
        return None
    found: list[Deciding] = []
    for name in names:
        series = _finite(view, name)
        if series is None:
            continue
        for better, extreme in (("lower", np.min), ("higher", np.max)):
            if np.isclose(float(extreme(series.value)), float(best), rtol=1e-6, atol=1e-12):
                known = meaning(name)
                if known is not None and known.better != better:
                    continue
                if known is not None and known.words == "loss":
                    return "loss"
                found.append(
                    Deciding(series, "lower" if better == "lower" else "higher", _words(name), "selected")
                )
    return min(found, key=lambda d: (rank(d.name), len(d.name)), default=None)


def measured_apart(view: View, name: str) -> bool:
    """Whether a metric was measured on held-out data: its name says so, or it stands beside the held-out loss.

    Tables of evaluations name their scores without a prefix (``Wer``, ``F1``). A score that nobody takes of training
    batches, logged at the very steps of the held-out loss and under no other name, is of the held-out data too.
    """
    if held_out(name):
        return True
    known, loss = meaning(name), view.get("eval_loss")
    if known is None or loss is None or not (known.decides or known.words in OF_EVALUATIONS):
        return False
    if plain(name) != bare(name) or any(held_out(n) and bare(n) == bare(name) for n in view.timeline.names):
        return False
    series = view.timeline.series(name)
    return series is not None and len(series) >= FEWEST and bool(np.isin(series.step, loss.step).all())


def _usual(view: View) -> Deciding | None:
    """What such tasks are judged by, where it is logged on held-out data."""
    found: list[Deciding] = []
    for name in view.timeline.names:
        known = meaning(name)
        if known is None or not known.decides or not measured_apart(view, name):
            continue
        series = _finite(view, name)
        if series is not None:
            found.append(Deciding(series, known.better, known.words, "usual"))
    return min(found, key=lambda d: (rank(d.name), len(d.name)), default=None)


def second_opinion(view: View) -> Deciding | None:
    """A held-out metric that is no stand-in for the loss, where the loss decides: accuracy, F1 and the like."""
    role = view.timeline.roles.get("eval_metric")
    names = [n for n in view.timeline.names if n == role or measured_apart(view, n)]
    for name in sorted(names, key=lambda n: (telling(n), n != role)):
        known = meaning(name)
        if known is not None and known.monotone:
            continue
        if known is None and name != role:
            continue
        series = _finite(view, name)
        if series is not None and len(series) >= 3 and np.ptp(series.value) > 0:
            better: Better = known.better if known is not None else "higher"
            return Deciding(series, better, known.words if known is not None else name, "usual")
    return None


def got_better(view: View, since: int) -> Deciding | None:
    """The metric that nobody selects by, where it got better after a step and did not end worse than it was there."""
    metric = second_opinion(view) if deciding(view) is None else None
    if metric is None or metric.gained_since(since) <= 0 or metric.ended_worse_than(since):
        return None
    return metric


def _finite(view: View, name: str) -> Series | None:
    series = view.timeline.series(name)
    return None if series is None or len(series.finite) < FEWEST else series.finite


def _words(name: str) -> str:
    known = meaning(name)
    return known.words if known is not None else name
