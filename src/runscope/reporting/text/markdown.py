"""What runscope says, as Markdown for pull requests; foreign text is escaped."""

from __future__ import annotations

from runscope.history import Timeline
from runscope.reporting.text.diagnosis import not_looked, sureness
from runscope.reporting.text.escaping import advice, escape, markdown_table
from runscope.reporting.text.study import against_words, markdown_scores
from runscope.reporting.view.crowd import crowded, more_words
from runscope.rules import Finding, View
from runscope.rules.resume.answers import answers
from runscope.verdict.types import Diagnosis


def markdown(diagnosis: Diagnosis, *, verbose: bool = False) -> str:
    """A diagnosis; with ``verbose`` also which rules had nothing to look at."""
    verdict = diagnosis.verdict
    parts = [f"**{escape(verdict.headline)}**"]
    if verdict.overfitting.reason != verdict.headline:
        parts.append(escape(verdict.overfitting.reason))
    if verdict.overfitting.probability is not None:
        parts.append(escape(sureness(verdict.overfitting)))
    if diagnosis.baseline is not None:
        parts.append(f"**Against the baseline:** {escape(against_words(diagnosis.baseline))}")
    parts.append(f"**Do now:** {escape(verdict.recommendation)}")
    if verdict.next_time:
        parts.append(
            "**Next time:**\n" + "\n".join(f"- {escape(advice(text))}" for text in verdict.next_time)
        )
    shown, rest = (diagnosis.findings, {}) if verbose else crowded(diagnosis.findings)
    if shown:
        rows = [
            (
                f.severity,
                f.code,
                _steps(f),
                f"{f.message} (follows from {f.caused_by})" if f.caused_by else f.message,
            )
            for f in shown
        ]
        rows += [("info", code, "", more_words(code, more)) for code, more in rest.items()]
        parts.append(markdown_table(("severity", "code", "steps", "what"), rows))
    if diagnosis.study is not None:
        parts.append(markdown_scores(diagnosis.study))
    missed = not_looked(diagnosis.notes) if verbose else []
    if missed:
        looked = "; ".join(f"{', '.join(what)}: {why}" for why, what in missed)
        parts.append(f"<sub>No data for {escape(looked)}</sub>")
    return "\n\n".join(parts)


def _steps(finding: Finding) -> str:
    if finding.first_step is None or finding.last_step is None:
        return ""
    same = finding.first_step == finding.last_step
    return f"{finding.first_step:,}" if same else f"{finding.first_step:,} to {finding.last_step:,}"


def markdown_timeline(line: Timeline) -> str:
    """A stitched line."""
    rows = [
        (
            s.run.title,
            f"{s.first_step:,} to {s.last_step:,}" if s.continues else "another training",
            f"{s.confidence:.0%}",
        )
        for s in line.segments
    ]
    said = [
        f"- {escape(t.resume.name)}, resumed at step {t.resume.join.start:,.0f}: {escape(t.short)}"
        for t in answers(View(line))
    ]
    return "\n\n".join([markdown_table(("run", "steps", "sure"), rows), *(["\n".join(said)] if said else [])])
