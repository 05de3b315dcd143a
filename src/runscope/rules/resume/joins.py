"""Every join of a line, and what happened there: worked out once, read by every rule of the family."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from weakref import WeakKeyDictionary

import numpy as np

from runscope.history import Run, Segment, Series
from runscope.history.batch import batch_size
from runscope.rules.finding import View
from runscope.rules.resume.signs import Sign, signs
from runscope.stats.overfitting.turn import MATTERS
from runscope.stats.resumes.causes import Answer, judge
from runscope.stats.resumes.join import Curve, Join
from runscope.stats.resumes.level import came_apart, leaps
from runscope.stats.stretches import blocks

ROLES = {
    "loss": "train_loss", "grad_norm": "grad_norm", "learning_rate": "learning_rate", "eval_loss": "eval_loss",
}  # fmt: skip
MOST = 4000
"""Points of one side of a join that are looked at: of a million points the last ones and the blocks of the rest."""


@dataclass(frozen=True, eq=False)
class Resume:
    """A join and the answer to what the resume did.

    Attributes:
        name: of the later run.
        step: first continuous step after the join.
        join: both sides, as arrays.
        answer: None where too little was logged.
        earlier, later: the runs.
        dropped: first and last continuous step that were done twice; None where none was.
        recorded: False for a restart within one log whose steps go on.
        sign: what shows such a restart, as the beginning of a sentence; empty where only its loss gives it away.
    """

    name: str
    step: int
    join: Join
    answer: Answer | None
    earlier: Run
    later: Run
    dropped: tuple[int, int] | None
    recorded: bool = True
    sign: str = ""


_KNOWN: WeakKeyDictionary[View, tuple[Resume, ...]] = WeakKeyDictionary()


def resumes(view: View) -> tuple[Resume, ...]:
    """All joins of a line, in order."""
    if view not in _KNOWN:
        _KNOWN[view] = tuple(_resumes(view))
    return _KNOWN[view]


def _resumes(view: View) -> Iterator[Resume]:
    line = [s for s in view.timeline.line if not s.is_branch]
    if line:
        yield from _unrecorded(view, line, 0, -np.inf)
    since = -np.inf
    for number, (earlier, later) in enumerate(pairwise(line), start=1):
        if later.resumed_step is None:  # a state that was saved again: nothing went on from it
            continue
        join = _join(view, line, number, since)
        yield Resume(
            later.run.title, later.resumed_step, join, judge(join), earlier.run, later.run, _twice(earlier)
        )
        yield from _unrecorded(view, line, number, since)
        since = join.start


def _join(view: View, line: list[Segment], number: int, since: float) -> Join:
    earlier, later = line[number - 1], line[number]
    start = float(later.joined_at)
    before, tail, after = {}, {}, {}
    for name, role in ROLES.items():
        parts = [s.kept(series).finite for s in line[:number] if (series := s.run.role(role)) is not None]
        before[name] = _curve([p for p in parts if len(p)])
        dropped = earlier.run.role(role)
        tail[name] = _curve([] if dropped is None else [earlier.dropped(dropped).finite])
        seen = later.run.role(role)
        after[name] = _curve([] if seen is None else [later.since_join(seen).finite])
    epochs = view.timeline.epochs
    if epochs is not None:
        before["epoch"] = _curve([epochs.between(None, int(start))])
    own = later.run.role("epoch")
    if own is not None:
        after["epoch"] = _curve([later.since_join(own).finite])
    old, new = batch_size(earlier.run), batch_size(later.run)
    return Join(
        start=start,
        since=since,
        before={k: v for k, v in before.items() if len(v)},
        tail={k: v for k, v in tail.items() if len(v)},
        after={k: v for k, v in after.items() if len(v)},
        batch=new / old if old and new else None,
        counts_on=later.offset == earlier.offset,
    )


SURE_UNRECORDED = 0.8
"""Nothing but the loss says that there was a restart: it has to be surer than where the runs say so."""
JUMPS = 4.0
"""Standard errors by which the loss jumps, not only in its bumps, where a clock that stood still or a counter that fell
back says so too: mostly a machine slept. Of normal noise one in thirty thousand lies so far off."""


def _unrecorded(view: View, line: list[Segment], number: int, since: float) -> Iterator[Resume]:
    """Restarts within one log whose steps go on: the loss leaps to where it began and falls again, or what was logged
    jumps where the clock stood still or a counter fell back."""
    segment = line[number]
    own = segment.run.role("train_loss")
    if own is None:
        return
    whole = [s.kept(series).finite for s in line[:number] if (series := s.run.role("train_loss")) is not None]
    kept = segment.kept(own).finite.sorted()
    curve = _curve([*(w for w in whole if len(w)), kept])
    leapt = [Sign(int(curve.x[place - 1]), int(curve.x[place]), "") for place in leaps(curve.y)]
    epoch, held_out = (
        None if series is None else segment.kept(series).finite
        for series in (segment.run.role("epoch"), segment.run.role("eval_loss"))
    )  # fmt: skip
    shown = signs(kept, epoch, held_out)
    for sign in {sign.before: sign for sign in (*leapt, *shown)}.values():
        if sign.after <= (segment.resumed_step or segment.last_step) or sign.after > segment.last_step:
            continue
        earlier = replace(segment, cut=sign.before)
        later = replace(segment, run=_since(segment.run, segment, sign.before), start=sign.before)
        join = replace(_join(view, [*line[:number], earlier, later], number + 1, since), tail={})
        found = Resume(
            segment.run.name, sign.after, join, judge(join), segment.run, segment.run, None, recorded=False,
            sign=sign.said,
        )  # fmt: skip
        if _shows(found):
            yield found


def _shows(resume: Resume) -> bool:
    """Whether a restart that nothing records shows in what was logged."""
    answer = resume.answer
    if answer is None:
        return False
    if resume.sign:
        jumped = abs(answer.jump.z) >= JUMPS and answer.probability["clean"] <= 1 - SURE_UNRECORDED
        return jumped or (answer.schedule or 0.0) >= SURE_UNRECORDED
    falls = answer.jump.stays <= FALLS
    return falls and answer.probability["weights"] >= SURE_UNRECORDED and not came_apart(resume.join)


FALLS = 0.85
"""A loss that leapt and stays up diverged: what was restarted learns again."""


def _since(run: Run, segment: Segment, start: int) -> Run:
    return replace(
        run, series={n: s.where(segment.place(s).step > start) for n, s in run.series.items() if len(s)}
    )


def _curve(parts: list[Series]) -> Curve:
    """Points of several series in order; where there are more than a few thousand, the middle ones in blocks."""
    if not parts:
        return Curve(np.zeros(0), np.zeros(0))
    step = np.concatenate([p.step for p in parts])
    value = np.concatenate([p.value for p in parts])
    whole = Series.of("", step, value).sorted()
    step, value = whole.step, whole.value
    if len(step) <= 2 * MOST:
        return Curve(step.astype(np.float64), value)
    ends = MOST // 4
    middle = blocks(step[ends:-ends], value[ends:-ends], MOST // 2)
    return Curve(
        np.concatenate([step[:ends], middle[0], step[-ends:]]).astype(np.float64),
        np.concatenate([value[:ends], middle[1], value[-ends:]]),
    )


def _twice(earlier: Segment) -> tuple[int, int] | None:
    loss = earlier.run.role("train_loss")
    dropped = earlier.dropped(loss) if loss is not None else None
    return (
        (int(dropped.step.min()), int(dropped.step.max())) if dropped is not None and len(dropped) else None
    )


def schedule_since(view: View) -> int | None:
    """First step after the last join at which the schedule did not go on; None where one schedule holds for all."""
    left = [
        r.step
        for r in resumes(view)
        if r.recorded and (r.answer is None or r.answer.rate is None or r.answer.rate.kind != "as planned")
    ]
    return left[-1] if left else None


LEAST = 0.5
"""A cause is named where it is likelier than not."""
SCATTER = 0.8
"""A scatter that changed and nothing else is a weak witness: within one training it changes by itself."""
CHANGED = 0.2
"""Where it is as unlikely that everything was restored, the likeliest cause is named, with the others it may be."""
TWICE = 2.0
"""An accusation, which costs a search, has to be twice as likely as that all went on."""


def believable(answer: Answer) -> dict[str, float]:
    """The causes, without another scale where nothing but the scatter speaks for it and does not do so clearly, and
    without other data where the level is the same to what matters in a loss."""
    terms, found = answer.terms, dict(answer.probability)
    known = terms["scaled"] >= LEAST or terms["batch"] >= SCATTER / 2 or answer.window >= LEAST
    if found["scale"] < SCATTER and not known:
        del found["scale"]
    if abs(answer.jump.size) < MATTERS * abs(answer.jump.expected.level):
        del found["other_data"]
    return found


def cause_of(resume: Resume) -> tuple[str, float]:
    """The cause that is named first, and its probability.

    A lost schedule and a lost optimiser happen together; what undoes the training comes first.
    """
    answer = resume.answer
    if answer is None:
        return "unknown", 0.0
    schedule, clean = answer.schedule or 0.0, answer.probability["clean"]
    cause, sure = max(believable(answer).items(), key=lambda item: item[1])
    least = max(LEAST if clean * (1 - schedule) > CHANGED else 0.0, TWICE * clean)
    if cause in ("weights", "scale", "other_data") and sure >= max(least, LEAST):
        return cause, sure
    if schedule >= LEAST:
        return "schedule", schedule
    if cause != "clean" and sure >= least:
        return cause, sure
    clean *= 1 - schedule
    return ("clean", clean) if clean >= LEAST else ("unknown", max(clean, sure))
