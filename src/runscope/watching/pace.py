"""How long a run is silent against its own pace: a hang is no end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from runscope.history import Run
from runscope.watching.events import Event

ENOUGH = 10
"""Gaps between rows that a pace is known from: the next one is longer than all of them once in eleven times."""
UNUSUAL = 3.0
"""A silence of so many times the longest gap so far is none that an evaluation or a slow save made."""
SHORTEST_SECONDS = 30.0
"""Nobody is told of a silence shorter than this: disks and networks stall as well."""
RECENT = 2000
"""Gaps that count: a run that became slower has a new pace."""


def longest_gap(run: Run, seen: Sequence[float], interrupted: float) -> float | None:
    """Seconds of the longest usual silence of a run; None where too few rows tell.

    Args:
        run: that goes on; the times of its rows are the pace.
        seen: Unix seconds at which its rows were seen to come, for logs that keep no times.
        interrupted: gaps longer than this are none of the pace (the run was dead between two of its parts), unless
            the run is so slow that they are its pace.
    """
    known = [s.time[np.isfinite(s.time)] for s in run.series.values()]
    times = np.unique(np.concatenate(known)) if known else np.empty(0)
    gaps = np.diff(times if len(times) > ENOUGH else np.asarray(seen, dtype=np.float64))[-RECENT:]
    usual = gaps[gaps <= interrupted]
    if len(usual) < ENOUGH:
        usual = gaps
    return float(usual.max()) if len(usual) >= ENOUGH else None


def unusual_silence(longest: float, every_seconds: float) -> float:
    """Seconds after which a silence is one to be told of.

    Args:
        longest: gap so far.
        every_seconds: between two looks, which see a row so much later than it came.
    """
    return max(UNUSUAL * longest, 2 * every_seconds, SHORTEST_SECONDS)


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


@dataclass
class Silence:
    """What was noticed of a run's silence.

    Attributes:
        told: it was told of, and no row came since.
    """

    told: bool = False
    _seen: list[float] = field(default_factory=list)

    def came(self, at: float) -> None:
        """New rows were seen, which came at so many Unix seconds."""
        self._seen = [*self._seen, at][-RECENT:]

    def over(self, run: Run, silent: float, idle_seconds: float) -> bool:
        """Whether a silence is so long that nothing more is waited for: longer than asked, and than is usual for it."""
        longest = longest_gap(run, self._seen, idle_seconds)
        return silent >= (idle_seconds if longest is None else max(idle_seconds, UNUSUAL * longest))

    def notice(
        self, run: Run, silent: float, every_seconds: float, idle_seconds: float, now: float
    ) -> Event | None:
        """What is to be said: once that a run is silent for longer than it ever was, and once that it goes on."""
        longest = longest_gap(run, self._seen, idle_seconds)
        if longest is None:
            return None
        if silent < unusual_silence(longest, every_seconds):
            if not self.told:
                return None
            self.told = False
            return Event("well", now, "rows come again")
        if self.told:
            return None
        self.told = True
        text = (
            f"warning: no new row for {duration(silent)}; the longest gap so far was {duration(longest)}. The training "
            "hangs, is very slow, or was killed without a word: look at its process"
        )
        return Event("stalled", now, text, facts={"silent_seconds": silent, "longest_gap_seconds": longest})
