"""``keep``: the folder loads and is the checkpoint that was named, and an average is plain arithmetic."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runscope import api
from runscope.cli import main
from runscope.errors import InputError, RunscopeError
from tests.evaluation import tiny
from tests.evaluation.conftest import Place


def merged(base: Path, adapter: Path) -> dict[str, Any]:
    """Weights of the base with the adapter in it, by peft."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(adapter))
    return {k: v.double().numpy() for k, v in model.merge_and_unload().state_dict().items()}


def loaded(folder: Path) -> dict[str, Any]:
    from transformers import AutoModelForCausalLM

    return {
        k: v.double().numpy() for k, v in AutoModelForCausalLM.from_pretrained(folder).state_dict().items()
    }


def require_mean(made: dict[str, Any], parts: Sequence[dict[str, Any]]) -> None:
    for name, value in made.items():
        np.testing.assert_allclose(value, np.mean([p[name] for p in parts], axis=0), atol=2e-6, rtol=1e-5)


def lora(base: Path, folder: Path, seed: int, **config: Any) -> Path:
    """An adapter of random matrices, as peft saves it."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    words = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "down_proj"], "task_type": "CAUSAL_LM"}
    adapted = get_peft_model(tiny.llama(), LoraConfig(**{**words, **config}))
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    torch.manual_seed(seed)
    for name, weight in adapted.named_parameters():
        if "lora_" in name or "modules_to_save" in name:
            torch.nn.init.normal_(weight, std=0.3)
    adapted.save_pretrained(folder, save_embedding_layers="embed_tokens" in words["target_modules"])
    return folder


def test_a_step_is_written_with_a_card_and_loads(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, source = tmp_path / "kept", place.output / "checkpoint-300"
    words = ["keep", str(place.output), "--step", "300", "--output", str(kept)]
    assert main([*words, "--why", "best <b>loss</b>"]) == 0
    name = "adapter_model.safetensors"
    assert (kept / name).read_bytes() == (source / name).read_bytes()
    assert not (kept / "trainer_state.json").exists()
    assert (kept / "tokenizer.json").read_bytes() == (place.base / "tokenizer.json").read_bytes()
    card = (kept / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: peft\n---\n")
    assert "step 300 of output" in card
    assert "best &lt;b&gt;loss" in card
    assert str(place.base) not in card
    require_mean(merged(place.base, kept), [merged(place.base, source)])
    before = sorted(kept.iterdir())
    assert main(words) == 2, "what lies there is not written over"
    assert "no empty folder" in capsys.readouterr().err
    assert sorted(kept.iterdir()) == before
    assert [p.name for p in tmp_path.iterdir()] == ["kept"], "nothing half-written is left"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--step", "310"], "nearest is step 300"),
        (["--revision", "checkpoint-7"], "0 checkpoints are called"),
        (["--average", "last:7"], "of 6 checkpoints"),
        (["--average", "last:1"], "2 or more"),
        (["--average", "300,300"], "two different steps"),
        (["--average", "some"], "last:3"),
        (["--step", "300", "--rank", "2"], "--rank is that of an average"),
        (["--step", "300", "--average", "last:2"], "one checkpoint or one average"),
        ([], "one checkpoint or one average"),
    ],
)
def test_a_wrong_word_writes_nothing(
    words: list[str], said: str, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keep", str(place.output), "--output", str(tmp_path / "kept"), *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 2
    assert not list(tmp_path.iterdir())


def test_a_cut_one_is_not_kept(place: Place, tmp_path: Path) -> None:
    output = tmp_path / "output"
    shutil.copytree(place.output / "checkpoint-300", output / "checkpoint-300")
    file = output / "checkpoint-300" / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(InputError, match="was cut off"):
        api.keep(str(output), tmp_path / "kept", step=300)
    assert not (tmp_path / "kept").exists()


def test_the_average_of_adapters_is_the_mean_of_the_merged_weights(place: Place, tmp_path: Path) -> None:
    kept = api.keep(str(place.output), tmp_path / "kept", average="last:3")
    assert [c.step for c in kept.checkpoints] == [400, 500, 600]
    parts = [merged(place.base, place.output / f"checkpoint-{s}") for s in (400, 500, 600)]
    require_mean(merged(place.base, kept.folder), parts)
    assert json.loads((kept.folder / "adapter_config.json").read_text())["r"] == 12
    assert "rank 12" in (kept.folder / "README.md").read_text()


@pytest.mark.parametrize(
    "configs",
    [
        [{"r": 2}, {"r": 6, "lora_alpha": 3}, {"r": 3, "use_rslora": True}],
        [{"rank_pattern": {"layers.1.mlp.down_proj": 7}, "alpha_pattern": {"q_proj": 5}}, {"r": 3}],
        [{"modules_to_save": ["lm_head"]}, {"modules_to_save": ["lm_head"], "r": 1}],
        [{"target_modules": ["embed_tokens", "v_proj"]}] * 2,
    ],
)
def test_whatever_the_ranks_the_mean_is_exact(
    configs: list[dict[str, Any]], place: Place, tmp_path: Path
) -> None:
    folders = [
        lora(place.base, tmp_path / "output" / f"checkpoint-{100 * n}", n, **config)
        for n, config in enumerate(configs, 1)
    ]
    steps = ",".join(str(100 * n) for n in range(1, len(folders) + 1))
    kept = api.keep(str(tmp_path / "output"), tmp_path / "kept", average=steps)
    require_mean(merged(place.base, kept.folder), [merged(place.base, f) for f in folders])


def test_cut_back_to_a_rank_it_is_the_nearest_of_that_rank(place: Place, tmp_path: Path) -> None:
    folders = [lora(place.base, tmp_path / "output" / f"checkpoint-{100 * n}", n) for n in (1, 2)]
    kept = api.keep(str(tmp_path / "output"), tmp_path / "kept", average="last:2", rank=3)
    base, parts = loaded(place.base), [merged(place.base, f) for f in folders]
    made = merged(place.base, kept.folder)
    lost = whole = 0.0
    for name, weight in base.items():
        change = np.mean([p[name] for p in parts], axis=0) - weight
        if not np.abs(change).max() > 1e-6:
            continue
        u, s, v = np.linalg.svd(change, full_matrices=False)
        np.testing.assert_allclose(made[name] - weight, u[:, :3] * s[:3] @ v[:3], atol=1e-5)
        lost, whole = lost + float((s[3:] ** 2).sum()), whole + float((s**2).sum())
    assert whole
    assert f"{np.sqrt(lost / whole):.2%} of its norm cut off" in kept.notes[0]


def test_the_average_of_whole_models_is_the_mean_of_their_weights(place: Place, tmp_path: Path) -> None:
    output = tmp_path / "output"
    for step in (10, 20, 30):
        model = tiny.train(tiny.llama(), place.train, steps=3, order=step)
        model.save_pretrained(output / f"checkpoint-{step}", max_shard_size="30KB" if step == 20 else "5GB")
    tiny.tokenizer().save_pretrained(output)
    kept = api.keep(str(output), tmp_path / "kept", average="10,20,30")
    require_mean(loaded(kept.folder), [loaded(output / f"checkpoint-{s}") for s in (10, 20, 30)])
    assert (kept.folder / "tokenizer.json").exists()


@pytest.mark.parametrize(
    "config", [{"use_dora": True}, {"target_modules": ["q_proj"]}, {"init_lora_weights": "olora"}]
)
def test_what_has_no_mean_is_refused(config: dict[str, Any], place: Place, tmp_path: Path) -> None:
    lora(place.base, tmp_path / "output" / "checkpoint-100", 1)
    lora(place.base, tmp_path / "output" / "checkpoint-200", 2, **config)
    with pytest.raises(RunscopeError, match=r"cannot be averaged|do not have the same"):
        api.keep(str(tmp_path / "output"), tmp_path / "kept", average="last:2")
    assert not (tmp_path / "kept").exists()


def test_numbers_that_are_none_have_no_mean(place: Place, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for n in (1, 2):
        lora(place.base, tmp_path / "output" / f"checkpoint-{n}", n)
    file = tmp_path / "output" / "checkpoint-1" / "adapter_model.safetensors"
    save_file({k: v * float("nan") for k, v in load_file(file).items()}, file)
    with pytest.raises(InputError, match="checkpoint-1 holds NaN"):
        api.keep(str(tmp_path / "output"), tmp_path / "kept", average="last:2")


def evaluation(place: Place, tmp_path: Path, *words: str) -> Path:
    """The JSON of an evaluation on the command line."""
    file = tmp_path / "evaluation.json"
    asked = ["evaluate", str(place.output), "--data", str(place.held_out), "--full", "--quiet", *words]
    assert main([*asked, "--output", str(file)]) == 0
    return file


def test_the_best_one_is_kept_by_what_an_evaluation_found(place: Place, tmp_path: Path) -> None:
    file = evaluation(place, tmp_path)
    found = json.loads(file.read_text())
    kept = api.keep(str(place.output), tmp_path / "kept", evaluated=file)
    assert [c.step for c in kept.checkpoints] == [found["best_step"]]
    assert "is worse than" in (tmp_path / "kept/README.md").read_text().split("## Why this one")[1]
    other = api.keep(str(place.output), tmp_path / "other", evaluated=file, step=600)
    assert [c.step for c in other.checkpoints] == [600]
    assert "No reason was given" in (tmp_path / "other/README.md").read_text(), "it says nothing for step 600"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no evaluation"),
        ("[]", "is no evaluation"),
        ('{"schema": "runscope.stitch/1"}', "is no evaluation"),
        ('{"schema": "runscope.evaluation/1", "averages": 3}', "is no evaluation"),
        ('{"schema": "runscope.evaluation/1"}', "names no checkpoint to keep"),
    ],
)
def test_what_is_no_evaluation_is_refused(
    content: str, said: str, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "evaluation.json"
    file.write_text(content)
    assert (
        main(["keep", str(place.output), "--evaluated", str(file), "--output", str(tmp_path / "kept")]) == 2
    )
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 2


def test_as_good_needs_an_evaluation(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["keep", str(place.output), "--average", "as-good", "--output", str(tmp_path / "kept")]
    assert main(words) == 2
    assert "--average as-good --output evaluation.json" in capsys.readouterr().err
    assert main([*words, "--evaluated", str(evaluation(place, tmp_path))]) == 2
    assert "names no checkpoints that are as good" in capsys.readouterr().err


def test_a_moving_average_weighs_the_newest_most(place: Place, tmp_path: Path) -> None:
    kept = api.keep(str(place.output), tmp_path / "kept", average="ema:.5")
    steps = [c.step for c in kept.checkpoints]
    assert steps == [100, 200, 300, 400, 500, 600]
    shares = np.array([2.0**-age for age in range(5, -1, -1)])
    parts = [merged(place.base, place.output / f"checkpoint-{s}") for s in steps]
    for name, value in merged(place.base, tmp_path / "kept").items():
        expected = np.average([p[name] for p in parts], axis=0, weights=shares)
        np.testing.assert_allclose(value, expected, atol=2e-6, rtol=1e-5)
    card = (tmp_path / "kept/README.md").read_text()
    assert "the weighted average of 6 checkpoints" in card
    assert "step 600 of output, folder checkpoint-600, 50.8%" in card


def test_a_moving_average_of_whole_models_is_plain_arithmetic(place: Place, tmp_path: Path) -> None:
    for step in (1, 2, 3):
        tiny.save_base(
            tiny.train(tiny.llama(), place.train, steps=5 * step), tmp_path / f"out/checkpoint-{step}"
        )
    api.keep(str(tmp_path / "out"), tmp_path / "kept", average="ema:0.25")
    parts = [loaded(tmp_path / f"out/checkpoint-{s}") for s in (1, 2, 3)]
    for name, value in loaded(tmp_path / "kept").items():
        expected = np.average([p[name] for p in parts], axis=0, weights=[0.0625, 0.25, 1])
        np.testing.assert_allclose(value, expected, atol=2e-6, rtol=1e-5)


def test_a_moving_average_leaves_out_what_hardly_counts() -> None:
    from runscope.evaluation.beside.averages import shares_of

    shares = shares_of("ema:0.1", 30)
    assert shares is not None
    assert len(shares) == 2
    assert sum(shares) == pytest.approx(1)
    assert shares_of("last:3", 30) is None
    assert len(shares_of("ema:0.9", 8) or ()) == 8


def test_a_processor_of_pictures_is_taken_from_the_folder_above_and_no_tokenizer_is_missed(
    tmp_path: Path,
) -> None:
    from tests.evaluation import seen

    for step in (1, 2):
        seen.vit(num_labels=3).save_pretrained(tmp_path / f"out/checkpoint-{step}")
    seen.processor().save_pretrained(tmp_path / "out")
    for name, words in (("one", {"step": 2}), ("both", {"average": "last:2"})):
        kept = api.keep(str(tmp_path / "out"), tmp_path / name, **words)  # type: ignore[arg-type]
        assert (kept.folder / "preprocessor_config.json").is_file()
        assert kept.notes == ()


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_it_is_said_that_what_the_training_scored_is_left_behind(place: Place, tmp_path: Path) -> None:
    import torch
    from trl import SFTConfig

    from runscope.evaluation import EvaluateSettings, evaluate
    from runscope.hub import fetch, list_checkpoints

    def mean(folder: Path) -> float:
        settings = EvaluateSettings(full=True, device="cpu", sample=0, max_examples=20)
        saved = [c for c in list_checkpoints(str(folder)) if c.step in (300, None)]
        return evaluate(saved, place.held_out, fetch=fetch, settings=settings).scores[0].mean

    source, kept = tmp_path / "out" / "checkpoint-300", tmp_path / "kept"
    shutil.copytree(place.output / "checkpoint-300", source)
    assert api.keep(str(tmp_path / "out"), tmp_path / "before", step=300).notes == ()
    torch.save(SFTConfig(str(tmp_path), report_to=[], use_cpu=True, bf16=False), source / "training_args.bin")
    found = api.keep(str(tmp_path / "out"), kept, step=300)
    assert "which tokens the training scored, was left behind" in found.notes[0]
    assert "was left behind" in (kept / "README.md").read_text()
    assert mean(kept) != pytest.approx(mean(tmp_path / "out"), abs=1e-3), "the end of a text is not scored"
    shutil.copy(source / "training_args.bin", kept)
    assert mean(kept) == pytest.approx(mean(tmp_path / "out"))
