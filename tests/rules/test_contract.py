"""What holds for every rule of the table, whoever wrote it."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pytest

from runscope.history import Run, Series, Timeline
from runscope.rules import SEVERITIES, CouldNotLook, Finding, Rule, View, look
from runscope.rules.codes import MODULES, RULES
from tests.rules.case import ROLES, Case, all_cases

FAMILIES = {
    "CKP": "checkpoints", "GRD": "gradients", "LOG": "logging", "LOS": "loss", "OVF": "overfitting", "RES": "resume",
    "RWD": "rl", "SCH": "schedule", "SYS": "system",
}  # fmt: skip
HEADINGS = ("What it sees", "Why it matters", "Example", "What to try", "Reference")
EVERY_RULE = pytest.mark.parametrize("rule", list(RULES.values()), ids=lambda rule: rule.code)


def run_of(steps: Any, value: Any, **more: Any) -> Run:
    """A run in which every role but the epoch has the same values; the names are the roles'."""
    series = {role: Series.of(role, steps, value) for role in ROLES if role != "reward"}
    series["epoch"] = Series.of("epoch", steps, np.asarray(steps) / 50)
    return Run(
        reference="r", id="r", name="r", source="test", series=series, roles={r: r for r in series}, **more
    )


def view_of(run: Run) -> View:
    return View(Timeline.of(run))


NOTHING = {
    "no run": View(Timeline(())),
    "empty run": view_of(Run(reference="r", id="r", name="r", source="test", series={})),
    "empty series": view_of(run_of([], [])),
    "one point": view_of(run_of([10], [1.0])),
}
CONSTANT = {
    "constant": view_of(run_of(np.arange(100), np.ones(100))),
    "constant and long": view_of(run_of(np.arange(20_000), np.full(20_000, 0.3))),
}
NOT_A_NUMBER = {
    "all NaN": view_of(run_of(np.arange(100), np.full(100, np.nan))),
    "all infinite": view_of(run_of(np.arange(100), np.full(100, np.inf))),
    "one NaN": view_of(run_of([5], [np.nan])),
}
ODD = {
    "two points": view_of(run_of([10, 20], [1.0, 2.0])),
    "zeros": view_of(run_of(np.arange(100), np.zeros(100))),
    "negative": view_of(run_of(np.arange(100), -np.linspace(1, 50, 100))),
    "huge": view_of(run_of(np.arange(100), np.linspace(1e100, 1e102, 100))),
    "tiny": view_of(run_of(np.arange(100), np.linspace(1e-300, 1e-305, 100))),
    "same step": view_of(run_of(np.full(100, 7), np.linspace(2, 1, 100))),
    "backwards": view_of(run_of(np.arange(100)[::-1], np.linspace(2, 1, 100))),
    "NaN here and there": view_of(run_of(np.arange(100), np.where(np.arange(100) % 7, 1.0, np.nan))),
    "jump": view_of(run_of(np.arange(100), np.where(np.arange(100) > 50, 1e6, 1.0))),
}
ABOUT_CONSTANT = {"LOS005", "SCH001"}
"""A loss that never moves was never learned, and a constant rate is a schedule."""
ABOUT_NAN = {"GRD004", "LOS001"}
ABOUT_LITTLE = {"LOG004", "OVF007", "OVF008"}
"""These speak of what was not logged."""


def say(rule: Rule, view: View) -> list[Finding]:
    try:
        return list(rule.look(view))
    except CouldNotLook:
        return []


@EVERY_RULE
@pytest.mark.parametrize("name", list(NOTHING))
def test_silent_where_there_is_nothing(rule: Rule, name: str) -> None:
    said = say(rule, NOTHING[name])
    assert not said or rule.code in ABOUT_LITTLE


@EVERY_RULE
@pytest.mark.parametrize("name", list(CONSTANT))
def test_silent_on_a_constant(rule: Rule, name: str) -> None:
    said = say(rule, CONSTANT[name])
    assert not said or rule.code in ABOUT_CONSTANT


