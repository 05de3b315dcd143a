"""Every kind of repository is read alike, and what is odd about one is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runscope.errors import InputError, NotFound
from runscope.hub import list_checkpoints, list_repository
from tests.hub import repos
from tests.hub.conftest import KINDS, REPO, Reach
from tests.servers.hub import Hub


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_is_read_alike_from_everywhere(hub: Hub, reach: Reach, tmp_path: Path, kind: str) -> None:
    repos.training(hub, REPO, tmp_path / "output")
    listing = list_repository(reach(REPO, kind))
    found = listing.checkpoints
    assert [c.step for c in found] == [100, 200, 300, 400]
    assert {c.step_source for c in found} == {"title"}
    assert [c.saved_at for c in found] == [repos.START + 600 * n for n in (1, 2, 3, 4)]
    assert listing.last_commit_at == repos.START + 2460
    assert listing.commits == 6
    weights = repos.adapter(300, scale=3)["adapter_model.safetensors"]
    assert [f.size_bytes for f in found[2].weights] == [len(weights)]
    assert found[0].changed_files[0] == "adapter_config.json"
    assert found[2].changed_files == ("adapter_model.safetensors",)
    assert all(c.changed and c.same_as is None for c in found)
    assert {c.revision for c in found} == {c.revision for c in list_checkpoints(f"hf://{REPO}")}


@pytest.mark.parametrize("kind", KINDS)
def test_content_ids_do_not_depend_on_the_way(hub: Hub, reach: Reach, tmp_path: Path, kind: str) -> None:
    repos.training(hub, REPO, tmp_path / "output", (100, 200))
    ids = [{f.path: f.content_id for f in c.files} for c in list_checkpoints(reach(REPO, kind))]
    assert ids == [{f.path: f.content_id for f in c.files} for c in list_checkpoints(REPO)]
    assert len(ids[0]["adapter_model.safetensors"]) == 64


@pytest.mark.parametrize("kind", KINDS)
def test_checkpoint_strategies_list_each_save_once(hub: Hub, reach: Reach, tmp_path: Path, kind: str) -> None:
    for number, step in enumerate((50, 100, 150)):
        files = repos.adapter(step)
        repos.push(hub, "me/all", f"Training in progress, step {step}", files, tmp_path / "a")
        inner = {**files, "trainer_state.json": repos.state(step, 1.5 * (number + 1) / 3)}
        for folder in (f"checkpoint-{step}", "last-checkpoint"):
            repos.push(
                hub, "me/all", f"Training in progress, step {step}, checkpoint", inner,
                tmp_path / f"c{step}", path_in_repo=folder,
            )  # fmt: skip
    found = list_checkpoints(reach("me/all", kind))
    assert sorted((c.subfolder, c.step) for c in found) == sorted(
        (folder, step) for step in (50, 100, 150) for folder in ("", "last-checkpoint", f"checkpoint-{step}")
    )
    folders = {c.subfolder: c for c in found}
    assert folders["checkpoint-100"].step_source == "folder"
    assert folders["checkpoint-100"].epoch == pytest.approx(1.0)
    assert folders["checkpoint-100"].same_as is not None  # the root of the commit before has the same weights


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_tells_the_step_where_no_title_does(
    hub: Hub, reach: Reach, tmp_path: Path, kind: str
) -> None:
    files = repos.adapter(1) | {"trainer_state.json": repos.state(700, 2.5)}
    repos.push(hub, "me/plain", "Upload folder using huggingface_hub", files, tmp_path / "output")
    (only,) = list_checkpoints(reach("me/plain", kind))
    assert (only.step, only.step_source, only.epoch) == (700, "trainer_state", 2.5)


def test_a_damaged_state_costs_only_its_step(hub: Hub, tmp_path: Path) -> None:
    for number, broken in enumerate(
        (b"{", b"[]", b'{"global_step": null}', json.dumps({"log_history": 3}).encode())
    ):
        files = repos.adapter(number) | {"trainer_state.json": broken}
        repos.push(hub, "me/broken", f"save {number}", files, tmp_path / "output")
    found = list_checkpoints("me/broken")
    assert [c.step for c in found] == [None] * 4


@pytest.mark.parametrize("kind", KINDS)
def test_saving_the_same_weights_again_is_told(hub: Hub, reach: Reach, tmp_path: Path, kind: str) -> None:
    """A frozen model saves the same file at each step; the best one loaded at the end is that of an earlier step."""
    same = repos.adapter(7)
    for number, step in enumerate((10, 20)):
        repos.push(
            hub, "me/frozen", f"step {step}", {**same, "n.txt": str(number).encode()}, tmp_path / "output"
        )
    repos.push(hub, "me/frozen", "step 30", repos.adapter(8), tmp_path / "output")
    repos.push(hub, "me/frozen", "Model save", same, tmp_path / "output")
    found = list_checkpoints(reach("me/frozen", kind))
    assert [(c.step, c.changed) for c in found] == [(10, True), (20, False), (30, True), (10, True)]
    assert found[3].step_source == "weights"
    assert found[3].same_as == found[0].name


@pytest.mark.parametrize("kind", KINDS)
def test_branches_named_after_steps_are_checkpoints(
    hub: Hub, reach: Reach, tmp_path: Path, kind: str
) -> None:
    repos.push(hub, "me/suite", "add the final model", repos.adapter(0), tmp_path / "output")
    store = hub.store("me/suite")
    assert store is not None
    for step in (1000, 2000, 10000):
        store.commit("upload", repos.adapter(step), branch=f"step{step}")
    store.git("tag", "v1.0", "main")
    listing = list_repository(reach("me/suite", kind))
    assert [c.step for c in listing.checkpoints] == [None, 1000, 2000, 10000]
    assert {c.step_source for c in listing.checkpoints[1:]} == {"branch"}
    assert not listing.notes


def test_a_tag_a_branch_a_pull_request_and_a_commit_can_be_named(
    hub: Hub, reach: Reach, tmp_path: Path
) -> None:
    repos.training(hub, REPO, tmp_path / "output", (100, 200))
    store = hub.store(REPO)
    assert store is not None
    first = list_checkpoints(REPO)[0].revision
    assert first is not None
    store.git("tag", "early", first)
    store.commit("step 900", repos.adapter(900), branch="other")
    store.commit("step 950", repos.adapter(950), branch="refs/pr/1")
    steps = {
        name: [c.step for c in list_checkpoints(f"{reference}@{name}")]
        for reference in (f"hf://{REPO}", reach(REPO, "bare"), reach(REPO, "bundle"))
        for name in ("early", "other", "refs/pr/1", first)
    }
    assert steps == {"early": [100], "other": [100, 200, 900], "refs/pr/1": [100, 200, 950], first: [100]}
    notes = " ".join(list_repository(REPO).notes)
    assert "other" in notes
    assert "refs/pr/1" in notes
    for reference in (REPO, reach(REPO, "clone")):
        with pytest.raises(NotFound) as error:
            list_checkpoints(f"{reference}@nowhere")
        assert "nowhere" in error.value.message


def test_a_squashed_history_says_so(hub: Hub, tmp_path: Path) -> None:
    repos.training(hub, REPO, tmp_path / "output")
    store = hub.store(REPO)
    assert store is not None
    store.squash("Super-squash branch 'main' using huggingface_hub")
    listing = list_repository(REPO)
    assert len(listing.checkpoints) == 1
    assert "squashed" in " ".join(listing.notes)


def test_a_rewritten_branch_says_what_it_lost(hub: Hub, tmp_path: Path) -> None:
    repos.training(hub, REPO, tmp_path / "output", (100, 200))
    before = list_repository(REPO)
    assert not before.notes
    store = hub.store(REPO)
    assert store is not None
    store.git("update-ref", "refs/heads/main", str(before.checkpoints[0].revision))
    repos.push(hub, REPO, "Training in progress, step 220", repos.adapter(220), tmp_path / "output")
    for _ in range(2):
        after = list_repository(REPO)
        assert [c.step for c in after.checkpoints] == [100, 220]
        assert "rewritten" in after.notes[0]
        assert "End of training" in after.notes[0]


def test_an_empty_repository_and_one_without_weights_are_no_error(hub: Hub, tmp_path: Path) -> None:
    repos.push(hub, "me/empty", "Add a card", {"README.md": b"soon"}, tmp_path / "output")
    listing = list_repository("me/empty")
    assert listing.checkpoints == ()
    assert "holds weights yet" in listing.notes[0]


def test_objects_that_were_not_fetched_are_named(hub: Hub, tmp_path: Path) -> None:
    repos.training(hub, REPO, tmp_path / "output", (100,))
    place = repos.clone(hub, REPO, tmp_path / "clone", lfs=False)
    (only,) = list_checkpoints(str(place))
    assert only.step == 100
    assert "not fetched" in " ".join(only.notes)


def test_a_shallow_clone_says_so(hub: Hub, tmp_path: Path) -> None:
    repos.training(hub, REPO, tmp_path / "output")
    store = hub.store(REPO)
    assert store is not None
    place = tmp_path / "shallow"
    import subprocess

    subprocess.run(["git", "clone", "-q", "--depth", "2", f"file://{store.path}", str(place)], check=True)
    assert "shallow" in " ".join(list_repository(str(place)).notes)


def test_hostile_paths_are_left_out_and_said(hub: Hub, tmp_path: Path) -> None:
    repos.training(hub, REPO, tmp_path / "output", (100,))
    hub.hostile_paths = (
        "../../evil.safetensors",
        "/etc/model.safetensors",
        "a\\..\\b.safetensors",
        "x/../../y.bin",
    )
    listing = list_repository(REPO)
    assert [c.subfolder for c in listing.checkpoints] == [""]
    assert "hostile" in " ".join(listing.notes)


def test_a_pipeline_is_one_checkpoint(hub: Hub, tmp_path: Path) -> None:
    files = {
        "model_index.json": b"{}", "unet/diffusion_pytorch_model.safetensors": repos.safetensors({}),
        "vae/diffusion_pytorch_model.safetensors": repos.safetensors({}),
    }  # fmt: skip
    repos.push(hub, "me/pictures", "End of training", files, tmp_path / "output")
    (only,) = list_checkpoints("me/pictures")
    assert (only.subfolder, len(only.weights)) == ("", 2)


def test_pages_are_followed_and_trees_remembered(hub: Hub, tmp_path: Path) -> None:
    hub.page, hub.tree_page = 7, 2
    hub.create("me/long")
    store = hub.store("me/long")
    assert store is not None
    for step in range(1, 31):
        store.commit(f"step {step}", {"model.safetensors": bytes([step]) * 300, "config.json": b"{}"})
    assert [c.step for c in list_checkpoints("me/long")] == list(range(1, 31))
    assert sum("/tree/" in r for r in hub.requests) >= 60
    hub.requests.clear()
    store.commit("step 31", {"model.safetensors": b"new" * 100})
    assert len(list_checkpoints("me/long")) == 31
    assert len({r for r in hub.requests if "/tree/" in r}) == 1


def test_a_folder_of_checkpoints_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    output = tmp_path / "output"
    for step in (500, 1000):
        place = output / f"checkpoint-{step}"
        place.mkdir(parents=True)
        files = repos.adapter(step) | {
            "trainer_state.json": repos.state(step, step / 500),
            "optimizer.pt": b"o",
        }
        for name, content in files.items():
            (place / name).write_bytes(content)
    for name, content in repos.adapter(1000).items():
        (output / name).write_bytes(content)
    found = list_checkpoints(str(output))
    assert [(c.subfolder, c.step, c.epoch) for c in found] == [
        ("checkpoint-500", 500, 1.0), ("checkpoint-1000", 1000, 2.0), ("", 1000, 2.0),
    ]  # fmt: skip
    assert found[2].step_source == "weights"
    (tmp_path / "nothing").mkdir()
    for wrong in (tmp_path / "nothing", output / "adapter_config.json"):
        with pytest.raises(InputError):
            list_checkpoints(str(wrong))
