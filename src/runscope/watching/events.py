"""What happened between two looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from runscope.rules import Finding

Kind = Literal[
    "waiting",
    "rows",
    "checkpoint",
    "evaluated",
    "finding",
    "gone",
    "verdict",
    "trouble",
    "well",
    "stalled",
    "stop",
    "ended",
]


@dataclass(frozen=True)
class Event:
    """One thing worth a line.

    Attributes:
        kind: ``waiting`` for the first log; ``rows`` were logged; a ``checkpoint`` was saved, or ``evaluated``; a
            ``finding`` appeared, or is ``gone``; the ``verdict`` changed; a look failed (``trouble``) or works again
            (``well``); a finding is grave enough to ``stop``; the run has ``ended``.
        at: Unix seconds.
        text: one sentence.
        finding: what appeared or is gone.
        facts: the numbers behind the sentence.
    """

    kind: Kind
    at: float
    text: str
    finding: Finding | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