@EVERY_RULE
@pytest.mark.parametrize("name", list(NOT_A_NUMBER))
def test_silent_on_nan_unless_about_it(rule: Rule, name: str) -> None:
    said = say(rule, NOT_A_NUMBER[name])
    assert not said or rule.code in ABOUT_NAN | ABOUT_LITTLE


@EVERY_RULE
@pytest.mark.parametrize("name", list(ODD))
def test_findings_on_odd_runs_are_sound(rule: Rule, name: str) -> None:
    for finding in say(rule, ODD[name]):
        check_sound(rule, finding)


@EVERY_RULE
def test_manual_page_has_all_headings(rule: Rule) -> None:
    found = re.findall(r"^\*([A-Z][^*]+)\.\*", rule.manual, re.MULTILINE)
    assert tuple(found) == HEADINGS
    assert rule.title.endswith((".", ":"))
    assert len(rule.title) < 100


@EVERY_RULE
def test_code_name_and_family(rule: Rule) -> None:
    assert re.fullmatch(r"[A-Z]{3}\d{3}", rule.code)
    assert rule.family == FAMILIES[rule.code[:3]]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name)


def test_codes_are_unique_and_sorted() -> None:
    codes = [module.CODE for module in MODULES]
    assert codes == sorted(set(codes))
    assert len({rule.name for rule in RULES.values()}) == len(codes)


@pytest.mark.parametrize("case", list(all_cases()), ids=lambda case: f"{case.file} {case.title}")
def test_findings_of_all_cases_are_sound(case: Case) -> None:
    for finding in look(case.view).findings:
        check_sound(RULES[finding.code], finding)


@pytest.mark.parametrize("seed", range(60))
def test_no_rule_breaks_on_a_random_run(seed: int) -> None:
    for finding in look(view_of(random_run(np.random.default_rng(seed)))).findings:
        check_sound(RULES[finding.code], finding)


def random_run(rng: np.random.Generator) -> Run:
    count = int(rng.integers(2, 400))
    steps = np.sort(rng.integers(0, 5000, count)) if rng.random() < 0.8 else rng.integers(0, 5000, count)
    series = {}
    for role in ROLES:
        if rng.random() < 0.25 or role == "reward":
            continue
        value = np.cumsum(rng.standard_normal(count)) * 10.0 ** rng.integers(-6, 6)
        if rng.random() < 0.7:
            value = np.abs(value)
        if role == "epoch":
            value = steps / 700
        value[rng.random(count) < rng.choice([0, 0.02, 0.3])] = rng.choice([np.nan, np.inf, 0.0])
        series[role] = Series.of(role, steps, value, np.cumsum(rng.exponential(1.0, count)))
    return Run(
        reference="r", id="r", name="r", source="test", series=series, roles={r: r for r in series},
        state=str(rng.choice(["finished", "failed", "killed", "running", "unknown"])),
        config={"max_steps": 6000, "max_grad_norm": 1.0} if rng.random() < 0.5 else {},
    )  # fmt: skip


def check_sound(rule: Rule, finding: Finding) -> None:
    """A finding is whole: it can be written as JSON, its numbers are finite, its words are for people."""
    assert finding.code == rule.code
    assert finding.name == rule.name
    assert finding.severity in SEVERITIES
    assert 0.0 <= finding.probability <= 1.0
    assert finding.message.endswith(".") or ". " in finding.message
    assert not re.search(r"\b(nan|inf)\b", finding.message), finding.message
    for step in (finding.first_step, finding.last_step):
        assert step is None or type(step) is int
    if finding.first_step is not None and finding.last_step is not None and rule.code != "LOG001":
        assert finding.first_step <= finding.last_step
    assert all(isinstance(line, str) and line for line in finding.fix)
    json.dumps(dict(finding.evidence))
    assert all(math.isfinite(n) for n in numbers(dict(finding.evidence))), finding.evidence


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [n for v in value.values() for n in numbers(v)]
    if isinstance(value, list | tuple):
        return [n for v in value for n in numbers(v)]
    return [value] if isinstance(value, int | float) else []
