"""A diagnosis as JSON, Markdown, a table or text on a terminal.

The names below are fetched when they are first used: whoever needs one writer loads no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runscope.lazy import fetched

if TYPE_CHECKING:
    from runscope.reporting.ci.checked import cards_checked as cards_checked
    from runscope.reporting.ci.checked import diagnosis_checked as diagnosis_checked
    from runscope.reporting.ci.checked import error_checked as error_checked
    from runscope.reporting.ci.junit import junit as junit
    from runscope.reporting.ci.sarif import sarif as sarif
    from runscope.reporting.data import DIAGNOSIS_SCHEMA as DIAGNOSIS_SCHEMA
    from runscope.reporting.data import diagnosis_json as diagnosis_json
    from runscope.reporting.data import finding_json as finding_json
    from runscope.reporting.data import timeline_json as timeline_json
    from runscope.reporting.page.comparing import comparison_json as comparison_json
    from runscope.reporting.page.comparing import markdown_comparison as markdown_comparison
    from runscope.reporting.page.survey import survey_page as survey_page
    from runscope.reporting.text.checkpoints import checkpoints_table as checkpoints_table
    from runscope.reporting.text.checkpoints import inventory_json as inventory_json
    from runscope.reporting.text.checkpoints import markdown_inventory as markdown_inventory
    from runscope.reporting.text.checkpoints import markdown_repositories as markdown_repositories
    from runscope.reporting.text.checkpoints import print_inventory as print_inventory
    from runscope.reporting.text.checkpoints import print_repositories as print_repositories
    from runscope.reporting.text.checkpoints import repositories_json as repositories_json
    from runscope.reporting.text.diagnosis import print_diagnosis as print_diagnosis
    from runscope.reporting.text.markdown import markdown as markdown
    from runscope.reporting.text.markdown import markdown_timeline as markdown_timeline
    from runscope.reporting.text.run import markdown_run as markdown_run
    from runscope.reporting.text.run import print_run as print_run
    from runscope.reporting.text.run import run_json as run_json
    from runscope.reporting.text.seeds import markdown_seeds as markdown_seeds
    from runscope.reporting.text.seeds import print_seeds as print_seeds
    from runscope.reporting.text.seeds import seeds_json as seeds_json
    from runscope.reporting.text.study import markdown_study as markdown_study
    from runscope.reporting.text.study import plan_json as plan_json
    from runscope.reporting.text.study import print_plan as print_plan
    from runscope.reporting.text.study import print_study as print_study
    from runscope.reporting.text.study import study_json as study_json
    from runscope.reporting.text.study import study_table as study_table
    from runscope.reporting.text.survey import SURVEY_ROWS as SURVEY_ROWS
    from runscope.reporting.text.survey import markdown_survey as markdown_survey
    from runscope.reporting.text.survey import print_survey as print_survey
    from runscope.reporting.text.survey import survey_json as survey_json
    from runscope.reporting.text.survey import survey_rows as survey_rows
    from runscope.reporting.text.terminal import print_timeline as print_timeline
    from runscope.reporting.writing import write as write
    from runscope.reporting.writing import write_comparison as write_comparison
    from runscope.reporting.writing import write_line as write_line

__getattr__, __dir__, __all__ = fetched(__name__)
