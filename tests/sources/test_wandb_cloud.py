"""Runs in the cloud: read from a service on loopback that holds what the real SDK wrote."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import numpy as np
import pytest

from runscope.cli import main
from runscope.errors import (
    NotAllowed,
    NotFound,
    NotSignedIn,
    RunscopeError,
    ServiceError,
    TooManyRequests,
    Unreachable,
    UsageError,
)
from runscope.sources import LoadContext, load
from runscope.sources.wandb_cloud.account import base_url, host_name
from runscope.sources.wandb_cloud.service import SIDE_BY_SIDE, Service
from runscope.sources.wandb_cloud.source import Address, address, claims
from tests.servers.gate import Gate
from tests.servers.wandb import KEY, Wandb


def the_id(service: Wandb) -> str:
    return next(iter(service.runs["me/pricer"]))


def path(service: Wandb) -> str:
    return f"me/pricer/{the_id(service)}"


def test_the_cloud_says_what_the_file_says(service: Wandb, cloud_file: Path) -> None:
    cloud, file = load(path(service)), load(cloud_file)
    assert set(cloud.series) == set(file.series)
    for name, series in file.series.items():
        np.testing.assert_array_equal(cloud.series[name].step, series.step)
        np.testing.assert_array_equal(cloud.series[name].value, series.value)
    assert (cloud.step_key, cloud.name, cloud.state) == ("train/global_step", "first try", "finished")
    assert cloud.roles == file.roles
    assert cloud.config == file.config
    assert cloud.histograms.keys() == file.histograms.keys() != set()
    for name, histogram in file.histograms.items():
        np.testing.assert_array_equal(cloud.histograms[name].step, histogram.step)
        np.testing.assert_array_equal(cloud.histograms[name].rms, histogram.rms)


def test_nothing_is_sampled_and_metrics_that_share_no_row_are_both_there(service: Wandb) -> None:
    run = load(path(service))
    assert len(run.series["train/loss"]) == 250
    assert len(run.series["eval/loss"]) == 25
    assert not set(run.series["eval/loss"].time) & set(run.series["train/loss"].time)


def test_numbers_that_are_none_arrive_as_such(service: Wandb) -> None:
    loss = load(path(service)).series["train/loss"]
    assert np.isnan(loss.value[loss.step == 500]).all()
    assert np.isposinf(loss.value[loss.step == 510]).all()
    assert np.isfinite(loss.value[loss.step > 510]).all()


@pytest.mark.parametrize("exported", [1, 100, 275])
@pytest.mark.parametrize("both", [False, True])
def test_exports_and_live_rows_make_one_history(
    service: Wandb, cloud_file: Path, exported: int, both: bool
) -> None:
    """A row that is in an export and in a page counts once; an export says null where nothing was logged."""
    run = service.runs["me/pricer"][the_id(service)]
    run.exported, service.pages_hold_exported = exported, both
    cloud, file = load(path(service)), load(cloud_file)
    assert "(file)" in service.operations
    assert set(cloud.series) == set(file.series)
    for name, series in file.series.items():
        np.testing.assert_array_equal(cloud.series[name].step, series.step, err_msg=name)
        np.testing.assert_array_equal(cloud.series[name].value, series.value, err_msg=name)
    np.testing.assert_array_equal(
        cloud.histograms["gradients/0.weight"].rms, file.histograms["gradients/0.weight"].rms
    )


def test_exports_that_the_service_says_nothing_live_of(service: Wandb) -> None:
    """A service that names no live rows though there are some behind the export: they are asked for all the same."""
    run = service.runs["me/pricer"][the_id(service)]
    run.exported = 100
    service.names_no_live_rows = True
    assert len(load(path(service)).series["train/loss"]) == 250


def test_an_older_host_that_has_no_exports(service: Wandb) -> None:
    service.old = True
    assert len(load(path(service)).series["train/loss"]) == 250


@pytest.mark.parametrize("sampled", [False, True])
def test_a_service_with_short_pages_loses_no_row(service: Wandb, sampled: bool) -> None:
    service.page_rows, service.sampled = 60, sampled
    assert len(load(path(service)).series["train/loss"]) == 250


def test_rows_that_come_twice_count_once(service: Wandb) -> None:
    run = service.runs["me/pricer"][the_id(service)]
    run.rows = [row for row in run.rows for _ in range(2)]
    assert len(load(path(service)).series["train/loss"]) == 250


def test_steps_far_apart_do_not_cost_a_request_each(service: Wandb) -> None:
    """Who logs with ``step=global_step`` has a row every so many steps: pages get wider, crowded ones are halved."""
    run = service.runs["me/pricer"][the_id(service)]
    run.rows = [row | {"_step": 100_000 * i if i > 50 else i} for i, row in enumerate(run.rows)]
    assert len(load(path(service)).series["train/loss"]) == 250
    assert len(service.asked) < 5


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


def test_a_name_that_two_runs_have(service: Wandb, cloud_file: Path) -> None:
    twin = service.add("me/pricer", cloud_file)
    service.runs["me/pricer"]["twin"] = twin
    twin.id = "twin"
    service.add("me/pricer", cloud_file)
    with pytest.raises(UsageError, match="several runs") as caught:
        load("me/pricer/first try")
    assert "twin" in caught.value.hint


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_service_that_recovers_is_waited_for(service: Wandb, status: int) -> None:
    service.fail, service.fail_times, service.retry_after = status, 2, "0"
    assert len(load(path(service)).series["train/loss"]) == 250
    assert service.fail_times == 0


class Clock:
    """Time that passes only where it is waited for."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def now(self) -> float:
        return sum(self.waits)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        return event.is_set()


