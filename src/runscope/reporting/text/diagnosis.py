"""A diagnosis on a terminal: what happened, how sure that is, what to do, and what was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from runscope.reporting.text.braille import loss_chart
from runscope.reporting.text.escaping import advice
from runscope.reporting.text.heat import layer_chart
from runscope.reporting.text.study import against_words, extra_sentences, print_scores
from runscope.reporting.view.crowd import crowded, more_words
from runscope.reporting.view.layers import FATES
from runscope.rules import Finding
from runscope.rules.codes import RULES
from runscope.units import chance_words
from runscope.verdict.types import Diagnosis, Overfitting

SEVERITY_COLOURS = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
"""Of a finding, on a terminal."""
_BASIS = {
    "checkpoints": "the checkpoints evaluated on held-out examples",
    "eval_curve": "the held-out loss",
    "train_curve": "the training loss alone",
}
_INDENT, _WIDEST_CHART = 17, 110
COULD_NOT = " could not look: "
MOST_NOTES = 2
"""Notes that are shown unasked; most of the time there is none."""


def print_diagnosis(console: Console, diagnosis: Diagnosis, *, verbose: bool = False) -> None:
    """The answer on top, then what to do, then what was seen; with ``verbose`` also what could not be looked at."""
    console.print(Text(diagnosis.verdict.headline, style="bold"))
    if console.is_terminal:
        for row in loss_chart(diagnosis.timeline, width=min(console.width, _WIDEST_CHART)):
            console.print(row, no_wrap=True)
    for label, text in _answer(diagnosis):
        _print_row(console, Text(label, style="dim"), Text(text))
    if console.is_terminal and (verbose or any(f.code in FATES for f in diagnosis.findings)):
        for row in layer_chart(
            diagnosis.timeline, diagnosis.findings, width=min(console.width, _WIDEST_CHART)
        ):
            console.print(row, no_wrap=True)
    if diagnosis.findings:
        console.print()
        _print_findings(console, diagnosis, verbose=verbose)
    if diagnosis.study is not None:
        console.print()
        for sentence in extra_sentences(diagnosis.study):
            console.print(Text(sentence))
        print_scores(console, diagnosis.study)
    rest = list(_rest(diagnosis, verbose))
    if rest:
        console.print()
    for label, text in rest:
        _print_row(console, Text(label, style="dim"), Text(text, style="dim"))


def _print_findings(console: Console, diagnosis: Diagnosis, *, verbose: bool) -> None:
    shown, rest = (diagnosis.findings, {}) if verbose else crowded(diagnosis.findings)
    for head, message in _findings(diagnosis, shown):
        _print_row(console, head, message)
    for code, more in rest.items():
        _print_row(console, Text(), Text(f"{more_words(code, more)}: --verbose", style="dim"))


def _answer(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    verdict = diagnosis.verdict
    overfitting = verdict.overfitting
    broken = any(f.message == verdict.headline for f in diagnosis.findings)
    yield "overfitting" if broken else "why", overfitting.reason
    if overfitting.probability is not None:
        yield "how sure", sureness(overfitting)
    if (
        verdict.gradients.status not in ("healthy", "unknown")
        and verdict.gradients.reason != verdict.headline
    ):
        yield "gradients", f"{verdict.gradients.status}: {verdict.gradients.reason}"
    if diagnosis.baseline is not None:
        yield "baseline", against_words(diagnosis.baseline)
        for text in diagnosis.baseline.cannot_tell:
            yield "not known", text
    yield "do now", verdict.recommendation
    for number, text in enumerate(verdict.next_time):
        yield "" if number else "next time", advice(text)
    if overfitting.change_of_mind:
        yield "caveat", overfitting.change_of_mind


def sureness(overfitting: Overfitting) -> str:
    """The probability in words, and what it is judged by."""
    shown = chance_words(overfitting.probability or 0.0)
    basis = _BASIS[overfitting.basis or "eval_curve"]
    if overfitting.metric is not None and overfitting.basis == "eval_curve":
        basis = f"the held-out metric {overfitting.metric}"
    return f"Overfitting has a probability of {shown}, judged by {basis}."


def _rest(diagnosis: Diagnosis, verbose: bool) -> Iterator[tuple[str, str]]:
    notes = [note for note in diagnosis.notes if COULD_NOT not in note]
    shown = notes if verbose or len(notes) <= MOST_NOTES + 1 else notes[:MOST_NOTES]
    for note in shown:
        yield "note", note
    if len(notes) > len(shown):
        yield "", f"{len(notes) - len(shown)} more notes: --verbose"
    missed = not_looked(diagnosis.notes) if verbose else []
    for number, (why, what) in enumerate(missed):
        yield "" if number else "no data for", f"{', '.join(what)}: {why}"
    if diagnosis.findings:
        yield "explained by", f"runscope rule {diagnosis.findings[0].code}"


def not_looked(notes: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Why rules could not look, and which: a family by its name where most of its rules could not."""
    reasons: dict[str, dict[str, str]] = {}
    for note in notes:
        code, found, why = note.partition(COULD_NOT)
        if found and code in RULES:
            reasons.setdefault(RULES[code].family, {})[code] = why
    sizes = Counter(rule.family for rule in RULES.values())
    shown: dict[str, list[str]] = {}
    for family, missed in reasons.items():
        usual, count = Counter(missed.values()).most_common(1)[0]
        most = count > sizes[family] / 2 or len(missed) == sizes[family]
        if most:
            shown.setdefault(usual, []).append(family)
        if not most or len(missed) < sizes[family]:
            for code, why in missed.items():
                if not (most and why == usual):
                    shown.setdefault(why, []).append(f"{RULES[code].name} ({code})")
    return list(shown.items())


def _findings(diagnosis: Diagnosis, shown: Sequence[Finding]) -> Iterator[tuple[Text, Text]]:
    """Head and message of each finding; what follows from another stands under it."""
    told = " ".join((diagnosis.verdict.recommendation, *diagnosis.verdict.next_time))
    codes = {f.code for f in diagnosis.findings}
    for finding in shown:
        if finding.caused_by in codes:
            continue
        head = Text(f"{finding.severity:9s}", style=SEVERITY_COLOURS[finding.severity])
        message = _message(finding)
        said = finding.code.startswith("OVF") or (
            finding.fix and finding.fix[0] in told
        )  # in the verdict, above
        if finding.severity != "info" and finding.fix and not said:
            message.append(f" {finding.fix[0]}", style="italic")
        yield head.append(finding.code, style="default"), message
        for follows in shown:
            if follows.caused_by == finding.code:
                yield Text(" " * 9), Text(f"└ {follows.code} ", style="dim").append(_message(follows))


def _message(finding: Finding) -> Text:
    text = Text(finding.message)
    if finding.first_step is not None and finding.first_step != finding.last_step:
        text.append(f" (steps {finding.first_step:,} to {finding.last_step:,})", style="dim")
    return text


def _print_row(console: Console, head: Text, text: Text) -> None:
    """A head, and its text wrapped beside it."""
    width = max(20, console.width - _INDENT)
    for number, line in enumerate(text.wrap(console, width)):
        line.rstrip()
        row = head.copy() if number == 0 else Text()
        row.pad_right(_INDENT - row.cell_len)
        console.print(row.append(line) if line.plain else "", no_wrap=True)
