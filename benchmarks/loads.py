"""How often whole models are loaded in a race over a full fine-tune, by count.

Makes tiny whole models of one training, races them on 400 examples, and counts loads: with room in memory for all of
them, and for one; with a second set, training examples and a second task asked beside, and without running ahead, as it
was before. Usage: ``python benchmarks/loads.py [CHECKPOINTS]``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.evaluation import tiny

from runscope.evaluation import EvaluateSettings, evaluate
from runscope.evaluation.models import local
from runscope.evaluation.work.launch import LocalLauncher
from runscope.hub import fetch, list_checkpoints


def main(count: int) -> None:
    """Make so many checkpoints, and race them with more and less room."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        lessons, model = tiny.write_examples(folder / "lessons.jsonl", 60, 3), tiny.llama()
        for step in range(1, count + 1):
            model = tiny.train(model, lessons, steps=12, order=step)
            tiny.save_base(model, folder / f"out/checkpoint-{step}")
        tiny.write_examples(folder / "heldout.jsonl", 400, 1)
        tiny.write_examples(folder / "also.jsonl", 100, 5)
        for room, name in ((4, "all"), (10**12, "one")):
            for ahead in (True, False):
                if name == "one" or ahead:
                    race(folder, room, name, ahead)


def race(folder: Path, room: int, name: str, ahead: bool) -> None:
    """One evaluation in which all models, or one, fit into memory."""
    local.ROOM = room
    counted = []

    class Counting(local.LocalModels):
        def _read_model(self, place: str, adapter: object) -> object:
            counted.append(place)
            return super()._read_model(place, adapter)  # type: ignore[arg-type]

    usual, local.LocalModels = local.LocalModels, Counting  # type: ignore[misc]
    fits, LocalLauncher.holds_all = LocalLauncher.holds_all, (  # type: ignore[method-assign]
        LocalLauncher.holds_all if ahead else lambda *_: True
    )  # fmt: skip
    settings = EvaluateSettings(device="cpu", beside="answer", max_new_tokens=2)
    study = evaluate(
        list_checkpoints(str(folder / "out")), folder / "heldout.jsonl", fetch=fetch, settings=settings,
        also=folder / "also.jsonl", train_data=folder / "lessons.jsonl",
    )  # fmt: skip
    local.LocalModels, LocalLauncher.holds_all = usual, fits  # type: ignore[misc, method-assign]
    evaluated = sum(s.examples > 0 for s in study.scores)
    print(
        f"room for {name}{'' if ahead else ', nothing run ahead'}: {len(counted)} loads for {evaluated} evaluated "
        f"checkpoints of {len(study.scores)} ({len(counted) / evaluated:.2f} each); the race used "
        f"{study.example_evaluations:,} of {study.full_grid:,} example evaluations"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 16)
