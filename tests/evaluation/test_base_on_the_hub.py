"""A base that lies on the Hub: it is asked once, shortly, and what was downloaded before serves without it."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evaluation.conftest import Place
from tests.hub import repos
from tests.servers.hub import Hub, serve


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with serve(tmp_path / "server") as service:
        monkeypatch.setenv("HF_ENDPOINT", service.url)
        yield service


def evaluate(place: Place, base: str, home: Path) -> subprocess.CompletedProcess[str]:
    output = home / "checkpoint-100"
    shutil.copytree(place.output / "checkpoint-100", output)
    return subprocess.run(
        [sys.executable, "-m", "runscope", "evaluate", str(output), "--data", str(place.held_out), "--base", base],
        env={**os.environ, "RUNSCOPE_HOME": str(home)}, capture_output=True, text=True,
    )  # fmt: skip


def test_no_network_is_one_error_and_one_hint(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    done = evaluate(place, "me/base", tmp_path / "home")
    assert done.returncode == 2
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: the Hub did not answer when asked for config.json of me/base")
    assert hint.startswith("hint: check the network")


def test_a_base_that_cannot_fit_is_refused_before_it_is_fetched(
    place: Place, hub: Hub, tmp_path: Path
) -> None:
    """By its header alone, which tells of 8 TB in float32."""
    files = {p.name: p.read_bytes() for p in place.base.iterdir()}
    tensor = {"dtype": "BF16", "shape": [2_000_000, 1_000_000], "data_offsets": [0, 4_000_000_000_000]}
    header = json.dumps({"model.layers.0.w": tensor}).encode()
    files["model.safetensors"] = struct.pack("<Q", len(header)) + header + bytes(99_999)
    repos.push(hub, "me/base", "base", files, tmp_path / "pushed")
    done = evaluate(place, "me/base", tmp_path / "home")
    assert done.returncode == 2, done.stderr
    assert (
        "error: the model me/base does not fit into memory: its weights need 8.0 TB in float32" in done.stderr
    )
    assert not [p for p in (tmp_path / "hf").rglob("*") if p.is_file() and p.stat().st_size > 90_000]


def test_what_was_downloaded_before_serves_without_the_hub(place: Place, hub: Hub, tmp_path: Path) -> None:
    files = {p.name: p.read_bytes() for p in place.base.iterdir()}
    repos.push(hub, "me/base", "base", files, tmp_path / "pushed")
    first = evaluate(place, "me/base", tmp_path / "first")
    assert first.returncode == 0, first.stderr
    hub.fail = 503
    again = evaluate(place, "me/base", tmp_path / "again")
    assert (again.returncode, again.stdout) == (0, first.stdout), again.stderr
    assert "503" not in again.stderr