def viewer(clock: Clock) -> object:
    """Ask the service who is signed in."""
    with Service(now=clock.now, wait=clock.wait) as service:
        return service.ask("query Viewer { viewer { entity } }")["viewer"]


def test_retry_after_is_kept_to(service: Wandb) -> None:
    service.fail, service.fail_times, service.retry_after = 429, 2, "7"
    clock = Clock()
    assert viewer(clock)
    assert clock.waits == [7.0, 7.0], "the service said when to come again"


def test_retry_after_may_be_a_date(service: Wandb) -> None:
    service.fail, service.fail_times = 429, 1
    service.retry_after = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
    assert load(path(service)).id == the_id(service)


@pytest.mark.parametrize(("retry_after", "waits"), [("10", [10.0] * 5), ("49", [49.0]), ("51", [])])
def test_waiting_has_an_end(
    service: Wandb, monkeypatch: pytest.MonkeyPatch, retry_after: str, waits: list[float]
) -> None:
    monkeypatch.setenv("RUNSCOPE_PATIENCE_SECONDS", "50")
    service.fail, service.retry_after = 503, retry_after
    clock = Clock()
    with pytest.raises(Unreachable) as caught:
        viewer(clock)
    assert caught.value.status == 503
    assert clock.waits == waits
    assert len(service.operations) == len(waits) + 1


