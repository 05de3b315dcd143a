"""Classifiers of images: each result as a plain loop and the Trainer have it, from whatever rows people keep."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runscope.errors import InputError, UsageError
from runscope.evaluation import EvaluateSettings, Study, evaluate
from runscope.hub import fetch, list_checkpoints
from tests.evaluation import seen

pytestmark = pytest.mark.filterwarnings("ignore::Warning")
NAMED = {
    "id2label": dict(enumerate(seen.NAMES)),
    "label2id": {name: number for number, name in enumerate(seen.NAMES)},
}

SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


def study(folder: Path, data: Path | str, **settings: Any) -> Study:
    words: dict[str, Any] = {"full": True, "device": "cpu", "sample": 3, **settings}
    return evaluate(list_checkpoints(str(folder)), data, fetch=fetch, settings=EvaluateSettings(**words))


def plain_loop(folder: Path, shown: list[Any], model: Any) -> tuple[list[float], list[int]]:
    """One picture at a time."""
    model = type(model).from_pretrained(folder).eval()
    losses, said = [], []
    for row in seen.rows(shown, seen.processor()):
        with torch.no_grad():
            logits = model(pixel_values=row["pixel_values"][None]).logits[0].double()
        losses.append(-float(logits.log_softmax(-1)[row["labels"]]))
        said.append(int(logits.argmax()))
    return losses, said


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any], Any]:
    folder = tmp_path_factory.mktemp("images")
    trainer = seen.train(folder / "out", lambda: seen.vit(**NAMED), seen.pictures(1, 96))
    shown = seen.pictures(2, 60)
    seen.folder_of(folder / "heldout", shown)
    return folder, shown, trainer


def test_a_folder_of_classes_is_what_the_trainer_and_a_plain_loop_give(trained: Any) -> None:
    from sklearn.metrics import f1_score

    folder, shown, trainer = trained
    found = study(folder / "out", folder / "heldout")
    assert found.task == "classify-images"
    assert found.metric == "loss"
    for score in found.scores:
        losses, said = plain_loop(folder / f"out/checkpoint-{score.checkpoint.step}", shown, trainer.model)
        right = [label for _, label in shown]
        assert score.mean == pytest.approx(np.mean(losses), abs=1e-5)
        assert score.scores["accuracy"] == pytest.approx(np.mean(np.equal(said, right)))
        assert score.scores["macro_f1"] == pytest.approx(f1_score(right, said, average="macro"))
    logged = trainer.evaluate(seen.rows(shown, seen.processor()))
    assert found.scores[-1].mean == pytest.approx(logged["eval_loss"], abs=1e-5)
    assert found.scores[-1].scores["accuracy"] > 0.6, (
        "it learned, so that the labels are those of the folders"
    )


def test_rows_in_files_and_data_sets_are_the_same(trained: Any, tmp_path: Path) -> None:
    import datasets

    folder, shown, _ = trained
    expected = study(folder / "out", folder / "heldout").scores[-1]
    names = [
        f"{seen.NAMES[label]}/{number}.png" for number, (_, label) in enumerate(shown)
    ]  # relative to the file
    listed = folder / "heldout" / "rows.jsonl"
    listed.write_text(
        "".join(
            json.dumps({"image": name, "label": label}) + "\n"
            for name, (_, label) in zip(names, shown, strict=True)
        )
    )
    table = {
        "image": [str(folder / "heldout" / name) for name in names],
        "label": [seen.NAMES[label] for _, label in shown],
    }
    kept = datasets.Dataset.from_dict(table).cast_column("image", datasets.Image())
    kept.save_to_disk(str(tmp_path / "kept"))
    kept.to_parquet(str(tmp_path / "kept.parquet"))  # the bytes of the files within
    try:
        for data in (listed, tmp_path / "kept", tmp_path / "kept.parquet"):
            found = study(folder / "out", data).scores[-1]
            assert found.mean == pytest.approx(expected.mean, abs=1e-6)
            assert found.examples == expected.examples
    finally:
        listed.unlink()


def test_every_kind_of_picture_is_seen_in_its_colours(trained: Any, tmp_path: Path) -> None:
    from PIL import Image

    folder, shown, trainer = trained
    image, label = shown[0]
    changed = {
        "grey.png": image.convert("L"), "alpha.png": image.convert("RGBA"), "palette.png": image.convert("P"),
        "palette.gif": image.convert("P"), "large.jpg": image.resize((50, 31)),
    }  # fmt: skip
    turned = Image.Exif()
    turned[0x0112] = 6  # a camera that was held upright
    rows = []
    for name, other in changed.items():
        other.save(tmp_path / name)
        rows.append({"image": name, "label": label})
    image.save(tmp_path / "turned.png", exif=turned)
    rows.append({"image": "turned.png", "label": label})
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    found = study(folder / "out", tmp_path / "rows.jsonl")
    read = [Image.open(tmp_path / n).convert("RGB") for n in changed] + [
        image.transpose(Image.Transpose.ROTATE_270)
    ]
    losses, _ = plain_loop(folder / "out/checkpoint-30", [(i, label) for i in read], trainer.model)
    assert found.scores[-1].mean == pytest.approx(np.mean(losses), abs=1e-5)


def test_convnext_without_names_takes_folders_in_their_order_and_its_processor_from_the_root(
    tmp_path: Path,
) -> None:
    shown = seen.pictures(3, 40)
    trainer = seen.train(
        tmp_path / "out", lambda: seen.convnext(num_labels=3), seen.pictures(4, 48), steps=10
    )
    for place in (tmp_path / "out").glob("checkpoint-*/preprocessor_config.json"):
        place.replace(tmp_path / "out/preprocessor_config.json")
    found = study(tmp_path / "out", seen.folder_of(tmp_path / "heldout", shown))
    logged = trainer.evaluate(seen.rows(shown, seen.processor()))
    assert found.scores[-1].mean == pytest.approx(logged["eval_loss"], abs=1e-5)


@pytest.mark.parametrize(
    ("family", "own"),
    [
        ("Swin", {"patch_size": 2, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}),
        ("ConvNextV2", {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "patch_size": 2}),
        ("Dinov2", {"patch_size": 4}),
        ("DeiT", {"patch_size": 4, "intermediate_size": 32}),
        ("ResNet", {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}),
        ("Siglip", {"vision_config": {"patch_size": 4, "image_size": seen.SIDE, **SMALL}}),
        ("CLIP", {"vision_config": {"patch_size": 4, "image_size": seen.SIDE, **SMALL}}),
    ],
)
def test_other_families_are_what_a_plain_loop_gives(
    family: str, own: dict[str, Any], trained: Any, tmp_path: Path
) -> None:
    import transformers as hf

    folder, shown, _ = trained
    words = {"image_size": seen.SIDE, **(SMALL if family in ("Dinov2", "DeiT") else {}), **own, **NAMED}
    for step in (1, 2):
        torch.manual_seed(step)
        model = getattr(hf, f"{family}ForImageClassification")(getattr(hf, f"{family}Config")(**words))
        model.save_pretrained(tmp_path / f"checkpoint-{step}")
        seen.processor().save_pretrained(tmp_path / f"checkpoint-{step}")
    found = study(tmp_path, folder / "heldout")
    losses, said = plain_loop(tmp_path / "checkpoint-2", shown, model)
    assert found.scores[1].mean == pytest.approx(np.mean(losses), abs=1e-5)
    assert found.scores[1].scores["accuracy"] == pytest.approx(
        np.mean(np.equal(said, [label for _, label in shown]))
    )


def test_one_channel_and_splits(tmp_path: Path) -> None:
    import transformers as hf

    shown = seen.pictures(5, 30)
    for step in (1, 2):
        torch.manual_seed(step)
        model = seen.vit(num_labels=3, num_channels=1)
        model.save_pretrained(tmp_path / f"out/checkpoint-{step}")
        hf.ViTImageProcessor(
            size={"height": 16, "width": 16}, image_mean=[0.5], image_std=[0.5]
        ).save_pretrained(tmp_path / f"out/checkpoint-{step}")
    seen.folder_of(tmp_path / "data/test", shown)
    seen.folder_of(tmp_path / "data/train", shown[:12])
    seen.folder_of(tmp_path / "data/dev", [(i, label) for i, label in shown if label])
    found = study(tmp_path / "out", tmp_path / "data")
    losses = []
    for image, label in shown:
        pixels = torch.tensor(np.asarray(image.convert("L")) / 255.0, dtype=torch.float32)
        with torch.no_grad():
            logits = model.eval()(pixel_values=((pixels - 0.5) / 0.5)[None, None]).logits[0]
        losses.append(-float(logits.log_softmax(-1)[label]))
    assert found.scores[-1].mean == pytest.approx(np.mean(losses), abs=1e-5)
    assert study(tmp_path / "out", f"{tmp_path / 'data'}:train").scores[-1].examples == 12
    with pytest.raises(InputError, match="has no split 'val'"):
        study(tmp_path / "out", f"{tmp_path / 'data'}:val")
    with pytest.raises(
        InputError, match="the model has no label"
    ):  # two folders say nothing of three numbers
        study(tmp_path / "out", f"{tmp_path / 'data'}:dev")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"image": "missing.png", "label": 0}, "there is no such file"),
        ({"image": "broken.png", "label": 0}, "cannot be read as a picture"),
        ({"image": 7, "label": 0}, "holds no picture"),
        ({"text": "a", "label": 0}, "has no picture"),
        ({"image": "good.png"}, "has no label"),
        ({"image": "good.png", "label": "violet"}, "no label 'violet'"),
    ],
)
def test_rows_that_cannot_be_seen_are_named(trained: Any, row: Any, words: str, tmp_path: Path) -> None:
    folder, shown, _ = trained
    shown[0][0].save(tmp_path / "good.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "good.png").read_bytes()[:20])
    rows = [row, {"image": "good.png", "label": 1}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    with pytest.raises(InputError, match=words) as caught:
        study(folder / "out", tmp_path / "rows.jsonl")
    assert caught.value.hint


def test_without_a_processor_nothing_is_guessed(trained: Any, tmp_path: Path) -> None:
    folder, _, _ = trained
    shutil.copytree(folder / "out", tmp_path / "out")
    for place in (tmp_path / "out").rglob("preprocessor_config.json"):
        place.unlink()
    with pytest.raises(InputError, match="no image processor lies at"):
        study(tmp_path / "out", folder / "heldout")


def test_a_processor_that_was_saved_at_the_end_alone_serves_all(trained: Any, tmp_path: Path) -> None:
    folder, _, _ = trained
    shutil.copytree(folder / "out", tmp_path / "out")
    (tmp_path / "out/checkpoint-15/preprocessor_config.json").unlink()
    (tmp_path / "out/preprocessor_config.json").unlink(missing_ok=True)
    found, expected = (study(place / "out", folder / "heldout") for place in (tmp_path, folder))
    assert [s.mean for s in found.scores] == [s.mean for s in expected.scores]


def test_a_text_s_task_is_refused_and_classify_is_understood(trained: Any) -> None:
    folder, _, _ = trained
    assert study(folder / "out", folder / "heldout", task="classify").task == "classify-images"
    with pytest.raises(UsageError, match="cannot be asked of an image classification"):
        study(folder / "out", folder / "heldout", task="loss")


def test_lora_on_a_classifier_of_images_is_what_peft_gives(trained: Any, tmp_path: Path) -> None:
    from peft import LoraConfig, PeftModel, get_peft_model

    _, shown, _ = trained
    torch.manual_seed(5)
    body = seen.vit(num_labels=2)
    body.save_pretrained(tmp_path / "base")
    seen.processor().save_pretrained(tmp_path / "base")
    for step in (1, 2):
        torch.manual_seed(step)
        base = seen.vit(**NAMED).from_pretrained(tmp_path / "base", **NAMED, ignore_mismatched_sizes=True)
        words = {"target_modules": ["q_proj", "v_proj"], "modules_to_save": ["classifier"]}
        lora = LoraConfig(r=2, init_lora_weights=False, **words)
        made = get_peft_model(base, lora)
        torch.nn.init.normal_(made.base_model.model.classifier.modules_to_save["default"].weight)
        made.save_pretrained(tmp_path / f"out/checkpoint-{step}")
    found = study(tmp_path / "out", _numbered(tmp_path, shown))
    for score in found.scores:
        base = seen.vit(**NAMED).from_pretrained(tmp_path / "base", **NAMED, ignore_mismatched_sizes=True)
        model = PeftModel.from_pretrained(base, tmp_path / f"out/checkpoint-{score.checkpoint.step}").eval()
        losses = []
        for row in seen.rows(shown, seen.processor()):
            with torch.no_grad():
                logits = model(pixel_values=row["pixel_values"][None]).logits[0]
            losses.append(-float(logits.log_softmax(-1)[row["labels"]]))
        assert score.mean == pytest.approx(np.mean(losses), abs=1e-5)


def _numbered(place: Path, shown: list[Any]) -> Path:
    seen.folder_of(place / "heldout", shown)
    rows = [
        {"image": f"{seen.NAMES[label]}/{number}.png", "label": label}
        for number, (_, label) in enumerate(shown)
    ]
    (place / "heldout/rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return place / "heldout/rows.jsonl"
