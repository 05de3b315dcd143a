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

from typing import TYPE_CHECKING

from runscope.lazy import fetched

__version__ = "0.2.0"

if TYPE_CHECKING:
    from runscope.api import against_checkpoints as against_checkpoints
    from runscope.api import against_runs as against_runs
    from runscope.api import checkpoints as checkpoints
    from runscope.api import compare as compare
    from runscope.api import diagnose as diagnose
    from runscope.api import evaluate as evaluate
    from runscope.api import keep as keep
    from runscope.api import load as load
    from runscope.api import pull as pull
    from runscope.api import push as push
    from runscope.api import report as report
    from runscope.api import scan as scan
    from runscope.api import stitch as stitch
    from runscope.api.live import watch as watch
    from runscope.errors import RunscopeError as RunscopeError
    from runscope.evaluation.given import judge_files as judge_files
    from runscope.evaluation.given import judge_scores as judge_scores
    from runscope.evaluation.study import Against as Against
    from runscope.evaluation.study import Study as Study
    from runscope.history import Run as Run
    from runscope.history import Series as Series
    from runscope.history import Timeline as Timeline
    from runscope.history.checkpoint import Checkpoint as Checkpoint
    from runscope.rules import Finding as Finding
    from runscope.survey.survey import Survey as Survey
    from runscope.verdict import Comparison as Comparison
    from runscope.verdict import Diagnosis as Diagnosis
    from runscope.verdict import Verdict as Verdict

# Whoever holds a line can also have it drawn: the verbs know who draws.
__getattr__, __dir__, __all__ = fetched(__name__, first="runscope.api")
