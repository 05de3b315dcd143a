"""What commands do for CI: the exit status, and the forms that services read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runscope.cli import options as opt
from runscope.cli import output as out

if TYPE_CHECKING:
    from runscope.evaluation.study import Against
    from runscope.reporting.ci.checked import Checked
    from runscope.rules import Finding

ENDINGS = {".sarif": "sarif", ".xml": "junit"}
"""Of a file, and the form that it gets."""


def status(findings: Iterable[Finding], fail_on: opt.FailOn, baseline: Against | None = None) -> int:
    """The exit status: 1 for a finding as grave as ``--fail-on`` says, or for a training worse than its baseline."""
    from runscope.rules import SEVERITIES

    if baseline is not None and baseline.status == "worse":
        return 1
    if fail_on is opt.FailOn.never:
        return 0
    bar = SEVERITIES.index(fail_on.value)
    return int(any(SEVERITIES.index(finding.severity) <= bar for finding in findings))


def print_checked(trainings: Sequence[Checked], form: str) -> None:
    """Print trainings as ``sarif`` or ``junit``."""
    out.print_raw(text_of(trainings, form))


def save_checked(trainings: Sequence[Checked], path: Path, *, quiet: bool) -> None:
    """Write trainings as the file's ending says, one of :data:`ENDINGS`."""
    form = ENDINGS[path.suffix.lower()]
    out.save(
        path, {path.suffix.lower(): lambda to: to.write_text(text_of(trainings, form), encoding="utf-8")},
        quiet=quiet,
    )  # fmt: skip


def text_of(trainings: Sequence[Checked], form: str) -> str:
    """The whole document."""
    from runscope import reporting

    return out.as_json(reporting.sarif(trainings)) if form == "sarif" else reporting.junit(trainings)
