"""A stand-in for the W&B service on loopback, filled with runs that the real SDK wrote offline.

It answers the operations that the real client sends, and nothing else: an unknown operation, or a field it does
not know, is an error. Errors, delays and page limits on demand.
"""

from __future__ import annotations

import base64
import json
import math
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2 as messages

from runscope.sources.wandb_log import read_log

KEY = "k" * 40
USER = "me"
FIELDS = {
    "id", "tags", "name", "displayName", "sweepName", "state", "config", "group", "jobType", "commit", "readOnly",
    "createdAt", "heartbeatAt", "description", "notes", "systemMetrics", "summaryMetrics", "historyLineCount", "user",
    "historyKeys", "projectId", "project", "host", "runInfo", "entity", "username", "edges", "node", "cursor",
    "pageInfo", "internalId",
    "hasNextPage", "endCursor", "runs", "run", "viewer", "email", "flags", "teams", "admin", "totalCount", "runCount",
    "history", "events", "sampledHistory", "parquetHistory", "parquetUrls", "liveData", "serverInfo", "features",
    "isEnabled", "__typename",
}  # fmt: skip


@dataclass
class StoredRun:
    """One run as the service keeps it."""

    id: str
    name: str
    state: str
    config: dict[str, Any]
    created: float
    rows: list[dict[str, Any]]
    stats: list[dict[str, Any]]

    @classmethod
    def of_file(cls, file: Path) -> StoredRun:
        """The run of an offline file."""
        run = cls(file.stem.removeprefix("run-"), "", "crashed", {}, 0.0, [], [])
        for raw in read_log(file.read_bytes()).records:
            run._take(messages.Record.FromString(raw))
        return run

    def _take(self, record: Any) -> None:
        kind = record.WhichOneof("record_type")
        if kind == "run":
            self.id, self.name = record.run.run_id, record.run.display_name or record.run.run_id
            self.created = record.run.start_time.seconds
            self._configure(record.run.config)
        elif kind == "config":
            self._configure(record.config)
        elif kind == "metric" and record.metric.step_metric:
            kept = self.config.setdefault("_wandb", {}).setdefault("m", [])
            if not any(e.get("1") == record.metric.step_metric for e in kept):
                kept.append({"1": record.metric.step_metric, "6": [3]})
            place = next(i for i, e in enumerate(kept, 1) if e.get("1") == record.metric.step_metric)
            named = {"2": record.metric.glob_name} if record.metric.glob_name else {"1": record.metric.name}
            kept.append({**named, "5": place, "6": [1]})
        elif kind == "history":
            self.rows.append(_row(record.history.item))
        elif kind == "stats":
            at = record.stats.timestamp.seconds
            self.stats.append(
                {"_timestamp": at, **{i.key: json.loads(i.value_json) for i in record.stats.item}}
            )
        elif kind == "exit":
            self.state = "failed" if record.exit.exit_code else "finished"

    def _configure(self, config: Any) -> None:
        for item in config.update:
            name = item.key or ".".join(item.nested_key)
            if name != "_wandb":
                self.config[name] = json.loads(item.value_json)

    @property
    def last_step(self) -> int:
        return max((row["_step"] for row in self.rows), default=-1)


def _row(items: Any) -> dict[str, Any]:
    """Nested, and with non-finite numbers as strings, as the service sends rows."""
    row: dict[str, Any] = {}
    for item in items:
        inner = row
        *path, last = list(item.nested_key) or [item.key]
        for key in path:
            inner = inner.setdefault(key, {})
        value = json.loads(item.value_json)
        if isinstance(value, float) and not math.isfinite(value):
            value = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        inner[last] = value
    return row


