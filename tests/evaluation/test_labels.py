"""Several labels at once, several numbers, T5's and BART's classifiers: as a plain loop and the Trainer have them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runscope.errors import InputError, UsageError
from runscope.evaluation import EvaluateSettings, Study, evaluate
from runscope.hub import fetch, list_checkpoints
from tests.evaluation import headed, seen

pytestmark = pytest.mark.filterwarnings("ignore::Warning")
KINDS = ("vowels", "early", "late")


def study(folder: Path, data: Path, **settings: Any) -> Study:
    words: dict[str, Any] = {"full": True, "device": "cpu", "sample": 3, **settings}
    return evaluate(list_checkpoints(str(folder)), data, fetch=fetch, settings=EvaluateSettings(**words))


def kinds_of(text: str) -> list[int]:
    letters = text.split()
    return [int(any(c in letters for c in some)) for some in ("aeiou", "bcd", "wxyz")]


def texts(seed: int, count: int) -> list[str]:
    rng = random.Random(seed)
    return sorted({headed.letters(rng, 1, 6) for _ in range(count)})


def made(model: Any, text: str) -> Any:
    with torch.no_grad():
        return model(**headed.tokenizer()(text, return_tensors="pt")).logits[0].double()


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], Any]:
    """A classifier of three labels at once that the Trainer taught, which infers so from the labels' type."""
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    folder, words = tmp_path_factory.mktemp("several"), headed.tokenizer()
    torch.manual_seed(0)
    names = {"id2label": dict(enumerate(KINDS)), "label2id": {n: i for i, n in enumerate(KINDS)}}
    model = headed.bert("SequenceClassification", problem_type="multi_label_classification", **names)
    arguments = TrainingArguments(
        str(folder / "out"), per_device_train_batch_size=16, per_device_eval_batch_size=256, max_steps=40,
        save_steps=20, learning_rate=3e-3, report_to=[], use_cpu=True, disable_tqdm=True, logging_steps=2,
    )  # fmt: skip
    rows = [{**words(t), "labels": [float(k) for k in kinds_of(t)]} for t in texts(1, 200)]
    trainer = Trainer(
        model,
        arguments,
        train_dataset=rows,
        data_collator=DataCollatorWithPadding(words),
        processing_class=words,
    )
    trainer.train()
    return folder, texts(2, 80), trainer


def test_several_labels_are_what_the_trainer_and_scikit_learn_give(several: Any) -> None:
    from sklearn.metrics import accuracy_score, f1_score

    folder, held_out, trainer = several
    headed.write(folder / "hot.jsonl", [{"text": t, "labels": kinds_of(t)} for t in held_out])
    found = study(folder / "out", folder / "hot.jsonl")
    assert (found.task, found.metric) == ("multi-label", "loss")
    words = headed.tokenizer()
    rows = [{**words(t), "labels": [float(k) for k in kinds_of(t)]} for t in held_out]
    assert found.scores[-1].mean == pytest.approx(trainer.evaluate(rows)["eval_loss"], abs=1e-5)
    right = np.array([kinds_of(t) for t in held_out])
    model = trainer.model.eval()
    said = np.array([(made(model, t) > 0).int().tolist() for t in held_out])
    scores = found.scores[-1].scores
    assert scores["micro_f1"] == pytest.approx(f1_score(right, said, average="micro"))
    assert scores["macro_f1"] == pytest.approx(f1_score(right, said, average="macro", zero_division=0))
    assert scores["accuracy"] == pytest.approx(accuracy_score(right, said))
    by_f1 = study(folder / "out", folder / "hot.jsonl", metric="micro_f1")
    assert by_f1.scores[-1].mean == pytest.approx(scores["micro_f1"], abs=0.02)
    assert by_f1.example_evaluations == by_f1.full_grid


def test_labels_in_whatever_form_are_the_same(several: Any, tmp_path: Path) -> None:
    folder, held_out, _ = several
    headed.write(tmp_path / "hot.jsonl", [{"text": t, "labels": kinds_of(t)} for t in held_out])
    expected = study(folder / "out", tmp_path / "hot.jsonl").scores[-1]
    named = [[KINDS[i] for i, k in enumerate(kinds_of(t)) if k] for t in held_out]
    numbers = [[KINDS.index(n) for n in names] for names in named]
    forms: dict[str, list[dict[str, Any]]] = {
        "names": [{"text": t, "labels": names} for t, names in zip(held_out, named, strict=True)],
        "numbers": [{"text": t, "label": own} for t, own in zip(held_out, numbers, strict=True)],
        "floats": [{"text": t, "labels": [float(k) for k in kinds_of(t)]} for t in held_out],
        "columns": [{"text": t, **dict(zip(KINDS, kinds_of(t), strict=True))} for t in held_out],
    }
    for name, rows in forms.items():
        headed.write(tmp_path / f"{name}.jsonl", rows)
        found = study(folder / "out", tmp_path / f"{name}.jsonl").scores[-1]
        assert found.mean == pytest.approx(expected.mean), name
        assert found.examples == expected.examples
    headed.write(
        tmp_path / "odd.jsonl", [{"text": "a b", "labels": ["late", "never"]}, {"text": "c", "labels": []}]
    )
    with pytest.raises(InputError, match="no label 'never'"):
        study(folder / "out", tmp_path / "odd.jsonl")


