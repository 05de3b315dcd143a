"""Every rule says of the runs in ``cases/`` what is written next to them."""

from __future__ import annotations

import pytest

from runscope.rules import look
from runscope.rules.codes import RULES
from tests.rules.case import CASES, Case, Expected, all_cases

ALL = list(all_cases())


@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{case.file} {case.title}")
def test_case(case: Case) -> None:
    found = look(case.view)
    for expected in case.expected:
        _check(expected, found, case.view.timeline.last_step)


def _check(expected: Expected, found, last_step: int) -> None:
    code = expected.code
    said = [f for f in found.findings if f.code == code]
    could_not = [n for n in found.notes if n.startswith(f"{code} could not look")]
    if expected.says == "could not look":
        assert could_not
        return
    if expected.says == "nothing":
        assert not said, said[0].message
        assert not could_not, could_not
        return
    assert said, f"{code} said nothing; {could_not}"
    finding = said[0]
    assert finding.severity == expected.says, finding.message
    assert finding.caused_by == expected.because, finding.message
    if expected.first_step is not None:
        # Within 3% of the run: rules smooth.
        assert abs((finding.first_step or 0) - expected.first_step) <= 0.03 * last_step, finding.message


@pytest.mark.parametrize("code", list(RULES))
def test_every_rule_has_a_case_that_fires_and_one_that_does_not(code: str) -> None:
    path = CASES / f"{code}.md"
    assert path.exists(), (
        f"{path.name} is missing: write down a run that {code} speaks of, and one that it does not"
    )
    says = [e.says for case in ALL for e in case.expected if e.code == code and case.file == code]
    assert {"critical", "warning", "info"} & set(says)
    assert {"nothing", "could not look"} & set(says)