@dataclass
class Wandb:
    """The service's state.

    Attributes:
        runs: by ``entity/project`` and id.
        url: where it listens.
        fail: status answered to everything, None for none.
        fail_times: how many requests fail before it is well again; None for ever.
        retry_after: header sent with a failure.
        delay: seconds before each page of history.
        page_rows: rows that one page holds at most.
        operations: names of the operations asked for.
    """

    runs: dict[str, dict[str, StoredRun]] = field(default_factory=dict)
    url: str = ""
    fail: int | None = None
    fail_times: int | None = None
    retry_after: str | None = None
    delay: float = 0.0
    page_rows: int = 100_000
    operations: list[str] = field(default_factory=list)

    def add(self, project: str, file: Path) -> StoredRun:
        """Take a run from an offline file."""
        run = StoredRun.of_file(file)
        self.runs.setdefault(project, {})[run.id] = run
        return run

    def answer(self, query: str, words: dict[str, Any]) -> dict[str, Any]:
        """Data for an operation.

        Raises:
            ValueError: an operation or a field that the service does not know.
        """
        operation = re.search(r"(?:query|mutation)\s+(\w+)", query)
        name = operation[1] if operation else "(none)"
        self.operations.append(name)
        _check_fields(query)
        viewer = {
            "id": "1", "entity": USER, "username": USER, "email": "me@example.org", "flags": "{}", "admin": False,
            "name": USER, "teams": {"edges": []},
        }  # fmt: skip
        if name in ("Viewer", "GetDefaultEntity", "GetViewer"):
            return {"viewer": viewer}
        if name == "ServerFeaturesQuery":
            return {"serverInfo": {"features": []}}
        entity = words.get("entity") or words.get("entityName") or USER
        project = self.runs.get(f"{entity}/{words.get('project')}")
        if project is None:
            return {"viewer": viewer, "project": None}
        if name == "Runs":
            return {"project": self._listed(project, words)}
        run = project.get(words.get("name") or words.get("run") or words.get("runName") or "")
        if name == "RunscopeKnock":
            return {"viewer": viewer, "project": {"run": {"id": run.id} if run else None}}
        if name in ("Run", "RunHistoryKeys", "RunState"):
            return {"project": {"run": self._facts(run) if run else None}}
        if run is None:
            return {"project": {"run": None}}
        return {"project": {"run": self._history(name, run, words)}}

    def _history(self, name: str, run: StoredRun, words: dict[str, Any]) -> dict[str, Any]:
        if name == "RunParquetHistory":
            return {
                "parquetHistory": {
                    "parquetUrls": [],
                    "liveData": [{"_step": r["_step"]} for r in run.rows[:1]],
                }
            }
        if name == "HistoryPage":
            time.sleep(self.delay)
            low, high = int(words["minStep"]), int(words["maxStep"])
            inside = [r for r in run.rows if low <= r["_step"] < high][
                : min(int(words["pageSize"]), self.page_rows)
            ]
            return {"history": [json.dumps(r) for r in inside]}
        if name == "RunFullHistory":
            return {
                "events": [json.dumps(r) for r in run.stats],
                "history": [json.dumps(r) for r in run.rows[:500]],
            }
        raise ValueError(f"unknown operation {name}")

    def _listed(self, project: dict[str, StoredRun], words: dict[str, Any]) -> dict[str, Any]:
        wanted = json.loads(words.get("filters") or "{}")
        for key in wanted:
            if key != "display_name":
                raise ValueError(f"unknown filter {key}")
        chosen = [r for r in project.values() if wanted.get("display_name", r.name) == r.name]
        edges = [{"node": self._facts(r), "cursor": r.id} for r in chosen]
        return {
            "internalId": "1", "runCount": len(chosen), "readOnly": False,
            "runs": {"edges": edges, "pageInfo": {"endCursor": "", "hasNextPage": False}},
        }  # fmt: skip

    def _facts(self, run: StoredRun) -> dict[str, Any]:
        created = datetime.fromtimestamp(run.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "id": f"Run:{run.id}", "projectId": "1", "tags": [], "name": run.id, "displayName": run.name,
            "sweepName": None, "state": run.state, "group": None, "jobType": None, "commit": None, "readOnly": False,
            "createdAt": created, "heartbeatAt": created, "description": None, "notes": None, "systemMetrics": "{}",
            "config": json.dumps({k: {"value": v, "desc": None} for k, v in run.config.items()}),
            "summaryMetrics": "{}", "historyLineCount": len(run.rows), "user": {"name": USER, "username": USER},
            "historyKeys": {"sets": [], "keys": {}, "lastStep": run.last_step},
        }  # fmt: skip


def _check_fields(query: str) -> None:
    """Every word of a selection is a field that the service has."""
    plain = re.sub(
        r'#[^\n]*|"[^"]*"|\$\w+|\([^)]*\)|fragment \w+ on \w+|\.\.\.\s*\w+|(query|mutation)\s+\w+|\w+\s*:',
        " ",
        query,
    )
    for word in re.findall(r"[A-Za-z_]\w*", plain):
        if word not in FIELDS:
            raise ValueError(f"unknown field {word}")


@contextmanager
def serve() -> Iterator[Wandb]:
    """The service on a free port of loopback, until the block ends."""
    service = Wandb()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if service.fail is not None and service.fail_times != 0:
                if service.fail_times is not None:
                    service.fail_times -= 1
                extra = {"Retry-After": service.retry_after} if service.retry_after else {}
                return self._send(service.fail, {"errors": [{"message": "refused"}]}, extra)
            if (
                self.headers.get("Authorization")
                != "Basic " + base64.b64encode(f"api:{KEY}".encode()).decode()
            ):
                return self._send(401, {"errors": [{"message": "user is not logged in"}]})
            if self.path != "/graphql":
                return self._send(404, {})
            asked = json.loads(body)
            try:
                data = service.answer(asked["query"], asked.get("variables") or {})
            except (ValueError, KeyError) as error:
                return self._send(400, {"errors": [{"message": str(error)}]})
            return self._send(200, {"data": data})

        def do_GET(self) -> None:
            self._send(404, {})

        def _send(self, status: int, content: dict[str, Any], extra: dict[str, str] | None = None) -> None:
            text = json.dumps(content).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(text)),
                **(extra or {}),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
