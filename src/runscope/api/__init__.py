"""The verbs behind the public names: each takes references or what an earlier verb gave back."""

from runscope.api.baselines import against_checkpoints, against_runs, against_scores, evaluate_seeds
from runscope.api.judging import compare, diagnose, evaluate, investigate, plan_evaluation
from runscope.api.keeping import keep
from runscope.api.lines import ASK_BELOW, as_line, push, require_joined, stitch, with_parts
from runscope.api.reports import recipe_facts, report, write_report
from runscope.api.runs import as_run, find_trainings, load, propose_trainings, pull
from runscope.api.saved import checkpoints, inventory, repositories
from runscope.api.surveys import scan, write_reports

__all__ = [
    "ASK_BELOW",
    "against_checkpoints",
    "against_runs",
    "against_scores",
    "as_line",
    "as_run",
    "checkpoints",
    "compare",
    "diagnose",
    "evaluate",
    "evaluate_seeds",
    "find_trainings",
    "inventory",
    "investigate",
    "keep",
    "load",
    "plan_evaluation",
    "propose_trainings",
    "pull",
    "push",
    "recipe_facts",
    "report",
    "repositories",
    "require_joined",
    "scan",
    "stitch",
    "with_parts",
    "write_report",
    "write_reports",
]
