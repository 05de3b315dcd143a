"""Each kind of adapter that peft knows: on the second and third checkpoint what it is alone, or refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, PeftType, get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from safetensors.torch import load_file, save_file

from runscope.errors import InputError
from runscope.evaluation import EvaluateSettings
from runscope.evaluation.examples.example import Example
from runscope.evaluation.models.adapters.adapter import REFUSED
from runscope.evaluation.models.local import LocalModels
from tests.evaluation import letters

pytestmark = pytest.mark.filterwarnings("ignore::Warning")  # peft's own, of kinds that are rarely used
TARGETS: dict[str, Any] = {"target_modules": ["q_proj", "v_proj"]}
VIRTUAL: dict[str, Any] = {"num_virtual_tokens": 3}
WORDS: dict[str, dict[str, Any]] = {
    "ADALORA": {"total_step": 10, **TARGETS},
    "ADAPTION_PROMPT": {"adapter_len": 3, "adapter_layers": 1},
    "BOFT": {"boft_block_size": 4, **TARGETS},
    "C3A": {"block_size": 8, **TARGETS},
    "CARTRIDGE": VIRTUAL,
    "CPT": {"cpt_token_ids": [3, 4], "cpt_mask": [1, 1], "cpt_tokens_type_mask": [1, 2]},
    "FOURIERFT": {"n_frequency": 20, **TARGETS},
    "IA3": {"target_modules": ["k_proj", "down_proj"], "feedforward_modules": ["down_proj"]},
    "LN_TUNING": {"target_modules": ["input_layernorm"]},
    "MISS": {"r": 8, **TARGETS},
    "OFT": {"r": 0, "oft_block_size": 8, **TARGETS},
    "PREFIX_TUNING": VIRTUAL,
    "PROMPT_TUNING": VIRTUAL,
    "P_TUNING": {"encoder_hidden_size": 8, **VIRTUAL},
    "ROAD": {"group_size": 8, **TARGETS},
    "SHIRA": {"r": 4, **TARGETS},
    "TRAINABLE_TOKENS": {"token_indices": list(range(5, 320)), "target_modules": ["embed_tokens"]},
    "VBLORA": {"num_vectors": 16, "vector_length": 8, **TARGETS},
    "WAVEFT": {"n_frequency": 64, **TARGETS},
}
"""What a kind has to be told; the others take the targets alone."""
LORA: dict[str, dict[str, Any]] = {
    "bias of all": {"bias": "all"}, "bias of its own": {"bias": "lora_only"}, "DoRA": {"use_dora": True},
    "rank-stabilised": {"use_rslora": True}, "PiSSA": {"init_lora_weights": "pissa"},
    "OLoRA": {"init_lora_weights": "olora"}, "EVA": {"init_lora_weights": "eva"},
    "orthogonal": {"init_lora_weights": "orthogonal"}, "all layers": {"target_modules": "all-linear"},
    "rank pattern": {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 32}},
    "head saved": {"modules_to_save": ["lm_head", "embed_tokens"]},
    "embeddings": {"target_modules": ["embed_tokens", "q_proj"]},
    "replicated layers": {"layer_replication": [(0, 2), (1, 2)]},
    "trainable tokens": {"trainable_token_indices": {"embed_tokens": [5, 6, 7]}},
}  # fmt: skip
SIDE: tuple[Example, ...] = (
    Example("the loss of", " a checkpoint"), Example("is what it says of words that", " it has not"),
    Example("yes", " or no"), Example("", "the answer to a question"),
)  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    letters.llama(num_key_value_heads=4).save_pretrained(folder)
    letters.tokenizer().save_pretrained(folder)
    return folder


def fresh(base: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)


def save(base: Path, config: Any, folder: Path, seed: int, words: int | None = None) -> Any:
    """An adapter with weights of chance; returned is the very model that was saved."""
    torch.manual_seed(seed)
    model = fresh(base)
    if words is not None:
        model.resize_token_embeddings(words, mean_resizing=False)
    config.base_model_name_or_path = str(base)
    adapted = get_peft_model(model, config)
    with torch.no_grad():
        for weight in adapted.parameters():
            if weight.requires_grad and weight.is_floating_point():
                weight.add_(0.2 * torch.randn_like(weight))
    adapted.eval().save_pretrained(folder)
    return adapted


def losses(model: Any, virtual: int = 0) -> list[float]:
    """One example at a time, from all logits."""
    words, found = letters.tokenizer(), []
    for e in SIDE:
        before = words(str(e.prompt))["input_ids"] if e.prompt else []
        ids = words(str(e.prompt) + e.completion)["input_ids"]
        begin = max(sum(a == b for a, b in zip(before, ids, strict=False)), 1)
        with torch.no_grad():
            mask = torch.ones(1, len(ids), dtype=torch.long)
            logits = model(input_ids=torch.tensor([ids]), attention_mask=mask).logits[0, -len(ids) :].float()
        told = logits.log_softmax(-1)
        found.append(float(-np.mean([told[i - 1, ids[i]].item() for i in range(begin, len(ids))])))
    return found


def swapped(base: Path, folders: list[Path], turns: tuple[int, ...] = (0, 1, 0, 1)) -> list[list[float]]:
    models = LocalModels(EvaluateSettings(device="cpu"), base)
    found = []
    for turn in turns:
        models.use(folders[turn])
        found.append([float(t.mean()) for t in models.token_losses(SIDE)])
    return found


def hold(base: Path, make: Any, tmp_path: Path, words: int | None = None) -> None:
    folders = [tmp_path / f"checkpoint-{n}" for n in (1, 2)]
    trained = [losses(save(base, make(), folder, n, words)) for n, folder in enumerate(folders)]
    assert trained[0] != pytest.approx(trained[1], rel=1e-3), "the two checkpoints have to differ"
    for turn, found in zip((0, 1, 0, 1), swapped(base, folders), strict=True):
        np.testing.assert_allclose(found, trained[turn], rtol=2e-5)
    if words is None:
        models = LocalModels(EvaluateSettings(device="cpu"), base)
        models.use(folders[1])
        models.use_base(folders[1])
        found = [float(t.mean()) for t in models.token_losses(SIDE)]
        np.testing.assert_allclose(found, losses(fresh(base).eval()), rtol=2e-5, err_msg="the base itself")


@pytest.mark.parametrize("kind", sorted(t.value for t in PeftType))
def test_a_kind_is_right_on_every_checkpoint_or_refused_by_name(
    kind: str, base: Path, tmp_path: Path
) -> None:
    config = PEFT_TYPE_TO_CONFIG_MAPPING.get(kind)
    if config is None:
        pytest.skip("peft has a name for it, and no code")
    words = {"task_type": "CAUSAL_LM", **WORDS.get(kind, TARGETS)}
    if kind in REFUSED:
        told = {"peft_type": kind, "task_type": "CAUSAL_LM", "base_model_name_or_path": str(base)}
        (tmp_path / "adapter_config.json").write_text(json.dumps(told))
        with pytest.raises(InputError, match="cannot be evaluated") as caught:
            LocalModels(EvaluateSettings(device="cpu"), base).use(tmp_path)
        assert REFUSED[kind] in caught.value.message
        return
    hold(base, lambda: config(**words), tmp_path)


@pytest.mark.parametrize("how", LORA)
def test_lora_of_every_make_is_right_on_every_checkpoint(how: str, base: Path, tmp_path: Path) -> None:
    words = {"r": 4, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM", **LORA[how]}
    if "bias" in how:  # a base with biases, or there would be none to train
        biased = tmp_path / "biased"
        letters.llama(num_key_value_heads=4, attention_bias=True).save_pretrained(biased)
        letters.tokenizer().save_pretrained(biased)
        base = biased
    hold(base, lambda: LoraConfig(**words), tmp_path)


@pytest.mark.parametrize("saved", [(), ("lm_head", "embed_tokens")])
def test_words_that_were_added_come_with_the_adapter(
    saved: tuple[str, ...], base: Path, tmp_path: Path
) -> None:
    def make() -> LoraConfig:
        return LoraConfig(
            r=4, target_modules=["q_proj"], modules_to_save=list(saved) or None, task_type="CAUSAL_LM"
        )

    hold(base, make, tmp_path, words=324)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ({"init_lora_weights": "corda"}, "CorDA"), ({"init_lora_weights": "loftq"}, "LoftQ"),
        ({"init_lora_weights": "lora_ga"}, "LoRA-GA"), ({"init_lora_weights": "pissa_niter_16"}, "PiSSA"),
        ({"alora_invocation_tokens": [3, 4]}, "aLoRA"), ({"peft_type": "OF_TOMORROW"}, "OF_TOMORROW"),
        ({"task_type": "SEQ_CLS"}, "SEQ_CLS"), ({"task_type": "TOKEN_CLS"}, "TOKEN_CLS"),
        ({"task_type": "QUESTION_ANS"}, "QUESTION_ANS"), ({"task_type": "SEQ_2_SEQ_LM"}, "SEQ_2_SEQ_LM"),
        ({"task_type": "FEATURE_EXTRACTION"}, "FEATURE_EXTRACTION"),
        ({"task_type": None, "auto_mapping": {"base_model_class": "BertForSequenceClassification"}}, "classifier"),
    ],
)  # fmt: skip
def test_what_would_be_another_model_is_refused_by_name(
    words: dict[str, Any], name: str, base: Path, tmp_path: Path
) -> None:
    save(base, LoraConfig(r=4, task_type="CAUSAL_LM", **TARGETS), tmp_path, 1)
    config = json.loads((tmp_path / "adapter_config.json").read_text()) | words
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="cannot be evaluated") as caught:
        LocalModels(EvaluateSettings(device="cpu"), base).use(tmp_path)
    assert name in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("word", ["_orig_mod.", "module."])
def test_a_wrappers_words_are_taken_off_an_adapters_names(word: str, base: Path, tmp_path: Path) -> None:
    trained = losses(save(base, LoraConfig(r=4, task_type="CAUSAL_LM", **TARGETS), tmp_path, 1))
    file = tmp_path / "adapter_model.safetensors"
    save_file(
        {word + name: tensor for name, tensor in load_file(file).items()}, file, metadata={"format": "pt"}
    )
    np.testing.assert_allclose(swapped(base, [tmp_path], (0,))[0], trained, rtol=2e-5)


@pytest.mark.parametrize(
    "renamed",
    [
        lambda name: name.removeprefix("base_model.model."),
        lambda name: name.replace(".weight", ".default.weight"),
        lambda name: name.replace("q_proj", "query"),
        lambda name: "",
    ],
)
def test_names_that_peft_would_drop_are_not_the_base_under_an_adapters_name(
    renamed: Callable[[str], str], base: Path, tmp_path: Path
) -> None:
    """As many tensors as places, and none of them finds its own: peft leaves the base as it is, and says nothing."""
    save(base, LoraConfig(r=4, task_type="CAUSAL_LM", **TARGETS), tmp_path, 1)
    file = tmp_path / "adapter_model.safetensors"
    kept = {renamed(n): t for n, t in load_file(file).items() if renamed(n)}
    save_file(kept, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"does not fit its base: it has [08] matrices for 8 places"):
        LocalModels(EvaluateSettings(device="cpu"), base).use(tmp_path)


def test_a_pickled_adapter_has_to_be_whole_too(base: Path, tmp_path: Path) -> None:
    trained = losses(save(base, LoraConfig(r=4, task_type="CAUSAL_LM", **TARGETS), tmp_path, 1))
    file = tmp_path / "adapter_model.safetensors"
    tensors = load_file(file)
    file.unlink()
    torch.save(tensors, tmp_path / "adapter_model.bin")
    settings = EvaluateSettings(device="cpu", allow_pickle=True)
    models = LocalModels(settings, base)
    models.use(tmp_path)
    np.testing.assert_allclose([float(t.mean()) for t in models.token_losses(SIDE)], trained, rtol=2e-5)
    torch.save({n: t for n, t in tensors.items() if "layers.1" not in n}, tmp_path / "adapter_model.bin")
    with pytest.raises(InputError, match="4 matrices for 8 places"):
        LocalModels(settings, base).use(tmp_path)


def test_names_without_a_place_are_named(base: Path, tmp_path: Path) -> None:
    save(base, LoraConfig(r=4, task_type="CAUSAL_LM", **TARGETS), tmp_path, 1)
    file = tmp_path / "adapter_model.safetensors"
    kept = {n: t for n, t in load_file(file).items() if "layers.1" not in n}
    save_file(kept, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"4 matrices for 8 places.*layers\.1\.self_attn\.q_proj\.lora_A"):
        LocalModels(EvaluateSettings(device="cpu"), base).use(tmp_path)


@pytest.mark.parametrize("kind", ["LORA", "PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "IA3"])
def test_answers_do_not_depend_on_the_batch(kind: str, base: Path, tmp_path: Path) -> None:
    words = {"task_type": "CAUSAL_LM", **WORDS.get(kind, TARGETS)}
    save(base, PEFT_TYPE_TO_CONFIG_MAPPING[kind](**words), tmp_path, 1)
    models = LocalModels(EvaluateSettings(device="cpu"), base)
    models.use(tmp_path)
    together = models.answers(SIDE, 4)
    assert together == [models.answers([e], 4)[0] for e in SIDE]
    alone = PeftModel.from_pretrained(fresh(base), str(tmp_path)).eval()
    ids = torch.tensor([letters.tokenizer()(SIDE[0].prompt)["input_ids"]])
    with torch.no_grad():
        first = alone(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -1].softmax(-1).topk(2)
    seen = models.next_tokens(SIDE, 2)[0]
    np.testing.assert_allclose([p for _, p in seen], first.values.numpy(), rtol=1e-4)


def test_adapters_of_one_make_take_turns_in_one_place(base: Path, tmp_path: Path) -> None:
    """Also beside one of another rank, behind the base alone, and more often than their matrices are held."""
    ranks = {f"checkpoint-{n}": 4 if n != 2 else 6 for n in range(1, 5)}
    words = {"target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"}
    trained = {
        tmp_path / name: losses(save(base, LoraConfig(r=rank, **words), tmp_path / name, n))
        for n, (name, rank) in enumerate(ranks.items())
    }
    models = LocalModels(EvaluateSettings(device="cpu"), base)
    for turn in (0, 1, 2, 3, 0, 2, 1, 3, 1, 0):
        folder = list(trained)[turn]
        models.use_base(folder)
        models.use(folder)
        found = [float(t.mean()) for t in models.token_losses(SIDE)]
        np.testing.assert_allclose(found, trained[folder], rtol=2e-5)
    assert len(models.model.peft_config) == len(set(ranks.values()))


def test_an_adapter_that_differs_in_more_than_its_values_gets_a_place_of_its_own(
    base: Path, tmp_path: Path
) -> None:
    words = {"r": 4, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"}
    others: list[dict[str, Any]] = [{}, {"lora_alpha": 64}, {"use_rslora": True}]
    models = LocalModels(EvaluateSettings(device="cpu"), base)
    for n, other in enumerate(others):
        trained = losses(save(base, LoraConfig(**words | other), tmp_path / f"checkpoint-{n}", seed=1))
        models.use(tmp_path / f"checkpoint-{n}")
        found = [float(t.mean()) for t in models.token_losses(SIDE)]
        np.testing.assert_allclose(found, trained, rtol=2e-5)
    assert len(models.model.peft_config) == len(others)


def test_after_an_adapter_that_cannot_be_read_the_others_are_what_they_were(
    base: Path, tmp_path: Path
) -> None:
    config = {"r": 4, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}
    folders = [tmp_path / f"checkpoint-{n}" for n in range(3)]
    trained = [losses(save(base, LoraConfig(**config), folder, n)) for n, folder in enumerate(folders)]
    whole = (folders[1] / "adapter_model.safetensors").read_bytes()
    (folders[1] / "adapter_model.safetensors").write_bytes(whole[:-8])
    models = LocalModels(EvaluateSettings(device="cpu"), base)
    models.use(folders[0])
    with pytest.raises(InputError, match="does not fit its base"):
        models.use(folders[1])
    for n in (0, 2):
        models.use(folders[n])
        found = [float(t.mean()) for t in models.token_losses(SIDE)]
        np.testing.assert_allclose(found, trained[n], rtol=2e-5)
