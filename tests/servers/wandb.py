"""A stand-in for the W&B service on loopback, filled with runs that the real SDK wrote offline, or sends to it.

It answers GraphQL by a schema that has what the real client asks for and nothing else: an unknown operation, field,
argument or filter, a missing key, a key sent where none belongs is an error. Errors, delays, page limits, exports,
running and rewound runs on demand.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    default_field_resolver,
    execute_sync,
    parse,
    validate,
)

from tests.servers import wandb_taking
from tests.servers.gate import Gate
from tests.servers.wandb_runs import StoredRun
from tests.servers.wandb_schema import SCHEMA, fits

KEY = "k" * 40
USER = "me"
OPERATIONS = {
    "Viewer", "GetDefaultEntity", "GetViewer", "ServerFeaturesQuery", "Run", "Runs", "RunState", "RunHistoryKeys",
    "RunParquetHistory", "HistoryPage", "SampledHistoryPage", "RunFullHistory", "RunSampledHistory", "UpsertBucket",
    "CreateRunFiles", "RunsHistory", "GetProjects",
}  # fmt: skip
"""What the real client asks, and ``RunsHistory``, which asks for several runs under aliases."""
HISTORY_OPERATIONS = {
    "RunsHistory",
    "RunParquetHistory",
    "HistoryPage",
    "SampledHistoryPage",
    "RunFullHistory",
    "RunSampledHistory",
}


@dataclass
class Wandb:
    """The service's state.

    Attributes:
        runs: by ``entity/project`` and id.
        url: where it listens.
        storage: where exported files are: another host, as in the cloud.
        fail: status answered to everything, None for none.
        fail_times: how many requests fail before it is well again; None for ever.
        fail_only: operations that fail; None for all.
        fail_after: so many requests are answered first.
        retry_after: header sent with a failure.
        delay: seconds before each answer that holds pages of history.
        gate: what each page of history has to pass, None lets all through.
        page_rows: rows that one page holds at most.
        sampled: a page that holds fewer rows than there are takes them from everywhere in it, not from its beginning.
        pages_hold_exported: pages of live rows have rows that were exported as well.
        names_no_live_rows: it says nothing of rows that are in no export yet.
        page_instead: what a proxy in front of it answers to everything.
        old: a host of one's own that knows nothing of exports.
        operations: names of the operations asked for, in order.
        asked: words of each page of history that was asked for.
        busiest: most requests that were under way at once.
        keys_seen: keys that came, other than the right one.
        uploads: files that were put, by ``run/name``.
    """

    runs: dict[str, dict[str, StoredRun]] = field(default_factory=dict)
    url: str = ""
    storage: str = ""
    fail: int | None = None
    fail_times: int | None = None
    fail_only: set[str] | None = None
    fail_after: int = 0
    retry_after: str | None = None
    delay: float = 0.0
    gate: Gate | None = None
    page_rows: int = 100_000
    sampled: bool = False
    pages_hold_exported: bool = False
    names_no_live_rows: bool = False
    page_instead: bytes | None = None
    old: bool = False
    operations: list[str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    busiest: int = 0
    keys_seen: list[str] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._schema = _schema(self)
        self._documents: dict[str, tuple[DocumentNode, str]] = {}
        self._lock = threading.Lock()
        self._under_way = 0

    def add(self, project: str, file: Path) -> StoredRun:
        """Take a run from an offline file."""
        return self.put(project, StoredRun.of_file(file))

    def put(self, project: str, run: StoredRun) -> StoredRun:
        """Take a run."""
        self.runs.setdefault(project, {})[run.id] = run
        return run

    @property
    def history_operations(self) -> list[str]:
        """Operations that asked for history."""
        return [name for name in self.operations if name in HISTORY_OPERATIONS]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Count the requests under way."""
        with self._lock:
            self._under_way += 1
            self.busiest = max(self.busiest, self._under_way)
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def refusal(self, operation: str) -> int | None:
        """The status that this request fails with, if it shall fail."""
        with self._lock:
            if self.fail is None or (self.fail_only is not None and operation not in self.fail_only):
                return None
            if self.fail_after > 0:
                self.fail_after -= 1
                return None
            if self.fail_times is not None:
                if self.fail_times <= 0:
                    return None
                self.fail_times -= 1
            return self.fail

    def document(self, query: str) -> tuple[DocumentNode, str]:
        """A question, parsed and checked against the schema, and its operation's name.

        Raises:
            GraphQLError: the service does not know an operation, a field or an argument.
        """
        known = self._documents.get(query)
        if known is None:
            document = parse(query)
            if problems := validate(self._schema, document):
                raise problems[0]
            (operation,) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
            name = operation.name.value if operation.name else ""
            if name not in OPERATIONS or (self.old and "parquetHistory" in query):
                raise GraphQLError(f"unknown operation {name}")
            known = self._documents[query] = (document, name)
        return known

    def answer(self, document: DocumentNode, words: dict[str, Any]) -> dict[str, Any]:
        """Data for an operation.

        Raises:
            GraphQLError: its words do not fit.
        """
        result = execute_sync(self._schema, document, variable_values=words)
        if result.errors:
            raise result.errors[0]
        return result.data or {}

    def file(self, path: str, query: str) -> bytes | None:
        """An exported history, if the address bears a valid signature."""
        found = re.fullmatch(r"/exports/([^/]+)/([^/]+)/([^/]+)\.runhistory\.parquet", path)
        if not found or parse_qs(query).get("signature") != [_signature(path)]:
            return None
        run = self.runs.get(f"{found[1]}/{found[2]}", {}).get(found[3])
        return run.export() if run is not None else None


