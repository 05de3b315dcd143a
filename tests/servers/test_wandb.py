"""The stand-in for W&B is no kinder than the real service, and the real client is content with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from runscope.sources.wandb_cloud import facts as ours
from tests.servers.wandb import KEY, Wandb, serve
from tests.servers.wandb_runs import StoredRun

CLIENT = """
import json, sys, wandb
api = wandb.Api(overrides={"entity": "me"}, timeout=60)
run = api.run("me/pricer/r1")
told = {
    "all": [dict(sorted(r.items())) for r in run.scan_history(page_size=700, use_cache=False)],
    "keys": [r["eval/loss"] for r in run.scan_history(keys=["eval/loss"], use_cache=False)],
    "config": run.config, "name": run.name, "state": run.state, "last": run.lastHistoryStep,
    "system": run.history(stream="system", pandas=False),
    "listed": sorted(r.id for r in api.runs("me/pricer", per_page=2)),
    "filtered": [r.id for r in api.runs("me/pricer", filters={"$and": [
        {"tags": {"$in": ["a"]}}, {"state": {"$in": ["finished"]}}, {"created_at": {"$gte": "2001-09-09T00:00:00"}}]})],
    "named": [r.id for r in api.runs("me/pricer", filters={"display_name": "third"})],
}
print(json.dumps(told))
"""


def a_run(name: str, rows: int = 1500, **more: Any) -> StoredRun:
    content = [
        {"_step": i, "_timestamp": 1e9 + i, "loss": "NaN" if i == 7 else i / 7}
        | ({"eval/loss": float(i)} if i % 50 == 0 else {})
        for i in range(rows)
    ]
    stats = [{"_timestamp": 1e9, "gpu": 60}]
    return StoredRun(name, more.pop("called", name), "finished", {"lr": 0.1}, 1e9, content, stats, **more)


@pytest.mark.parametrize("exported", [0, 1000])
def test_the_real_client_reads_it(tmp_path: Path, exported: int) -> None:
    with serve() as service:
        run = service.put("me/pricer", a_run("r1", exported=exported))
        service.put("me/pricer", a_run("r2", 5, tags=["a"]))
        service.put("me/pricer", a_run("r3", 5, called="third"))
        environment = os.environ | {
            "WANDB_BASE_URL": service.url, "WANDB_API_KEY": KEY, "WANDB_SILENT": "true", "WANDB_DIR": str(tmp_path),
            "WANDB_CACHE_DIR": str(tmp_path), "NETRC": str(tmp_path / "netrc"),
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", CLIENT],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    kept = [{k: float(v) for k, v in row.items() if v is not None} for row in told["all"]]
    expected = [{k: float(v) for k, v in sorted(row.items())} for row in run.rows]
    assert json.dumps(kept) == json.dumps(expected)
    # From an export the client gives every row, whether it has the key or not.
    assert [value for value in told["keys"] if value is not None] == [float(i) for i in range(0, 1500, 50)]
    assert (told["config"], told["name"], told["state"], told["last"]) == (
        {"lr": 0.1},
        "r1",
        "finished",
        1499,
    )
    assert told["system"][0]["gpu"] == 60
    assert (told["listed"], told["filtered"], told["named"]) == (["r1", "r2", "r3"], ["r2"], ["r3"])


def ask(service: Wandb, query: str, words: dict[str, Any] | None = None, key: str = KEY) -> tuple[int, Any]:
    """Status and answer of one request."""
    request = urllib.request.Request(
        f"{service.url}/graphql", json.dumps({"query": query, "variables": words or {}}).encode(),
        {"Authorization": "Basic " + b64encode(f"api:{key}".encode()).decode(), "Content-Type": "application/json"},
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


RUN = {"entity": "me", "project": "pricer", "name": "r1"}
HEAD = "query Run($entity: String!, $project: String!, $name: String!) { project(name: $project, entityName: $entity)"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("query Viewer { viewer { id shoeSize } }", {}),
        ("query Unheard { viewer { id } }", {}),
        (HEAD + " { run(name: $name) { loss } } }", RUN),
        (HEAD + " { run(name: $name) { history(limit: 3) } } }", RUN),
        (HEAD + " { run(id: $name) { id } } }", RUN),
        (HEAD + " { run(name: $name) { user } } }", RUN),
        (HEAD + " { run(name: $name) { id } } }", {"entity": "me"}),
        (HEAD + " { run(name: $name) { id } }", RUN),
        (
            ours.PAGE,
            {"entity": "me", "project": "pricer", "run": "r1", "minStep": "0", "maxStep": 9, "pageSize": 9},
        ),
        (
            ours.PAGE,
            {"entity": "me", "project": "pricer", "run": "r1", "minStep": 0, "maxStep": 9, "pageSize": 2**40},
        ),
        (ours.RUNS, {"entity": "me", "project": "pricer", "perPage": 5, "filters": '{"shoe_size": 3}'}),
        (
            ours.RUNS,
            {"entity": "me", "project": "pricer", "perPage": 5, "filters": '{"state": {"$like": 3}}'},
        ),
        (ours.RUNS, {"entity": "me", "project": "pricer", "perPage": 5, "order": "by taste"}),
    ],
)
def test_what_the_service_does_not_know_is_an_error(query: str, words: dict[str, Any]) -> None:
    with serve() as service:
        service.put("me/pricer", a_run("r1", 10))
        status, told = ask(service, query, words)
        assert status == 400
        assert told["errors"][0]["message"]
        assert ask(service, ours.RUN, RUN)[0] == 200


def test_keys_and_signatures_are_checked() -> None:
    with serve() as service:
        run = service.put("me/pricer", a_run("r1", 10, exported=5))
        assert ask(service, ours.RUN, RUN, key="w" * 40)[0] == 401
        words = {"entity": "me", "project": "pricer", "runName": run.id, "liveKeys": ["_step"]}
        told = ask(service, ours.exports_question(live=True), words)[1]["data"]["project"]["run"][
            "parquetHistory"
        ]
        assert told["liveData"] == [{"_step": i} for i in range(5, 10)]
        (url,) = told["parquetUrls"]
        with urllib.request.urlopen(url) as response:
            assert response.read()[:4] == b"PAR1"
        for wrong in (url[:-1] + "x", url.partition("?")[0]):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(wrong)
            caught.value.close()
            assert caught.value.code == 403
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": "Basic eA=="}))
        caught.value.close()
        assert caught.value.code == 400, "storage takes a signature or a key, not both"


def test_runs_grow_and_are_rewound() -> None:
    run = a_run("r1", 100)
    run.goes_on(40)
    assert (run.last_step, run.facts()["historyLineCount"], run.state) == (39, 40, "running")
    run.rewind(20)
    assert run.last_step == 20
    assert run.config["_wandb"]["branch_point"] == {"run_id": "r1", "step": 20}
