"""The numbers are those of the plainest loop, whatever the batch, and adapters are really swapped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from runscope.errors import InputError, UsageError
from runscope.evaluation import EvaluateSettings
from runscope.evaluation.examples import read_examples
from runscope.evaluation.local import LocalModels
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


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="config"):
        LocalModels(EvaluateSettings()).use(tmp_path)


def test_a_base_that_cannot_be_loaded_names_the_option(place: Place, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        LocalModels(EvaluateSettings(), tmp_path / "nowhere").use(place.output / "checkpoint-100")
    assert "--base" in caught.value.hint


@pytest.mark.parametrize("wrong", [{"dtype": "int3"}, {"alpha": 2.0}, {"min_effect": -1.0}])
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        EvaluateSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("package", ["torch", "transformers", "peft"])
def test_a_missing_package_names_the_extra(package: str, place: Place) -> None:
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
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"error: evaluating checkpoints needs the package {package}" in done.stderr
    assert "hint: pip install 'runscope[eval]'" in done.stderr
    assert "Traceback" not in done.stderr
