"""Runs that lie in services and trackers, scanned by the real workers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import runscope as rs
from runscope.errors import NotFound
from tests.hub.conftest import hub
from tests.servers.hub import Hub
from tests.servers.wandb import Wandb
from tests.sources.conftest import cloud_file, service
from tests.sources.test_trackers import mlflow_place, trackio_file
from tests.survey.tree import trainer_folder

__all__ = ["cloud_file", "hub", "mlflow_place", "service", "trackio_file"]


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))


def several(service: Wandb, count: int) -> None:
    """A project of so many runs."""
    (first,) = service.runs.pop("me/pricer").values()
    for number in range(count):
        run = replace(
            first, id=f"run{number:03}", name=f"fit-{number}", created=first.created + 7200.0 * number
        )
        service.put("me/pricer", run)


def test_a_project_of_wandb_beside_a_folder(service: Wandb, tmp_path: Path) -> None:
    several(service, 12)
    trainer_folder(tmp_path / "runs" / "overfit-a", seed=3, kind="overfit")
    survey = rs.scan(["me/pricer", tmp_path / "runs"], jobs=2)
    found = {reference for card in survey.cards for reference in card.references}
    assert found >= {f"me/pricer/run{n:03}" for n in range(12)}
    assert all(card.error is None for card in survey.cards)
    service.operations.clear()
    again = rs.scan(["me/pricer", tmp_path / "runs"], jobs=2)
    assert set(service.operations) == {"Runs"}, "the list, and nothing of what did not change"
    assert [c.headline for c in again.cards] == [c.headline for c in survey.cards]


def test_all_projects_of_an_entity(service: Wandb) -> None:
    several(service, 3)
    run = service.runs["me/pricer"]["run000"]
    for number in range(51):  # more than the service lists at once
        service.put(f"me/sweep-{number:02}", replace(run, id=f"fit{number:02}"))
    service.put("you/secret", replace(run, id="secret"))
    wanted = {f"me/pricer/run{n:03}" for n in range(3)} | {f"me/sweep-{n:02}/fit{n:02}" for n in range(51)}
    for place in ("wandb://me", f"{service.url}/me"):
        survey = rs.scan(place, jobs=1)
        assert {reference for card in survey.cards for reference in card.references} == wanted
    with pytest.raises(NotFound, match="no project of nobody"):
        rs.scan("wandb://nobody")


def test_a_refusal_for_too_many_requests_is_waited_out_and_nothing_is_lost(service: Wandb) -> None:
    several(service, 8)
    service.fail, service.fail_times, service.fail_after = 429, 3, 4
    survey = rs.scan("me/pricer", jobs=2)
    assert {r for c in survey.cards for r in c.references} == {f"me/pricer/run{n:03}" for n in range(8)}
    assert survey.notes == ()


def test_all_repositories_of_a_hub_user(hub: Hub, tmp_path: Path) -> None:
    for number, kind in enumerate(("fine", "overfit")):
        made = trainer_folder(tmp_path / kind, seed=number, kind=kind)
        state = (made / "checkpoint-600" / "trainer_state.json").read_bytes()
        hub.create(f"me/model-{kind}").commit("Training in progress, step 600", {"trainer_state.json": state})
    hub.create("me/empty").commit("initial commit", {"README.md": b"nothing"})
    survey = rs.scan("hf://me", jobs=1)
    needs = {card.references[0]: card.need for card in survey.cards}
    assert needs == {
        "hf://me/model-fine": "fine",
        "hf://me/model-overfit": "act",
        "hf://me/empty": "unreadable",
    }


def test_runs_of_trackio(trackio_file: Path) -> None:
    survey = rs.scan(trackio_file.parent, jobs=1)
    names = {Path(card.references[0]).name for card in survey.cards}
    assert names == {"pricer.db::first", "pricer.db::second"}


def test_runs_of_mlflow(mlflow_place: Path) -> None:
    survey = rs.scan(mlflow_place, jobs=1)
    assert len([card for card in survey.cards if card.error is None]) >= 2
    assert {card.sources for card in survey.cards if card.error is None} == {("mlflow",)}
