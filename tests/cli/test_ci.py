"""What CI reads: exit statuses, SARIF, JUnit, baselines, and the steps of the action."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from runscope.cli import main
from runscope.cli.app import COMMANDS
from runscope.reporting.ci.checked import Checked, Found
from runscope.reporting.ci.junit import junit
from runscope.reporting.ci.sarif import sarif

ROOT = Path(__file__).parents[2]


def log(path: Path, *, floor: float = 0.5, seed: int = 0, rows: int = 40, broken: bool = False) -> Path:
    """A training that falls to a floor; broken, its loss is NaN from the middle on."""
    rng = np.random.default_rng(seed)
    lines = ["step,train/loss,eval/loss"]
    for k in range(1, rows + 1):
        level = floor + 1.5 * np.exp(-k / 8)
        train = float("nan") if broken and k > rows / 2 else level + 0.02 * rng.standard_normal()
        lines.append(f"{50 * k},{train},{level + 0.05 + 0.005 * rng.standard_normal()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("fail_on", "status"), [("never", 0), ("critical", 1), ("info", 1)])
@pytest.mark.parametrize("command", ["diagnose", "report"])
def test_a_grave_finding_fails_the_job_only_if_asked(
    command: str, fail_on: str, status: int, here: Path
) -> None:
    log(here / "broken.csv", broken=True)
    assert main([command, "broken.csv", "--fail-on", fail_on, "--quiet"]) == status


@pytest.mark.parametrize("command", ["diagnose", "report", "stitch", "evaluate", "watch", "scan"])
def test_every_verb_that_finds_something_takes_fail_on(command: str) -> None:
    assert "fail_on" in COMMANDS[command].__annotations__


def test_report_counts_the_findings_of_every_training_that_it_compares(here: Path) -> None:
    log(here / "a.csv")
    log(here / "b.csv", broken=True, seed=1)
    asked = ["report", "--compare", "--output", "page.html", "--quiet", "--fail-on", "critical"]
    assert main([*asked, "a.csv", "b.csv"]) == 1
    assert main([*asked, "a.csv", "a.csv"]) == 0


def scores(path: Path, *, last_worse: float, names: bool = True, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    hard = rng.gamma(2.0, 0.5, 300)
    lines = [("example," if names else "") + "loss@step_100,loss@step_200"]
    for n, value in enumerate(hard):
        cells = value + 0.02 * rng.standard_normal(2) + np.array([0.0, last_worse])
        lines.append((f"e{n}," if names else "") + ",".join(f"{c:.6f}" for c in cells))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_evaluate_fails_by_what_the_checkpoints_prove(here: Path) -> None:
    scores(here / "worse.csv", last_worse=0.5)
    scores(here / "fine.csv", last_worse=0.0)
    asked = ["evaluate", "--fail-on", "warning", "--scores"]
    assert main([*asked, "worse.csv"]) == 1
    assert main([*asked, "fine.csv"]) == 0
    assert main(["evaluate", "--scores", "worse.csv"]) == 0


def test_stitch_fails_by_what_a_resume_did(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(5)
    rows = ["step,train/loss,learning_rate"]
    for k in range(1, 201):
        lost = 1.5 * np.exp(-(k - 100) / 15) if k > 100 else 0.0
        rows.append(f"{10 * k},{0.5 + 2 * np.exp(-k / 30) + lost + 0.02 * rng.standard_normal()},{1e-4}")
    (here / "a.csv").write_text("\n".join(rows[:101]) + "\n")
    (here / "b.csv").write_text("\n".join([rows[0], *rows[101:]]) + "\n")
    assert main(["stitch", "a.csv", "b.csv", "--at", "1000", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)["resumes"]
    assert told[0]["cause"] in ("weights", "optimiser")
    assert main(["stitch", "a.csv", "b.csv", "--at", "1000", "--fail-on", "warning"]) == 1
    assert main(["stitch", "a.csv", "--fail-on", "info"]) == 0


@pytest.mark.parametrize(
    ("floor", "said", "status"), [(0.7, "worse", 1), (0.5, "unknown", 0), (0.3, "not_worse", 0)]
)
def test_a_training_is_held_against_the_last_good_one(
    floor: float, said: str, status: int, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log(here / "good.csv")
    log(here / "new.csv", floor=floor, seed=1)
    assert main(["diagnose", "new.csv", "--baseline", "good.csv", "--format", "json"]) == status
    assert json.loads(capsys.readouterr().out)["baseline"]["status"] == said
    for form in ("slack", "chat"):
        assert main(["diagnose", "new.csv", "--baseline", "good.csv", "--format", form]) == status
        message = capsys.readouterr().out
        assert "Against the baseline:" in message
        assert ("🟢" in message) == (said != "worse")


def test_what_cannot_be_compared_is_said_and_fails_nothing(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log(here / "good.csv")
    short = log(here / "short.csv", floor=5.0, rows=4)
    without = here / "without.csv"
    without.write_text(
        "\n".join(row.rpartition(",")[0] for row in log(here / "x.csv").read_text().splitlines())
    )
    for path, why in ((short, "too few"), (without, "logged no held-out loss")):
        assert main(["diagnose", str(path), "--baseline", "good.csv"]) == 0
        text = capsys.readouterr().out
        assert "cannot be told" in text
        assert why in " ".join(text.split())


def test_results_are_held_against_earlier_ones_example_by_example(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = scores(here / "good.csv", last_worse=0.0)
    rows = good.read_text().splitlines()
    worse = [f"{n},{float(a) + 0.1},{float(b) + 0.1}" for n, a, b in (r.split(",") for r in rows[1:])]
    (here / "worse.csv").write_text("\n".join([rows[0], *worse[::-1]]) + "\n")
    assert main(["evaluate", "--scores", "worse.csv", "--baseline", "good.csv", "--format", "json"]) == 1
    held = json.loads(capsys.readouterr().out)["baseline"]
    assert held["status"] == "worse"
    assert held["effect_low"] <= 0.1 <= held["effect_high"]
    assert main(["evaluate", "--scores", "good.csv", "--baseline", "worse.csv"]) == 0
    scores(here / "unnamed.csv", last_worse=0.0, names=False)
    assert main(["evaluate", "--scores", "unnamed.csv", "--baseline", "good.csv"]) == 0
    assert "cannot be told" in capsys.readouterr().out


def test_sarif_names_the_rule_the_run_and_what_to_do(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log(here / "my runs" / "broken.csv", broken=True)
    assert main(["diagnose", "my runs/broken.csv", "--format", "sarif"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    nan = next(r for r in run["results"] if r["ruleId"] == "LOS001")
    assert rules[nan["ruleIndex"]]["id"] == "LOS001"
    assert nan["level"] == "error"
    place = nan["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert place == "my%20runs/broken.csv"
    assert main(["diagnose", "my runs/broken.csv", "--output", "found.sarif", "--quiet"]) == 0
    assert json.loads(Path("found.sarif").read_text()) == document


def test_junit_tells_failed_passed_skipped_and_unreadable(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log(here / "broken.csv", broken=True)
    (here / "no.csv").write_text("")
    assert main(["diagnose", "--each", "broken.csv", "no.csv", "--format", "junit"]) == 2
    root = ElementTree.fromstring(capsys.readouterr().out)
    broken, unreadable = root
    kinds = {
        case.get("name", "").split()[0]: [child.tag for child in case] for case in broken.iter("testcase")
    }
    assert kinds["LOS001"] == ["failure"]
    assert kinds["CKP001"] == ["skipped"]
    assert kinds["LOS006"] == []
    assert [child.tag for child in next(unreadable.iter("testcase"))] == ["error"]
    assert root.get("errors") == "1"


def test_a_survey_is_one_suite_for_each_training(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log(here / "runs" / "a" / "broken.csv", broken=True)
    log(here / "runs" / "b" / "fine.csv", seed=1)
    assert main(["scan", "runs", "--forget", "--jobs", "1", "--format", "junit", "--fail-on", "act"]) == 1
    root = ElementTree.fromstring(capsys.readouterr().out)
    assert {s.get("name"): s.get("failures") for s in root} == {"broken": "1", "fine": "0"}


TEXT = st.text(st.characters(), max_size=40)


@settings(max_examples=60, deadline=None)
@given(TEXT, TEXT, st.sampled_from(["critical", "warning", "info"]), st.booleans())
def test_any_name_makes_documents_that_parse(name: str, message: str, severity: str, fails: bool) -> None:
    found = (Found("LOS001", "loss-not-a-number", severity, message, fails, {"first_step": 3}),)
    checked = [Checked(name, (name,), message, found, ("LOS002",), {"GRD001": message})]
    checked.append(Checked(name, (name,), error=(message, name)))
    root = ElementTree.fromstring(junit(checked).encode("utf-8"))
    assert root.get("tests") == "4"
    text = json.dumps(sarif(checked), allow_nan=False)
    assert json.loads(text)["runs"][0]["invocations"][0]["executionSuccessful"] is False


def action() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    return found


def test_the_action_is_one_that_github_takes() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions", "action.yml"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr


def acted(folder: Path, **given: str) -> tuple[int, dict[str, str], str]:
    """Run the steps as a runner would: expressions put in, one shell each, until one fails.

    Returns:
        The status of the job, the outputs of its steps, and the summary.
    """
    described = action()
    inputs = {name: str(entry.get("default", "")) for name, entry in described["inputs"].items()} | given
    out, summary = folder / "outputs", folder / "summary.md"
    out.touch()
    summary.touch()

    def filled(text: str) -> str:
        known = dict(line.split("=", 1) for line in out.read_text().splitlines())
        for name, value in inputs.items():
            text = text.replace(f"${{{{ inputs.{name} }}}}", value)
        for name, value in known.items():
            text = text.replace(f"${{{{ steps.diagnose.outputs.{name} }}}}", value)
        return text

    home = {
        "RUNSCOPE_HOME": str(folder / "home"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for step in described["runs"]["steps"]:
        if step.get("if") == "inputs.package != ''" and not inputs["package"]:
            continue
        environment = {name: filled(value) for name, value in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], cwd=folder, capture_output=True,
            env={**os.environ, **home, "GITHUB_OUTPUT": str(out), "GITHUB_STEP_SUMMARY": str(summary), **environment},
            text=True,
        )  # fmt: skip
        if done.returncode:
            break
    return done.returncode, dict(x.split("=", 1) for x in out.read_text().splitlines()), summary.read_text()


def test_the_steps_of_the_action_judge_a_training(here: Path) -> None:
    log(here / "good.csv")
    log(here / "worse run.csv", floor=0.8, seed=1)
    status, outputs, summary = acted(here, runs="worse run.csv", baseline="good.csv\n", package="")
    assert (status, outputs["status"]) == (1, "1")
    assert "worse than the baseline good" in summary
    for name in ("report.html", "findings.sarif", "junit.xml"):
        assert (here / "runscope" / name).stat().st_size > 0, name
    assert json.loads((here / "runscope" / "findings.sarif").read_text())["runs"][0]["results"]


def test_the_action_says_what_it_cannot_read_and_obeys_no_name(here: Path) -> None:
    status, outputs, summary = acted(here, runs="$(touch pwned); --output=x.html", package="")
    assert (status, outputs["status"]) == (2, "2")
    assert "    error: " in summary
    assert all(line.startswith("    ") for line in summary.splitlines()), (
        "a foreign name is shown, not obeyed"
    )
    assert not (here / "pwned").exists()
    assert not (here / "x.html").exists()


def test_the_action_takes_lines_of_windows_and_tells_what_cannot_be_written(here: Path) -> None:
    log(here / "a run.csv")
    status, outputs, summary = acted(here, runs="\r\na run.csv\r\n", package="")
    assert (status, outputs["status"]) == (0, "0")
    assert "No sign of overfitting" in summary
    status, outputs, _ = acted(here, runs="a run.csv", arguments="--each", package="")
    assert (status, outputs["status"]) == (2, "2"), "a file for each of several runs is refused"


def test_a_report_holds_its_training_against_a_baseline_and_its_recipe_does_again(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log(here / "good/log.csv")
    log(here / "new/log.csv", floor=0.8)
    asked = ["report", "new/log.csv", "--baseline", "good/log.csv", "--output", "out"]
    assert main(asked) == 1
    told = capsys.readouterr().err
    assert "worse than the baseline" in told
    assert "good" in told
    found = json.loads((here / "out/findings.json").read_text())
    assert found["baseline"]["status"] == "worse"
    assert "worse than the baseline" in (here / "out/report.html").read_text()
    assert "--baseline good/log.csv" in (here / "out/report.html").read_text()
    assert main(["report", "out/recipe.toml", "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["baseline"] == found["baseline"]
    assert (
        main(["report", "good/log.csv", "--baseline", "good/log.csv", "--quiet", "--output", "a.html"]) == 0
    )
    assert main(["report", "out/recipe.toml", "--baseline", "good/log.csv"]) == 2
    assert main(["report", "good/log.csv", "new/log.csv", "--compare", "--baseline", "good/log.csv"]) == 2