def _signature(path: str) -> str:
    return hashlib.sha256(f"{KEY}{path}".encode()).hexdigest()


class _Project:
    """A project, as the schema sees it."""

    id, internalId, readOnly = "Project:1", "1", False

    def __init__(self, service: Wandb, path: str) -> None:
        self.service, self.path = service, path
        self.name = path.partition("/")[2]

    def runCount(self, _info: Any, filters: str | None = None) -> int:
        return len(self._fitting(filters))

    def run(self, _info: Any, name: str) -> _Run | None:
        found = self.service.runs[self.path].get(name)
        return _Run(self.service, self.path, found) if found else None

    def runs(
        self,
        _info: Any,
        filters: str | None = None,
        after: str | None = None,
        first: int = 50,
        order: str | None = None,
    ) -> dict[str, Any]:
        if order not in (None, "+created_at"):
            raise GraphQLError(f"unknown order {order}")
        fitting = sorted(self._fitting(filters), key=lambda r: r.created)
        begin = int(after) if after else 0
        page = fitting[begin : begin + first]
        edges = [
            {"node": _Run(self.service, self.path, r), "cursor": str(begin + i)}
            for i, r in enumerate(page, 1)
        ]
        end = edges[-1]["cursor"] if edges else None
        more = begin + first < len(fitting)
        return {
            "edges": edges,
            "totalCount": len(fitting),
            "pageInfo": {"endCursor": end, "hasNextPage": more},
        }

    def _fitting(self, filters: str | None) -> list[StoredRun]:
        wanted = json.loads(filters or "{}")
        return [run for run in self.service.runs[self.path].values() if fits(run, wanted)]


