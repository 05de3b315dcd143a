"""A diagnosis as JSON, Markdown, a table or text on a terminal."""

from runscope.reporting.checkpoints import (
    checkpoints_table,
    inventory_json,
    markdown_inventory,
    markdown_repositories,
    print_inventory,
    print_repositories,
    repositories_json,
)
from runscope.reporting.comparing import comparison_json, markdown_comparison, write_comparison
from runscope.reporting.data import (
    DIAGNOSIS_SCHEMA,
    diagnosis_json,
    finding_json,
    timeline_json,
)
from runscope.reporting.diagnosis import print_diagnosis
from runscope.reporting.markdown import markdown, markdown_timeline
from runscope.reporting.run import markdown_run, print_run, run_json
from runscope.reporting.study import (
    markdown_study,
    plan_json,
    print_plan,
    print_study,
    study_json,
    study_table,
)
from runscope.reporting.terminal import print_timeline
from runscope.reporting.write import write, write_line

__all__ = [
    "DIAGNOSIS_SCHEMA",
    "checkpoints_table",
    "comparison_json",
    "diagnosis_json",
    "finding_json",
    "inventory_json",
    "markdown",
    "markdown_comparison",
    "markdown_inventory",
    "markdown_repositories",
    "markdown_run",
    "markdown_study",
    "markdown_timeline",
    "plan_json",
    "print_diagnosis",
    "print_inventory",
    "print_plan",
    "print_repositories",
    "print_run",
    "print_study",
    "print_timeline",
    "repositories_json",
    "run_json",
    "study_json",
    "study_table",
    "timeline_json",
    "write",
    "write_comparison",
    "write_line",
]
