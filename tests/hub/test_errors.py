"""The real client against a Hub that refuses: one error, one hint, the status, and never the token."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from runscope.errors import (
    NotAllowed,
    NotFound,
    NotSignedIn,
    RunscopeError,
    ServiceError,
    StoreError,
    TooManyRequests,
    UnknownReference,
    Unreachable,
)
from runscope.hub import fetch, list_checkpoints
from runscope.hub.pairing import list_repositories
from tests.hub import repos
from tests.hub.conftest import REPO
from tests.servers.hub import Hub

TOKEN = "hf_secretsecretsecret"
STATUSES: tuple[tuple[int, type[ServiceError]], ...] = (
    (401, NotSignedIn), (403, NotAllowed), (404, NotFound), (429, TooManyRequests), (500, Unreachable),
    (503, Unreachable), (418, ServiceError),
)  # fmt: skip


@pytest.mark.parametrize(("status", "kind"), STATUSES)
def test_each_refusal_has_its_error(hub: Hub, status: int, kind: type[ServiceError]) -> None:
    hub.fail, hub.retry_after = status, "77" if status == 429 else None
    for ask in (lambda: list_checkpoints(REPO), lambda: list_repositories("me")):
        with pytest.raises(kind) as error:
            ask()
        assert type(error.value) is kind
        assert error.value.status == status
        _says_it_well(error.value)
        if status == 429:
            assert "77 seconds" in error.value.hint


def test_a_bad_token_is_told_from_a_private_repository(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.token = "hf_another"
    with pytest.raises(NotSignedIn) as error:
        list_checkpoints(REPO)
    assert "does not accept the token" in error.value.message
    _says_it_well(error.value)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(NotSignedIn) as error:
        list_checkpoints(REPO)
    assert "private" in error.value.message
    assert "hf auth login" in error.value.hint


def test_a_short_refusal_is_waited_for(hub: Hub, tmp_path: Path) -> None:
    repos.training(hub, REPO, tmp_path / "output", (100,))
    hub.fail, hub.fail_times, hub.retry_after = 429, 1, "0"
    assert len(list_checkpoints(REPO)) == 1
    hub.fail, hub.fail_times, hub.retry_after = 503, 1, None
    assert len(list_checkpoints(f"{REPO}@main")) == 1


def test_what_was_read_before_a_refusal_is_kept(hub: Hub, tmp_path: Path) -> None:
    hub.create("me/long")
    store = hub.store("me/long")
    assert store is not None
    for step in range(1, 41):
        store.commit(f"step {step}", {"model.safetensors": bytes([step]) * 300})
    last = store.head()
    hub.fail, hub.fail_path, hub.retry_after = 429, f"/tree/{last}", "600"
    with pytest.raises(TooManyRequests) as error:
        list_checkpoints("me/long")
    assert "600 seconds" in error.value.hint
    before = {r for r in hub.requests if "/tree/" in r}
    hub.fail = None
    hub.requests.clear()
    assert len(list_checkpoints("me/long")) == 40
    again = {r for r in hub.requests if "/tree/" in r}
    assert len(again) < 41
    assert len(before | again) == 41


def test_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path))
    with pytest.raises(Unreachable) as error:
        list_checkpoints(REPO)
    _says_it_well(error.value)


@pytest.mark.parametrize(
    "name",
    ["no such name", "a/b/c/d", "../etc", "hf://", "x" * 200, "", "  ", "./gone", "/tmp/gone", "~/gone", "gone",
     "gone/", "./gone@main"],
)  # fmt: skip
def test_what_is_no_name_is_refused_without_a_call(hub: Hub, name: str) -> None:
    with pytest.raises(RunscopeError) as error:
        list_checkpoints(name)
    _says_it_well(error.value)
    assert not hub.requests


def test_what_lies_beside_a_path_is_offered(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "output").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("outptu", "./outptu", str(tmp_path / "outptu"), "outptu@main"):
        with pytest.raises(UnknownReference) as error:
            list_checkpoints(name)
        assert "output?" in error.value.hint
    assert not hub.requests


def test_a_name_without_an_owner_is_asked_for_where_the_scheme_says_so(hub: Hub) -> None:
    with pytest.raises(ServiceError):
        list_checkpoints("hf://gpt2")
    assert hub.requests


def test_a_gated_file_and_a_missing_object(hub: Hub, tmp_path: Path) -> None:
    repos.training(hub, REPO, tmp_path / "output", (100,))
    (only,) = list_checkpoints(REPO)
    hub.fail, hub.fail_path = 403, "/resolve/"
    with pytest.raises(NotAllowed):
        fetch(only)
    hub.fail = None
    hub.lfs.clear()
    with pytest.raises(NotFound) as error:
        fetch(only)
    assert "adapter_model.safetensors" in error.value.message


def test_the_command_line_prints_two_lines(hub: Hub, tmp_path: Path) -> None:
    hub.fail, hub.retry_after = 429, "300"
    done = subprocess.run(
        [sys.executable, "-m", "runscope", "checkpoints", REPO], capture_output=True, text=True, cwd=tmp_path,
        env=dict(os.environ), check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    first, second = done.stderr.strip().splitlines()
    assert first.startswith("error: ")
    assert second.startswith("hint: wait 300 seconds")
    assert TOKEN not in done.stderr


def test_a_place_that_cannot_be_written(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repos.training(hub, REPO, tmp_path / "output", (100,))
    (only,) = list_checkpoints(REPO)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "file"))
    with pytest.raises(StoreError):
        fetch(only)


def _says_it_well(error: RunscopeError) -> None:
    assert error.message
    assert error.hint
    for text in (error.message, error.hint):
        assert "\n" not in text
        assert TOKEN not in text
        assert "http" not in text