class _Run:
    """A run, as the schema sees it."""

    def __init__(self, service: Wandb, path: str, run: StoredRun) -> None:
        self.service, self.path, self.kept = service, path, run
        self.__dict__.update(run.facts())

    def history(
        self,
        _info: Any,
        minStep: int | None = None,
        maxStep: int | None = None,
        samples: int = 500,
    ) -> list[str]:
        service = self.service
        if maxStep is None:
            arrived = self.kept.arrived
            return [json.dumps(row) for row in arrived[:: max(len(arrived) // samples, 1)]]
        service.asked.append({"minStep": minStep, "maxStep": maxStep, "pageSize": samples})
        if service.gate is not None:
            service.gate.enter()
        first = 0 if service.pages_hold_exported else self.kept.exported
        inside = self.kept.between(first, minStep or 0, maxStep)
        most = min(samples, service.page_rows)
        if service.sampled and len(inside) > most:
            inside = [inside[i * len(inside) // most] for i in range(most)]
        return inside[:most]

    def events(self, _info: Any, samples: int = 500) -> list[str]:
        return [json.dumps(row) for row in self.kept.stats[:samples]]

    def sampledHistory(self, _info: Any, specs: list[str]) -> list[list[dict[str, Any]]]:
        return [
            [
                row for row in self.kept.arrived
                if spec.get("minStep", 0) <= row["_step"] <= spec.get("maxStep", 2**60)
                and all(key in row for key in spec["keys"])
            ][: spec["samples"]]
            for spec in map(json.loads, specs)
        ]  # fmt: skip

    def parquetHistory(self, _info: Any, liveKeys: list[str]) -> dict[str, Any]:
        path = f"/exports/{self.path}/{self.kept.id}.runhistory.parquet"
        live = [] if self.service.names_no_live_rows else self.kept.arrived[self.kept.exported :]
        return {
            "parquetUrls": [f"{self.service.storage}{path}?signature={_signature(path)}"]
            if self.kept.exported
            else [],
            "liveData": [{key: row[key] for key in liveKeys if key in row} for row in live],
        }


def _schema(service: Wandb) -> GraphQLSchema:
    schema = build_schema(SCHEMA + wandb_taking.SCHEMA)
    assert schema.query_type is not None
    assert schema.mutation_type is not None
    fields = schema.query_type.fields
    user = {
        "id": "1", "entity": USER, "username": USER, "email": "me@example.org", "flags": "{}", "admin": False,
        "name": USER, "teams": {"edges": []},
    }  # fmt: skip
    fields["viewer"].resolve = lambda _root, _info: user
    fields["serverInfo"].resolve = lambda _root, _info: {"features": []}

    def project(_root: Any, _info: Any, name: str, entityName: str | None = None) -> _Project | None:
        path = f"{entityName or USER}/{name}"
        return _Project(service, path) if path in service.runs else None

    fields["project"].resolve = project

    def models(
        _root: Any, _info: Any, entityName: str | None = None, after: str | None = None, first: int = 50
    ) -> Any:
        paths = sorted(path for path in service.runs if path.partition("/")[0] == (entityName or USER))
        begin = int(after or 0)
        page = [{"node": _Project(service, path)} for path in paths[begin : begin + first]]
        info = {"endCursor": str(begin + len(page)), "hasNextPage": begin + first < len(paths)}
        return {"edges": page, "pageInfo": info}

    fields["models"].resolve = models
    changes = schema.mutation_type.fields
    changes["upsertBucket"].resolve = lambda _root, _info, **given: wandb_taking.upsert(
        service.runs, USER, given["input"]
    )
    changes["createRunFiles"].resolve = lambda _root, _info, **given: wandb_taking.files(
        service.url, given["input"]
    )
    number = schema.type_map["Int64"]
    assert isinstance(number, GraphQLScalarType)
    number.parse_value = _int64
    assert default_field_resolver is not None
    return schema


def _int64(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise GraphQLError("Int64 is a whole number")
    return value


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Wandb

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _send(self, status: int, content: dict[str, Any]) -> None:
        after = self.service.retry_after
        extra = {"Retry-After": after} if status != 200 and after is not None else {}
        self._write(status, json.dumps(content).encode(), {"Content-Type": "application/json", **extra})

    def _write(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            try:
                self.wfile.write(content)
            except (BrokenPipeError, ConnectionResetError):  # it was killed, or has seen enough
                self.close_connection = True


class _Questions(_Handler):
    """The service itself."""

    def do_POST(self) -> None:
        body = self._body()
        with self.service.at_work():
            page = self.service.page_instead
            if page is not None:
                self._write(200, page, {"Content-Type": "text/html"})
            else:
                self._send(*self._answered(body))

    def _answered(self, body: bytes) -> tuple[int, dict[str, Any]]:
        service = self.service
        if self.path.startswith("/sdk/otel/"):  # how the SDK itself fares
            return 200, {}
        if self.path.endswith("/file_stream"):
            return self._taken(body)
        if self.path != "/graphql":
            return 404, {}
        asked = json.loads(body)
        try:
            document, name = service.document(asked["query"])
        except GraphQLError as error:
            return 400, {"errors": [{"message": error.message}]}
        service.operations.append(name)
        status = service.refusal(name)
        if status is not None:
            return status, {"errors": [{"message": "refused"}]}
        if not self._may():
            return 401, {"errors": [{"message": "user is not logged in"}]}
        if "minStep" in asked["query"]:
            time.sleep(service.delay)
        try:
            return 200, {"data": service.answer(document, asked.get("variables") or {})}
        except (GraphQLError, ValueError, KeyError) as error:
            return 400, {"errors": [{"message": str(error)}]}

    def _may(self) -> bool:
        """Whether the right key came."""
        given = self.headers.get("Authorization", "")
        right = given == "Basic " + base64.b64encode(f"api:{KEY}".encode()).decode()
        if not right:
            self.service.keys_seen.append(given)
        return right

    def _taken(self, body: bytes) -> tuple[int, dict[str, Any]]:
        self.service.operations.append("(stream)")
        status = self.service.refusal("(stream)")
        if status is not None or not self._may():
            return status or 401, {}
        try:
            wandb_taking.stream(self.service.runs, self.path, body)
        except KeyError:
            return 404, {}
        return 200, {"exitcode": None, "limits": {}}

    def do_PUT(self) -> None:
        name = self.path.removeprefix("/uploads/")
        self.service.uploads[name] = self._body()
        self._send(200, {})


class _Storage(_Handler):
    """The host that exported files lie on: it takes a signature or a key, never both."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.service.operations.append("(file)")
        status = self.service.refusal("(file)")
        if status is None and "Authorization" in self.headers:
            self.service.keys_seen.append(self.headers["Authorization"])
            status = 400
        content = self.service.file(url.path, url.query) if status is None else None
        if content is None:
            self._send(status or 403, {})
            return
        part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if part is None:
            self._write(200, content, {"Accept-Ranges": "bytes"})
            return
        first, last = int(part[1]), min(int(part[2]), len(content) - 1)
        place = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
        self._write(206, content[first : last + 1], place)

    do_HEAD = do_GET


@contextmanager
def serve() -> Iterator[Wandb]:
    """The service and its storage, on free ports of loopback, until the block ends."""
    service = Wandb()
    with _listening(_Questions, service) as questions, _listening(_Storage, service) as storage:
        service.url = f"http://127.0.0.1:{questions}"
        service.storage = f"http://127.0.0.1:{storage}"
        yield service


@contextmanager
def _listening(kind: type[_Handler], service: Wandb) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type(kind.__name__, (kind,), {"service": service}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
