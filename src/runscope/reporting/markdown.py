"""What runscope says, as Markdown for pull requests; foreign text is escaped."""

from __future__ import annotations

from collections.abc import Sequence

from runscope.history import Run, Timeline
from runscope.hub.checkpoint import Checkpoint
from runscope.reporting.escaping import escape, markdown_table
from runscope.reporting.study import markdown_scores
from runscope.verdict.types import Diagnosis


def markdown(diagnosis: Diagnosis) -> str:
    """A diagnosis."""
    verdict = diagnosis.verdict
    parts = [f"**{escape(verdict.headline)}**", escape(verdict.recommendation)]
    if diagnosis.findings:
        rows = [(f.severity, f.code, f.message) for f in diagnosis.findings]
        parts.append(markdown_table(("severity", "code", "what"), rows))
    if diagnosis.study is not None:
        parts.append(markdown_scores(diagnosis.study))
    return "\n\n".join(parts)


def markdown_timeline(line: Timeline) -> str:
    """A stitched line."""
    rows = [
        (
            s.run.name,
            f"{s.first_step:,} to {s.last_step:,}" if s.continues else "another training",
            f"{s.confidence:.0%}",
        )
        for s in line.segments
    ]
    return markdown_table(("run", "steps", "sure"), rows)


def markdown_run(run: Run) -> str:
    """What a run holds."""
    rows = [(n, f"{len(s):,}") for n, s in run.series.items()]
    return f"**{escape(run.name)}**\n\n" + markdown_table(("metric", "points"), rows)


def markdown_checkpoints(found: Sequence[Checkpoint]) -> str:
    """Checkpoints."""
    return markdown_table(
        ("step", "commit", "title"),
        [("" if c.step is None else f"{c.step:,}", c.name, c.title) for c in found],
    )
