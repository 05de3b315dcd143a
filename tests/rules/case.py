"""Runs written down in Markdown, next to what the rules are expected to say of them.

A file of ``cases/`` belongs to one rule. Each section has a ``toml`` block, the run, and a ``text`` block, the
expected findings: ``GRD004 critical from 2400``, ``LOS006 info because GRD004``, ``GRD004 could not look`` or
``GRD004 nothing``. Curves are expressions of ``t`` (0 to 1 over the run), ``i`` (0, 1, …), ``step`` and ``noise``
(standard normal, seeded by the name of the curve).
"""

from __future__ import annotations

import re
import tomllib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runscope.history import Histograms, Run, Segment, Series, Timeline
from runscope.history.checkpoint import AdapterFacts, Checkpoint, File
from runscope.rules import Evaluated, View

CASES = Path(__file__).parent / "cases"
ROLES = (
    "train_loss", "eval_loss", "learning_rate", "grad_norm", "epoch", "tokens", "samples",
    "train_metric", "eval_metric", "reward",
)  # fmt: skip
_FUNCTIONS = {
    name: getattr(np, name)
    for name in (
        "abs",
        "cos",
        "exp",
        "floor",
        "log",
        "maximum",
        "minimum",
        "pi",
        "sin",
        "sqrt",
        "where",
        "round",
    )
}


@dataclass(frozen=True)
class Expected:
    code: str
    says: str
    first_step: int | None
    because: str | None


@dataclass(frozen=True)
class Case:
    file: str
    title: str
    run: dict[str, Any]
    expected: tuple[Expected, ...]

    @property
    def view(self) -> View:
        return make_view(self.run)


def all_cases() -> Iterator[Case]:
    for path in sorted(CASES.glob("*.md")):
        for section in path.read_text(encoding="utf-8").split("\n## ")[1:]:
            run = re.search(r"```toml\n(.*?)```", section, re.DOTALL)
            said = re.search(r"```text\n(.*?)```", section, re.DOTALL)
            assert run is not None, f"{path.name}: {section[:40]} has no run"
            assert said is not None, f"{path.name}: {section[:40]} has no expectation"
            expected = tuple(_expected(line) for line in said[1].strip().splitlines())
            assert expected, f"{path.name}: {section[:40]} expects nothing"
            yield Case(path.stem, section.partition("\n")[0].strip(), tomllib.loads(run[1]), expected)


def _expected(line: str) -> Expected:
    match = re.fullmatch(
        r"(\w+) (nothing|could not look|critical|warning|info)(?: from (\d+))?(?: because (\w+))?",
        line.strip(),
    )
    assert match is not None, f"not understood: {line}"
    return Expected(match[1], match[2], int(match[3]) if match[3] else None, match[4])


def make_view(case: dict[str, Any]) -> View:
    """The view of a case: one run, or several under ``then`` that continue it."""
    segments, offset = [], 0
    for number, part in enumerate((case, *case.get("then", ()))):
        run = make_run(part, f"run {number + 1}")
        kept = int(part.get("kept", run.last_step))
        segments.append(Segment(run, offset=offset, cut=offset + kept if "kept" in part else None))
        offset += kept + int(part.get("gap", 0))
    saved = tuple(_checkpoint(c, i) for i, c in enumerate(case.get("checkpoints", ())))
    evaluated = case.get("evaluated")
    if evaluated is not None:  # ``best`` is the number of a checkpoint
        evaluated = Evaluated(**evaluated | {"best": saved[evaluated["best"]]})
    return View(Timeline(tuple(segments)), saved, evaluated)


def make_run(case: dict[str, Any], name: str = "run 1") -> Run:
    points, every = int(case.get("points", 200)), int(case.get("every", 10))
    step = np.arange(1, points + 1) * every
    if "steps" in case:
        step = evaluate("steps", case["steps"], step).astype(np.int64)
    seconds = np.cumsum(
        evaluate("seconds", str(case.get("seconds_a_step", 1)), step) * np.diff(step, prepend=0)
    )
    series, roles = {}, {}
    for role in ROLES:
        if role in case:
            value = evaluate(role, case[role], step)
            take = (
                slice(None, None, int(case.get("eval_every", 10))) if role.startswith("eval") else slice(None)
            )
            series[role] = Series.of(role, step[take], value[take], 1.7e9 + seconds[take])
            roles[role] = role
    for other, text in case.get("other", {}).items():
        series[other] = Series.of(other, step, evaluate(other, text, step), 1.7e9 + seconds)
    for other, text in case.get("eval_other", {}).items():
        take = slice(None, None, int(case.get("eval_every", 10)))
        value = evaluate(other, text, step)
        series[other] = Series.of(other, step[take], value[take], 1.7e9 + seconds[take])
    system = {n: Series.of(n, step, evaluate(n, text, step)) for n, text in case.get("system", {}).items()}
    return Run(
        reference=name, id=name, name=name, source="case", series=series, roles=roles, step_key="step",
        config=case.get("config", {}), state=case.get("state", "finished"), system=system,
        histograms={n: _histogram(n, text, step[::10]) for n, text in case.get("histograms", {}).items()},
    )  # fmt: skip


def evaluate(name: str, text: str, step: np.ndarray) -> np.ndarray:
    i = np.arange(len(step))
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(len(step))
    names = {
        "t": i / max(len(step) - 1, 1),
        "i": i,
        "step": step,
        "noise": noise,
        "nan": np.nan,
        "inf": np.inf,
    }
    value = eval(text, {"__builtins__": {}}, {**_FUNCTIONS, **names})
    return np.broadcast_to(np.asarray(value, dtype=np.float64), step.shape).copy()


def _histogram(name: str, text: str, step: np.ndarray) -> Histograms:
    rms = evaluate(name, text, step)
    return Histograms(name, step.astype(np.int64), -3 * rms, 3 * rms, rms, np.where(rms == 0, 1.0, 0.1))


def _checkpoint(given: dict[str, Any], number: int) -> Checkpoint:
    facts = given.get("adapter")
    adapter = None
    if facts is not None:
        adapter = AdapterFacts(
            "base", facts.get("rank"), 16.0, ("q_proj",), facts.get("parameters"), facts.get("dtype"),
            facts.get("expected"),
        )  # fmt: skip
    files = (File("adapter_model.safetensors", int(given["bytes"]), "id"),) if "bytes" in given else ()
    step = given.get("step")
    return Checkpoint(
        repo="me/pricer", revision=f"{number + 1:040x}", title=f"Training in progress, step {step}", own_step=step,
        step=step, files=files, changed=given.get("changed", True), adapter=adapter, extra=given.get("extra", {}),
    )  # fmt: skip
