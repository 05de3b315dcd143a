"""What is kept of a run to tell which of thousands could be one training with it: numbers in place of its curves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from runscope.history import Series
from runscope.stats.arrays import Floats
from runscope.stats.medians import median, medians
from runscope.stitching.evidence.counters import SAME_POINTS
from runscope.stitching.evidence.kinship import FORM, MODEL, PLACES, SETTINGS, SOURCES_OF_DATA, called, stem
from runscope.stitching.order import begun_at, progress_of, total_of
from runscope.stitching.profile import Profile

LEVELS = 20
"""A curve is told by the medians of so many equal stretches of its steps."""
EARLY = 4
"""So many of them are its beginning: at a state of its first fifth hardly anybody resumes, and there every training
from scratch looks like the one before."""
HEAD = (8, 24)
"""A run's beginning is told by the medians of its first 8 points and of the next 16: a warm-up shows in the first."""
SHIFT, SCATTER = 0.15, 4.0
"""A restart moves the level by 15% of what the earlier run's loss has moved at most, or by four times its noise: three
standard deviations of what :mod:`runscope.stitching.evidence.curves` takes a restart to do."""
BEGUN = 1.5
"""A counter that begins within so many of its own intervals of zero begins at zero: it may be rounded."""
WARM = 0.9
"""A learning rate that begins below this share of its peak warms up: its schedule begins anew."""


@dataclass(frozen=True)
class Digest:
    """One run, small enough to hold thousands.

    Attributes:
        reference, id, name, source, part: which run it is.
        begun, ended: Unix seconds; None where not recorded.
        progress, first_step, last_step, points, total: what orders runs, as :mod:`runscope.stitching.order` says.
        settings: what tells trainings apart, by its name: a short hash of each value.
        folders: the folder that it lies in and the one above, for a run on this disk.
        own, follows: keys that it answers to, and keys of the runs that it may follow whatever its curves say.
        counts_on: whether any of its counters begins far from zero.
        warm: whether its learning rate warms up.
        decay, interval: step at which its schedule ends, and its logging interval.
        logs: whether its losses are told as logarithms.
        head: medians of its first points; empty where too few were logged.
        levels: medians of :data:`LEVELS` equal stretches.
        noise: how the losses scatter.
    """

    reference: str
    id: str
    name: str
    source: str
    part: int
    begun: float | None
    started: float | None
    ended: float | None
    progress: tuple[float, ...]
    first_step: int
    last_step: int
    points: int
    total: float
    settings: Mapping[str, str]
    folders: tuple[str, ...]
    own: tuple[str, ...]
    follows: tuple[str, ...]
    counts_on: bool
    warm: bool
    decay: float | None
    interval: float
    logs: bool
    head: tuple[float, ...]
    levels: tuple[float, ...]
    noise: float

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it; what it holds is shared, not copied."""
        return dict(vars(self))

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Digest:
        """What :meth:`as_dict` gave; unknown fields of another version raise ``TypeError``."""
        if set(found) != {f.name for f in fields(cls)}:
            raise TypeError("a digest of another version")
        lists = {name: tuple(value) for name, value in found.items() if isinstance(value, list)}
        return cls(**{**found, **lists})


def digest(run: Profile, reference: str | None = None) -> Digest:
    """The digest of a run; ``reference`` is what it was asked for by, where that is another than its own."""
    what = run.run
    curve = _curve(run)
    own, follows = _links(run)
    return Digest(
        reference=reference or what.reference,
        id=what.id,
        name=what.name,
        source=what.source,
        part=what.part,
        begun=begun_at(what),
        started=what.started_at,
        ended=what.ended_at,
        progress=progress_of(what),
        first_step=what.first_step,
        last_step=what.last_step,
        points=what.points,
        total=total_of(what),
        settings=_settings(run),
        folders=_folders(reference or what.reference),
        own=own,
        follows=follows,
        counts_on=_counts_on(run),
        warm=run.rate is not None and len(run.rate) > 0 and _warms_up(run.rate),
        decay=None if run.decay is None else float(run.decay[0]),
        interval=run.interval,
        logs=run.logs,
        head=curve[0],
        levels=curve[1],
        noise=curve[2],
    )


def may_continue(before: Digest, after: Digest) -> bool:
    """Whether a run could continue an earlier one at all, from what is kept of both.

    A run whose counters all begin at zero continues another by its curve alone, or by its schedule. Where its losses
    begin far from all that the other had reached after its first fifth, the curves say so more surely than anything
    else could speak for it. Whatever is not known speaks for a closer look.
    """
    if after.counts_on or not after.head or not before.levels or before.logs != after.logs:
        return True
    schedule = before.decay is not None and after.decay is not None and not after.warm
    if schedule and before.decay - after.decay >= 2 * before.interval:  # type: ignore[operator]
        return True  # its rates may go on
    late = before.levels[EARLY:]
    span = max(max(before.levels), *after.head) - min(before.levels)
    reach = SHIFT * span + SCATTER * max(before.noise, after.noise)
    return min(after.head) <= max(late) + reach and max(after.head) >= min(late) - reach


def _settings(run: Profile) -> dict[str, str]:
    """What tells trainings apart: settings, name, metrics, what its steps count."""
    config = run.run.config
    names = (*MODEL, *FORM, *SOURCES_OF_DATA, *PLACES, *SETTINGS)
    found = {name: config[name] for name in names if config.get(name) not in (None, "")}
    named = stem(run.run.name)
    if named:
        found["name "] = named
    found["metrics "] = "\n".join(sorted(run.run.series))
    found["steps "] = run.run.step_key
    return {name: _short(value) for name, value in found.items()}


def _short(value: Any) -> str:
    plain = f"n{float(value)!r}" if isinstance(value, int | float) else f"s{value}"
    return hashlib.blake2b(plain.encode(errors="replace"), digest_size=8).hexdigest()


def _folders(reference: str) -> tuple[str, ...]:
    folder = reference.partition("::")[0].rpartition("/")[0]
    return tuple(part for part in (folder, folder.rpartition("/")[0]) if part)


def _links(run: Profile) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keys that a run answers to, and those of runs that it names, is named after, or holds the points of."""
    what = run.run
    name = called(what)
    own = [f"name {name}"]
    begun = (name[:end] for end in range(3, len(name)) if not name[end].isalnum())
    follows = [f"name {part}" for part in begun if len(part) > len(stem(part))]  # it holds a date or a number
    if what.source.startswith("wandb"):
        own.append(f"id {what.id}")
        follows.append(f"id {what.id}")
    if what.lineage is not None and what.lineage.run_id:
        follows.append(f"id {what.lineage.run_id}")
        own.append(f"id {what.id}")
    for key, names in (("run", own), ("parent", follows)):
        if what.recorded.get(key):
            names.append(f"recorded {what.recorded[key]}")
    if what.part:
        own.append(f"log {what.reference}")
        follows.append(f"log {what.reference}")
    if what.source == "trainer-state" and run.loss is not None and len(run.loss) >= SAME_POINTS:
        first = [
            f"{s}:{v:.6g}"
            for s, v in zip(run.loss.step[:3].tolist(), run.loss.value[:3].tolist(), strict=True)
        ]
        own.append(f"points {' '.join(first)}")
        follows.append(own[-1])
    return tuple(dict.fromkeys(own)), tuple(dict.fromkeys(follows))


