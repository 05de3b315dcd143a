"""What trackers export and people keep when a service is gone: long tables in the layouts of each, and in any names."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runscope import api
from runscope.errors import SeveralRuns, UnreadableRun
from runscope.sources import list_references, load

STEPS = list(range(10, 210, 10))


def losses(floor: float) -> list[float]:
    return [round(floor + 2 * float(np.exp(-step / 60)), 6) for step in STEPS]


NEPTUNE = pa.schema(
    [
        ("project_id", pa.string()), ("run_id", pa.string()), ("attribute_path", pa.string()),
        ("attribute_type", pa.string()), ("step", pa.decimal128(18, 6)), ("timestamp", pa.timestamp("ms", "UTC")),
        ("int_value", pa.int64()), ("float_value", pa.float64()), ("string_value", pa.string()),
        ("bool_value", pa.bool_()), ("datetime_value", pa.timestamp("ms", "UTC")),
        ("string_set_value", pa.list_(pa.string())), ("file_value", pa.struct([("path", pa.string())])),
        (
            "histogram_value",
            pa.struct([
                ("type", pa.string()), ("edges", pa.list_(pa.float64())), ("values", pa.list_(pa.float64())),
            ]),
        ),
    ]
)  # fmt: skip


def neptune(
    folder: Path, run: str, floor: float, parts: int = 1, *, steps: list[float] | None = None,
    forked: tuple[str, int] | None = None,
) -> None:  # fmt: skip
    """What its exporter writes: parameters, series and files of one run, in parts."""
    counted = [float(step) for step in STEPS] if steps is None else steps
    rows: list[dict[str, Any]] = [
        {"attribute_path": "parameters/learning_rate", "attribute_type": "float", "float_value": 3e-4},
        {"attribute_path": "parameters/model", "attribute_type": "string", "string_value": "tiny"},
        {
            "attribute_path": "sys/creation_time",
            "attribute_type": "datetime",
            "datetime_value": 1_700_000_000_000,
        },
        {"attribute_path": "files/data", "attribute_type": "file", "file_value": {"path": "x.json"}},
    ]
    for name, more in (("train/loss", 0.0), ("val/loss", 0.1)):
        for step, value in zip(counted, losses(floor + more), strict=True):
            rows.append(
                {
                    "attribute_path": f"metrics/{name}", "attribute_type": "float_series", "float_value": value,
                    "step": Decimal(step), "timestamp": 1_700_000_000_000 + int(1000 * step),
                }
            )  # fmt: skip
    for step in counted:
        rows.append(
            {
                "attribute_path": "layers/0", "attribute_type": "histogram_series", "step": Decimal(step),
                "histogram_value": {"type": "COUNTING", "edges": [0.0, 1.0], "values": [3.0]},
            }
        )  # fmt: skip
        rows.append(
            {
                "attribute_path": "samples", "attribute_type": "file_series", "step": Decimal(step),
                "file_value": {"path": "x.png"},
            }
        )  # fmt: skip
    rows.append({"attribute_path": "sys/size", "attribute_type": "float", "float_value": 1000 * floor})
    if forked is not None:
        parent, at = forked
        rows += [
            {"attribute_path": "sys/forking/parent", "attribute_type": "string", "string_value": parent},
            {"attribute_path": "sys/forking/step", "attribute_type": "float", "float_value": float(at)},
        ]
    rows.append({"attribute_path": "monitoring/stdout", "attribute_type": "string_series", "string_value": "hello",
                 "step": Decimal(1), "timestamp": 1_700_000_000_000})  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for part in range(parts):
        size = -(-len(rows) // parts)
        mine = [r | {"project_id": "me/pricer", "run_id": run} for r in rows[part * size : (part + 1) * size]]
        table = pa.Table.from_pylist(mine, schema=NEPTUNE)
        pq.write_table(table, folder / f"{run}_part_{part}.parquet", compression="snappy")


def test_a_folder_that_neptunes_exporter_wrote_holds_its_runs(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "me_pricer-1f"
    neptune(folder, "PRI-1", 0.5, parts=3)
    neptune(folder, "PRI-2", 0.8)
    found = list_references(str(tmp_path))
    assert len(found) == 2
    first = load(found[0])
    assert first.name == "PRI-1"
    assert first.roles["train_loss"] == "metrics/train/loss"
    assert first.roles["eval_loss"] == "metrics/val/loss"
    assert first.series["metrics/train/loss"].step.tolist() == STEPS
    assert np.allclose(first.series["metrics/train/loss"].value, losses(0.5))
    assert first.config["learning_rate"] == 3e-4
    assert first.config["model"] == "tiny"
    assert first.started_at == pytest.approx(1_700_000_010)
    assert set(first.series) == {"metrics/train/loss", "metrics/val/loss"}
    assert "size" not in first.config, "what Neptune itself keeps of a run is no setting of the training"
    assert len(api.find_trainings(str(tmp_path))[0]) == 2


def test_a_fork_of_neptune_is_joined_where_it_was_forked(tmp_path: Path) -> None:
    neptune(tmp_path, "first", 0.5)
    neptune(tmp_path, "other-name", 0.9, steps=[step + 95.0 for step in STEPS], forked=("first", 100))
    named = [str(tmp_path / f"{run}_part_0.parquet") for run in ("first", "other-name")]
    second = api.stitch(named).segments[1]
    assert (second.method, second.joined_at) == ("resume_metadata", 100)
    assert second.confidence > 0.9


def test_steps_of_neptune_may_have_fractions(tmp_path: Path) -> None:
    neptune(tmp_path, "halves", 0.5, steps=[step / 20 for step in STEPS])
    run = load(str(tmp_path / "halves_part_0.parquet"))
    for name, more in (("train", 0.0), ("val", 0.1)):
        assert run.series[f"metrics/{name}/loss"].step.tolist() == list(range(len(STEPS)))
        assert np.allclose(run.series[f"metrics/{name}/loss"].value, losses(0.5 + more))
    assert any("has fractions" in note for note in run.notes)


def long_table(runs: dict[str, float], names: dict[str, str], *, contexts: bool = False) -> pd.DataFrame:
    """One row a point, the columns called as ``names`` say."""
    rows = []
    for run, floor in runs.items():
        for part, more in (("train", 0.0), ("val", 0.1)):
            for step, value in zip(STEPS, losses(floor + more), strict=True):
                metric = "loss" if contexts else f"{part}/loss"
                rows.append({"run": run, "metric": metric, "step": step, "value": value, "context": part})
    table = pd.DataFrame(rows)
    return (table if contexts else table.drop(columns="context")).rename(columns=names)


def expect(path: Path, runs: dict[str, float]) -> None:
    if len(runs) > 1:
        with pytest.raises(SeveralRuns):
            load(path)
    for name, floor in runs.items():
        run = load(f"{path}::{name}" if len(runs) > 1 else path)
        train, held = (run.role(role) for role in ("train_loss", "eval_loss"))
        assert train is not None
        assert held is not None
        assert train.step.tolist() == STEPS
        assert np.allclose(train.value, losses(floor))
        assert np.allclose(held.value, losses(floor + 0.1))


LAYOUTS: dict[str, tuple[dict[str, str], bool]] = {
    "aim": ({"run": "run", "metric": "metric", "context": "context.subset"}, True),
    "comet": (
        {"run": "experimentKey", "metric": "metricName", "value": "metricValue", "context": "runContext"}, True,
    ),
    "neptune_query": ({"run": "run_id", "metric": "attribute_path", "value": "float_value"}, False),
    "tidy": ({"run": "run", "metric": "key"}, False),
    "melted": ({"run": "seed", "metric": "variable"}, False),
    "own_names": ({"run": "experiment", "metric": "what", "value": "reading", "step": "iteration"}, False),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize("runs", [{"a": 0.5}, {"a": 0.5, "b": 0.9}], ids=["one", "two"])
def test_long_tables_of_trackers(layout: str, ending: str, runs: dict[str, float], tmp_path: Path) -> None:
    names, contexts = LAYOUTS[layout]
    table = long_table(runs, names, contexts=contexts)
    path = tmp_path / f"export.{ending}"
    if ending == "csv":
        table.to_csv(path, index=False)
    elif ending == "parquet":
        table.to_parquet(path)
    else:
        table.to_json(path, orient="records", lines=True)
    expect(path, runs)


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(["run", "metric", "step", "value"]), seed=st.integers(0, 1000))
def test_neither_the_order_of_columns_nor_of_rows_matters(
    order: list[str], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    runs = {"a": 0.5, "b": 0.9}
    table = long_table(runs, {})[order]
    parts = [
        part.sample(frac=1, random_state=seed).sort_values("step", kind="stable")
        for _, part in table.groupby("run")
    ]
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    pd.concat(parts).to_csv(path, index=False)
    expect(path, runs)


def test_aims_settings_and_other_contexts(tmp_path: Path) -> None:
    table = long_table({"5f3c": 0.5}, {"context": "context.subset"}, contexts=True)
    table["idx"] = range(len(table))
    table["run.hparams.learning_rate"] = 0.001
    gpus = table[table["context.subset"] == "train"].assign(metric="gpu_memory", **{"context.subset": ""})
    pd.concat([table, gpus.assign(**{"context.gpu": "0"}), gpus.assign(**{"context.gpu": "1"})]).to_csv(
        tmp_path / "aim.csv", index=False
    )
    run = load(tmp_path / "aim.csv")
    assert run.config["learning_rate"] == 0.001
    assert {"gpu_memory (gpu 0)", "gpu_memory (gpu 1)"} < set(run.series)


def clearml(floor: float) -> dict[str, Any]:
    """``task.get_reported_scalars()``."""

    def curve(name: str, values: list[float]) -> dict[str, Any]:
        return {"name": name, "x": STEPS, "y": values}

    return {
        "loss": {"train": curve("train", losses(floor)), "val": curve("val", losses(floor + 0.1))},
        "lr": {"lr": curve("lr", [1e-4] * len(STEPS))},
    }


def test_clearmls_scalars(tmp_path: Path) -> None:
    path = tmp_path / "scalars.json"
    path.write_text(json.dumps(clearml(0.5)))
    expect(path, {"scalars": 0.5})
    assert load(path).roles["learning_rate"] == "lr"
    several = tmp_path / "tasks.json"
    several.write_text(json.dumps({"a": clearml(0.5), "b": clearml(0.9)}))
    expect(several, {"a": 0.5, "b": 0.9})


def test_clearmls_scalars_over_time_are_refused(tmp_path: Path) -> None:
    found = clearml(0.5)
    for title in found.values():
        for series in title.values():
            series["x"] = [1_700_000_000_000 + 1000 * s for s in STEPS]
    path = tmp_path / "scalars.json"
    path.write_text(json.dumps(found))
    with pytest.raises(UnreadableRun, match="placed by time"):
        load(path)


def test_comets_charts_of_several_experiments(tmp_path: Path) -> None:
    charts = {
        key: {
            "experimentKey": key, "empty": False,
            "metrics": [
                {"metricName": name, "steps": STEPS, "values": losses(floor + more)}
                for name, more in (("train_loss", 0.0), ("val_loss", 0.1))
            ],
        }
        for key, floor in (("a", 0.5), ("b", 0.9))
    }  # fmt: skip
    path = tmp_path / "charts.json"
    path.write_text(json.dumps(charts))
    expect(path, {"a": 0.5, "b": 0.9})


def test_swanlabs_metrics_have_a_clock_each(tmp_path: Path) -> None:
    table = pd.DataFrame({"step": STEPS, "train/loss": losses(0.5), "val/loss": losses(0.6)})
    for name in ("train/loss", "val/loss"):
        table[f"{name}_timestamp"] = [1_700_000_000_000 + 1000 * s for s in STEPS]
    path = tmp_path / "swanlab.csv"
    table.to_csv(path, index=False)
    expect(path, {"swanlab": 0.5})
    run = load(path)
    assert set(run.series) == {"train/loss", "val/loss"}
    assert run.ended_at == pytest.approx(1_700_000_200)


@pytest.mark.parametrize("column", ["replica", "bucket", "which"])
def test_what_tells_values_of_one_step_apart_is_not_guessed(column: str, tmp_path: Path) -> None:
    """The same steps and metrics again under words of a column that nobody has heard of: one series would be wrong."""
    tables = [long_table({"a": f}, {}).assign(**{column: word}) for f, word in ((0.5, "x"), (0.9, "y"))]
    path = tmp_path / "odd.csv"
    pd.concat(tables).drop(columns="run").to_csv(path, index=False)
    with pytest.raises(UnreadableRun, match=column) as refused:
        load(path)
    assert "rename" in refused.value.hint


def test_runs_that_take_two_columns_to_tell_apart(tmp_path: Path) -> None:
    tables = [
        long_table({"0": floor}, {"run": "seed"}).assign(experiment=name)
        for name, floor in (("wide", 0.5), ("deep", 0.9))
    ] + [long_table({"1": 0.7}, {"run": "seed"}).assign(experiment="wide")]
    path = tmp_path / "sweep.csv"
    pd.concat(tables).to_csv(path, index=False)
    expect(path, {"wide/0": 0.5, "deep/0": 0.9, "wide/1": 0.7})
