"""A model that learns its few examples by heart: how sure it is of them, what it says itself, and with what words."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from runscope.api import diagnose, report
from runscope.evaluation import EvaluateSettings, Study, evaluate
from runscope.history import Run, Series, Timeline
from runscope.hub import fetch, list_checkpoints
from runscope.reporting.view.charts import memorised

pytest.importorskip("torch")

from tests.evaluation import tiny

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def codes(path: Path, seed: int, count: int) -> Path:
    """Words that stand for digits without any rule: they can be learned, and not be understood."""
    rng = random.Random(seed)
    rows = [
        {
            "prompt": " ".join(rng.sample(LETTERS, 4)) + " =",
            "completion": " " + " ".join(str(rng.randrange(10)) for _ in range(8)),
        }
        for _ in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def taught(model: Any, examples: Path, steps: int) -> Any:
    """All examples at once: they are of one length."""
    import torch

    words = tiny.tokenizer()
    rows = [json.loads(line) for line in examples.read_text().splitlines()]
    ids = torch.tensor([words(row["prompt"] + row["completion"])["input_ids"] for row in rows])
    labels = ids.clone()
    labels[:, : len(words(rows[0]["prompt"])["input_ids"])] = -100
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(steps):
        model(input_ids=ids, labels=labels).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    return model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    folder = tmp_path_factory.mktemp("codes")
    train, held_out = codes(folder / "train.jsonl", 1, 6), codes(folder / "heldout.jsonl", 2, 40)
    model = tiny.llama()
    for number, steps in enumerate((3, 15, 120), 1):
        tiny.save_base(taught(model, train, steps), folder / "output" / f"checkpoint-{100 * number}")
    return folder / "output", train, held_out


@pytest.fixture(scope="module")
def study(data: tuple[Path, Path, Path]) -> Study:
    output, train, held_out = data
    return evaluate(
        list_checkpoints(str(output)), held_out, fetch=fetch, train_data=train,
        settings=EvaluateSettings(full=True, sample=5),
    )  # fmt: skip


def test_what_is_known_by_heart_is_shown_with_its_text(study: Study, data: tuple[Path, Path, Path]) -> None:
    rows = [json.loads(line) for line in data[1].read_text().splitlines()]
    first, last = study.scores[0], study.scores[-1]
    assert (first.verbatim_rate, last.verbatim_rate) == (0, 1)
    assert last.verbatim_held_out == 0
    assert last.membership_auc == 1
    assert len(study.by_heart) == 5
    for said in study.by_heart:
        row = next(r for r in rows if r["completion"].strip() == said["completion"].strip())
        assert row["prompt"].strip() in said["prompt"]
        assert said["first_step"] in (200, 300)
        assert said["of"] == 3
    drawn = {c.label.partition(" ")[0]: c.series.value for c in memorised(study).curves}
    assert drawn["membership"][-1] == drawn["training"][-1] == 1
    assert drawn["held-out"].max() == 0


def test_the_page_shows_it(study: Study, tmp_path: Path) -> None:
    loss = Series.of("loss", range(10, 310, 10), [3 / (k + 1) for k in range(30)])
    run = Run(
        reference="a", id="a", name="a", source="made", series={"loss": loss}, roles={"train_loss": "loss"}
    )
    text = report(diagnose(Timeline.of(run), study=study), tmp_path / "report.html").read_text(
        encoding="utf-8"
    )
    assert "Learned by heart" in text
    assert all(said["completion"].strip() in text for said in study.by_heart)
    assert "Memorising" in text
