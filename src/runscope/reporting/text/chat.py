"""A verdict as people paste it: without tables, which Slack, Discord and mail do not draw.

Slack has a markup of its own (``*bold*``, ``•``); everywhere else Markdown's is read, and reads well where it is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runscope.reporting.text.diagnosis import sureness
from runscope.reporting.text.escaping import advice, escape, no_address
from runscope.reporting.text.study import against_words
from runscope.reporting.view.tones import Tone, tone_of
from runscope.safe_text import harmless
from runscope.verdict.comparison import Comparison
from runscope.verdict.types import Diagnosis

SIGNS = {"bad": "🔴", "doubt": "🟠", "good": "🟢", "unknown": "⚪"}
FINDINGS = 4
"""A message is read in a glance; the report has the rest."""
_WORD_JOINER = "\u2060"


@dataclass(frozen=True)
class Dialect:
    """How a chat marks bold text and a list, and what it would take for markup in foreign text."""

    bold: str
    bullet: str
    slack: bool

    def text(self, text: str) -> str:
        """Foreign text that is shown as it is: no mention, no link, no markup."""
        if not self.slack:  # an underscore inside a word begins nothing, and mail shows a backslash
            return re.sub(r"(?<=\w)\\_(?=\w)", "_", escape(text))
        safe = (
            harmless(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")
        )
        # Slack has no escape: a sign that follows a word joiner begins nothing.
        safe = re.sub(r"(?<!\w)([*_~`])|(@)(?=\w)", rf"{_WORD_JOINER}\1\2{_WORD_JOINER}", safe)
        return no_address(safe, _WORD_JOINER)

    def strong(self, text: str) -> str:
        """Bold."""
        return f"{self.bold}{text}{self.bold}"


SLACK, MARKDOWN = Dialect("*", "•", slack=True), Dialect("**", "-", slack=False)


def chat(found: Diagnosis | Comparison, dialect: Dialect) -> str:
    """What happened, how sure, what to do now and next time; of a comparison which is better, and what is not known."""
    lines = _comparison(found, dialect) if isinstance(found, Comparison) else _diagnosis(found, dialect)
    return "\n".join(lines)


def _diagnosis(diagnosis: Diagnosis, to: Dialect) -> Iterator[str]:
    verdict = diagnosis.verdict
    tone = tone_of(diagnosis)
    names = " → ".join(dict.fromkeys(run.name for run in diagnosis.timeline.runs))
    yield f"{_sign(tone)} {to.strong(to.text(verdict.headline))}"
    yield to.text(names)
    yield ""
    if diagnosis.baseline is not None:
        yield f"{to.strong('Against the baseline:')} {to.text(against_words(diagnosis.baseline))}"
    if verdict.overfitting.reason not in verdict.headline:
        yield to.text(verdict.overfitting.reason)
    if verdict.overfitting.probability is not None:
        yield to.text(sureness(verdict.overfitting))
    yield f"{to.strong('Do now:')} {to.text(verdict.recommendation)}"
    if verdict.next_time:
        yield to.strong("Next time:")
        yield from (f"{to.bullet} {to.text(advice(text))}" for text in verdict.next_time)
    also = [
        f
        for f in diagnosis.findings
        if f.severity != "info" and f.message not in verdict.headline and not f.code.startswith("OVF")
    ]
    if also:
        yield to.strong("Also seen:")
        yield from (f"{to.bullet} {to.text(f.message)} ({f.code})" for f in also[:FINDINGS])


def _comparison(comparison: Comparison, to: Dialect) -> Iterator[str]:
    yield f"⚖️ {to.strong(to.text(comparison.headline))}"
    yield ""
    yield to.text(comparison.reason)
    for one in comparison.contenders:
        tone = tone_of(one.diagnosis)
        loss = "" if one.level is None else f", loss {one.level.value:.4g}"
        yield f"{to.bullet} {_sign(tone)} {to.strong(to.text(one.name))}: {tone.words.lower()}{loss}"
    yield to.strong("What cannot be told:")
    yield from (f"{to.bullet} {to.text(said)}" for said in comparison.cannot_tell)


def _sign(tone: Tone) -> str:
    return SIGNS[tone.kind]
