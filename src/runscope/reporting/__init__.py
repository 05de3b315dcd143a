"""A diagnosis as JSON, Markdown, a table or text on a terminal.

The names below are fetched when they are first used: whoever needs one writer loads no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runscope.lazy import fetched

if TYPE_CHECKING:
    from runscope.reporting.data import (
        DIAGNOSIS_SCHEMA,
        diagnosis_json,
        finding_json,
        timeline_json,
    )
    from runscope.reporting.page.comparing import comparison_json, markdown_comparison, write_comparison
    from runscope.reporting.text.checkpoints import (
        checkpoints_table,
        inventory_json,
        markdown_inventory,
        markdown_repositories,
        print_inventory,
        print_repositories,
        repositories_json,
    )
    from runscope.reporting.text.diagnosis import print_diagnosis
    from runscope.reporting.text.markdown import markdown, markdown_timeline
    from runscope.reporting.text.run import markdown_run, print_run, run_json
    from runscope.reporting.text.study import (
        markdown_study,
        plan_json,
        print_plan,
        print_study,
        study_json,
        study_table,
    )
    from runscope.reporting.text.terminal import print_timeline
    from runscope.reporting.writing import write, write_line

_HOMES = {
    "DIAGNOSIS_SCHEMA": "data",
    "checkpoints_table": "text.checkpoints",
    "comparison_json": "page.comparing",
    "diagnosis_json": "data",
    "finding_json": "data",
    "inventory_json": "text.checkpoints",
    "markdown": "text.markdown",
    "markdown_comparison": "page.comparing",
    "markdown_inventory": "text.checkpoints",
    "markdown_repositories": "text.checkpoints",
    "markdown_run": "text.run",
    "markdown_study": "text.study",
    "markdown_timeline": "text.markdown",
    "plan_json": "text.study",
    "print_diagnosis": "text.diagnosis",
    "print_inventory": "text.checkpoints",
    "print_plan": "text.study",
    "print_repositories": "text.checkpoints",
    "print_run": "text.run",
    "print_study": "text.study",
    "print_timeline": "text.terminal",
    "repositories_json": "text.checkpoints",
    "run_json": "text.run",
    "study_json": "text.study",
    "study_table": "text.study",
    "timeline_json": "data",
    "write": "writing",
    "write_comparison": "page.comparing",
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
