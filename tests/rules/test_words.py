"""Sentences that people read: the terms of the field, plurals that fit, one sentence a line."""

from __future__ import annotations

import io
import re

import click
import pytest
import typer
from rich.console import Console

from runscope.cli.app import app
from runscope.reporting.text.chat import SLACK, chat
from runscope.reporting.text.diagnosis import print_diagnosis
from runscope.rules import look
from runscope.verdict import diagnose
from tests.rules.case import Case, all_cases

CASES = list(all_cases())
BANNED = (
    "dead tail", "is no number", "are no number", "anew", "once a run", "bad luck", "nobody", "a GPU,",
    "nats a token", "loss a token", "surely", "so long a", "named so", "would change", "as good as",
    "not seen any more",
    "look comparable", "would notice", "the line is", "part of the line", "of the states",
)  # fmt: skip
SINGULAR = re.compile(
    r"(?<![\d.,±/-])\b1 (points|passes|values|steps|examples|checkpoints|evaluations|runs|spikes|gaps|times|epochs|"
    r"rows|rules|layers|losses|hours|repositories|commits|files)\b"
)


def faults(text: str) -> list[str]:
    """What a program can see of a sentence that nobody would write."""
    found = [f"says {phrase!r}" for phrase in BANNED if phrase in text]
    found += [f"says {m[0]!r}" for m in SINGULAR.finditer(text)]
    if re.search(r"\b(None|nan|NoneType)\b", text):
        found.append("a value of Python's shows through")
    if re.search(r"\s{2,}| [.,;:](?= |$)|\.\.$|\{|\}", text):
        found.append("signs that do not belong into a sentence")
    return [f"{fault}: {text}" for fault in found]


def test_the_check_sees_what_it_is_for() -> None:
    assert faults("Only 1 points were logged.")
    assert faults("worse by 0.1 nats a token")
    assert faults("The norm was None .")
    assert not faults("Only 1 point was logged at step 1,001; 21 points are needed.")
    assert not faults("It fell by 0.1 points over 2.1 epochs.")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file} {case.title}")
def test_findings_and_verdict(case: Case) -> None:
    found = look(case.view)
    said = [s for f in found.findings for s in (f.message, *f.fix)] + list(found.notes)
    assert not [fault for text in said for fault in faults(text)]
    for finding in found.findings:
        assert finding.message[-1] in ".)", finding.message
        assert "\n" not in finding.message, finding.message


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file} {case.title}")
def test_verdict(case: Case) -> None:
    diagnosis = diagnose(case.view)
    verdict = diagnosis.verdict
    said = [verdict.headline, verdict.recommendation, verdict.overfitting.reason, verdict.gradients.reason]
    said += [verdict.overfitting.change_of_mind, *verdict.next_time]
    printed = io.StringIO()
    print_diagnosis(Console(file=printed, width=10_000), diagnosis, verbose=True)
    lines = [line[17:].strip() for line in printed.getvalue().splitlines()]
    pasted = chat(diagnosis, SLACK).splitlines()
    assert not [fault for text in (*said, *lines, *pasted) for fault in faults(text or "")]
    assert len(verdict.headline) <= 300, verdict.headline


def commands(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, click.Command]]:
    found = [(" ".join(path), command)]
    for name, below in getattr(command, "commands", {}).items():
        found += commands(below, (*path, name))
    return found


@pytest.mark.parametrize(("name", "command"), commands(typer.main.get_command(app)))
def test_help(name: str, command: click.Command) -> None:
    """Help speaks the field's terms; what an option does is one or two whole sentences."""
    texts = [" ".join((command.help or "").split())]
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    texts += [p.help or "" for p in options]
    assert not [fault for text in texts for fault in faults(re.sub(r"[{}]", "", text))]
    assert not [p.name for p in options if not (p.help or "").rstrip().endswith((".", "?", "]", ")"))]
