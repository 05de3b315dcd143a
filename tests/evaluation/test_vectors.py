"""Models of embeddings: each metric as sentence-transformers' own evaluators have it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runscope.errors import InputError, UnsafeFile, UsageError
from runscope.evaluation import EvaluateSettings, Study, evaluate
from runscope.hub import fetch, list_checkpoints
from tests.evaluation import headed

pytestmark = pytest.mark.filterwarnings("ignore::Warning")


def study(folder: Path, data: Path, base: Path | None = None, **settings: Any) -> Study:
    words: dict[str, Any] = {"full": True, "device": "cpu", "sample": 3, **settings}
    return evaluate(
        list_checkpoints(str(folder)), data, fetch=fetch, base=base, settings=EvaluateSettings(**words)
    )


def body(folder: Path, seed: int = 0) -> Path:
    import transformers as hf

    torch.manual_seed(seed)
    config = hf.BertConfig(
        vocab_size=len(headed.WORDS), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=64, pad_token_id=0, initializer_range=0.2,
    )  # fmt: skip
    hf.BertModel(config).save_pretrained(folder)
    headed.tokenizer().save_pretrained(folder)
    return folder


def pairs(seed: int, count: int) -> list[dict[str, Any]]:
    """Two texts, and the share of letters that they have in common."""
    rng, rows = random.Random(seed), []
    for _ in range(count):
        first, second = (headed.letters(rng, 3, 8) for _ in range(2))
        if rng.random() < 0.6:
            second = " ".join(w if rng.random() < 0.7 else rng.choice(headed.LETTERS) for w in first.split())
        if first == second:  # equal texts are equally alike here, and by chance of rounding elsewhere
            continue
        a, b = set(first.split()), set(second.split())
        rows.append({"sentence1": first, "sentence2": second, "score": round(len(a & b) / len(a | b), 2)})
    return rows


def triplets(seed: int, count: int) -> list[dict[str, str]]:
    return [
        {"anchor": r["sentence1"], "positive": r["sentence2"], "negative": o["sentence2"]}
        for r, o in zip(pairs(seed, count), pairs(seed + 1, count), strict=False)
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints that sentence-transformers' own trainer saved."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import CoSENTLoss

    folder = tmp_path_factory.mktemp("vectors")
    model = SentenceTransformer(str(body(folder / "base")), device="cpu")
    arguments = SentenceTransformerTrainingArguments(
        str(folder / "out"), per_device_train_batch_size=32, max_steps=40, save_steps=20, learning_rate=3e-3,
        report_to=[], use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    SentenceTransformerTrainer(
        model, arguments, train_dataset=Dataset.from_list(pairs(1, 400)), loss=CoSENTLoss(model)
    ).train()
    return folder


def at(folder: Path, step: int) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder / f"out/checkpoint-{step}"), device="cpu")


def test_similarity_is_what_sentence_transformers_gives(trained: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator

    rows = headed.write(tmp_path / "pairs.jsonl", pairs(2, 80))
    found = study(trained / "out", tmp_path / "pairs.jsonl", trained / "base")
    assert (found.task, found.metric, found.lower_is_better) == ("similarity", "spearman", False)
    own = EmbeddingSimilarityEvaluator(*([r[n] for r in rows] for n in ("sentence1", "sentence2", "score")))
    for score in found.scores:
        told = own(at(trained, score.checkpoint.step or 0))
        assert score.scores["spearman"] == pytest.approx(told["spearman_cosine"], abs=1e-4)
        assert score.scores["pearson"] == pytest.approx(told["pearson_cosine"], abs=1e-4)
        assert score.mean == pytest.approx(told["spearman_cosine"], abs=0.03), (
            "the jackknife takes its bias off"
        )
    assert found.base is not None
    before = own(SentenceTransformer(str(trained / "base"), device="cpu"))
    assert found.base.scores["spearman"] == pytest.approx(before["spearman_cosine"], abs=1e-4)
    assert found.example_evaluations == found.full_grid


def test_triplets_are_what_sentence_transformers_gives(trained: Path, tmp_path: Path) -> None:
    from sentence_transformers.sentence_transformer.evaluation import TripletEvaluator

    rows = headed.write(tmp_path / "triplets.jsonl", triplets(4, 80))
    found = study(trained / "out", tmp_path / "triplets.jsonl")
    assert (found.task, found.metric) == ("triplets", "accuracy")
    own = TripletEvaluator(*([r[n] for r in rows] for n in ("anchor", "positive", "negative")))
    for score in found.scores:
        assert score.mean == pytest.approx(own(at(trained, score.checkpoint.step or 0))["cosine_accuracy"])


@pytest.mark.parametrize("likeness", ["cosine", "dot"])
def test_retrieval_is_what_sentence_transformers_gives(trained: Path, likeness: str, tmp_path: Path) -> None:
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    rows = [{"query": r["anchor"], "answer": r["positive"]} for r in triplets(6, 60)]
    rows[1]["answer"] = rows[0]["answer"]  # one text that answers two
    headed.write(tmp_path / "asked.jsonl", rows)
    for step in (20, 40):
        model = at(trained, step)
        model.similarity_fn_name, model.prompts = likeness, {"query": "q ", "document": "d "}
        model.save(str(tmp_path / f"out/checkpoint-{step}"))
    found = study(tmp_path / "out", tmp_path / "asked.jsonl")
    assert (found.task, found.metric) == ("retrieval", "recall_at_1")
    texts = {text: str(i) for i, text in enumerate(dict.fromkeys(r["answer"] for r in rows))}
    own = InformationRetrievalEvaluator(
        {str(i): r["query"] for i, r in enumerate(rows)}, {k: text for text, k in texts.items()},
        {str(i): {texts[r["answer"]]} for i, r in enumerate(rows)}, mrr_at_k=[len(texts)], accuracy_at_k=[1],
        precision_recall_at_k=[1],
    )  # fmt: skip
    for score in found.scores:
        told = own(at(tmp_path, score.checkpoint.step or 0))
        assert score.mean == pytest.approx(told[f"{likeness}_recall@1"])
        assert score.scores["mrr"] == pytest.approx(told[f"{likeness}_mrr@{len(texts)}"])
    with pytest.raises(UsageError, match="as-good"):
        study(tmp_path / "out", tmp_path / "asked.jsonl", average="as-good")


def test_an_encoder_without_layers_behind_it_is_pooled_by_the_mean(tmp_path: Path) -> None:
    rows = headed.write(tmp_path / "pairs.jsonl", pairs(8, 30))
    for step in (1, 2):
        body(tmp_path / f"out/checkpoint-{step}", step)
    found = study(tmp_path / "out", tmp_path / "pairs.jsonl", metric="pearson")
    import transformers as hf

    model, words = hf.BertModel.from_pretrained(tmp_path / "out/checkpoint-2").eval(), headed.tokenizer()

    def vector(text: str) -> Any:
        with torch.no_grad():
            mean = model(**words(text, return_tensors="pt")).last_hidden_state[0].double().mean(0)
        return mean / mean.norm()

    said = [float(vector(r["sentence1"]) @ vector(r["sentence2"])) for r in rows]
    truth = [r["score"] for r in rows]
    assert found.scores[-1].scores["pearson"] == pytest.approx(np.corrcoef(said, truth)[0, 1], abs=1e-6)
    assert any("pooled" in note for note in found.notes)


def test_what_gives_no_vectors_is_refused(trained: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file
    from sentence_transformers import CrossEncoder, SparseEncoder

    data = tmp_path / "pairs.jsonl"
    headed.write(data, pairs(2, 10))
    with pytest.raises(UsageError, match="cannot be asked of a model of embeddings"):
        study(trained / "out", data, task="loss")
    headed.write(tmp_path / "texts.jsonl", [{"text": "a b"}, {"text": "c"}])
    with pytest.raises(InputError, match="no two texts that belong together"):
        study(trained / "out", tmp_path / "texts.jsonl")

    headed.bert("SequenceClassification", num_labels=1).save_pretrained(tmp_path / "cross/0")
    headed.tokenizer().save_pretrained(tmp_path / "cross/0")
    CrossEncoder(str(tmp_path / "cross/0"), device="cpu").save_pretrained(
        str(tmp_path / "crossed/checkpoint-1")
    )
    headed.bert("MaskedLM").save_pretrained(tmp_path / "sparse/0")
    headed.tokenizer().save_pretrained(tmp_path / "sparse/0")
    SparseEncoder(str(tmp_path / "sparse/0"), device="cpu").save_pretrained(
        str(tmp_path / "sparsed/checkpoint-1")
    )
    for place in ("crossed", "sparsed"):
        with pytest.raises(InputError, match="cross-encoder, a sparse one"):
            study(tmp_path / place, data)

    at(trained, 40).save(str(tmp_path / "cut/checkpoint-1"))
    file = tmp_path / "cut/checkpoint-1/model.safetensors"
    kept = {n: t for n, t in load_file(file).items() if "layer.1.attention" not in n}
    save_file(kept, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match="are missing"):
        study(tmp_path / "cut", data)


@pytest.mark.parametrize("router", [False, True])
def test_layers_that_are_code_or_pickles_are_refused(router: bool, trained: Path, tmp_path: Path) -> None:
    from sentence_transformers.models import Dense

    mark = tmp_path / "ran"
    data = tmp_path / "pairs.jsonl"
    headed.write(data, pairs(2, 10))
    model = at(trained, 40)
    model.append(Dense(32, 8))
    folder = tmp_path / "out/checkpoint-1"
    model.save(str(folder))
    assert study(tmp_path / "out", data).scores
    named = json.loads((folder / "modules.json").read_text())
    layer = folder / named[-1]["path"]
    weights = layer / "model.safetensors"
    (layer / "pytorch_model.bin").write_bytes(weights.read_bytes())
    weights.unlink()
    with pytest.raises(UnsafeFile, match="can run code"):
        study(tmp_path / "out", data)
    (layer / "pytorch_model.bin").rename(weights)
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass Layer: pass\n")
    if router:
        (layer / "router_config.json").write_text(json.dumps({"types": {"query_0_Layer": "evil.Layer"}}))
    else:
        named[-1]["type"] = "evil.Layer"
        (folder / "modules.json").write_text(json.dumps(named))
    with pytest.raises(UnsafeFile, match=r"evil\.Layer: that is code"):
        study(tmp_path / "out", data)
    assert not mark.exists()
