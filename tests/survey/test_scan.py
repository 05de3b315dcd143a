"""A tree of trainings with a known truth, scanned by the real workers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import runscope as rs
from runscope.cli import main
from runscope.errors import ServiceError, UnknownReference, UsageError
from runscope.history.axes import write_parts
from runscope.reporting.text.survey import summary
from runscope.sources import list_references
from runscope.survey.memory import Memory
from runscope.survey.spread import OnRay, _Worker, answer_there
from runscope.survey.survey import Survey, take
from runscope.survey.work import Done, Task
from runscope.survey.worker import done
from tests.survey.tree import resumed_logs, trainer_folder

KINDS = {"fine": 5, "overfit": 4, "diverged": 2}


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    place = tmp_path / "runs"
    seed = 0
    for kind, count in KINDS.items():
        for _ in range(count):
            seed += 1
            trainer_folder(place / f"{kind}-{'abcdefgh'[seed % 8]}{'xyz'[seed % 3]}", seed=seed, kind=kind)
    resumed_logs(place / "deep" / "2026-11-02" / "logs", "pricer", seed=99)
    broken = place / "cut" / "checkpoint-10"
    broken.mkdir(parents=True)
    (broken / "trainer_state.json").write_text('{"global_step": 10, "log_hist')
    return place


def by_name(survey: Survey) -> dict[str, str]:
    return {Path(card.references[0]).name: card.need for card in survey.cards}


def test_every_training_is_found_joined_and_judged_as_diagnose_does(tree: Path) -> None:
    survey = rs.scan(tree, jobs=2)
    readable = [c for c in survey.cards if c.error is None]
    assert (
        sum("overfit-" in c.references[0] and c.overfitting == "likely" for c in readable) == KINDS["overfit"]
    )
    assert sum("fine-" in c.references[0] and c.need == "fine" for c in readable) == KINDS["fine"]
    assert sum("diverged-" in c.references[0] and c.need == "act" for c in readable) == KINDS["diverged"]
    joined = [c for c in readable if len(c.references) == 2]
    assert [{Path(r).name for r in c.references} for c in joined] == [
        {"pricer.jsonl", "pricer-resumed.jsonl"}
    ]
    assert (joined[0].first_step, joined[0].last_step) == (10, 800)
    assert [survey.cards[n] for n in survey.joined] == joined
    assert joined[0].join is not None
    sure = f"pricer (2 runs, {joined[0].join:.0%} sure)"
    assert f"1 training was put together from several runs: {sure}." in summary(survey)
    damaged = [c for c in survey.cards if c.error is not None]
    assert len(damaged) == 1
    assert "cut" in damaged[0].references[0]
    assert damaged[0].need == "unreadable"
    for card in readable:
        diagnosis = rs.diagnose(list(card.references))
        assert card.headline == diagnosis.verdict.headline
        assert card.probability == diagnosis.verdict.overfitting.probability


def test_one_log_that_was_resumed_into_is_judged_as_diagnose_judges_it(tmp_path: Path) -> None:
    first, second = resumed_logs(tmp_path / "made", "pricer", seed=5)
    rows = [json.loads(line) for line in second.read_text().splitlines()]
    restarted = "".join(
        json.dumps({**row, "step": row["step"] - 400, "epoch": row["epoch"] - 2}) + "\n" for row in rows
    )
    log = tmp_path / "one" / "log.jsonl"
    log.parent.mkdir()
    log.write_text(first.read_text() + restarted)
    (card,) = rs.scan(log.parent, jobs=1).cards
    diagnosis = rs.diagnose(log)
    assert card.last_step == diagnosis.timeline.last_step == 800
    assert card.headline == diagnosis.verdict.headline


def test_what_needs_somebody_stands_first_and_counts_are_right(tree: Path) -> None:
    survey = rs.scan(tree, jobs=1)
    order = [card.need for card in survey.cards]
    assert order == sorted(order, key=["act", "look", "unreadable", "unknown", "fine"].index)
    assert survey.needs == {**dict.fromkeys(survey.needs, 0), **Counter(order)}
    assert survey.verdicts == {
        "overfits": 4, "diverged": 2, "never learned": 0, "died": 0, "stopped early": 0
    }  # fmt: skip
    table = survey.to_pandas()
    assert len(table) == len(survey.cards)
    assert set(table["need"]) == set(order)


def test_a_training_that_stopped_short_of_its_plan_is_counted(tmp_path: Path) -> None:
    trainer_folder(tmp_path / "whole", seed=1)
    trainer_folder(
        tmp_path / "short", seed=2, steps=200, settings={"max_steps": 3000, "num_train_epochs": 10}
    )
    survey = rs.scan(tmp_path, jobs=1, remember=False)
    assert survey.verdicts["stopped early"] == 1
    assert any(
        "1 training stopped short of its plan, or is running: short." in line for line in summary(survey)
    )


def test_a_second_scan_reads_what_changed_and_says_what_is_new(tree: Path) -> None:
    first = rs.scan(tree, jobs=1)
    assert first.first
    again = rs.scan(tree, jobs=1)
    assert not again.first
    assert again.new == ()
    assert by_name(again) == by_name(first)
    trainer_folder(tree / "fresh-q", seed=41, kind="overfit")
    changed = rs.scan(tree, jobs=1)
    assert [Path(changed.cards[i].references[0]).name for i in changed.new] == ["fresh-q"]


def test_cards_that_are_remembered_are_not_made_again(tree: Path) -> None:
    asked: list[tuple[str, ...]] = []

    class Counting:
        """The real work, here, with a list of what was asked."""

        def done(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Done]]:
            for task in tasks:
                asked.append(task.references)
                yield task, done(task)

    references = list_references(str(tree))
    take([str(tree)], references, Counting(), Memory())
    assert len(asked) > len(references), "each was judged, and two held against one another"
    asked.clear()
    take([str(tree)], references, Counting(), Memory())
    assert asked == []
    trainer_folder(tree / "fresh-q", seed=41, kind="overfit")
    take([str(tree)], list_references(str(tree)), Counting(), Memory())
    assert [one for one in asked if len(one) == 1] == [(str(tree / "fresh-q"),)]


def test_a_survey_that_was_killed_goes_on_and_gives_the_same_answer(tree: Path) -> None:
    whole = by_name(rs.scan(tree, jobs=1, remember=False))
    for delay in (0.3, 0.9, 1.5):
        process = subprocess.Popen(
            [sys.executable, "-m", "runscope", "scan", str(tree), "--jobs", "1", "--quiet"],
            stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert by_name(rs.scan(tree, jobs=1)) == whole


def test_two_scans_at_once_give_the_same_answer(tree: Path) -> None:
    command = [sys.executable, "-m", "runscope", "scan", str(tree), "--jobs", "1", "--format", "json"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [json.loads(process.communicate()[0]) for process in both]
    assert said[0]["trainings"] == [{**t, "new": False} for t in said[0]["trainings"]]
    assert [t["headline"] for t in said[0]["trainings"]] == [t["headline"] for t in said[1]["trainings"]]


def test_exit_status_follows_fail_on(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", str(tree), "--jobs", "1"]) == 0
    assert main(["scan", str(tree), "--jobs", "1", "--fail-on", "act"]) == 1
    assert main(["scan", str(tree), "--jobs", "1", "--fail-on", "act", "--new"]) == 0
    healthy = next(tree.glob("fine-*"))
    assert main(["scan", str(healthy), "--jobs", "1", "--fail-on", "look"]) == 0
    said = capsys.readouterr().out
    assert "need action" in said
    assert "overfit-" in said


@pytest.mark.parametrize("ending", ["json", "jsonl", "md", "csv", "parquet", "html"])
def test_every_form_is_written(tree: Path, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"scan.{ending}"
    assert main(["scan", str(tree), "--jobs", "1", "--quiet", "--output", str(file)]) == 0
    assert file.stat().st_size > 200
    if ending == "jsonl":
        assert {json.loads(line)["need"] for line in file.read_text().splitlines()} >= {"act", "fine"}


def test_places_that_hold_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnknownReference):
        rs.scan(tmp_path / "empty")
    with pytest.raises(UsageError):
        rs.scan(" ")
    with pytest.raises(UnknownReference, match="there is no folder nowhere"):
        rs.scan("nowhere")


def test_one_place_that_is_missing_does_not_stop_the_others(tree: Path) -> None:
    survey = rs.scan([tree, tree / "gone"], jobs=1)
    assert len(survey.cards) > 5
    assert any("gone" in note for note in survey.notes)


def test_a_worker_that_was_killed_is_told_and_started_again(tree: Path) -> None:
    worker = _Worker()
    group = [Task((str(next(tree.glob("fine-*"))),))]
    try:
        assert worker.ask(group) is not None
        assert worker._process is not None
        os.kill(worker._process.pid, signal.SIGKILL)
        worker._process.wait()
        assert worker.ask(group) is None, "its work is lost, and that is said"
        again = worker.ask(group)
        assert again is not None
        assert again[0].cards[0].need == "fine"
    finally:
        worker.end()


def test_reports_are_written_once_and_linked(tree: Path, tmp_path: Path) -> None:
    page, folder = tmp_path / "scan.html", tmp_path / "reports of trainings"
    words = ["scan", str(tree), "--jobs", "1", "--quiet", "--output", str(page), "--reports", str(folder)]
    assert main(words) == 0
    readable = [c for c in rs.scan(tree, jobs=1).cards if c.error is None]
    written = {file: file.stat().st_mtime_ns for file in folder.glob("*.html")}
    assert len(written) == len(readable)
    assert any("overfit" in file.read_text() for file in written)
    new = trainer_folder(tree / "fresh-q", seed=41, kind="overfit")
    assert main(words) == 0
    (fresh,) = set(folder.glob("*.html")) - set(written)
    assert new.name in fresh.name
    assert {file: file.stat().st_mtime_ns for file in written} == written, (
        "what did not change is not written again"
    )


def test_reports_that_cannot_be_written_are_told(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", str(tree), "--jobs", "1", "--quiet", "--reports", "/proc/reports"]) == 2
    assert "/proc/reports cannot be written" in capsys.readouterr().err
    survey = rs.scan(tree, jobs=1)
    gone = survey.cards[0].references[0]
    shutil.rmtree(gone)
    written, said = rs.api.write_reports(survey, tree / "reports", jobs=1)
    assert len(written) == sum(card.error is None for card in survey.cards) - 1
    assert len(said) == 1
    assert Path(gone).name in said[0]


@pytest.mark.slow
def test_the_answer_is_the_same_on_ray(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    elsewhere = tmp_path / "where the cluster was started"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    ray.init(
        num_cpus=1,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        logging_level="error",
    )
    monkeypatch.chdir(tree.parent)
    try:
        there = rs.scan(tree.name, launch="ray", remember=False)
    finally:
        ray.shutdown()
    assert there.cards == rs.scan(tree.name, jobs=1, remember=False).cards


def test_files_that_another_machine_does_not_see_are_named(tree: Path, tmp_path: Path) -> None:
    one = str(next(tree.glob("fine-*")))
    told = answer_there(
        {
            "tasks": [Task((one,)).as_dict()],
            "folder": str(Path.cwd()),
            "home": str(tmp_path / "home"),
            "files": [one, "gone"],
        }
    )
    assert told["unseen"] == ["gone"]
    assert "done" not in told
    with pytest.raises(ServiceError, match="does not see"):
        OnRay._gone([one])
    assert OnRay._gone(["gone"])


def test_the_table_goes_to_parquet_in_parts_of_one_schema(tree: Path, tmp_path: Path) -> None:
    trainer_folder(tree / "odd-q", seed=1, settings={"logging_steps": "auto"})  # a number everywhere else
    folder = tmp_path / "table"
    assert main(["scan", str(tree), "--jobs", "1", "--quiet", "--output", str(folder)]) == 0
    found = pq.read_table(folder)
    assert found.num_rows == len(rs.scan(tree, jobs=1).cards)
    write_parts(found.to_pandas(), folder, 5)
    assert len(list(folder.glob("part-*.parquet"))) == -(-found.num_rows // 5)
    assert len({pq.read_schema(file).remove_metadata() for file in folder.glob("part-*")}) == 1
