"""Doors beside the readers of runs: settings beside a log, results of other tools, what is remembered, processors."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from runscope.api.keeping import keep
from runscope.cli import main
from runscope.errors import InputError, RunscopeError
from runscope.evaluation import EvaluateSettings, evaluate
from runscope.evaluation.models.saved.whole import refuse_broken
from runscope.evaluation.results.reading import read_scores
from runscope.hub import fetch, list_checkpoints
from runscope.schema import plain_yaml
from runscope.sources import load
from runscope.store import ResultTable
from tests.evaluation import seen
from tests.evaluation.test_results import harness, log, zstandard
from tests.robustness import damage, files
from tests.sources import wandb_writer

CASES = int(os.environ.get("RUNSCOPE_TORTURE") or 30)
TENFOLD = zip("abcdefgh", "bcdefghi", strict=True)
YAML = {
    "lists of lists": "a: &a [x]\n"
    + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in TENFOLD),
    "one inside of itself": "a: &a [*a]\nb: &b {c: *b}\n",
    "a number in sixties": "a: 1" + ":59" * 20_000 + "\n",
    "depth": "a: " + "[" * 5000 + "]" * 5000 + "\n",
    "objects": "a: !!python/object/apply:os.system ['exit 1']\n",
    "a size": "a: " + "x" * (1 << 21) + "\n",
    "a list as key": "? [1, 2]\n: 3\n",
}


@pytest.mark.parametrize("name", YAML)
def test_yaml_is_read_at_once_whatever_it_says(name: str, tmp_path: Path) -> None:
    found = plain_yaml(("lr: 0.1\n" + YAML[name]).encode())
    assert found in ({}, {"lr": 0.1})
    run = files.folder(tmp_path).parents[1]
    (run / "meta.yaml").write_text((run / "meta.yaml").read_text() + YAML[name])
    with suppress(RunscopeError):  # the run's own facts are lost with it where it is no YAML at all
        assert load(run).points == len(files.STEPS)
    table = files.table(tmp_path).rename(tmp_path / "metrics.csv")
    (tmp_path / "hparams.yaml").write_text(YAML[name])
    assert load(table).points == 2 * len(files.STEPS)


def test_a_histogram_has_as_many_bins_as_were_counted(tmp_path: Path) -> None:
    for number, count in enumerate((3, 4 * 10**8, -1, 10**400, "x", None)):
        packed = {"min": 0.0, "size": 1.0, "count": count}
        rows = [
            wandb_writer.row(s, loss=files.loss(s), g={"_type": "histogram", "values": [0, 2, 2], "packedBins": packed})
            for s in files.STEPS
        ]  # fmt: skip
        payloads = [wandb_writer.record(n, history=row).SerializeToString() for n, row in enumerate(rows, 1)]
        run = load(wandb_writer.write(tmp_path / f"run-abc{number}.wandb", payloads))
        assert len(run.series["loss"]) == len(files.STEPS)
        assert set(run.histograms["g"].low) == {0.0}
        assert set(run.histograms["g"].high) == {3.0}


def test_a_row_that_is_not_as_it_was_written_is_none(tmp_path: Path) -> None:
    table, chance = ResultTable(tmp_path / "results.sqlite"), random.Random(18)
    rows = {f"key-{n}": {"loss": n / 7, "tokens": n, "odd": float("inf")} for n in range(CASES)}
    table.put(rows)
    with closing(sqlite3.connect(table.path)) as connection, connection:
        for key in list(rows)[::2]:
            (text,) = connection.execute("SELECT row FROM results WHERE key = ?", (key,)).fetchone()
            spoil = chance.choice([*damage.BYTES.values()])
            told: object = chance.choice(
                (
                    text.replace("7", "8"),
                    text + " ",
                    spoil(text.encode(), chance),
                    json.dumps(rows[key]),
                    5,
                    "",
                )
            )
            if told != text:
                connection.execute("UPDATE results SET row = ? WHERE key = ?", (told, key))
                del rows[key]
    connection.close()
    assert len(rows) < CASES
    assert table.get([f"key-{n}" for n in range(CASES)]) == rows


def test_a_scan_of_a_spoiled_memory_answers_as_one_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    for name in ("table", "state", "lines"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        files.RUNS[name](tmp_path / "runs" / name)
    words = ["scan", str(tmp_path / "runs"), "--format", "json", "--jobs", "1"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)["trainings"]
    memory = tmp_path / "home" / "surveys" / "cards.sqlite"
    whole = memory.read_bytes()
    for number in range(max(2, CASES // 15)):
        chance = random.Random(number)
        memory.write_bytes(whole)
        with closing(sqlite3.connect(memory)) as connection, connection:
            for key, row in connection.execute("SELECT key, row FROM results").fetchall():
                text = row.partition("\t")[0]
                foreign = json.dumps(damage.foreign_json(json.loads(text), chance))
                connection.execute(
                    "UPDATE results SET row = ? WHERE key = ?", (row.replace(text, foreign), key)
                )
        connection.close()
        assert main(words) == 0
        again = json.loads(capsys.readouterr().out)["trainings"]
        assert [{**t, "new": None} for t in again] == [{**t, "new": None} for t in told]


def inspect(place: Path, chance: random.Random | None = None, form: str = "json") -> Path:
    """Three logs of Inspect, of which the first is spoiled."""
    place.mkdir()
    for step in (100, 200, 300):
        told = log(step, ["C" if n % 3 else "I" for n in range(20)])
        if chance is not None and step == 100:
            told = damage.foreign_json(told, chance)
        file = place / f"{step}.{form}"
        if form == "json" or not isinstance(told.get("samples"), list):
            file.with_suffix(".json").write_bytes(json.dumps(told).encode("utf-8", "surrogatepass"))
            continue
        samples = told.pop("samples")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("header.json", json.dumps(told))
            for number, one in enumerate(samples):
                archive.writestr(f"samples/{number}_epoch_1.json", json.dumps(one))
    return place


@pytest.mark.parametrize("form", ["json", "eval"])
def test_logs_of_inspect_with_foreign_values_are_read_or_refused(form: str, tmp_path: Path) -> None:
    for number in range(CASES):
        with suppress(RunscopeError):
            read_scores([inspect(tmp_path / str(number), random.Random(f"{form} {number}"), form)])


def test_samples_of_the_harness_with_foreign_values_are_read_or_refused(tmp_path: Path) -> None:
    place = harness(tmp_path, {step: [n % 3 > 0 for n in range(20)] for step in (100, 200, 300)})
    file = sorted(place.rglob("*.jsonl"))[0]
    whole = file.read_bytes()
    for number in range(CASES):
        file.write_bytes(damage.foreign_text(whole, random.Random(number)))
        with suppress(RunscopeError):
            read_scores([place])


@pytest.mark.parametrize("form", ["deflated", "zstandard"])
def test_what_is_packed_small_and_is_large_is_refused_before_it_is_there(form: str, tmp_path: Path) -> None:
    place = inspect(tmp_path / "logs", form="eval")
    file, many = place / "100.eval", b'{"id": 1, "x": "' + b"a" * (100 << 20) + b'"}'
    if form == "deflated":
        with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("samples/99_epoch_1.json", many)
    else:
        header = {k: v for k, v in log(100, []).items() if k != "samples"}
        zstandard(file, {"header.json": json.dumps(header).encode(), "samples/1_epoch_1.json": many})
    with pytest.raises(InputError, match="more is packed into it"):
        read_scores([place])


ENDLESS = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT x FROM r"
LARGE = "hex(zeroblob(400000000))"
COMPUTED = (
    ("mlflow", "ALTER TABLE metrics RENAME TO m; CREATE VIEW metrics AS SELECT 'loss' AS key, 1.0 AS value, "
     f"1 AS timestamp, 'u1' AS run_uuid, x AS step, 0 AS is_nan FROM ({ENDLESS});"),
    ("mlflow", "DROP TABLE params; CREATE VIEW params AS SELECT 'k' || x AS key, 'v' AS value, 'u1' AS run_uuid FROM "
     f"({ENDLESS});"),
    ("mlflow", f"DROP TABLE tags; CREATE VIEW tags AS SELECT 'mlflow.runName' AS key, {LARGE} AS value, "
     "'u1' AS run_uuid;"),
    ("mlflow", f"DROP TABLE params; CREATE TABLE params (key, run_uuid, value AS ({LARGE})); "
     "INSERT INTO params VALUES ('lr', 'u1');"),
    ("trackio", "ALTER TABLE metrics RENAME TO m; CREATE VIEW metrics AS SELECT x AS id, '2026-01-01' AS timestamp, "
     f"'a' AS run_name, 'r1' AS run_id, x AS step, '{{\"loss\": 1}}' AS metrics FROM ({ENDLESS});"),
    ("trackio", "DROP TABLE configs; CREATE VIEW configs AS SELECT 'a' AS run_name, 'r1' AS run_id, "
     f"{LARGE} AS config;"),
)  # fmt: skip


@pytest.mark.parametrize(("name", "script"), COMPUTED)
def test_what_a_database_computes_is_not_read(name: str, script: str, tmp_path: Path) -> None:
    path = files.RUNS[name](tmp_path)
    with sqlite3.connect(path) as connection:
        connection.executescript(script)
    connection.close()
    with pytest.raises(RunscopeError):
        load(path)


def test_a_pipe_among_the_files_of_a_checkpoint_is_refused(tmp_path: Path) -> None:
    folder = files.adapter(tmp_path).parent
    refuse_broken(folder)
    os.mkfifo(folder / "tokenizer_config.json")
    with pytest.raises(InputError, match="is a pipe or a device"):
        refuse_broken(folder)


TURNS: dict[str, Callable[[int, int], list[int]]] = {
    "turned": lambda begin, end: [end, begin],
    "later": lambda begin, end: [begin + 4, end + 4],
    "longer": lambda begin, end: [begin, end + 4],
    "empty": lambda *_: [0, 0],
}


@pytest.mark.parametrize("turn", TURNS)
def test_tensors_that_lie_in_one_another_are_refused(turn: str, tmp_path: Path) -> None:
    file = files.weights(tmp_path)
    refuse_broken(file.parent)
    content = file.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    name = max(n for n in header if n != "__metadata__")
    header[name]["data_offsets"] = TURNS[turn](*header[name]["data_offsets"])
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :] + bytes(8))
    with pytest.raises(InputError, match="damaged"):
        refuse_broken(file.parent)


def test_what_a_link_led_to_is_told_where_it_is_kept(tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text("{}")
    (tmp_path / "outputs").mkdir()
    folder = files.adapter(tmp_path / "outputs").parent
    (folder / "own.json").symlink_to(tmp_path / "own.json")
    (folder / "near.json").symlink_to("adapter_config.json")
    kept = keep(str(tmp_path / "outputs"), tmp_path / "kept", step=100)
    assert [note for note in kept.notes if "link" in note] == [
        "own.json is a link that leads out of its checkpoint: what lies there was taken"
    ]


GIANT = (
    10**6,
    10**9,
    2**63,
    1e308,
    0,
    -1,
    None,
    True,
    "x",
    [],
    {"height": 10**6, "width": 10**6},
    [1e9] * 3,
    [[0]],
)


@pytest.mark.filterwarnings("ignore::Warning")
def test_a_processor_that_asks_for_anything_is_asked_or_refused(tmp_path: Path) -> None:
    named = dict(enumerate(seen.NAMES))
    for step in (1, 2):
        folder = tmp_path / "out" / f"checkpoint-{step}"
        seen.vit(id2label=named, label2id={n: i for i, n in named.items()}).save_pretrained(folder)
        seen.processor().save_pretrained(folder)
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step, "log_history": []}))
    seen.folder_of(tmp_path / "data", seen.pictures(2, 4))
    place = tmp_path / "out" / "checkpoint-1" / "preprocessor_config.json"
    whole = json.loads(place.read_bytes())
    for number in range(max(4, CASES // 10)):
        chance = random.Random(number)
        told = {**whole, chance.choice([k for k in whole if not k.endswith("_type")]): chance.choice(GIANT)}
        place.write_text(json.dumps(told))
        with suppress(RunscopeError):
            evaluate(
                list_checkpoints(str(tmp_path / "out")), tmp_path / "data", fetch=fetch,
                settings=EvaluateSettings(full=True, device="cpu"),
            )  # fmt: skip


@pytest.mark.parametrize("proxy", ["x://me:s3cret@host", "::"])
@pytest.mark.parametrize("words", [["checkpoints", "hf://me/none"], ["show", "me/project/abc"]])
def test_a_proxy_that_is_none_is_told_without_its_password(
    words: list[str], proxy: str, tmp_path: Path
) -> None:
    known = {
        k: v
        for k, v in os.environ.items()
        if "proxy" not in k.lower() and not k.startswith(("HF_", "WANDB_"))
    }
    told = {"HTTPS_PROXY": proxy, "WANDB_API_KEY": "0" * 40, "RUNSCOPE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "runscope", *words],
        env={**known, **told},
        capture_output=True,
        timeout=100,
        check=False,
    )
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 2
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"], lines
    assert "cannot be used" in lines[0]
    assert "s3cret" not in done.stderr.decode()
