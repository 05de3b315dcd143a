"""The training's arguments are read from the Trainer's pickle, and nothing in it runs."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import pytest

from runscope.hub import list_checkpoints, training_args
from runscope.hub.training_arguments import parse
from tests.hub import repos
from tests.hub.conftest import Reach
from tests.servers.hub import Hub

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


def saved(folder: Path, *, zipped: bool = True) -> bytes:
    from transformers import TrainingArguments

    made = TrainingArguments(
        output_dir=str(folder), learning_rate=3e-4, max_steps=7, use_cpu=True, report_to=[], seed=5
    )
    content = io.BytesIO()
    torch.save(made, content, _use_new_zipfile_serialization=zipped)
    return content.getvalue()


@pytest.mark.parametrize("zipped", [True, False])
def test_plain_values_are_read_from_both_of_torchs_formats(zipped: bool, tmp_path: Path) -> None:
    found = parse(saved(tmp_path, zipped=zipped))
    assert (found["learning_rate"], found["max_steps"], found["seed"]) == (3e-4, 7, 5)
    assert all(v is None or isinstance(v, bool | int | float | str) for v in found.values())


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.mark), "w")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_no_function_is_called_whatever_the_file_asks_for(protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    content = pickle.dumps({"a": Hostile(mark), "b": [Hostile(mark)]}, protocol=protocol)
    assert parse(content) == {}
    assert not mark.exists()
    told = pickle.loads(content)
    for file in (told["a"], *told["b"]):
        file.close()
    assert mark.exists(), "the file really asks for it"


def test_what_is_damaged_or_something_else_tells_nothing(tmp_path: Path) -> None:
    whole = saved(tmp_path)
    for content in (b"", b"PK\x03\x04", whole[:200], whole[:-200], pickle.dumps([1, 2]), b"\x80\x04}q\x00."):
        assert parse(content) == {}


def test_it_lies_with_a_checkpoint_on_disk_and_in_a_repository(tmp_path: Path) -> None:
    (checkpoint,) = list_checkpoints(str(output(tmp_path / "output")))
    assert training_args(checkpoint)["max_steps"] == 7
    bare = output(tmp_path / "bare", told=False)
    (silent,) = list_checkpoints(str(bare))
    assert training_args(silent) == {}


def output(folder: Path, *, told: bool = True) -> Path:
    from safetensors.torch import save_file

    place = folder / "checkpoint-7"
    place.mkdir(parents=True)
    save_file({"weight": torch.zeros(2)}, place / "model.safetensors")
    (place / "config.json").write_text("{}")
    if told:
        (place / "training_args.bin").write_bytes(saved(folder))
    return folder


@pytest.mark.parametrize("kind", ["hub", "clone"])
def test_of_a_repository_it_is_read_from_its_commit(
    kind: str, hub: Hub, reach: Reach, tmp_path: Path
) -> None:
    files = repos.adapter(7) | {"training_args.bin": saved(tmp_path)}
    repos.push(hub, "me/trained", "Training in progress, step 7", files, tmp_path / "output")
    (checkpoint,) = list_checkpoints(reach("me/trained", kind))
    assert training_args(checkpoint)["seed"] == 5