def test_a_service_that_names_no_time_is_asked_less_and_less_often(service: Wandb) -> None:
    service.fail = 503
    clock = Clock()
    with pytest.raises(Unreachable):
        viewer(clock)
    for pause, least in zip(clock.waits, (1, 2, 4, 8, 16, 30, 30), strict=False):
        assert least <= pause <= 1.25 * least, "the double each time, and up to a quarter more by chance"
    assert 5 <= len(clock.waits) <= 7, "within two minutes"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, NotSignedIn),
        (403, NotAllowed),
        (404, NotFound),
        (429, TooManyRequests),
        (500, Unreachable),
        (503, Unreachable),
        (418, ServiceError),
        (302, ServiceError),
    ],
)
@pytest.mark.parametrize("where", [None, {"HistoryPage"}])
def test_a_refusal_keeps_its_status_and_says_what_to_do(
    service: Wandb,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    error: type[RunscopeError],
    where: set[str] | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RUNSCOPE_PATIENCE_SECONDS", "3")
    service.fail, service.retry_after, service.fail_only = status, "7", where
    with pytest.raises(error) as caught:
        load(path(service))
    assert getattr(caught.value, "status", None) == status
    assert status != 429 or "7 s" in caught.value.hint
    assert main(["diagnose", path(service)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in said] == ["error", "hint"]


def test_a_service_that_is_not_there(service: Wandb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(Unreachable) as caught:
        load("me/pricer/abc")
    assert "WANDB_BASE_URL" in caught.value.hint


def test_something_that_is_no_wandb(service: Wandb) -> None:
    """A proxy that answers everything with a page of its own."""
    service.page_instead = b"<html>log in first</html>"
    with pytest.raises(ServiceError, match="no W&B answer") as caught:
        load(path(service))
    assert "proxy" in caught.value.hint


def test_no_key_and_a_wrong_key(service: Wandb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "w" * 40)
    with pytest.raises(NotSignedIn):
        load("me/pricer/abc")
    monkeypatch.delenv("WANDB_API_KEY")
    with pytest.raises(NotSignedIn, match="no W&B key"):
        load("me/pricer/abc")


def test_the_key_is_found_where_wandb_login_puts_it(
    service: Wandb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    host = service.url.removeprefix("http://")
    Path(os.environ["NETRC"]).write_text(f"machine {host}\n  login user\n  password {KEY}\n")
    assert load(path(service)).name == "first try"
    monkeypatch.delenv("WANDB_BASE_URL")
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    (tmp_path / "settings").write_text(f"[default]\nbase_url = {service.url}\n")
    assert load(path(service)).name == "first try"


def test_a_pasted_address_does_not_get_the_key_of_another_host(
    service: Wandb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    with pytest.raises(NotSignedIn, match="no W&B key") as caught:
        load(f"{service.url}/me/pricer/runs/abc")
    assert f"--host {service.url}" in caught.value.hint
    assert not service.operations
    assert not service.keys_seen


@pytest.mark.parametrize("written", ["{url}", "http://api.wandb.ai"])
def test_settings_of_the_current_folder_do_not_send_a_key_elsewhere(
    service: Wandb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: str
) -> None:
    """They come with a project; a host of the user's own is set in the environment or in the user's settings."""
    monkeypatch.delenv("WANDB_BASE_URL")
    monkeypatch.delenv("WANDB_DIR", raising=False)
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wandb").mkdir(exist_ok=True)
    (tmp_path / "wandb" / "settings").write_text(f"[default]\nbase_url = {written.format(url=service.url)}\n")
    with pytest.raises(NotSignedIn, match="no W&B key") as caught:
        load("me/pricer/abc")
    assert "wandb login --host" in caught.value.hint
    assert not service.operations
    assert not service.keys_seen


def test_unknown_runs_and_projects_are_told_apart(service: Wandb) -> None:
    with pytest.raises(NotFound, match="no run me/pricer/nothing"):
        load("me/pricer/nothing")
    with pytest.raises(NotFound, match="no project me/nothing"):
        load("me/nothing/abc")


def test_requests_go_side_by_side_up_to_a_limit(service: Wandb) -> None:
    """A long run: enough pages that a reader without a limit would have more under way."""
    run = service.runs["me/pricer"][the_id(service)]
    run.rows = [{"_step": i, "_timestamp": float(i), "loss": 1 / (i + 1)} for i in range(95_000)]
    service.gate = Gate(0)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(load, path(service))
        while service.busiest < SIDE_BY_SIDE and not reading.done():
            wait([reading], timeout=0.02)
        service.gate.open()
        assert len(reading.result().series["loss"]) == 95_000
    assert service.busiest == SIDE_BY_SIDE


def test_the_key_is_nowhere_to_be_seen(
    service: Wandb, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = service.runs["me/pricer"][the_id(service)]
    run.exported = 100
    run.config |= {"wandb_api_key": KEY, "hub": {"token": KEY}}
    assert main(["report", path(service), "--output", str(tmp_path / "out")]) == 0
    assert main(["show", path(service), "--format", "json"]) == 0
    assert main(["pull", "me/pricer", "--format", "json"]) == 0
    service.fail = 403
    assert main(["diagnose", path(service)]) == 2
    with pytest.raises(NotAllowed) as caught:
        main(["diagnose", path(service), "--debug"])
    seen = "".join(capfd.readouterr()) + repr(caught.value.__dict__)
    secrets = [KEY, "signature="]
    places = [tmp_path / "out", Path(os.environ["RUNSCOPE_HOME"])]
    files = [f for place in places for f in place.rglob("*") if f.is_file()]
    assert any(f.suffix == ".parquet" for f in files)
    for secret in secrets:
        assert secret not in seen
        for file in files:
            assert secret.encode() not in file.read_bytes(), file


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("me/pricer/2x9f1k3a", Address("me", "pricer", "2x9f1k3a")),
        ("pricer/2x9f1k3a", Address(None, "pricer", "2x9f1k3a")),
        ("https://wandb.ai/me/pricer/runs/2x9f1k3a", Address("me", "pricer", "2x9f1k3a", "https://wandb.ai")),
        ("https://wandb.ai/me/pricer/runs/2x9f1k3a/workspace?nw=nwuser#a", Address("me", "pricer", "2x9f1k3a", "https://wandb.ai")),
        ("https://forge.coreweave.com/wandb/me/pricer/runs/2x9f1k3a", Address("me", "pricer", "2x9f1k3a", "https://forge.coreweave.com")),
        ("https://w.example.org:8080/me/p%20q/runs/x", Address("me", "p q", "x", "https://w.example.org:8080")),
    ],
)  # fmt: skip
def test_addresses(reference: str, expected: Address) -> None:
    assert claims(reference)
    assert address(reference) == expected


@pytest.mark.parametrize(
    ("page", "base", "host"),
    [
        ("https://wandb.ai", "https://api.wandb.ai", "wandb.ai"),
        ("https://forge.coreweave.com", "https://api.forge.coreweave.com", "wandb.ai"),
        ("https://w.example.org:8080", "https://w.example.org:8080", "w.example.org:8080"),
    ],
)
def test_the_service_behind_a_page(
    page: str, base: str, host: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert base_url(page) == base
    assert host_name(base) == host
    monkeypatch.setenv("WANDB_BASE_URL", "https://api.wandb.ai/")
    assert base_url(page) == ("https://api.wandb.ai" if host == "wandb.ai" else base)


@pytest.mark.parametrize(
    "reference", ["heldout.jsonl", "a/b/c/d", "./x", "/abs/path", "runs/log.csv", "https://x.org/a"]
)
def test_what_is_no_run_of_wandb(reference: str) -> None:
    assert not claims(reference)


def test_an_address_without_a_run() -> None:
    with pytest.raises(UsageError):
        address("https://wandb.ai/runs/")


def test_machine_metrics_lie_on_the_steps(service: Wandb) -> None:
    run = service.runs["me/pricer"][the_id(service)]
    run.stats = [{"_timestamp": row["_timestamp"], "gpu.0.temp": 60 + i} for i, row in enumerate(run.rows)]
    temperature = load(path(service)).system["gpu.0.temp"]
    assert temperature.value.tolist() == [60.0 + i for i in range(len(run.rows))]
    assert temperature.step[-1] == 2500


def test_json_says_it_all(service: Wandb, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", path(service), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail)["id"] == the_id(service)
