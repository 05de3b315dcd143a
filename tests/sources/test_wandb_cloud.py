"""Runs in the cloud: the real client against a service on loopback that holds what the real SDK wrote."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from runscope.cli import main
from runscope.errors import (
    NotAllowed,
    NotFound,
    NotSignedIn,
    RunscopeError,
    TooManyRequests,
    Unreachable,
    UsageError,
)
from runscope.sources import LoadContext, load
from runscope.sources.wandb_cloud import Address, address, claims
from tests.servers.wandb import KEY, Wandb, serve

WRITE = """
import wandb
with wandb.init(project="pricer", name="first try", config={"lr": 1e-4, "model": {"size": 3}},
                settings=wandb.Settings(console="off")) as run:
    run.define_metric("train/global_step")
    run.define_metric("*", step_metric="train/global_step", step_sync=True)
    for step in range(10, 2510, 10):
        run.log({"train/loss": float("nan") if step == 500 else float("inf") if step == 510 else 3 / step,
                 "train/global_step": step, "a.b": 1.0, "a": {"b": 2.0}})
        if step % 100 == 0:
            run.log({"eval/loss": 5 / step, "train/global_step": step})
"""


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cloud")
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DIR": str(folder)}
    subprocess.run([sys.executable, "-c", WRITE], env=environment, cwd=folder, check=True)
    (file,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    return file


@pytest.fixture
def service(offline: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Wandb]:
    with serve() as running:
        running.add("me/pricer", offline)
        monkeypatch.setenv("WANDB_BASE_URL", running.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_SILENT", "true")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        for name in ("WANDB_ENTITY", "WANDB_PROJECT"):
            monkeypatch.delenv(name, raising=False)
        yield running


def the_id(service: Wandb) -> str:
    return next(iter(service.runs["me/pricer"]))


def test_the_cloud_says_what_the_file_says(service: Wandb, offline: Path) -> None:
    cloud, file = load(f"me/pricer/{the_id(service)}"), load(offline)
    assert set(cloud.series) == set(file.series)
    for name, series in file.series.items():
        np.testing.assert_array_equal(cloud.series[name].step, series.step)
        np.testing.assert_array_equal(cloud.series[name].value, series.value)
    assert (cloud.step_key, cloud.name, cloud.state) == ("train/global_step", "first try", "finished")
    assert cloud.roles == file.roles
    assert cloud.config == file.config
    assert len(cloud.series["eval/loss"]) == 25, "metrics that never share a row are both there"
    assert np.isnan(cloud.series["train/loss"].value[49])
    assert np.isinf(cloud.series["train/loss"].value[50])


@pytest.mark.parametrize(
    "form",
    [
        "{url}/me/pricer/runs/{id}",
        "{url}/me/pricer/runs/{id}/overview?nw=x",
        "pricer/{id}",
        "me/pricer/first try",
    ],
)
def test_every_form_of_a_name(service: Wandb, form: str) -> None:
    assert load(form.format(url=service.url, id=the_id(service))).id == the_id(service)


def test_bare_names_are_looked_up_in_the_project(service: Wandb, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["show", "first try", "--project", "me/pricer", "--format", "json"]) == 0
    assert load(the_id(service), context=LoadContext(project="me/pricer")).name == "first try"
    monkeypatch.setenv("WANDB_PROJECT", "pricer")
    monkeypatch.setenv("WANDB_ENTITY", "me")
    assert load(the_id(service)).name == "first try"


def test_a_service_with_short_pages_loses_no_row(service: Wandb) -> None:
    service.page_rows = 60
    assert len(load(f"me/pricer/{the_id(service)}").series["train/loss"]) == 250


def test_rows_that_come_twice_count_once(service: Wandb) -> None:
    run = service.runs["me/pricer"][the_id(service)]
    run.rows = [row for row in run.rows for _ in range(2)]
    assert len(load(f"me/pricer/{run.id}").series["train/loss"]) == 250


def test_a_service_that_recovers_is_waited_for(service: Wandb) -> None:
    name = f"me/pricer/{the_id(service)}"
    service.retry_after = "0"
    answered = service.answer

    def refuse_later(query: str, words: dict[str, object]) -> dict[str, object]:
        if "RunHistoryKeys" in query and service.fail is None:
            service.fail, service.fail_times = 503, 2
        return answered(query, words)

    service.answer = refuse_later  # type: ignore[method-assign]
    assert len(load(name).series["train/loss"]) == 250
    assert service.fail_times == 0


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, NotSignedIn),
        (403, NotAllowed),
        (404, NotFound),
        (429, TooManyRequests),
        (500, Unreachable),
        (503, Unreachable),
    ],
)
def test_a_refusal_keeps_its_status_and_says_what_to_do(
    service: Wandb, status: int, error: type[RunscopeError], capsys: pytest.CaptureFixture[str]
) -> None:
    service.fail, service.retry_after = status, "7"
    with pytest.raises(error) as caught:
        load(f"me/pricer/{the_id(service)}")
    assert getattr(caught.value, "status", None) == status
    assert status != 429 or "7 s" in caught.value.hint
    assert main(["diagnose", f"me/pricer/{the_id(service)}"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in said] == ["error", "hint"]


def test_a_service_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with pytest.raises(Unreachable) as caught:
        load("me/pricer/abc")
    assert "WANDB_BASE_URL" in caught.value.hint


def test_no_key_and_a_wrong_key(service: Wandb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "w" * 40)
    with pytest.raises(NotSignedIn):
        load("me/pricer/abc")
    monkeypatch.delenv("WANDB_API_KEY")
    with pytest.raises(NotSignedIn, match="no W&B key"):
        load("me/pricer/abc")


def test_unknown_runs_and_projects_are_told_apart(service: Wandb) -> None:
    with pytest.raises(NotFound, match="no run me/pricer/nothing"):
        load("me/pricer/nothing")
    with pytest.raises(NotFound, match="no project me/nothing"):
        load("me/nothing/abc")


def test_the_key_is_nowhere_to_be_seen(
    service: Wandb, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    name = f"me/pricer/{the_id(service)}"
    assert main(["report", name, "--output", str(tmp_path / "out")]) == 0
    service.fail = 403
    assert main(["diagnose", name]) == 2
    seen = "".join(capfd.readouterr()) + "".join(p.read_text() for p in (tmp_path / "out").iterdir())
    assert KEY not in seen


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("me/pricer/2x9f1k3a", Address("me", "pricer", "2x9f1k3a")),
        ("pricer/2x9f1k3a", Address(None, "pricer", "2x9f1k3a")),
        ("https://wandb.ai/me/pricer/runs/2x9f1k3a", Address("me", "pricer", "2x9f1k3a")),
        ("https://wandb.ai/me/pricer/runs/2x9f1k3a/workspace?nw=nwuser#a", Address("me", "pricer", "2x9f1k3a")),
        ("https://forge.coreweave.com/wandb/me/pricer/runs/2x9f1k3a", Address("me", "pricer", "2x9f1k3a")),
        ("https://w.example.org:8080/me/p%20q/runs/x", Address("me", "p q", "x", "https://w.example.org:8080")),
    ],
)  # fmt: skip
def test_addresses(reference: str, expected: Address) -> None:
    assert claims(reference)
    assert address(reference) == expected


@pytest.mark.parametrize(
    "reference", ["heldout.jsonl", "a/b/c/d", "./x", "/abs/path", "runs/log.csv", "https://x.org/a"]
)
def test_what_is_no_run_of_wandb(reference: str) -> None:
    assert not claims(reference)


def test_an_address_without_a_run() -> None:
    with pytest.raises(UsageError):
        address("https://wandb.ai/runs/")