def test_what_excludes_one_another_and_what_does_not_are_not_mixed_up(several: Any, tmp_path: Path) -> None:
    folder, held_out, _ = several
    headed.write(tmp_path / "one.jsonl", [{"text": t, "label": "late"} for t in held_out])
    with pytest.raises(UsageError, match="made for the task multi-label"):
        study(folder / "out", tmp_path / "one.jsonl", task="classify")
    headed.write(tmp_path / "hot.jsonl", [{"text": t, "labels": kinds_of(t)} for t in held_out])
    for step in (1, 2):  # the configuration does not say it: lists of labels do
        headed.bert("SequenceClassification", num_labels=3).save_pretrained(
            tmp_path / f"out/checkpoint-{step}"
        )
        headed.tokenizer().save_pretrained(tmp_path / f"out/checkpoint-{step}")
    assert study(tmp_path / "out", tmp_path / "hot.jsonl").task == "multi-label"


def test_a_report_takes_the_metric_of_the_task_that_the_model_is_made_for(
    several: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from runscope.cli import main

    folder, held_out, _ = several
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    headed.write(tmp_path / "hot.jsonl", [{"text": t, "labels": kinds_of(t)} for t in held_out])
    out = str(folder / "out")
    words = ["report", out, "--hub", out, "--data", str(tmp_path / "hot.jsonl"), "--device", "cpu", "--quiet"]
    assert main([*words, "--metric", "micro_f1", "--output", str(tmp_path / "report")]) == 0
    last = json.loads((tmp_path / "report/findings.json").read_text())["checkpoints"][-1]
    assert last["mean"] == pytest.approx(last["scores"]["micro_f1"], abs=0.02)
    assert last["mean"] != pytest.approx(last["scores"]["loss"], abs=0.02)
    assert main([*words, "--metric", "elegance", "--output", str(tmp_path / "none")]) == 2
    assert "micro_f1" in capsys.readouterr().err, "what it could have been"


def test_several_labels_of_a_picture(tmp_path: Path) -> None:
    shown = seen.pictures(3, 12)
    seen.folder_of(tmp_path / "seen", shown)
    rows = [
        {"image": f"{seen.NAMES[k]}/{n}.png", "labels": [n % 2, 1, int(n > 5)]}
        for n, (_, k) in enumerate(shown)
    ]
    headed.write(tmp_path / "seen/rows.jsonl", rows)
    for step in (1, 2):
        torch.manual_seed(step)
        model = seen.vit(num_labels=3, problem_type="multi_label_classification").eval()
        model.save_pretrained(tmp_path / f"out/checkpoint-{step}")
        seen.processor().save_pretrained(tmp_path / f"out/checkpoint-{step}")
    found = study(tmp_path / "out", tmp_path / "seen/rows.jsonl")
    assert found.task == "multi-label-images"
    pixels = torch.stack([r["pixel_values"] for r in seen.rows(shown, seen.processor())])
    with torch.no_grad():
        loss = model(pixels, labels=torch.tensor([[float(k) for k in r["labels"]] for r in rows])).loss
    assert found.scores[-1].mean == pytest.approx(float(loss), abs=1e-5)


def test_several_numbers_are_a_regression_and_not_a_choice(tmp_path: Path) -> None:
    from sklearn.metrics import r2_score

    held_out = texts(5, 40)
    truth = [[len(t) / 10, t.count("a") - 0.5] for t in held_out]
    headed.write(
        tmp_path / "rows.jsonl", [{"text": t, "label": v} for t, v in zip(held_out, truth, strict=True)]
    )
    for step in (1, 2):
        torch.manual_seed(step)
        model = headed.bert("SequenceClassification", num_labels=2, problem_type="regression").eval()
        model.save_pretrained(tmp_path / f"out/checkpoint-{step}")
        headed.tokenizer().save_pretrained(tmp_path / f"out/checkpoint-{step}")
    found = study(tmp_path / "out", tmp_path / "rows.jsonl")
    assert found.task == "regression"
    said = np.array([made(model, t).tolist() for t in held_out])
    assert found.scores[-1].mean == pytest.approx(np.mean((said - truth) ** 2), abs=1e-5)
    assert found.scores[-1].scores["r2"] == pytest.approx(r2_score(truth, said), abs=1e-4)
    headed.write(tmp_path / "one.jsonl", [{"text": t, "label": 1.5} for t in held_out])
    with pytest.raises(InputError, match="gives 2 numbers for a text, and a row has 1"):
        study(tmp_path / "out", tmp_path / "one.jsonl")


def test_a_regression_of_pictures_is_refused_and_not_a_classifier_of_one_label(tmp_path: Path) -> None:
    seen.folder_of(tmp_path / "seen", seen.pictures(3, 6))
    seen.vit(num_labels=1).save_pretrained(tmp_path / "out/checkpoint-1")
    with pytest.raises(InputError, match="a regression of images or sounds"):
        study(tmp_path / "out", tmp_path / "seen")


def t5() -> Any:
    import transformers as hf

    return hf.T5ForSequenceClassification(
        hf.T5Config(vocab_size=len(headed.WORDS), d_model=32, d_kv=8, d_ff=64, num_layers=1, num_heads=4, num_labels=3,
                    pad_token_id=0, eos_token_id=3, decoder_start_token_id=0, initializer_factor=3.0)
    )  # fmt: skip


def bart() -> Any:
    import transformers as hf

    return hf.BartForSequenceClassification(
        hf.BartConfig(vocab_size=len(headed.WORDS), d_model=32, encoder_layers=1, decoder_layers=1,
                      encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64,
                      max_position_embeddings=64, num_labels=3, pad_token_id=0, bos_token_id=2, eos_token_id=3,
                      decoder_start_token_id=3, forced_eos_token_id=3, init_std=0.3)
    )  # fmt: skip


@pytest.mark.parametrize("make", [t5, bart])
def test_classifiers_on_encoder_decoders_read_texts_with_and_without_a_second_one(
    make: Callable[[], Any], tmp_path: Path
) -> None:
    held_out, words = texts(6, 30), headed.tokenizer()
    rows = [{"sentence1": t, "sentence2": "a b", "label": len(t) % 3} for t in held_out]
    headed.write(tmp_path / "pairs.jsonl", rows)
    more = [{"text": f"{t} [SEP] c" if n % 2 else t, "label": len(t) % 3} for n, t in enumerate(held_out)]
    headed.write(
        tmp_path / "texts.jsonl", more
    )  # a text may hold the end token, and count one more than others
    for step in (1, 2):
        torch.manual_seed(step)
        model = make().eval()
        model.save_pretrained(tmp_path / f"out/checkpoint-{step}")
        words.save_pretrained(tmp_path / f"out/checkpoint-{step}")
    for name, given in (
        ("pairs", [(r["sentence1"], r["sentence2"]) for r in rows]), ("texts", [(r["text"],) for r in more]),
    ):  # fmt: skip
        losses = []
        for text, row in zip(given, rows, strict=True):
            ids = words(*text, return_tensors="pt")["input_ids"]
            with torch.no_grad():
                losses.append(-float(model(input_ids=ids).logits[0].log_softmax(-1)[row["label"]]))
        found = study(tmp_path / "out", tmp_path / f"{name}.jsonl")
        assert found.task == "classify"
        assert found.scores[-1].mean == pytest.approx(np.mean(losses), abs=2e-5)


def test_a_model_without_a_limit_and_labels_as_a_table_writes_them(tmp_path: Path) -> None:
    import transformers as hf

    held_out, words = texts(7, 20), headed.tokenizer()
    lines = [f"{t},{len(t) % 2}.0" for t in held_out]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    config = hf.XLNetConfig(
        vocab_size=len(headed.WORDS), d_model=32, n_layer=1, n_head=4, d_inner=64, pad_token_id=0
    )
    for step in (1, 2):
        torch.manual_seed(step)
        model = hf.XLNetForSequenceClassification(config).eval()
        model.save_pretrained(tmp_path / f"out/checkpoint-{step}")
        words.save_pretrained(tmp_path / f"out/checkpoint-{step}")
    losses = [-float(made(model, t).log_softmax(-1)[len(t) % 2]) for t in held_out]
    assert study(tmp_path / "out", tmp_path / "rows.csv").scores[-1].mean == pytest.approx(
        np.mean(losses), abs=1e-5
    )
