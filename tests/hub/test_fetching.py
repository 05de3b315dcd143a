"""A fetch is whole or not there, checked, shared, and goes on after a kill; what would run code stays away."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from runscope.errors import InputError, StoreError, UnsafeFile
from runscope.history.checkpoint import File
from runscope.hub import fetch, list_checkpoints
from tests.hub import repos
from tests.hub.conftest import KINDS, REPO, Reach
from tests.servers.gate import LONGEST_SECONDS, Gate
from tests.servers.hub import Hub

FETCH = """
import sys
from runscope.hub import fetch, list_checkpoints
print(fetch(list_checkpoints(sys.argv[1])[0]))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_arrives_whole(hub: Hub, reach: Reach, tmp_path: Path, kind: str) -> None:
    hub.use_lfs = kind != "bundle"
    repos.training(hub, REPO, tmp_path / "output", (100, 200))
    first, second = list_checkpoints(reach(REPO, kind))
    place = fetch(second)
    for name, content in repos.adapter(200, scale=2).items():
        assert (place / name).read_bytes() == content
    assert (place / "tokenizer.json").samefile(
        fetch(first) / "tokenizer.json"
    )  # the same content lies there once
    assert {p.name for p in place.iterdir()} == {
        "adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "config.json", ".whole",
    }  # fmt: skip


def test_a_bundle_of_pointers_says_where_the_content_is(hub: Hub, reach: Reach, tmp_path: Path) -> None:
    repos.training(hub, REPO, tmp_path / "output", (100,))
    (only,) = list_checkpoints(reach(REPO, "bundle"))
    assert "holds no Git LFS" in " ".join(only.notes)
    with pytest.raises(InputError) as error:
        fetch(only)
    assert "bundle holds no Git LFS objects" in error.value.hint


def test_the_second_fetch_asks_nobody(hub: Hub, tmp_path: Path) -> None:
    repos.training(hub, REPO, tmp_path / "output", (100,))
    (only,) = list_checkpoints(REPO)
    place = fetch(only)
    hub.requests.clear()
    assert fetch(only) == place
    assert not hub.requests


def test_a_connection_that_breaks_costs_nothing_but_time(hub: Hub, tmp_path: Path) -> None:
    big = repos.safetensors({"w": repos.np.ones(500_000)})
    repos.push(hub, "me/big", "step 1", {"model.safetensors": big}, tmp_path / "output")
    (only,) = list_checkpoints("me/big")
    hub.cut_after, hub.cut_times = 1_000_000, 2
    assert (fetch(only) / "model.safetensors").read_bytes() == big
    assert hub.cut_times == 0


def test_a_killed_fetch_leaves_nothing_half_and_goes_on(hub: Hub, tmp_path: Path) -> None:
    files = {f"model-{n}.safetensors": repos.safetensors({"w": repos.np.full(50_000, n)}) for n in range(6)}
    repos.push(hub, "me/shards", "step 1", files, tmp_path / "output")
    (only,) = list_checkpoints("me/shards")
    hub.gate = Gate(2)
    process = subprocess.Popen([sys.executable, "-c", FETCH, "me/shards"], stdout=subprocess.PIPE)
    assert hub.gate.reached.wait(LONGEST_SECONDS)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    hub.gate.open()
    home = Path(os.environ["RUNSCOPE_HOME"]) / "checkpoints"
    assert not list(home.rglob(".whole"))
    arrived = {p.name for p in (home / "blobs").iterdir() if len(p.name) == 64}
    assert arrived
    hub.requests.clear()
    place = fetch(only)
    assert {n: (place / n).read_bytes() for n in files} == files
    asked = {r.rpartition("/")[2] for r in hub.requests if r.startswith("GET") and "/resolve/" in r}
    assert len(asked) == len(files) - len(arrived)


def test_what_is_not_what_the_repository_names_is_refused(hub: Hub, tmp_path: Path) -> None:
    repos.training(hub, REPO, tmp_path / "output", (100,))
    (only,) = list_checkpoints(REPO)
    (name,) = [f.content_id for f in only.weights]
    right = hub.lfs[name]
    for wrong, word in ((right[:-1] + b"!", "hash"), (right + b"more", "bytes")):
        hub.lfs[name] = wrong
        with pytest.raises(InputError) as error:
            fetch(only)
        assert word in error.value.message
    hub.lfs[name] = right
    assert (fetch(only) / "adapter_model.safetensors").read_bytes() == right


def test_two_at_once_share_one_download(hub: Hub, tmp_path: Path) -> None:
    repos.push(
        hub,
        "me/one",
        "step 1",
        {"model.safetensors": repos.safetensors({"w": repos.np.ones(9)})},
        tmp_path / "o",
    )
    hub.delay_seconds = 0.1
    both = [
        subprocess.Popen([sys.executable, "-c", FETCH, "me/one"], stdout=subprocess.PIPE) for _ in range(2)
    ]
    places = {p.communicate(timeout=LONGEST_SECONDS)[0] for p in both}
    assert [p.returncode for p in both] == [0, 0]
    assert len(places) == 1


def test_a_full_disk_is_told(hub: Hub, tmp_path: Path) -> None:
    """No file may grow beyond a limit, which fails a write the same way."""
    big = repos.safetensors({"w": repos.np.ones(500_000)})
    repos.push(hub, "me/big", "step 1", {"model.safetensors": big}, tmp_path / "output")
    (only,) = list_checkpoints("me/big")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, old[1]))
    try:
        with pytest.raises(StoreError) as error:
            fetch(only)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, ignored)
    assert "RUNSCOPE_HOME" in error.value.hint
    assert (fetch(only) / "model.safetensors").read_bytes() == big


def test_pickles_and_code_stay_where_they_are(hub: Hub, tmp_path: Path) -> None:
    repos.push(
        hub, "me/old", "step 1", {"pytorch_model.bin": b"\x80\x02}.", "config.json": b"{}"}, tmp_path / "o"
    )
    (old,) = list_checkpoints("me/old")
    assert "pickle" in " ".join(old.notes)
    with pytest.raises(UnsafeFile):
        fetch(old)
    assert (fetch(old, allow_pickle=True) / "pytorch_model.bin").read_bytes() == b"\x80\x02}."
    files = repos.adapter(1) | {
        "modeling.py": b"import os",
        "training_args.bin": b"\x80",
        "optimizer.pt": b"\x80",
    }
    repos.push(hub, "me/new", "step 1", files, tmp_path / "n")
    place = fetch(list_checkpoints("me/new")[0])
    assert not {"modeling.py", "training_args.bin", "optimizer.pt"} & {p.name for p in place.iterdir()}


@pytest.mark.parametrize(
    "path", ["../outside.safetensors", "/tmp/outside.safetensors", "a/../../b.safetensors"]
)
def test_a_path_that_leads_out_is_refused(hub: Hub, tmp_path: Path, path: str) -> None:
    repos.training(hub, REPO, tmp_path / "output", (100,))
    (only,) = list_checkpoints(REPO)
    hostile = replace(only, files=(*only.files, File(path, 8, "")))
    hub.requests.clear()
    with pytest.raises(UnsafeFile):
        fetch(hostile)
    assert not hub.requests


def test_a_content_id_is_no_path(hub: Hub, tmp_path: Path) -> None:
    repos.training(hub, REPO, tmp_path / "output", (100,))
    (only,) = list_checkpoints(REPO)
    files = tuple(replace(f, content_id="../../../evil") for f in only.files)
    assert (fetch(replace(only, files=files)) / "adapter_model.safetensors").exists()
    assert not list(tmp_path.rglob("evil*"))
