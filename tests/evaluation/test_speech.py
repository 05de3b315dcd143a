"""Whisper and CTC: transcripts, error rates and losses as a plain loop and the Trainer have them."""

from __future__ import annotations

import json
import random
from functools import partial
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
import torch

from runscope.errors import InputError
from runscope.evaluation import EvaluateSettings, Study, evaluate
from runscope.evaluation.caveats import futile
from runscope.evaluation.examples.example import Example
from runscope.evaluation.tasks.kinds import find_task
from runscope.hub import fetch, list_checkpoints
from tests.evaluation import heard

pytestmark = pytest.mark.filterwarnings("ignore::Warning")


def study(folder: Path, data: Path | str, **settings: Any) -> Study:
    words: dict[str, Any] = {"full": True, "device": "cpu", "sample": 3, **settings}
    return evaluate(list_checkpoints(str(folder)), data, fetch=fetch, settings=EvaluateSettings(**words))


def arguments(folder: Path, steps: int, kind: str = "TrainingArguments", **more: Any) -> Any:
    import transformers as hf

    return getattr(hf, kind)(
        str(folder), per_device_train_batch_size=16, per_device_eval_batch_size=64, max_steps=steps,
        save_steps=steps // 2, learning_rate=4e-3, report_to=[], use_cpu=True, disable_tqdm=True, logging_steps=1000,
        remove_unused_columns=False, **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[heard.Said], Any]:
    """A Whisper that the Trainer taught."""
    from transformers import Seq2SeqTrainer

    folder = tmp_path_factory.mktemp("whisper")
    processor = heard.whisper_processor()
    torch.manual_seed(0)
    trainer = Seq2SeqTrainer(
        heard.whisper(),
        arguments(folder / "out", 120, "Seq2SeqTrainingArguments", predict_with_generate=True),
        train_dataset=heard.whisper_rows(heard.spoken(1, 200, words=1), processor),
        data_collator=partial(heard.whisper_batch, processor), processing_class=processor,
    )  # fmt: skip
    trainer.train()
    said = list({text: (wave, text) for wave, text in heard.spoken(2, 60, words=1)}.values())
    heard.write(folder / "heldout", said)
    return folder, said, trainer


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[heard.Said], Any]:
    """A wav2vec 2.0 that the Trainer taught by CTC."""
    from transformers import Trainer

    folder = tmp_path_factory.mktemp("ctc")
    processor = heard.ctc_processor(folder / "words")
    torch.manual_seed(0)
    trainer = Trainer(
        heard.wav2vec(), arguments(folder / "out", 80),
        train_dataset=heard.ctc_rows(heard.spoken(1, 200), processor),
        data_collator=partial(heard.ctc_batch, processor), processing_class=processor,
    )  # fmt: skip
    trainer.train()
    said = list({text: (wave, text) for wave, text in heard.spoken(2, 30)}.values())
    heard.write(folder / "heldout", said)
    return folder, said, trainer


def test_whisper_is_what_the_trainer_and_a_plain_loop_give(written: Any) -> None:
    from transformers import WhisperForConditionalGeneration

    folder, said, trainer = written
    found = study(folder / "out", folder / "heldout/rows.jsonl")
    assert (found.task, found.metric, found.lower_is_better) == ("transcribe", "wer", True)
    processor, truth = heard.whisper_processor(), [text for _, text in said]
    for score in found.scores:
        place = folder / f"out/checkpoint-{score.checkpoint.step}"
        model = WhisperForConditionalGeneration.from_pretrained(place).eval()
        told = []
        for row in heard.whisper_rows(said, processor):
            ids = model.generate(torch.tensor(row["input_features"])[None])
            told.append(processor.tokenizer.decode(ids[0], skip_special_tokens=True))
        assert score.mean == pytest.approx(jiwer.wer(truth, told), abs=1e-9)
        assert score.scores["wer"] == pytest.approx(jiwer.wer(truth, told), abs=1e-9)
        assert score.scores["cer"] == pytest.approx(jiwer.cer(truth, told), abs=1e-9)
    rows = heard.whisper_rows(said, processor)
    assert found.scores[-1].scores["loss"] == pytest.approx(trainer.evaluate(rows)["eval_loss"], abs=2e-5)
    ids = trainer.predict(rows).predictions
    ids[ids == -100] = processor.tokenizer.pad_token_id
    told = processor.tokenizer.batch_decode(ids, skip_special_tokens=True)
    assert found.scores[-1].mean == pytest.approx(jiwer.wer(truth, told), abs=1e-9)
    assert len(set(told)) > 1, "it writes what it hears"
    assert found.scores[-1].scores["loss"] < found.scores[0].scores["loss"]


