"""The error rates on real models: bad luck is not confirmed, what is truly worse is found as often as planned.

Tiny models are trained for real, and their losses taken once on a pool of examples. Held-out sets are drawn from the
pool two hundred times, and each is judged anew.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runscope.evaluation import EvaluateSettings
from runscope.evaluation.decide import Decision, decide
from runscope.evaluation.examples.reading import read_examples
from runscope.evaluation.models.local import LocalModels
from runscope.evaluation.tasks.kinds import CompletionLoss
from runscope.stats.comparing.bounds import NORMAL
from runscope.stats.comparing.paired import Ground
from runscope.stats.comparing.racing import ALPHA, Race
from tests.evaluation import tiny

pytestmark = pytest.mark.slow
TIMES, POOL = 200, 1200
THREE_ERRORS = 3 * np.sqrt(0.8 * 0.2 / TIMES)
NAMES = [f"step {s}" for s in (100, 200, 300, 400, 500)]


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def pool(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[np.ndarray, np.ndarray]:
    """(examples, 5) losses and their tokens: four seeds' orders of one training, and one gone too far."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    lessons = tiny.write_examples(folder / "lessons.jsonl", 48, 3)
    examples = read_examples(tiny.write_examples(folder / "pool.jsonl", POOL, 1))
    columns, tokens = [], np.empty(0)
    for number in range(5):
        model = tiny.train(getattr(tiny, request.param)(), lessons, steps=48, order=number)
        if number == 4:
            model = tiny.train(model, lessons, steps=16, order=9)
        models = LocalModels(EvaluateSettings())
        models.use(tiny.save_base(model, folder / f"model-{number}"))
        losses = models.token_losses(examples)
        columns.append([t.mean() for t in losses])
        tokens = np.array([len(t) for t in losses], dtype=np.float64)
    return np.array(columns).T, tokens


def judged(losses: np.ndarray, tokens: np.ndarray, examples: int, seed: int, min_effect: float) -> Decision:
    """One held-out set of so many examples out of the pool, raced to its end."""
    drawn = np.random.default_rng(seed).permutation(len(losses))[:examples]
    race = Race(losses.shape[1], np.arange(examples), start=range(losses.shape[1]), min_effect=min_effect)
    while not race.done:
        for arm, (begin, end) in race.wanted.items():
            part = drawn[begin:end]
            race.tell(arm, losses[part, arm], tokens[part])
        race.look()
    return decide(race, NAMES, CompletionLoss(EvaluateSettings()).metric)


def test_another_seeds_order_is_bad_luck(pool: tuple[np.ndarray, np.ndarray]) -> None:
    losses, tokens = pool
    twins = losses[:, :4]
    # Their order changes every example's loss, but made equal on the pool none of them is truly worse.
    equal = twins - np.average(twins, axis=0, weights=tokens)
    assert np.abs(np.diff(twins, axis=1)).mean() > 0.01, "they do differ, example by example"
    found = [judged(equal, tokens, 300, seed, min_effect=0.0) for seed in range(TIMES)]
    confirmed = sum(d.outcome == "overfit" for d in found)
    assert confirmed <= 0.05 * TIMES
    looked_worse = sum(d.best != d.last for d in found)
    assert looked_worse > TIMES / 2, "the last one often looked worse than another"


def test_what_is_truly_worse_is_found_as_often_as_planned(pool: tuple[np.ndarray, np.ndarray]) -> None:
    losses, tokens = pool
    good = int(np.average(losses[:, :4], axis=0, weights=tokens).argmin())
    effect = 0.08
    # The one gone too far, moved to be worse by what the plan is made for; how it differs by example stays.
    worse = losses[:, 4] + effect - np.average(losses[:, 4] - losses[:, good], weights=tokens)
    both = np.column_stack([losses[:, good], worse])
    ground = Ground.of(both, tokens, np.arange(len(both)))
    examples = ground.between(*both.T).examples_needed(effect, NORMAL.inv_cdf(ALPHA / 2))
    assert examples is not None
    assert 64 < examples < POOL / 2, "a set drawn out of the pool varies as one out of the world"
    found = [judged(both, tokens, examples, seed, min_effect=0.02) for seed in range(TIMES)]
    power = sum(d.outcome == "overfit" for d in found) / TIMES
    assert power >= 0.8 - THREE_ERRORS
    assert power < 1, "it was planned for four of five cases, not for all"
    told = np.median([d.detectable for d in found if d.detectable is not None])
    assert told == pytest.approx(effect, rel=0.3)
