"""SARIF 2.1.0 (OASIS standard, https://docs.oasis-open.org/sarif/sarif/v2.1.0/), which GitHub's code scanning shows."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runscope.reporting.ci.checked import BASELINE, Checked, Found, name_of
from runscope.reporting.data import plain
from runscope.rules.codes import RULES
from runscope.safe_text import whole_letters

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {"critical": "error", "warning": "warning", "info": "note"}
HOME = "https://github.com/runscope/runscope/blob/main/docs"


def sarif(trainings: Sequence[Checked]) -> dict[str, Any]:
    """A log of one run of this tool over trainings.

    A finding is a result at the file or the address that its run was read from. A run that could not be read is a
    notification of the tool, and the invocation did not succeed.
    """
    codes = sorted({found.code for training in trainings for found in training.found})
    place = {code: number for number, code in enumerate(codes)}
    broken = [t for t in trainings if t.error is not None]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": _driver(codes)},
                "invocations": [
                    {
                        "executionSuccessful": not broken,
                        "toolExecutionNotifications": [_notification(t) for t in broken],
                    }
                ],
                "results": [r for t in trainings for r in _results(t, place)],
            }
        ],
    }


def _driver(codes: Sequence[str]) -> dict[str, Any]:
    return {
        "name": "runscope",
        "version": version("runscope"),
        "informationUri": "https://github.com/runscope/runscope",
        "rules": [_rule(code) for code in codes],
    }


def _rule(code: str) -> dict[str, Any]:
    rule = RULES.get(code)
    title = rule.title if rule is not None else "The training is worse than the one it was held against."
    page = f"{HOME}/ci.md" if code == BASELINE else f"{HOME}/rules/{code}.md"
    return {
        "id": code, "name": name_of(code), "shortDescription": {"text": title}, "helpUri": page,
        **({"help": {"text": rule.manual.strip()}} if rule is not None else {}),
    }  # fmt: skip


def _results(training: Checked, place: dict[str, int]) -> Iterator[dict[str, Any]]:
    where = [{"physicalLocation": {"artifactLocation": {"uri": address(r)}}} for r in training.references[:1]]
    for found in training.found:
        yield {
            "ruleId": found.code,
            "ruleIndex": place[found.code],
            "level": LEVELS[found.severity],
            "message": {"text": _sentence(training, found)},
            "locations": where,
            "partialFingerprints": {"training/v1": _fingerprint(training, found)},
            "properties": plain({"training": training.name, "runs": training.references, **found.facts}),
        }


def _sentence(training: Checked, found: Found) -> str:
    return f"{training.name}: {found.message}" + (f" {found.fix[0]}" if found.fix else "")


def _fingerprint(training: Checked, found: Found) -> str:
    """The same for one rule and training, however far the training has gone: so a service knows what is new."""
    return hashlib.sha256(
        "\0".join((found.code, *map(_named, training.references))).encode("utf-8", "surrogateescape")
    ).hexdigest()[:32]


def _notification(training: Checked) -> dict[str, Any]:
    message, hint = training.error or ("", "")
    return {
        "level": "error",
        "message": {"text": f"{training.name}: {message}. {hint}"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": address(training.references[0])}}}],
    }


def address(reference: str) -> str:
    """A reference as a URI: a path in the folder at hand stays relative, as code scanning wants it."""
    reference = _named(reference)
    if reference.startswith(("http://", "https://", "hf://")):
        return quote(reference, safe="/:?#[]@!$&'()*+,;=%~")
    path = Path(reference)
    if path.is_absolute():
        here = Path.cwd()
        if not path.is_relative_to(here):
            return path.as_uri()
        path = path.relative_to(here)
    return quote(os.fsencode(path.as_posix()), safe="/~")


def _named(reference: str) -> str:
    """The reference as a file may be called; half a letter, which stands in no name of a file, is replaced."""
    try:
        os.fsencode(reference)
    except UnicodeEncodeError:
        return whole_letters(reference)
    return reference