def test_ctc_is_what_the_trainer_and_a_plain_loop_give(marked: Any) -> None:
    from transformers import Wav2Vec2ForCTC

    folder, said, trainer = marked
    found = study(folder / "out", folder / "heldout/rows.jsonl")
    assert (found.task, found.metric) == ("transcribe", "wer")
    processor, truth = heard.ctc_processor(folder / "words"), [text for _, text in said]
    for score in found.scores:
        model = Wav2Vec2ForCTC.from_pretrained(folder / f"out/checkpoint-{score.checkpoint.step}").eval()
        told, losses = [], []
        for row in heard.ctc_rows(said, processor):
            with torch.no_grad():
                made = model(torch.tensor(row["input_values"])[None], labels=torch.tensor([row["labels"]]))
            told.append(processor.tokenizer.decode(made.logits[0].argmax(-1)))
            losses.append(float(made.loss) * len(row["labels"]))
        assert score.mean == pytest.approx(jiwer.wer(truth, told), abs=1e-9)
        assert score.scores["cer"] == pytest.approx(jiwer.cer(truth, told), abs=1e-9)
        letters = sum(len(row["labels"]) for row in heard.ctc_rows(said, processor))
        assert score.scores["loss"] == pytest.approx(sum(losses) / letters, abs=1e-4)
    rows = heard.ctc_rows(said, processor)
    logged = trainer.evaluate(rows)["eval_loss"]  # the mean of each transcript's mean
    of = found.evaluations[-1].scores["loss"]
    assert np.mean(of) == pytest.approx(logged, abs=1e-4)
    assert len(set(told)) > 1, "it writes what it hears"


def test_the_error_rate_of_letters_decides_where_it_is_asked_for(marked: Any) -> None:
    folder, _, _ = marked
    found = study(folder / "out", folder / "heldout/rows.jsonl", metric="cer")
    assert found.metric == "cer"
    assert found.scores[-1].mean == pytest.approx(found.scores[-1].scores["cer"])


def test_where_all_transcripts_are_empty_a_loss_still_decides() -> None:
    example, row = (
        Example("", "a b"),
        {"answer": "", "loss": 1.0, "tokens": 2.0, "words": 2.0, "characters": 3.0},
    )
    for metric, said in (("wer", True), ("cer", True), ("loss", False)):
        task = find_task(EvaluateSettings(task="transcribe", metric=metric))
        assert ("is empty: this shows nothing" in futile(task, [example], {0: [row], 1: [row]})) == said


def test_other_rates_two_channels_and_data_sets_are_heard_too(marked: Any, tmp_path: Path) -> None:
    import datasets
    import soundfile
    import soxr

    folder, said, _ = marked
    expected = study(folder / "out", folder / "heldout/rows.jsonl").scores[-1]
    rows = []
    for number, (wave, text) in enumerate(said):
        both = np.stack([wave * 1.5, wave * 0.5], axis=1)
        soundfile.write(tmp_path / f"{number}.flac", both / 2, heard.RATE, subtype="PCM_24")
        rows.append({"path": f"{number}.flac", "sentence": text})
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    found = study(folder / "out", tmp_path / "rows.jsonl").scores[-1]
    assert found.scores["loss"] == pytest.approx(expected.scores["loss"], rel=0.01)
    for number, (wave, _) in enumerate(said):
        loud = soxr.resample(wave, heard.RATE, 44_100)
        soundfile.write(tmp_path / f"{number}.flac", loud / 2, 44_100)
    found = study(folder / "out", tmp_path / "rows.jsonl").scores[-1]
    assert found.scores["loss"] == pytest.approx(expected.scores["loss"], rel=0.1)

    files = [str(folder / f"heldout/{number}.wav") for number in range(len(said))]
    kept = datasets.Dataset.from_dict({"audio": files, "text": [text for _, text in said]})
    kept.cast_column("audio", datasets.Audio()).save_to_disk(str(tmp_path / "kept"))
    found = study(folder / "out", tmp_path / "kept").scores[-1]
    assert found.scores == pytest.approx(expected.scores)


@pytest.mark.parametrize("kind", ["wav2vec2 by groups", "wav2vec2 by layers", "hubert", "moonshine"])
def test_a_sound_s_result_does_not_depend_on_those_beside_it(kind: str, tmp_path: Path) -> None:
    said = list({text: (wave, text) for wave, text in heard.spoken(6, 12, words=6)}.values())
    data = heard.write(tmp_path / "heldout", said)
    if kind == "moonshine":
        extractor = heard.ctc_processor(tmp_path / "words").feature_extractor
        tokenizer, make = heard.whisper_processor().tokenizer, heard.moonshine
        for part in (extractor, tokenizer):
            part.save_pretrained(tmp_path / "out")  # once, above the checkpoints
    else:
        processor = heard.ctc_processor(tmp_path / "words")
        extractor, tokenizer = processor.feature_extractor, processor.tokenizer
        processor.save_pretrained(tmp_path / "out")
        norm = "group" if kind == "wav2vec2 by groups" else "layer"
        make = partial(heard.wav2vec, feat_extract_norm=norm, initializer_range=0.3)
        make = heard.hubert if kind == "hubert" else make
    for step in (1, 2):
        torch.manual_seed(step)
        model = make()
        model.save_pretrained(tmp_path / f"out/checkpoint-{step}")
    found = study(tmp_path / "out", data, max_new_tokens=5)
    model, losses, letters = model.eval(), 0.0, 0
    for wave, text in said:
        labels = tokenizer(text)["input_ids"]
        labels = labels[1:] if kind == "moonshine" else labels
        with torch.no_grad():
            given = extractor(wave, sampling_rate=heard.RATE, return_tensors="pt")
            made = model(given["input_values"], labels=torch.tensor([labels]))
        losses += float(made.loss) * (1 if kind == "hubert" else len(labels))
        letters += len(labels)
    assert found.scores[-1].scores["loss"] == pytest.approx(losses / letters, rel=1e-4)