def _counts_on(run: Profile) -> bool:
    """Whether the run recorded that it continues something, or any counter of it begins far from zero."""
    if run.run.lineage is not None or run.run.recorded or run.first_step > BEGUN * run.interval:
        return True
    return any(_begun(clock) for clock in (run.epoch, run.tokens, run.samples))


def _begun(clock: Series | None) -> bool:
    if clock is None or len(clock) < 2:
        return False
    span = float(clock.step[-1] - clock.step[0])
    rate = float(clock.value[-1] - clock.value[0]) / span if span > 0 else 0.0
    return float(clock.value[0]) > BEGUN * rate * max(
        float(clock.step[1] - clock.step[0]), float(clock.step[0]), 1.0
    )


def _warms_up(rate: Series) -> bool:
    return float(rate.value[0]) < WARM * float(rate.value.max())


def _curve(run: Profile) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """Head, levels and noise of the loss; empty where too few were logged."""
    curve = run.curve
    if curve is None or len(curve.x) < HEAD[1]:
        return (), (), 0.0
    value: Floats = curve.y
    inner = np.searchsorted(curve.x, np.linspace(curve.x[0], curve.x[-1], LEVELS + 1)[1:-1])
    edges = np.unique([0, *inner, len(value)])
    if len(edges) <= LEVELS:
        return (), (), 0.0
    head = (median(value[: HEAD[0]]), median(value[HEAD[0] : HEAD[1]]))
    levels = tuple(medians(value, edges).tolist())
    return head, levels, float(1.4826 / np.sqrt(2) * median(np.abs(np.diff(value))))
