"""Runs in Hub repositories: pushed by the real client, states by transformers, event files by torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import HfApi

from runscope.errors import NotFound, SeveralRuns, UnreadableRun
from runscope.sources import load
from runscope.sources.hub_files import claims
from tests.hub.conftest import hub  # noqa: F401 - a fixture
from tests.servers.hub import Hub

callbacks = pytest.importorskip("transformers.trainer_callback", reason="transformers is missing")
REPO = "me/pricer-2024-09-13_13.04.39"

Push = Callable[[str, dict[str, Path]], str]


def _state(folder: Path, last: int, *, shift: float = 0.0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    history = [
        {"loss": math.nan if step == 30 else 3.0 - step / 100 + shift, "epoch": step / 100, "step": step}
        for step in range(10, last + 1, 10)
    ]
    state = callbacks.TrainerState(log_history=history, global_step=last, max_steps=200, epoch=last / 100)
    state.save_to_json(str(folder / "trainer_state.json"))
    return folder / "trainer_state.json"


def _events(folder: Path, last: int) -> Path:
    writers = pytest.importorskip("torch.utils.tensorboard", reason="torch or tensorboard is missing")
    with writers.SummaryWriter(str(folder)) as out:
        for step in range(10, last + 1, 10):
            out.add_scalar("train/loss", 3.0 - step / 100, step)
    (file,) = folder.iterdir()
    return file


@pytest.fixture
def push(hub: Hub) -> Push:  # noqa: F811
    api = HfApi(endpoint=hub.url, token="hf_secretsecretsecret")
    api.create_repo(REPO)

    def push(title: str, files: dict[str, Path]) -> str:
        folder = next(iter(files.values())).parent
        for path, file in files.items():
            done = api.upload_file(
                path_or_fileobj=str(file), path_in_repo=path, repo_id=REPO, commit_message=title
            )
        assert folder.is_dir()
        return str(done.oid)

    return push


def test_the_newest_state_is_read(push: Push, tmp_path: Path) -> None:
    push("Training in progress, step 50", {"checkpoint-50/trainer_state.json": _state(tmp_path / "a", 50)})
    push("Training in progress, step 100", {"checkpoint-100/trainer_state.json": _state(tmp_path / "b", 100)})
    run = load(f"hf://{REPO}")
    assert run.name == REPO.partition("/")[2]
    assert run.project == REPO
    assert run.roles["train_loss"] == "loss"
    assert run.series["loss"].step.tolist() == list(range(10, 101, 10))
    assert np.isnan(run.series["loss"].value[2])
    assert load(f"hf://{REPO}::checkpoint-50").last_step == 50


def test_an_older_revision_holds_the_history_up_to_then(push: Push, tmp_path: Path, hub: Hub) -> None:  # noqa: F811
    place = "last-checkpoint/trainer_state.json"
    old = push("Training in progress, step 50", {place: _state(tmp_path / "a", 50)})
    push("Training in progress, step 100", {place: _state(tmp_path / "b", 100)})
    assert load(f"hf://{REPO}@{old}").last_step == 50
    assert load(f"{hub.url}/{REPO}/tree/{old}").last_step == 50
    assert load(f"hf://{REPO}").last_step == 100


def test_event_files_where_there_is_no_state(push: Push, tmp_path: Path) -> None:
    first, second = _events(tmp_path / "1", 50), _events(tmp_path / "2", 100)
    push("one", {f"runs/Sep13_13-04-39_host/{first.name}": first})
    assert load(f"hf://{REPO}").series["train/loss"].step.tolist() == list(range(10, 51, 10))
    push("two", {f"runs/Sep14_09-00-00_host/{second.name}": second})
    with pytest.raises(SeveralRuns) as caught:
        load(f"hf://{REPO}")
    assert caught.value.references[1] == f"hf://{REPO}::runs/Sep14_09-00-00_host"
    run = load(caught.value.references[1])
    assert (run.name, run.last_step) == ("Sep14_09-00-00_host", 100)


def test_what_was_read_once_is_not_fetched_again(push: Push, tmp_path: Path, hub: Hub) -> None:  # noqa: F811
    push("Training in progress, step 50", {"trainer_state.json": _state(tmp_path / "a", 50)})
    first = load(f"hf://{REPO}")
    hub.requests.clear()
    assert load(f"hf://{REPO}").points == first.points
    assert not [r for r in hub.requests if "/resolve/" in r or "/tree/" in r]


def test_a_repository_that_holds_no_log(push: Push, tmp_path: Path) -> None:
    push("initial", {"README.md": _state(tmp_path / "a", 10)})
    with pytest.raises(UnreadableRun) as caught:
        load(f"hf://{REPO}")
    assert "hub_strategy" in caught.value.hint


def test_a_repository_or_revision_that_is_not_there(hub: Hub, push: Push) -> None:  # noqa: F811
    for reference in ("hf://me/nothing", f"hf://{REPO}@nothing"):
        with pytest.raises(NotFound) as caught:
            load(reference)
        assert caught.value.hint


def test_a_cut_state(push: Push, tmp_path: Path) -> None:
    file = _state(tmp_path / "a", 50)
    whole = file.read_bytes()
    file.write_bytes(whole[: whole.rindex(b'"loss"')])
    push("cut", {"trainer_state.json": file})
    run = load(f"hf://{REPO}")
    assert run.last_step == 40
    assert any("is cut" in note for note in run.notes)
    file.write_bytes(whole[:20])
    push("cut shorter", {"trainer_state.json": file})
    with pytest.raises(UnreadableRun) as caught:
        load(f"hf://{REPO}")
    assert "trainer_state.json of me/pricer" in caught.value.message


@pytest.mark.parametrize(
    ("reference", "ours"),
    [
        ("hf://me/pricer", True), ("https://huggingface.co/me/pricer", True), ("me/pricer", False),
        ("https://huggingface.co/me", False), ("https://wandb.ai/me/pricer/runs/1", False),
    ],
)  # fmt: skip
def test_claims(reference: str, ours: bool) -> None:
    assert claims(reference) is ours
