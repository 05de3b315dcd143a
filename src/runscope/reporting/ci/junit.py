"""JUnit's XML, which Jenkins, GitLab, Azure, CircleCI and Buildkite show as tests.

A training is a suite and a rule a test: it fails by a finding that fails the job, and is skipped where the rule had
nothing to look at. The form is the one that Jenkins documents (``junit-10.xsd`` of its xUnit plugin).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from runscope.reporting.ci.checked import Checked, Found, name_of
from runscope.rules.codes import RULES
from runscope.safe_text import harmless_line

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold."""


def junit(trainings: Sequence[Checked]) -> str:
    """One document for all trainings."""
    root = ElementTree.Element("testsuites", name="runscope")
    for training in trainings:
        root.append(_suite(training))
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(training: Checked) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=_text(training.name))
    if training.error is not None:
        message, hint = training.error
        case = _case(suite, training, "read")
        ElementTree.SubElement(case, "error", message=_text(message), type="unreadable").text = _text(hint)
    elif training.verdict_fails is not None:
        case = _case(suite, training, "verdict")
        if training.verdict_fails:
            text = "\n".join(f"{f.severity} {f.code}: {f.message}" for f in training.found)
            failed = ElementTree.SubElement(case, "failure", message=_text(training.headline), type="verdict")
            failed.text = _text(text)
    else:
        _rules(suite, training)
    for count, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(sum(case.find(kind) is not None for case in suite)))
    suite.set("tests", str(len(suite)))
    if training.headline:
        ElementTree.SubElement(suite, "system-out").text = _text(training.headline)
    return suite


def _rules(suite: ElementTree.Element, training: Checked) -> None:
    by_code: dict[str, list[Found]] = {}
    for found in training.found:
        by_code.setdefault(found.code, []).append(found)
    for code, several in by_code.items():
        _tested(_case(suite, training, code), several)
    for code in training.passed:
        _case(suite, training, code)
    for code, why in training.idle.items():
        ElementTree.SubElement(_case(suite, training, code), "skipped", message=_text(why))


def _case(suite: ElementTree.Element, training: Checked, code: str) -> ElementTree.Element:
    family = RULES[code].family if code in RULES else "training"
    name = f"{code} {name_of(code)}".strip()
    group = f"{_text(training.name)}.{family}"
    return ElementTree.SubElement(suite, "testcase", classname=group, name=name)


def _tested(case: ElementTree.Element, several: Sequence[Found]) -> None:
    text = "\n".join("\n".join((f.message, *(f"- {fix}" for fix in f.fix))) for f in several)
    worst = next((f for f in several if f.fails), None)
    if worst is None:
        ElementTree.SubElement(case, "system-out").text = _text(text)
        return
    failure = ElementTree.SubElement(case, "failure", message=_text(worst.message), type=worst.severity)
    failure.text = _text(text)


def _text(text: str) -> str:
    return _NOT_XML.sub("�", harmless_line(text))
