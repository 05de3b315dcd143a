"""Averages of checkpoints that were never saved, as rows beside those that were.

An average of the last k, or of steps that the user names, is fixed before anything is measured. One of those that are
as good as the best is picked by their results: it is picked on the first half of the examples and compared on the
other, which took no part in that. All are held against the best checkpoint, which was picked on all examples and so
looks better than it is: what is called better than it, is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runscope.errors import InputError, UsageError
from runscope.evaluation.beside.base import Compared, Ran, against_best, numbers
from runscope.evaluation.decide import amount, p_words
from runscope.evaluation.models.averaging import average
from runscope.evaluation.ordering import called, in_order
from runscope.evaluation.study import Extra
from runscope.history.checkpoint import Checkpoint, File
from runscope.hub.contents import identified
from runscope.stats.comparing.bounds import NORMAL
from runscope.stats.comparing.paired import Ground, mean_and_error
from runscope.stats.intervals import WIDE

AS_GOOD = "as-good"
AS_GOOD_NAME = "average of those as good"
LEAST_SHARE = 0.01
"""Of a moving average: earlier checkpoints would count for less, and each adds its rank to an adapter's."""
SEE = "runscope checkpoints shows what a repository holds"


@dataclass(frozen=True)
class Wish:
    """An average that is to be made.

    Attributes:
        arms: of what.
        name: how it is called.
        begin: the first example that it is compared on.
        shares: how much each arm counts; None for as much as any other.
        word: what ``runscope keep`` takes for it, where the steps do not say it.
    """

    arms: tuple[int, ...]
    name: str
    begin: int = 0
    shares: tuple[float, ...] | None = None
    word: str = ""


def require_members(saved: Sequence[Checkpoint], words: str | None) -> None:
    """Stop before anything is measured where an average cannot be taken of what was saved.

    Raises:
        UsageError: it names checkpoints that are not there.
    """
    for word in (words or "").split():
        if word != AS_GOOD:
            members(saved, word)


def members(saved: Sequence[Checkpoint], words: str) -> list[Checkpoint]:
    """The checkpoints that ``last:K``, ``ema:D`` or steps name, in order of training.

    Raises:
        UsageError: there are none of that name, or too few.
    """
    if last := re.fullmatch(r"last:(\d+)", words):
        count = int(last[1])
        trained = [c for c in in_order(saved) if c.changed and not c.abandoned]
        if not 2 <= count <= len(trained):
            raise UsageError(
                f"an average of the last {count:,} cannot be taken of {len(trained):,} checkpoints",
                hint="take 2 or more that are there; " + SEE,
            )
        return trained[-count:]
    if re.fullmatch(r"ema:0?\.\d+", words):
        trained = [c for c in in_order(saved) if c.changed and not c.abandoned]
        if len(trained) < 2:
            raise UsageError("a moving average needs two checkpoints", hint=SEE)
        return trained[-len(shares_of(words, len(trained)) or ()) :]
    if not re.fullmatch(r"\d+(,\d+)+", words):
        raise UsageError(
            f"--average {words} names no checkpoints", hint="last:3, ema:0.5, or steps as 200,300,400"
        )
    steps = sorted({int(word) for word in words.split(",")})
    if len(steps) < 2:
        raise UsageError("an average needs two different steps", hint="for example --average 200,300")
    return in_order([at_step(saved, one) for one in steps])


def shares_of(words: str, count: int) -> tuple[float, ...] | None:
    """How much each of the last checkpoints counts in ``ema:D``, in order of training; None where all count alike.

    The newest counts 1, the one before it D, then D², … (an exponential moving average taken once a checkpoint, divided
    by the sum as Adam does for its first steps: Kingma and Ba 2015, arXiv 1412.6980).

    Args:
        words: of ``--average``.
        count: of checkpoints that there are.

    Raises:
        UsageError: D is 0.
    """
    if not words.startswith("ema:"):
        return None
    decay = float(words.partition(":")[2])
    if not 0 < decay < 1:
        raise UsageError("ema:D takes a decay between 0 and 1", hint="--average ema:0.5")
    powers = [decay**age for age in range(count)]
    whole = sum(powers)
    kept = [p for age, p in enumerate(powers) if age < 2 or p / whole >= LEAST_SHARE]
    return tuple(p / sum(kept) for p in reversed(kept))


def at_step(saved: Sequence[Checkpoint], step: int) -> Checkpoint:
    """The checkpoint that was saved at a step.

    Raises:
        UsageError: none was, or several were.
    """
    found = [c for c in saved if c.step == step and not c.abandoned] or [c for c in saved if c.step == step]
    fresh = [c for c in found if c.changed] or found[:1]
    if len(fresh) > 1:
        raise UsageError(
            f"step {step:,} was saved {len(fresh):,} times: {', '.join(c.name for c in fresh)}",
            hint="name one of them with --revision, or the runs with --run",
        )
    if not fresh:
        known = sorted({c.step for c in saved if c.step is not None}, key=lambda s: abs(s - step))
        raise UsageError(
            f"no checkpoint was saved at step {step:,}",
            hint=f"the nearest is step {known[0]:,}; {SEE}" if known else SEE,
        )
    return fresh[0]


