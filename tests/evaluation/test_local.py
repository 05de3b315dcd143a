"""The numbers are those of the plainest loop, whatever the batch, and adapters are really swapped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from runscope.errors import InputError, UsageError
from runscope.evaluation import EvaluateSettings
from runscope.evaluation.examples.reading import read_examples
from runscope.evaluation.models.loading import longest_input
from runscope.evaluation.models.local import LocalModels
from tests.evaluation import tiny
from tests.evaluation.conftest import Place


def plain_loss(model: torch.nn.Module, prompt: str, completion: str) -> float:
    """One example at a time, with the library's own loss."""
    words = tiny.tokenizer()
    before, whole = words(prompt)["input_ids"], words(prompt + completion)["input_ids"]
    labels = [-100] * len(before) + whole[len(before) :]
    with torch.no_grad():
        return float(model(input_ids=torch.tensor([whole]), labels=torch.tensor([labels])).loss)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen"])
@pytest.mark.parametrize("batch_tokens", [1, 40, 4000])
def test_losses_are_those_of_the_plain_loop(
    architecture: str, batch_tokens: int, place: Place, tmp_path: Path
) -> None:
    made = getattr(tiny, architecture)()
    folder = tiny.save_base(made, tmp_path / "model")
    models = LocalModels(EvaluateSettings(batch_tokens=batch_tokens))
    models.use(folder)
    examples = read_examples(place.held_out)[:30]
    found = [t.mean() for t in models.token_losses(examples)]
    made.eval()
    expected = [plain_loss(made, str(e.prompt), e.completion) for e in examples]
    np.testing.assert_allclose(found, expected, rtol=2e-5)


def test_swapped_adapters_are_those_that_were_loaded_anew(place: Place) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    models = LocalModels(EvaluateSettings(), place.base)
    examples = read_examples(place.held_out)[:8]
    for number in (1, 4, 1, 6):
        folder = place.output / f"checkpoint-{100 * number}"
        models.use(folder)
        found = [t.mean() for t in models.token_losses(examples)]
        fresh = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(place.base), str(folder)
        ).eval()
        expected = [plain_loss(fresh, str(e.prompt), e.completion) for e in examples]
        np.testing.assert_allclose(found, expected, rtol=2e-5)


def test_adapters_are_in_the_dtype_of_their_base(place: Place) -> None:
    examples = read_examples(place.held_out)[:20]
    exact, rounded = (
        LocalModels(EvaluateSettings(dtype=d, device="cpu"), place.base) for d in ("float32", "bfloat16")
    )
    for step in (100, 600):
        losses = []
        for models in (exact, rounded):
            models.use(place.output / f"checkpoint-{step}")
            losses.append(np.mean([t.mean() for t in models.token_losses(examples)]))
        assert losses[1] == pytest.approx(losses[0], rel=0.02)
    adapters = [p for name, p in rounded.model.named_parameters() if "lora_" in name]
    assert {p.dtype for p in adapters} == {torch.bfloat16}


def test_an_answer_is_what_the_model_says_by_itself(place: Place) -> None:
    models = LocalModels(EvaluateSettings(), place.base)
    models.use(place.output / "checkpoint-400")
    examples = read_examples(place.held_out)[:5]
    together = models.answers(examples, 3)
    assert together == [models.answers([e], 3)[0] for e in examples]
    assert all(1 <= len(said.split()) <= 3 for said in together)


@pytest.mark.parametrize(
    ("tokenizer", "positions", "limit"),
    [(None, 32_768, 32_768), (8192, 32_768, 8192), (8192, 1024, 1024), (None, None, 4096), (512, None, 512)],
)
def test_a_limit_is_what_tokenizer_and_model_say(
    tokenizer: int | None, positions: int | None, limit: int
) -> None:
    from transformers import BloomConfig, LlamaConfig

    words = tiny.tokenizer()
    words.model_max_length = tokenizer or words.model_max_length
    config = LlamaConfig(max_position_embeddings=positions) if positions else BloomConfig()
    assert longest_input(words, config, 4096) == limit


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="config"):
        LocalModels(EvaluateSettings()).use(tmp_path)


def test_a_base_that_cannot_be_loaded_names_the_option(place: Place, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        LocalModels(EvaluateSettings(), tmp_path / "nowhere").use(place.output / "checkpoint-100")
    assert "--base" in caught.value.hint


@pytest.mark.parametrize(
    "wrong", [{"device": "gpu"}, {"dtype": "int3"}, {"alpha": 2.0}, {"min_effect": -1.0}]
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        EvaluateSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("package", ["torch", "transformers", "peft"])
def test_a_missing_package_names_the_extra(package: str, place: Place, tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {package!r}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from runscope.cli import main\n"
        f"sys.exit(main(['evaluate', {str(place.output)!r}, '--data', {str(place.held_out)!r}]))"
    )
    nothing_kept = {**os.environ, "RUNSCOPE_HOME": str(tmp_path)}  # what is known already needs no package
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=nothing_kept
    )
    assert done.returncode == 2
    assert f"error: evaluating checkpoints needs the package {package}" in done.stderr
    assert "hint: pip install 'runscope[eval]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_each_adapter_is_evaluated_on_the_base_that_it_names(place: Place, tmp_path: Path) -> None:
    lessons = tiny.write_examples(tmp_path / "lessons.jsonl", 30, 3)
    folders = []
    for number in (1, 2):
        base = tiny.save_base(tiny.train(tiny.llama(), lessons, 20 * number), tmp_path / f"base-{number}")
        model = tiny.train(tiny.llama(), lessons, 20 * number)
        output = tiny.save_adapters(model, base, tmp_path / f"output-{number}", ["q_proj"], [0.5])
        folders.append(output / "checkpoint-100")
    examples = read_examples(place.held_out)[:8]

    def losses(models: LocalModels, folder: Path) -> list[float]:
        models.use(folder)
        return [float(t.mean()) for t in models.token_losses(examples)]

    together = LocalModels(EvaluateSettings(device="cpu"))
    alone = [losses(LocalModels(EvaluateSettings(device="cpu")), folder) for folder in folders]
    assert alone[0] != pytest.approx(alone[1], rel=1e-3)
    for turn in (0, 1, 0):
        assert losses(together, folders[turn]) == pytest.approx(alone[turn])


@pytest.mark.parametrize(
    ("layers", "said"), [(1, "12 matrices for 6 places"), (3, "12 matrices for 18 places")]
)
@pytest.mark.parametrize("first", [True, False])
def test_an_adapter_that_does_not_fit_its_base_is_refused(
    first: bool, layers: int, said: str, place: Place, tmp_path: Path
) -> None:
    """Peft would drop what has no place, and leave empty what is not filled."""
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig.from_pretrained(place.base, num_hidden_layers=layers)
    model = LlamaForCausalLM(config)
    base = tiny.save_base(model, tmp_path / "base")
    targets = ["q_proj", "v_proj", "down_proj"]
    fitting = get_peft_model(model, LoraConfig(r=2, target_modules=targets, task_type="CAUSAL_LM"))
    fitting.save_pretrained(tmp_path / "fitting")
    models = LocalModels(EvaluateSettings(device="cpu"), base)
    if not first:
        models.use(tmp_path / "fitting")
    with pytest.raises(InputError, match=said) as caught:
        models.use(place.output / "checkpoint-100")
    assert "--base" in caught.value.hint
    models.use(tmp_path / "fitting")
    assert np.isfinite(models.token_losses(read_examples(place.held_out)[:2])[0]).all()
