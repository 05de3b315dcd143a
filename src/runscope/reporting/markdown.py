"""What runscope says, as Markdown for pull requests; foreign text is escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runscope.history import Run, Timeline
from runscope.hub.checkpoint import Checkpoint
from runscope.verdict.types import Diagnosis


def escape(text: str) -> str:
    """Foreign text that Markdown and HTML leave alone."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", safe)


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; its cells are escaped."""
    lines = ["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings)]
    return "\n".join([*lines, *("| " + " | ".join(escape(c) for c in row) + " |" for row in rows)])


def markdown(diagnosis: Diagnosis) -> str:
    """A diagnosis."""
    verdict = diagnosis.verdict
    parts = [f"**{escape(verdict.headline)}**", escape(verdict.recommendation)]
    if diagnosis.findings:
        rows = [(f.severity, f.code, f.message) for f in diagnosis.findings]
        parts.append(markdown_table(("severity", "code", "what"), rows))
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
