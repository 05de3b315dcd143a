"""Which earlier runs are likeliest, by lists of what is alike, is what a look at every two of them says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from runscope.stitching import Digest, digest, in_order_of, profile
from runscope.stitching.kinds import FEW
from runscope.stitching.plan import LEAST_WORTH, NEAREST
from runscope.stitching.pool import Pool
from tests.stitching.trainings import session

SOME = digest(profile(session("a", begins=0, ends=300, at=0.0)))


def many(seed: int, count: int) -> list[Digest]:
    """Runs with common and rare settings, some missing; with and without clocks, some of them equal or still going."""
    rng = np.random.default_rng(seed)

    def setting(values: int) -> str | None:
        return str(rng.integers(values)) if rng.random() < 0.9 else None

    def run(number: int) -> Digest:
        settings: dict[str, Any] = {
            "rate": setting(2),
            "model": setting(9),
            "seed": setting(count),
            "name": setting(count // 3),
        }
        begun = float(rng.integers(50 * count)) if rng.random() < 0.7 else None
        ended = None if begun is None or rng.random() < 0.1 else begun + float(rng.integers(2000))
        return replace(
            SOME,
            id=str(number),
            reference=f"run-{number}",
            settings={name: value for name, value in settings.items() if value is not None},
            folders=(f"/runs/{rng.integers(count // 4)}/one", "/runs/all" if rng.random() < 0.8 else "/else"),
            begun=begun,
            ended=ended,
        )  # fmt: skip

    digests = [run(number) for number in range(count)]
    return [digests[n] for n in in_order_of(digests)]


@pytest.mark.parametrize(("seed", "count"), [(0, 40), (1, 80), (2, 2 * FEW), (3, 3 * FEW)])
def test_the_likeliest_are_those_that_a_look_at_every_two_names(seed: int, count: int) -> None:
    pool = Pool(many(seed, count))
    for number, found in enumerate(pool.likeliest(NEAREST, LEAST_WORTH)):
        if not number:
            assert found == []
            continue
        worth = pool.agreement(number)[0][:number] + np.log(pool.recency(number))
        enough = int((worth > LEAST_WORTH).sum())
        assert len(found) == min(NEAREST, enough)
        best = np.sort(worth)[::-1][: len(found)]
        assert worth[found] == pytest.approx(best, abs=1e-9), "of equals any other is as likely"
        equal = [n for n, said in enumerate(worth) if found and abs(said - worth[found[-1]]) < 1e-12]
        taken = [n for n in equal if n in found]
        assert taken == equal[len(equal) - len(taken) :], "of equals the newest"
        assert pool.recency(number).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(3))
def test_how_rare_an_agreement_is_counts_all_other_runs(seed: int) -> None:
    count = 2 * FEW
    pool = Pool(many(seed, count))
    for number in range(0, count, 37):
        score = pool._scores(number)[1]
        others = np.delete(score, number)
        low, rare = pool._rareness(number)
        shares = [max((others >= reached).sum(), 1) / (count - 1) for reached in np.unique(score)]
        assert np.exp(rare[np.unique(score) - low]) == pytest.approx(shares)
