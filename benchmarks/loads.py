"""How often whole models are loaded in a race over a full fine-tune, by count.

Makes tiny whole models of one training, races them on 400 examples, and counts loads: with room in memory for all of
them, for four, and for one, as where none was kept. Usage: ``python benchmarks/loads.py [CHECKPOINTS]``.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.evaluation import tiny

from runscope.evaluation import EvaluateSettings
from runscope.evaluation.examples.reading import read_examples
from runscope.evaluation.models import local
from runscope.evaluation.run import Trial
from runscope.evaluation.tasks.kinds import find_task
from runscope.evaluation.work.bench import Bench
from runscope.hub import fetch, list_checkpoints


class Narrow(dict):  # type: ignore[type-arg]
    """Held models, of which only so many fit."""

    most = 10**9

    def __setitem__(self, key: str, value: object) -> None:
        super().__setitem__(key, value)
        while len(self) > self.most:
            del self[next(iter(self))]


def main(count: int) -> None:
    """Make so many checkpoints, and race them with more and less room."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        lessons, model = tiny.write_examples(folder / "lessons.jsonl", 60, 3), tiny.llama()
        for step in range(1, count + 1):
            model = tiny.train(model, lessons, steps=12, order=step)
            tiny.save_base(model, folder / f"out/checkpoint-{step}")
        examples = read_examples(tiny.write_examples(folder / "heldout.jsonl", 400, 1))
        for most in (count, 4, 1):
            race(folder, examples, most)


def race(folder: Path, examples: tuple, most: int) -> None:  # type: ignore[type-arg]
    """One race in which so many models fit into memory."""
    settings = EvaluateSettings(device="cpu")
    saved = list_checkpoints(str(folder / "out"))
    Narrow.most = most
    with closing(Bench(saved, base=None, settings=settings, fetch=fetch)) as bench:
        trial = Trial(bench, find_task(settings), examples, [])
        launcher = bench.launcher()
        models = local.LocalModels(settings)
        models._whole = Narrow()
        launcher.worker.models = models  # type: ignore[attr-defined]
        trial.run()
        evaluated = int((trial.race.reached > 0).sum())
        print(
            f"room for {most} of {len(saved)}: {models.loads} loads for {evaluated} evaluated checkpoints "
            f"({models.loads / len(saved):.2f} a checkpoint), {int(trial.race.reached.sum()):,} of "
            f"{trial.race.values.size:,} example evaluations"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 16)
