"""A diagnosis as JSON, Markdown, a table or text on a terminal.

The names below are fetched when they are first used: whoever needs one writer loads no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runscope.lazy import fetched

if TYPE_CHECKING:
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
    from runscope.reporting.markdown_text import markdown, markdown_timeline
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
    from runscope.reporting.writing import write, write_line

_HOMES = {
    "DIAGNOSIS_SCHEMA": "data",
    "checkpoints_table": "checkpoints",
    "comparison_json": "comparing",
    "diagnosis_json": "data",
    "finding_json": "data",
    "inventory_json": "checkpoints",
    "markdown": "markdown_text",
    "markdown_comparison": "comparing",
    "markdown_inventory": "checkpoints",
    "markdown_repositories": "checkpoints",
    "markdown_run": "run",
    "markdown_study": "study",
    "markdown_timeline": "markdown_text",
    "plan_json": "study",
    "print_diagnosis": "diagnosis",
    "print_inventory": "checkpoints",
    "print_plan": "study",
    "print_repositories": "checkpoints",
    "print_run": "run",
    "print_study": "study",
    "print_timeline": "terminal",
    "repositories_json": "checkpoints",
    "run_json": "run",
    "study_json": "study",
    "study_table": "study",
    "timeline_json": "data",
    "write": "writing",
    "write_comparison": "comparing",
    "write_line": "writing",
}

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

__getattr__ = fetched(__name__, _HOMES)
