"""Trees that change, lead in circles, hold runs of thousands of metrics; scans that are killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import runscope as rs
from runscope.survey.survey import Survey
from tests.sources.wandb_writer import write_run
from tests.survey.tree import resumed_logs, trainer_folder

KILLS = int(os.environ.get("RUNSCOPE_TORTURE") or 9) // 3


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    place = tmp_path / "runs"
    for seed, name in enumerate(("alpha", "beta", "gamma", "delta")):
        trainer_folder(place / name, seed=seed, kind="overfit" if seed % 2 else "fine")
    resumed_logs(place / "deep", "pricer", seed=9)
    return place


def told(survey: Survey) -> list[tuple[tuple[str, ...], str]]:
    return sorted((card.references, card.headline) for card in survey.cards)


def test_links_that_lead_in_circles_are_not_followed(tree: Path) -> None:
    whole = told(rs.scan(tree, jobs=1, remember=False))
    (tree / "deep" / "up").symlink_to(tree, target_is_directory=True)
    (tree / "alpha" / "self").symlink_to(tree / "alpha", target_is_directory=True)
    (tree / "nowhere").symlink_to(tree / "gone")
    assert told(rs.scan(tree, jobs=1, remember=False)) == whole


def test_a_run_of_thousands_of_metrics_is_judged_beside_the_others(tree: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        {
            "step": step,
            "train/loss": 2 / step + 0.5,
            **{f"layer/{k}/norm": float(v) for k, v in enumerate(values)},
        }
        for step, values in ((10 * n, rng.random(5000)) for n in range(1, 31))
    ]
    wide = tree / "wide" / "log.jsonl"
    wide.parent.mkdir()
    wide.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (card,) = [c for c in rs.scan(tree, jobs=1).cards if c.references[0] == str(wide)]
    assert card.error is None
    assert card.last_step == 300
    assert card.headline == rs.diagnose(wide).verdict.headline


def test_a_tree_that_changes_meanwhile_stops_nothing(tree: Path) -> None:
    still = {card.references: card.headline for card in rs.scan(tree, jobs=1, remember=False).cards}
    stop = threading.Event()

    def change() -> None:
        number = 0
        while not stop.wait(0.01):
            number += 1
            folder = tree / f"passing-{number % 5}"
            shutil.rmtree(folder, ignore_errors=True)
            trainer_folder(folder, seed=number, steps=300)
        for number in range(5):
            shutil.rmtree(tree / f"passing-{number}", ignore_errors=True)

    writer = threading.Thread(target=change)
    writer.start()
    try:
        during = {card.references: card.headline for card in rs.scan(tree, jobs=2).cards}
    finally:
        stop.set()
        writer.join()
    assert {references: during.get(references) for references in still} == still
    assert told(rs.scan(tree, jobs=1)) == sorted(still.items())


def test_a_scan_that_is_killed_at_any_moment_goes_on(tree: Path) -> None:
    whole = told(rs.scan(tree, jobs=1, remember=False))
    for number in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-m", "runscope", "scan", str(tree), "--jobs", "1", "--quiet"],
            stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(0.2 + 2.0 * number / KILLS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert told(rs.scan(tree, jobs=1)) == whole


def test_files_of_several_wandb_runs_hide_nothing_that_lies_beside_them(tree: Path) -> None:
    from wandb.proto import wandb_internal_pb2 as messages

    for ident in ("aaaa1111", "bbbb2222"):
        run = messages.RunRecord(run_id=ident, display_name=f"fit-{ident}", project="p", entity="me")
        records = [messages.Record(num=1, run=run)]
        for number in range(40):
            row = messages.HistoryRecord()
            row.step.num = number
            row.item.add(nested_key=["train/loss"], value_json=json.dumps(2 / (number + 1)))
            records.append(messages.Record(num=number + 2, history=row))
        write_run(tree / f"run-{ident}.wandb", records)
    found = {
        reference for card in rs.scan(tree, jobs=1, remember=False).cards for reference in card.references
    }
    assert {str(tree / "run-aaaa1111.wandb"), str(tree / "run-bbbb2222.wandb")} < found
    assert {str(tree / name) for name in ("alpha", "beta", "gamma", "delta")} < found
    above = rs.scan(tree.parent, jobs=1, remember=False)
    assert {reference for card in above.cards for reference in card.references} == found


@pytest.mark.parametrize("damage", ["unwritable", "broken", "full"])
def test_a_memory_that_cannot_be_used_stops_nothing(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    whole = told(rs.scan(tree, jobs=1, remember=False))
    home = Path("/proc/nowhere") if damage == "unwritable" else tmp_path / "other"
    if damage != "unwritable":
        file = home / "surveys" / "cards.sqlite"
        file.parent.mkdir(parents=True)
        file.symlink_to("/dev/full") if damage == "full" else file.write_bytes(b"no database" * 1000)
    monkeypatch.setenv("RUNSCOPE_HOME", str(home))
    survey = rs.scan(tree, jobs=1)
    assert told(survey) == whole
    assert [note for note in survey.notes if "is not remembered" in note]


def test_a_sweep_of_hydra_is_grouped_by_what_it_varies(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number, (rate, decay) in enumerate((r, d) for r in (1e-4, 3e-4, 1e-3) for d in (0.0, 0.1)):
        folder = tmp_path / "multirun" / "2026-11-20" / str(number)
        (folder / ".hydra").mkdir(parents=True)
        settings = f"optim: {{lr: {rate}, decay: {decay}}}\nmodel: {{depth: 4, width: 128}}\nbatch_size: 32\nseed: 1\n"
        (folder / ".hydra" / "config.yaml").write_text(settings)
        log = folder / ("csv/version_0/metrics.csv" if number % 2 else "metrics.csv")
        log.parent.mkdir(parents=True, exist_ok=True)
        rows = (f"{10 * n},{3 * np.exp(-n / 20) + 1 + 0.02 * rng.standard_normal()}\n" for n in range(60))
        log.write_text("step,loss\n" + "".join(rows))
    survey = rs.scan(tmp_path, jobs=1, remember=False)
    assert {card.name for card in survey.cards} == {str(number) for number in range(6)}
    assert all(card.config["model.depth"] == 4 for card in survey.cards)
    (group,) = survey.groups
    assert len(group.members) == 6
    assert group.varied == {"optim.lr": 3, "optim.decay": 2}
