"""Names as people and libraries spell them, in every form of a table: the same roles and curves, and the right ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from runscope.history import Run
from runscope.sources import load

STEPS = list(range(10, 210, 10))
Row = dict[str, float]
WORDS = (
    ("train", "val"), ("train", "valid"), ("training", "validation"), ("tr", "va"), ("train", "eval"),
    ("train", "test"), ("train", "dev"), ("Train", "Val"), ("TRAIN", "VALID"), ("", "val"), ("", "eval"),
)  # fmt: skip
JOINTS = ("_", "/", ".", " ", "-", "hump")
MORE = ("lr", "grad norm", "one summary", "parts", "best so far", "accuracy", "tokens", "second set", "epoch")


def named(data: str, joint: str, *, behind: bool) -> str:
    if not data:
        return "loss"
    if joint == "hump":
        return f"{data.lower()}Loss"
    metric = "LOSS" if data.isupper() else "Loss" if data.istitle() else "loss"
    return f"{metric}{joint}{data}" if behind else f"{data}{joint}{metric}"


def wide(rows: list[Row]) -> str:
    return pd.DataFrame(rows).to_csv(index=False)


def long(rows: list[Row]) -> str:
    points = [
        f"{name},{row['step']},{value}\n" for row in rows for name, value in row.items() if name != "step"
    ]
    return "metric,step,value\n" + "".join(points)


def markdown(rows: list[Row]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["|".join(str(row.get(name, "")) for name in names) for row in rows]
    return f"# Results\n\n| {' | '.join(names)} |\n|{'---|' * len(names)}\n" + "".join(
        f"|{line}|\n" for line in lines
    )


def barred(rows: list[Row]) -> str:
    """Between bars, without any at the ends of a line."""
    names = list(dict.fromkeys(name for row in reversed(rows) for name in row))
    return "".join(
        "|".join(cells) + "\n" for cells in (names, *([str(row.get(n, "")) for n in names] for row in rows))
    )


FORMS: Mapping[str, Callable[[list[Row]], str]] = {
    "log.csv": wide,
    "log.tsv": lambda rows: pd.DataFrame(rows).to_csv(index=False, sep="\t"),
    "turned.csv": lambda rows: pd.DataFrame(rows).T.to_csv(),
    "long.csv": long,
    "log.jsonl": lambda rows: "".join(json.dumps(row) + "\n" for row in rows),
    "rows.json": json.dumps,
    "numbered.json": lambda rows: json.dumps({str(n): row for n, row in enumerate(rows)}),
    "split.json": lambda rows: pd.DataFrame(rows).to_json(orient="split", double_precision=15),
    "columns.json": lambda rows: pd.DataFrame(rows).to_json(double_precision=15),
    "bars.csv": barred,
    "README.md": markdown,
}  # fmt: skip


def written(form: str, rows: list[Row], folder: Path) -> Run:
    file = folder / form
    file.write_text(FORMS[form](rows))
    return load(file)


@example(words=("train", "test"), joint=".", behind=False, more={"second set"}, every=1)
@given(words=st.sampled_from(WORDS), joint=st.sampled_from(JOINTS), behind=st.booleans(),
       more=st.sets(st.sampled_from(MORE)), every=st.sampled_from([1, 2, 5]))  # fmt: skip
@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_names_play_the_same_roles_in_every_form(
    words: tuple[str, str],
    joint: str,
    behind: bool,
    more: set[str],
    every: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    train, held_out = (named(word, joint, behind=behind) for word in words)
    rows = []
    for n, step in enumerate(STEPS):
        row: Row = {"step": step, train: 3 - n / 10}
        if n % every == every - 1:
            row[held_out] = 3.5 - n / 10
            row |= {"val_accuracy": n / 20} if "accuracy" in more else {}
            row |= {"best_val_loss": 0.25} if "best so far" in more else {}
            row |= {"eval_other_loss": 9.0 + n} if "second set" in more and n > 15 else {}
        row |= {"lr": 1e-4 * (21 - n)} if "lr" in more else {}
        row |= {"grad_norm": 1.0 + n} if "grad norm" in more else {}
        row |= {"loss_ce": 1.0, "loss_kl": 2 - n / 10} if "parts" in more else {}
        row |= {"num_tokens": 1000.0 * step} if "tokens" in more else {}
        row |= {"epoch": step / 100} if "epoch" in more else {}
        rows.append(row)
    if "one summary" in more and train != "train_loss":
        rows[-1]["train_loss"] = 1.75
    curves = {
        "train_loss": [(row["step"], row[train]) for row in rows],
        "eval_loss": [(row["step"], row[held_out]) for row in rows if held_out in row],
    }
    folder = tmp_path_factory.mktemp("forms")
    for form in FORMS:
        run = written(form, rows, folder)
        for role, name in (("train_loss", train), ("eval_loss", held_out)):
            series = run.role(role)
            assert series is not None, (form, role, dict(run.roles), run.notes)
            assert series.name == name, (form, role, dict(run.roles))
            assert dict(zip(series.step.tolist(), series.value.tolist(), strict=True)) == pytest.approx(
                dict(curves[role])
            ), (form, role)
            assert len(series) == len(curves[role])
        for role, name in (("learning_rate", "lr"), ("grad_norm", "grad_norm"), ("eval_metric", "val_accuracy"),
                           ("tokens", "num_tokens"), ("epoch", "epoch")):  # fmt: skip
            assert run.roles.get(role) == (name if any(name in row for row in rows) else None), (form, role)


@given(
    reward=st.sampled_from(["reward", "train/reward", "rollout/ep_rew_mean", "charts/episodic_return"]),
    losses=st.sets(st.sampled_from(["train/policy_loss", "train/value_loss", "losses/entropy"]), min_size=1),
)
@settings(max_examples=4, deadline=None)
def test_rewards_in_every_form(
    reward: str, losses: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [
        {"step": s, reward: n / 2, **dict.fromkeys(sorted(losses), 1.0 / (n + 1))}
        for n, s in enumerate(STEPS)
    ]
    folder = tmp_path_factory.mktemp("forms")
    roles = {
        tuple(sorted(written(form, rows, folder).roles.items())) for form in FORMS if form != "README.md"
    }
    assert len(roles) == 1
    assert dict(roles.pop())["reward"] == reward