def test_what_cannot_be_heard_is_said(written: Any, tmp_path: Path) -> None:
    folder, said, _ = written
    rng = random.Random(9)
    long = [(heard.sound("abc " * 10 + "a", rng), "abc " * 10 + "a"), (heard.sound("a", rng), "  ")]
    found = study(folder / "out", heard.write(tmp_path / "long", [*said[:4], *long]))
    assert any("1 of 5 sounds are longer than the model takes" in note for note in found.notes)
    assert any("1 row with nothing to score" in note for note in found.notes)
    (tmp_path / "rows.jsonl").write_text('{"audio": "none.wav", "text": "a"}\n' * 2)
    with pytest.raises(InputError, match="there is no such file"):
        study(folder / "out", tmp_path / "rows.jsonl")
    (tmp_path / "none.wav").write_bytes(b"RIFF no sound")
    with pytest.raises(InputError, match="cannot be read as a sound"):
        study(folder / "out", tmp_path / "rows.jsonl")
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(InputError, match="has no sound"):
        study(folder / "out", tmp_path / "rows.jsonl")


def test_whisper_without_its_ways_to_write_and_with_an_adapter(written: Any, tmp_path: Path) -> None:
    """No generation_config.json; LoRA as people put it on Whisper, without a task type."""
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import WhisperForConditionalGeneration

    folder, said, _ = written
    base = folder / "out/checkpoint-120"
    for step in (1, 2):
        torch.manual_seed(step)
        model = WhisperForConditionalGeneration.from_pretrained(base)
        lora = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False, lora_alpha=1)
        get_peft_model(model, lora).save_pretrained(tmp_path / f"out/checkpoint-{step}")
    found = study(tmp_path / "out", folder / "heldout/rows.jsonl")
    processor, truth = heard.whisper_processor(), [text for _, text in said]
    for score in found.scores:
        place = tmp_path / f"out/checkpoint-{score.checkpoint.step}"
        model = PeftModel.from_pretrained(WhisperForConditionalGeneration.from_pretrained(base), place).eval()
        told = []
        for row in heard.whisper_rows(said, processor):
            ids = model.generate(input_features=torch.tensor(row["input_features"])[None])
            told.append(processor.tokenizer.decode(ids[0], skip_special_tokens=True))
        assert score.mean == pytest.approx(jiwer.wer(truth, told), abs=1e-9)
    assert found.base is not None
    assert found.base.scores["wer"] == pytest.approx(
        study(folder / "out", folder / "heldout/rows.jsonl").scores[-1].mean
    )

    for step in (1, 2):
        model = heard.whisper()
        model.save_pretrained(tmp_path / f"bare/checkpoint-{step}")
        (tmp_path / f"bare/checkpoint-{step}/generation_config.json").unlink()
        processor.save_pretrained(tmp_path / f"bare/checkpoint-{step}")
    found = study(tmp_path / "bare", folder / "heldout/rows.jsonl", max_new_tokens=7)
    model = WhisperForConditionalGeneration.from_pretrained(tmp_path / "bare/checkpoint-2").eval()
    told = []
    for row in heard.whisper_rows(said, processor):
        ids = model.generate(torch.tensor(row["input_features"])[None], max_new_tokens=7)
        told.append(processor.tokenizer.decode(ids[0], skip_special_tokens=True))
    assert found.scores[-1].mean == pytest.approx(jiwer.wer(truth, told), abs=1e-9)


def test_a_classifier_of_sounds_is_what_a_plain_loop_gives(tmp_path: Path) -> None:
    from transformers import Wav2Vec2FeatureExtractor

    said = heard.spoken(7, 20)
    place = heard.write(tmp_path / "heldout", said)
    rows = [json.loads(line) for line in place.read_text().splitlines()]
    place.write_text(
        "".join(json.dumps({"audio": r["audio"], "label": len(r["text"]) % 3}) + "\n" for r in rows)
    )
    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
    for step in (1, 2):
        torch.manual_seed(step)
        model = heard.wav2vec("SequenceClassification", num_labels=3, initializer_range=0.3)
        model.save_pretrained(tmp_path / f"out/checkpoint-{step}")
        extractor.save_pretrained(tmp_path / f"out/checkpoint-{step}")
    found = study(tmp_path / "out", place)
    assert found.task == "classify-sounds"
    losses = []
    for wave, text in said:
        with torch.no_grad():
            made = extractor(wave, sampling_rate=heard.RATE, return_tensors="pt")
            losses.append(-float(model.eval()(**made).logits[0].log_softmax(-1)[len(text) % 3]))
    assert found.scores[-1].mean == pytest.approx(np.mean(losses), abs=1e-5)
