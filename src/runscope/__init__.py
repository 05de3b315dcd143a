"""runscope: from an interrupted, half-observed training to one verdict with proof.

::

    import runscope as rs

    run = rs.load("wandb/offline-run-20240913_130439-2x9f1k3a")
    line = rs.stitch(["me/pricer/2x9f1k3a", "me/pricer/7c0d1e2f"])
    diagnosis = rs.diagnose(line)
    study = rs.evaluate("me/pricer-2024-09-13", "heldout.jsonl", line=line)
    rs.report(rs.diagnose(line, study=study), "report.html")

Importing runscope loads nothing heavy: the names below are fetched when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from runscope.api import checkpoints, compare, diagnose, evaluate, load, pull, push, report, stitch
    from runscope.api.live import watch
    from runscope.errors import RunscopeError
    from runscope.evaluation.study import Study
    from runscope.history import Run, Series, Timeline
    from runscope.history.checkpoint import Checkpoint
    from runscope.rules import Finding
    from runscope.verdict import Comparison, Diagnosis, Verdict

_HOMES = {
    "checkpoints": "runscope.api",
    "compare": "runscope.api",
    "diagnose": "runscope.api",
    "evaluate": "runscope.api",
    "load": "runscope.api",
    "pull": "runscope.api",
    "push": "runscope.api",
    "report": "runscope.api",
    "stitch": "runscope.api",
    "watch": "runscope.api.live",
    "RunscopeError": "runscope.errors",
    "Study": "runscope.evaluation.study",
    "Run": "runscope.history",
    "Series": "runscope.history",
    "Timeline": "runscope.history",
    "Checkpoint": "runscope.history.checkpoint",
    "Finding": "runscope.rules",
    "Comparison": "runscope.verdict",
    "Diagnosis": "runscope.verdict",
    "Verdict": "runscope.verdict",
}

__all__ = [
    "Checkpoint",
    "Comparison",
    "Diagnosis",
    "Finding",
    "Run",
    "RunscopeError",
    "Series",
    "Study",
    "Timeline",
    "Verdict",
    "checkpoints",
    "compare",
    "diagnose",
    "evaluate",
    "load",
    "pull",
    "push",
    "report",
    "stitch",
    "watch",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'runscope' has no attribute {name!r}")
    from importlib import import_module

    import_module("runscope.api")  # whoever holds a line can also have it drawn
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
