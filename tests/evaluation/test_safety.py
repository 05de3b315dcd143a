"""Nothing from a repository is ever run: each of these files would write a mark if it were."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from runscope.cli import main
from runscope.errors import InputError, UnsafeFile
from runscope.evaluation import EvaluateSettings, evaluate
from runscope.evaluation.models.local import LocalModels
from runscope.hub import fetch, list_checkpoints
from tests.evaluation.conftest import Place


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (_open, (str(self.mark), "w"))


_open = open


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "it-ran"


def hostile(path: Path, mark: Path) -> None:
    path.write_bytes(pickle.dumps(Hostile(mark), protocol=2))


def test_the_hostile_pickle_really_is_one(tmp_path: Path, mark: Path) -> None:
    hostile(tmp_path / "x.bin", mark)
    pickle.loads((tmp_path / "x.bin").read_bytes()).close()
    assert mark.exists()


def test_pickles_beside_safetensors_are_not_touched(place: Place, tmp_path: Path, mark: Path) -> None:
    output = tmp_path / "output"
    shutil.copytree(place.output, output)
    for folder in output.iterdir():
        for name in (
            "training_args.bin",
            "adapter_model.bin",
            "optimizer.pt",
            "scheduler.pt",
            "rng_state.pth",
        ):
            hostile(folder / name, mark)
    found = evaluate(
        list_checkpoints(str(output)), place.held_out, fetch=fetch, base=place.base,
        settings=EvaluateSettings(sample=2),
    )  # fmt: skip
    assert found.outcome == "overfit"
    assert not mark.exists()


def test_weights_that_are_pickles_only_are_refused_with_the_reason(
    place: Place, tmp_path: Path, mark: Path
) -> None:
    adapter, base = tmp_path / "adapter", tmp_path / "base"
    shutil.copytree(place.output / "checkpoint-100", adapter)
    (adapter / "adapter_model.safetensors").unlink()
    hostile(adapter / "adapter_model.bin", mark)
    shutil.copytree(place.base, base)
    (base / "model.safetensors").unlink()
    hostile(base / "pytorch_model.bin", mark)
    for folder, named in ((adapter, place.base), (place.output / "checkpoint-100", base), (base, None)):
        with pytest.raises(UnsafeFile, match="can run code"):
            LocalModels(EvaluateSettings(), named).use(folder)
    assert not mark.exists()


def test_even_where_pickles_are_allowed_only_tensors_are_read(
    place: Place, tmp_path: Path, mark: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(place.base, base)
    (base / "model.safetensors").unlink()
    hostile(base / "pytorch_model.bin", mark)
    adapter = tmp_path / "adapter"
    shutil.copytree(place.output / "checkpoint-100", adapter)
    (adapter / "adapter_model.safetensors").unlink()
    hostile(adapter / "adapter_model.bin", mark)
    for folder, named in ((base, None), (adapter, place.base)):
        with pytest.raises(InputError):
            LocalModels(EvaluateSettings(allow_pickle=True), named).use(folder)
    assert not mark.exists()


def test_pickled_tensors_are_read_where_they_are_allowed(place: Place, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    folder = tmp_path / "checkpoint-100"
    shutil.copytree(place.output / "checkpoint-100", folder)
    torch.save(load_file(folder / "adapter_model.safetensors"), folder / "adapter_model.bin")
    (folder / "adapter_model.safetensors").unlink()
    LocalModels(EvaluateSettings(allow_pickle=True), place.base).use(folder)


def test_code_in_a_repository_does_not_run(place: Place, tmp_path: Path, mark: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(place.base, base)
    (base / "modeling_evil.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass Evil: pass\n")
    for name in ("config.json", "tokenizer_config.json"):
        config = json.loads((base / name).read_text())
        config["auto_map"] = {
            "AutoConfig": "modeling_evil.Evil", "AutoModelForCausalLM": "modeling_evil.Evil",
            "AutoTokenizer": ["modeling_evil.Evil", None],
        }  # fmt: skip
        if name == "config.json":
            config["model_type"] = "evil"
        (base / name).write_text(json.dumps(config))
    with pytest.raises(InputError) as caught:
        LocalModels(EvaluateSettings()).use(base)
    assert "--trust-remote-code" in caught.value.hint
    assert not mark.exists()


def test_a_scorer_runs_only_when_it_is_named(
    place: Place, tmp_path: Path, mark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scorers.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    settings = EvaluateSettings(sample=0, max_examples=20)
    saved = list_checkpoints(str(place.output))[:2]
    evaluate(saved, place.held_out, fetch=fetch, base=place.base, settings=replace(settings, task="answer"))
    assert not mark.exists()


def test_the_command_line_names_what_it_left_out(
    place: Place,
    tmp_path: Path,
    mark: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    output = tmp_path / "checkpoint-100"
    shutil.copytree(place.output / "checkpoint-100", output)
    (output / "adapter_model.safetensors").unlink()
    hostile(output / "adapter_model.bin", mark)
    assert main(["evaluate", str(output), "--data", str(place.held_out), "--base", str(place.base)]) == 2
    error = capsys.readouterr().err
    assert "can run code" in error
    assert not mark.exists()
