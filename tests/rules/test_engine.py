"""One cause, not five alarms; notes of rules that could not look; quiet on healthy runs."""

from __future__ import annotations

import numpy as np
import pytest

from runscope.history import Run, Series, Timeline
from runscope.rules import CouldNotLook, Finding, Findings, Rule, View, look
from runscope.rules.codes import RULES
from runscope.rules.engine import CONSEQUENCES, END_AGAINST_BEGINNING

EMPTY = View(Timeline(()))


def saying(code: str, severity: str, first: int | None = 0, last: int | None = 100) -> Rule:
    finding = Finding(code, "x", severity, 0.9, "Something.", first, last)  # type: ignore[arg-type]
    return Rule(code, "x", "loss", lambda view: [finding], "X.")


def test_a_consequence_points_to_its_cause_and_is_no_alarm() -> None:
    found = look(EMPTY, [saying("LOS002", "critical"), saying("GRD003", "critical")])
    by_code = {f.code: f for f in found.findings}
    assert by_code["LOS002"].caused_by == "GRD003"
    assert by_code["LOS002"].severity == "info"
    assert by_code["GRD003"].caused_by is None
    assert by_code["GRD003"].severity == "critical"


def test_what_ended_before_a_cause_began_is_no_consequence_of_it() -> None:
    found = look(EMPTY, [saying("LOS003", "warning", 0, 10), saying("GRD004", "critical", 500, 900)])
    assert {f.code: f.caused_by for f in found.findings} == {"LOS003": None, "GRD004": None}


@pytest.mark.parametrize("cause", [code for code in CONSEQUENCES if code.startswith("RES")])
def test_what_was_there_before_a_resume_does_not_follow_from_it(cause: str) -> None:
    for code in CONSEQUENCES[cause]:
        for first in (0, 300, 500):
            found = look(EMPTY, [saying(code, "warning", first, 900), saying(cause, "critical", 500, 900)])
            follows = next(f for f in found.findings if f.code == code).caused_by == cause
            assert follows == (first == 500 or code in END_AGAINST_BEGINNING), (code, first)


def test_information_is_no_cause() -> None:
    found = look(EMPTY, [saying("LOS006", "critical"), saying("GRD004", "info")])
    assert all(f.caused_by is None for f in found.findings)


def test_no_rule_is_its_own_cause_by_way_of_others() -> None:
    def causes(code: str, seen: tuple[str, ...] = ()) -> None:
        assert code not in seen, f"{' -> '.join(seen)} -> {code}"
        for cause, follows in CONSEQUENCES.items():
            if code in follows:
                causes(cause, (*seen, code))

    for code in RULES:
        causes(code)
    named = set(CONSEQUENCES) | {c for follows in CONSEQUENCES.values() for c in follows}
    assert named <= set(RULES)


def test_worst_first_and_a_note_for_each_rule_that_could_not_look() -> None:
    def blind(view: View) -> list[Finding]:
        raise CouldNotLook("nothing there")

    rules = [
        saying("LOS004", "info"),
        saying("CKP005", "critical"),
        Rule("SYS001", "x", "system", blind, "X."),
    ]
    found = look(EMPTY, rules)
    assert [f.severity for f in found.findings] == ["critical", "info"]
    assert found.notes == ("SYS001 could not look: nothing there",)


def healthy(seed: int) -> View:
    """A sound training: one of several shapes of a falling loss, with noise, schedule, norms and held-out losses."""
    rng = np.random.default_rng(seed)
    points = int(rng.integers(60, 600))
    t = np.linspace(0, 1, points)
    step = np.arange(1, points + 1) * 10
    start, floor = rng.uniform(1.5, 8), rng.uniform(0.3, 1.4)
    shape = [np.exp(-rng.uniform(3, 9) * t), (1 + 30 * t) ** -rng.uniform(0.4, 1.0)][seed % 2]
    loss = floor + (start - floor) * shape
    noise = rng.uniform(0.01, 0.08)
    warm = np.minimum(t / 0.05, 1)
    decay = [1 - t, 0.5 + 0.5 * np.cos(np.pi * t), np.ones(points)][seed % 3]
    every = max(1, points // 15)
    series = {
        "train_loss": Series.of("train_loss", step, loss * np.exp(noise * rng.standard_normal(points))),
        "eval_loss": Series.of(
            "eval_loss", step[::every], (1.03 * loss * np.exp(0.004 * rng.standard_normal(points)))[::every]
        ),
        "learning_rate": Series.of("learning_rate", step, 2e-4 * warm * decay),
        "grad_norm": Series.of(
            "grad_norm",
            step,
            rng.uniform(0.3, 3) * (0.5 + shape) * np.exp(0.35 * rng.standard_normal(points)),
        ),
        "epoch": Series.of("epoch", step, t * 2.9),
    }
    run = Run(
        reference="r", id="r", name="r", source="test", series=series, roles={r: r for r in series}, state="finished",
        config={"max_steps": points * 10, "max_grad_norm": 1.0},
    )  # fmt: skip
    return View(Timeline.of(run))


@pytest.fixture(scope="module")
def of_healthy_runs() -> list[Findings]:
    return [look(healthy(seed)) for seed in range(60)]


def test_at_most_one_in_twenty_healthy_runs_gets_a_warning(of_healthy_runs: list[Findings]) -> None:
    alarms = [[f.code for f in found.findings if f.severity != "info"] for found in of_healthy_runs]
    assert sum(map(bool, alarms)) <= 3, [a for a in alarms if a]


def test_healthy_runs_get_little_information(of_healthy_runs: list[Findings]) -> None:
    assert np.mean([len(found.findings) for found in of_healthy_runs]) < 4
