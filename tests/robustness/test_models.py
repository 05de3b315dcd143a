"""A model's own files with foreign values: it is loaded, or refused in words; nothing else is raised."""

from __future__ import annotations

import os
import random
from contextlib import suppress
from pathlib import Path

import pytest

from runscope.errors import RunscopeError
from runscope.evaluation import EvaluateSettings
from runscope.evaluation.models import loading
from runscope.evaluation.models.adapters.trained_as import kind_in, refuse_in
from tests.evaluation import headed, tiny
from tests.robustness import damage

CASES = int(os.environ.get("RUNSCOPE_TORTURE") or 8)
FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "model.safetensors",
)
pytestmark = pytest.mark.filterwarnings("ignore::Warning")


@pytest.fixture(scope="module", params=["llama", "bert"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param) / "checkpoint-100"
    if request.param == "llama":
        return tiny.save_base(tiny.llama(), folder)
    headed.bert("SequenceClassification", id2label={0: "a", 1: "b", 2: "c"}).save_pretrained(folder)
    headed.tokenizer().save_pretrained(folder)
    return folder


def load(folder: Path) -> None:
    """All that is done with a model before it is asked."""
    torch, _ = loading.import_all()
    refuse_in(folder)
    kind_in(folder)
    loading.refuse_unlike(str(folder), folder)
    loading.load_tokenizer(EvaluateSettings(), folder)
    loading.load_model(str(folder), EvaluateSettings(), "cpu", torch.float32, lambda _kind: True)


@pytest.mark.parametrize("name", FILES)
def test_foreign_values_are_refused_in_words(name: str, whole: Path) -> None:
    file = whole / name
    if not file.is_file():
        pytest.skip("this kind of model has none")
    content = file.read_bytes()
    try:
        for number in range(CASES):
            chance = random.Random(f"{whole.parent.name} {name} {number}")
            spoil = damage.foreign_header if name.endswith(".safetensors") else damage.foreign_text
            file.write_bytes(spoil(content, chance))
            with suppress(RunscopeError):
                load(whole)
    finally:
        file.write_bytes(content)


@pytest.mark.parametrize("value", [5, [], {}, "text", None, 1.5, [[]], {"a": []}, 10**400])
@pytest.mark.parametrize(
    "key", ["model_type", "architectures", "auto_map", "id2label", "num_labels", "vision_config"]
)
def test_what_tells_a_kind_may_be_anything(key: str, value: object) -> None:
    from runscope.evaluation.models.saved.kinds import kind_of

    assert kind_of({"model_type": "bert", "architectures": ["BertForSequenceClassification"], key: value})
    assert kind_of({"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], key: value})