def average_rows(ran: Ran, words: str | None, place: Path, notes: list[str]) -> dict[int, Extra]:
    """Arm → row of each average that was asked for and can be made.

    Args:
        ran: the race.
        words: of ``--average``.
        place: a folder for their weights.
        notes: why one is missing is appended to it.
    """
    wishes = [w for word in (words or "").split() if (w := _wish(ran, word, notes)) is not None]
    found: dict[int, Extra] = {}
    for number, wish in enumerate(wishes):
        steps = tuple(ran.bench.checkpoints[a].step for a in wish.arms)
        try:
            arm = ran.bench.add(_made(ran, wish, place / str(number)))
            against = against_best(ran, arm, wish.begin)
        except InputError as error:
            notes.append(f"the {wish.name} was not evaluated: {error.message}")
            continue
        if against is None:
            notes.append(f"the {wish.name} was left out: its results are no finite numbers")
            continue
        found[arm] = _judged(ran, against, wish, steps, len(wishes))
    return found


def _wish(ran: Ran, word: str, notes: list[str]) -> Wish | None:
    line = ran.bench.checkpoints[: ran.bench.last + 1]
    if word == AS_GOOD:
        return _as_good(ran, notes)
    chosen = members(line, word)
    arms = tuple(a for a, c in enumerate(line) if any(c is m for m in chosen) and a in ran.race.arms)
    if len(arms) < len(chosen):
        lost = [called(c) for a, c in enumerate(line) if any(c is m for m in chosen) and a not in arms]
        notes.append(f"no average {word} was taken, as {lost[0]} was left out")
        return None
    name = {
        "last": f"average of the last {len(arms)}",
        "ema": f"moving average {word.partition(':')[2]}",
    }.get(word.partition(":")[0], "average")
    steps = ", ".join(called(line[a]).removeprefix("step ") for a in arms)
    shares = shares_of(word, sum(c.changed and not c.abandoned for c in line))
    return Wish(arms, f"{name} (steps {steps})", shares=shares, word="" if shares is None else word)


def _as_good(ran: Ran, notes: list[str]) -> Wish | None:
    """Those that are not shown to be behind on the first half of the examples."""
    race = ran.race
    half = int(race.reached[ran.best]) // 2
    seen = [a for a in race.started if race.reached[a] >= half] if half >= 2 else []
    if len(seen) >= 2:
        ground = Ground.of(race.values[:half, seen], race.weights[:half], race.clusters[:half])
        means = race.weights[:half] @ race.values[:half, seen]
        leader = seen[int(means.argmin())]
        behind = {
            a: ground.between(race.values[:half, leader], race.values[:half, a]) for a in seen if a != leader
        }
        good = [leader, *(a for a, pair in behind.items() if pair.mean - WIDE * pair.error <= 0)]
        if len(good) >= 2:
            arms = tuple(sorted(good))
            steps = ", ".join(called(ran.bench.checkpoints[a]).removeprefix("step ") for a in arms)
            notes.append(
                f"the average of those as good as the best was picked on the first {half:,} examples, and compared on "
                "the others"
            )
            return Wish(arms, f"{AS_GOOD_NAME} (steps {steps})", half)
    notes.append("no average of those as good as the best was taken: no two checkpoints are")
    return None


def _made(ran: Ran, wish: Wish, folder: Path) -> Checkpoint:
    """The average as a checkpoint in a folder; it is known by what it was made from."""
    parts = [ran.bench.checkpoints[a] for a in wish.arms]
    folder.mkdir(parents=True)
    average([ran.bench.fetch(c) for c in parts], folder, shares=wish.shares)
    content = hashlib.sha256(
        repr(([[(f.path, f.content_id) for f in identified(c).files] for c in parts], wish.shares)).encode()
    ).hexdigest()
    files = (File("average.safetensors", 0, content),)
    return Checkpoint(str(folder), None, wish.name, None, subfolder=wish.name, files=files, local_path=folder)


def _judged(ran: Ran, found: Compared, wish: Wish, steps: tuple[int | None, ...], count: int) -> Extra:
    """Whether the average is better than the best checkpoint that was saved."""
    race, metric, pair = ran.race, ran.task.metric, found.difference
    comparisons = len(race.arms) * count
    shared = NORMAL.inv_cdf(race.alpha / 2 / comparisons)
    low, high = pair.low(shared), pair.high(shared)
    p = min(1.0, 2 * NORMAL.cdf(min(pair.score(0.0), pair.score_below(0.0))) * comparisons)
    proof = f"(95% interval {low:.3g} to {high:.3g}, {p_words(p)}, paired on {len(pair.values):,} examples)"
    n = int(race.reached[ran.best])
    of_best, _ = mean_and_error(race.values[:n, ran.best], race.weights[:n], race.clusters[:n])
    found = replace(found, mean=of_best + pair.mean)  # where only a half was compared, as if it had seen all
    by, best = amount(abs(pair.mean), metric), f"{ran.called}, the best that was saved"
    if high < 0 and -pair.mean >= race.min_effect:
        outcome, said = "better", f"is better than {best}, by {by}"
    elif low > 0 and pair.mean >= race.min_effect:
        outcome, said = "worse", f"is worse than {best}, by {by}"
    elif pair.score_below(race.min_effect) <= race.alone:
        much = amount(race.min_effect, metric)
        outcome, said = "as_good", f"is as good as {best}: that it is worse by {much} is ruled out"
    else:
        way = "better" if pair.mean < 0 else "worse"
        outcome, said = "undecided", f"looks {way} than {best}, by {by}, but that is not sure"
    known = wish.word or ",".join(str(s) for s in steps if s is not None)
    whole = outcome == "better" and None not in steps
    kept = f" runscope keep writes it: --average {known}." if whole else ""
    return Extra(
        "average", wish.name, outcome, f"the {wish.name} {said} {proof}.{kept}", steps=steps,  # type: ignore[arg-type]
        **numbers(ran, found, low, high, p),  # type: ignore[arg-type]
    )  # fmt: skip
