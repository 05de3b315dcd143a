"""One training, pushed by the real client, and reached in every way a repository can be named."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hub import repos
from tests.servers.hub import Hub, serve

KINDS = ("hub", "clone", "bare", "bundle")
REPO = "me/pricer-2024-09-13_13.04.39"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub of one's own; the real client is pointed at it."""
    (tmp_path / "server").mkdir()
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecretsecret")
    with serve(tmp_path / "server") as service:
        monkeypatch.setenv("HF_ENDPOINT", service.url)
        yield service


Reach = Callable[[str, str], str]


@pytest.fixture
def reach(hub: Hub, tmp_path: Path) -> Reach:
    """A repository of the stand-in as a reference of some kind."""

    def reference(repo: str, kind: str) -> str:
        target = tmp_path / kind / repo.replace("/", "__")
        if kind == "hub":
            return f"hf://{repo}"
        if kind == "clone":
            return str(repos.clone(hub, repo, target))
        mirror = repos.clone(hub, repo, target.with_suffix(".git"), "--mirror")
        if kind == "bare":
            return str(mirror)
        bundle = target.with_suffix(".bundle")
        subprocess.run(["git", "bundle", "create", "-q", str(bundle), "--all"], cwd=mirror, check=True)
        return str(bundle)

    return reference
