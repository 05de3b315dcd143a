"""A stand-in for the Hugging Face Hub on loopback: git repositories behind the calls that the real client makes.

Reading: repository facts, refs, commits (paged), trees, files with range requests. Writing: create a
repository, preupload, LFS batch and upload, commit. Errors on demand. An unknown call is an error.
"""

from __future__ import annotations

import base64
import hashlib
import json
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
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.servers.gate import Gate
from tests.servers.git_store import GitStore

USER = "me"


@dataclass
class Hub:
    """The service's state.

    Attributes:
        root: folder with one bare repository each.
        url: where it listens.
        fail: status answered to everything, None for none.
        fail_times: after so many failures the service is well again; None for never.
        fail_path: only calls whose path holds this fail.
        retry_after: header sent with a failure.
        error_headers: further headers of a failure.
        token: the one that is let in, None lets everybody in.
        delay_seconds: pause before each answer, as a network has one.
        gate: what downloads have to pass, None lets all through.
        cut_after: bytes after which the connection of a large file is dropped; None for never.
        cut_times: how often that happens.
        empty_trees: the files of every commit are answered with nothing.
        hostile_paths: paths that the tree of every commit lists besides its own.
        page: commits a page.
        tree_page: files a page.
        use_lfs: False keeps large files in git itself.
        now: Unix seconds that commits are dated with, None for the clock.
        sent_bytes: bytes of all answers so far.
        requests: method and path of each call, for tests.
    """

    root: Path
    url: str = ""
    fail: int | None = None
    fail_times: int | None = None
    fail_path: str = ""
    error_headers: dict[str, str] = field(default_factory=dict)
    token: str | None = None
    delay_seconds: float = 0.0
    gate: Gate | None = None
    cut_after: int | None = None
    cut_times: int = 0
    empty_trees: bool = False
    hostile_paths: tuple[str, ...] = ()
    retry_after: str | None = None
    page: int = 50
    tree_page: int = 1000
    use_lfs: bool = True
    now: float | None = None
    sent_bytes: int = 0
    requests: list[str] = field(default_factory=list)
    lfs: dict[str, bytes] = field(default_factory=dict)

    def store(self, repo: str) -> GitStore | None:
        """The repository, where it exists."""
        path = self.root / f"{repo.replace('/', '__')}.git"
        return GitStore(path) if path.is_dir() else None

    def create(self, repo: str) -> GitStore:
        """The repository, made where it does not exist."""
        return self.store(repo) or GitStore.create(self.root / f"{repo.replace('/', '__')}.git")


@contextmanager
def serve(root: Path) -> Iterator[Hub]:
    """Run the service until the block ends."""
    hub = Hub(root)

    class Handler(_Handler):
        service = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    service: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *words: Any) -> None:
        """Quiet."""

    def _answer(self, status: int, body: Any = None, headers: dict[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        sent = {"Content-Type": "application/json", "Content-Length": str(len(data))} | (headers or {})
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.service.sent_bytes += len(data)
            self.wfile.write(data)

    def _error(self, status: int, message: str, code: str = "") -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self._answer(status, {"error": message}, headers)

    def _handle(self) -> None:
        hub = self.service
        parts = urlsplit(self.path)
        path, query = parts.path, parse_qs(parts.query)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        hub.requests.append(f"{self.command} {unquote(path)}")
        if hub.delay_seconds:
            time.sleep(hub.delay_seconds)
        if hub.gate is not None and self.command == "GET" and "/resolve/" in path:
            hub.gate.enter()
        if self._fails(path):
            headers = {"Retry-After": hub.retry_after} if hub.retry_after else {}
            code = {"X-Error-Code": "GatedRepo"} if hub.fail == 403 else {}
            return self._answer(hub.fail or 500, {"error": "on demand"}, headers | code | hub.error_headers)
        if hub.token is not None and self.headers.get("Authorization") != f"Bearer {hub.token}":
            if self.headers.get("Authorization"):
                return self._error(401, "Invalid credentials in Authorization header")
            return self._error(401, "Invalid username or password.", "RepoNotFound")
        for method, pattern, call in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method:
                words = {name: unquote(word) for name, word in match.groupdict().items() if word is not None}
                return call(self, query, body, **words)
        return self._error(404, f"no such call: {self.command} {path}")

    def _fails(self, path: str) -> bool:
        hub = self.service
        if hub.fail is None or hub.fail_path not in path or hub.fail_times == 0:
            return False
        if hub.fail_times is not None:
            hub.fail_times -= 1
        return True

    do_GET = do_HEAD = do_POST = do_PUT = _handle  # noqa: N815 - the names that http.server calls

    def _repo(self, repo: str, revision: str = "main") -> tuple[GitStore, str] | None:
        store = self.service.store(repo)
        if store is None:
            self._error(404, "Repository not found", "RepoNotFound")
            return None
        commit = store.head(revision)
        if commit is None:
            self._error(404, f"Invalid rev id: {revision}", "RevisionNotFound")
            return None
        return store, commit

    def whoami(self, query: Any, body: bytes) -> None:
        if not self.headers.get("Authorization"):
            return self._error(401, "Invalid credentials")
        return self._answer(200, {"type": "user", "name": USER, "fullname": USER, "orgs": [], "auth": {}})

    def create(self, query: Any, body: bytes) -> None:
        asked = json.loads(body)
        name = f"{asked.get('organization') or USER}/{asked['name']}"
        if self.service.store(name):
            return self._answer(
                409, {"error": "You already created this model repo", "url": f"{self.service.url}/{name}"}
            )
        self.service.create(name)
        return self._answer(200, {"url": f"{self.service.url}/{name}", "name": name, "id": name})

    def validate_yaml(self, query: Any, body: bytes) -> None:
        """Asked before a model card is pushed."""
        return self._answer(200, {"errors": [], "warnings": []})

    def info(self, query: Any, body: bytes, repo: str, revision: str = "main") -> None:
        found = self._repo(repo, revision)
        if found is None:
            return None
        store, commit = found
        files = [{"rfilename": path} for path, _, _ in store.tree(commit)]
        return self._answer(
            200, {"id": repo, "modelId": repo, "sha": commit, "private": False, "siblings": files, "tags": []}
        )

    def models(self, query: Any, body: bytes) -> None:
        author, search = query.get("author", [""])[0], query.get("search", [""])[0]
        rows = []
        for folder in sorted(self.service.root.glob(f"{author}__*.git")):
            store = GitStore(folder)
            log = store.log("main")
            name = folder.stem.replace("__", "/", 1)
            if search.lower() in name.lower():
                rows.append({
                    "_id": name, "id": name, "modelId": name, "private": False, "tags": [], "downloads": 0,
                    "createdAt": _zulu(log[-1][1]), "lastModified": _zulu(log[0][1]), "sha": log[0][0],
                })  # fmt: skip
        self._page(rows, query, f"{self.service.url}/api/models?author={author}&search={search}", 2)

    def refs(self, query: Any, body: bytes, repo: str) -> None:
        found = self._repo(repo)
        if found is None:
            return None
        groups: dict[str, list[dict[str, str]]] = {"branches": [], "converts": [], "tags": []}
        if "include_prs" in query:
            groups["pullRequests"] = []
        names = {"heads": "branches", "tags": "tags", "pr": "pullRequests"}
        for ref, commit in found[0].refs().items():
            _, kind, name = ref.split("/", 2)
            if names[kind] in groups:
                peeled = found[0].head(commit) or commit
                groups[names[kind]].append({"name": name, "ref": ref, "targetCommit": peeled})
        return self._answer(200, groups)

    def _page(self, rows: list[Any], query: Any, url: str, size: int) -> None:
        """Some of the rows, and where the next ones are."""
        page = int(query.get("p", ["0"])[0])
        more = len(rows) > (page + 1) * size
        following = f"{url}{'&' if '?' in url else '?'}p={page + 1}"
        self._answer(
            200, rows[page * size : (page + 1) * size], {"Link": f'<{following}>; rel="next"'} if more else {}
        )

    def commits(self, query: Any, body: bytes, repo: str, revision: str) -> None:
        found = self._repo(repo, revision)
        if found is None:
            return None
        rows = [
            {"id": sha, "title": title, "message": "", "date": _zulu(date), "authors": [{"user": USER}]}
            for sha, date, title in found[0].log(found[1])
        ]
        size = min(self.service.page, int(query.get("limit", [str(self.service.page)])[0]))
        return self._page(
            rows, query, f"{self.service.url}/api/models/{repo}/commits/{quote(revision, safe='')}", size
        )

    def tree(self, query: Any, body: bytes, repo: str, revision: str, folder: str | None = None) -> None:
        found = self._repo(repo, revision)
        if found is None:
            return None
        rows = [
            self._entry(found[0], found[1], path, size, blob)
            for path, size, blob in found[0].tree(found[1])
            if not folder or path.startswith(folder.strip("/") + "/")
        ]
        rows += [
            {"type": "file", "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 8, "path": path}
            for path in self.service.hostile_paths
        ]
        rows = [] if self.service.empty_trees else rows
        url = f"{self.service.url}/api/models/{repo}/tree/{quote(revision, safe='')}?recursive=true"
        return self._page(rows, query, url, self.service.tree_page)

    def _entry(self, store: GitStore, commit: str, path: str, size: int, blob: str) -> dict[str, Any]:
        entry: dict[str, Any] = {"type": "file", "oid": blob, "size": size, "path": path}
        pointer = _pointer(store.read(commit, path) or b"") if size < 200 else None
        if pointer:
            entry |= {"size": pointer[1], "lfs": {"oid": pointer[0], "size": pointer[1], "pointerSize": size}}
        return entry

    def resolve(self, query: Any, body: bytes, repo: str, revision: str, path: str) -> None:
        found = self._repo(repo, revision)
        if found is None:
            return None
        content = found[0].read(found[1], path)
        if content is None:
            return self._error(404, "Entry not found", "EntryNotFound")
        pointer = _pointer(content)
        etag = hashlib.sha1(content).hexdigest()
        if pointer:
            if pointer[0] not in self.service.lfs:
                return self._error(404, "LFS object is missing", "EntryNotFound")
            content, etag = self.service.lfs[pointer[0]], pointer[0]
        headers = {"X-Repo-Commit": found[1], "ETag": f'"{etag}"', "Content-Type": "application/octet-stream",
                   "Accept-Ranges": "bytes"}  # fmt: skip
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or len(content) - 1), len(content) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            return self._answer(206, content[first : last + 1], headers)
        cuts = self.service.cut_times > 0 and self.command == "GET"
        if cuts and self.service.cut_after is not None and len(content) > self.service.cut_after:
            self.service.cut_times -= 1
            return self._cut(content, headers)
        return self._answer(200, content, headers)

    def _cut(self, content: bytes, headers: dict[str, str]) -> None:
        """Promise all of it, send the beginning, and hang up."""
        self.send_response(200)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: self.service.cut_after])
            self.close_connection = True

    def preupload(self, query: Any, body: bytes, repo: str, revision: str) -> None:
        def large(path: str) -> bool:
            return self.service.use_lfs and path.endswith((".safetensors", ".bin"))

        files = json.loads(body)["files"]
        modes = [
            {"path": f["path"], "uploadMode": "lfs" if large(f["path"]) else "regular",
             "shouldIgnore": False, "oid": None}
            for f in files
        ]  # fmt: skip
        return self._answer(200, {"files": modes})

    def lfs_batch(self, query: Any, body: bytes, repo: str) -> None:
        asked = json.loads(body)
        objects = []
        for item in asked["objects"]:
            row: dict[str, Any] = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in self.service.lfs:
                row["actions"] = {"upload": {"href": f"{self.service.url}/lfs/{item['oid']}", "header": {}}}
            objects.append(row)
        return self._answer(200, {"transfer": "basic", "objects": objects})

    def lfs_put(self, query: Any, body: bytes, oid: str) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            return self._error(400, "the content does not match its id")
        self.service.lfs[oid] = body
        return self._answer(200, {})

    def commit(self, query: Any, body: bytes, repo: str, revision: str) -> None:
        found = self._repo(repo, revision)
        if found is None:
            return None
        title, add, delete = "", {}, []
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                title = value["summary"]
            elif entry["key"] == "file":
                add[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                add[value["path"]] = _pointer_text(
                    value["oid"], value.get("size", len(self.service.lfs[value["oid"]]))
                )
            elif entry["key"] == "deletedFile":
                delete.append(value["path"])
            else:
                return self._error(400, f"unknown operation {entry['key']}")
        made = found[0].commit(title, add, delete, branch=revision, at=self.service.now)
        return self._answer(
            200, {"commitUrl": f"{self.service.url}/{repo}/commit/{made}", "commitOid": made, "success": True}
        )


def _pointer(content: bytes) -> tuple[str, int] | None:
    found = re.search(rb"oid sha256:([0-9a-f]{64})\nsize (\d+)", content[:200])
    return (found[1].decode(), int(found[2])) if found else None


def _pointer_text(oid: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n".encode()


def _zulu(date: str) -> str:
    """An ISO date as the Hub writes it."""
    return datetime.fromisoformat(date).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


_REPO = r"(?P<repo>[^/]+/[^/]+)"
_REV = r"(?P<revision>[^/]+)"
_ROUTES = (
    (("GET",), r"/api/whoami-v2", _Handler.whoami),
    (("POST",), r"/api/repos/create", _Handler.create),
    (("POST",), r"/api/validate-yaml", _Handler.validate_yaml),
    (("GET",), r"/api/models", _Handler.models),
    (("GET",), rf"/api/models/{_REPO}/refs", _Handler.refs),
    (("GET",), rf"/api/models/{_REPO}/commits/{_REV}", _Handler.commits),
    (("GET",), rf"/api/models/{_REPO}/tree/{_REV}(?P<folder>/.*)?", _Handler.tree),
    (("POST",), rf"/api/models/{_REPO}/preupload/{_REV}", _Handler.preupload),
    (("POST",), rf"/api/models/{_REPO}/commit/{_REV}", _Handler.commit),
    (("GET",), rf"/api/models/{_REPO}/revision/{_REV}", _Handler.info),
    (("GET",), rf"/api/models/{_REPO}", _Handler.info),
    (("POST",), rf"/{_REPO}\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    (("PUT",), r"/lfs/(?P<oid>[0-9a-f]{64})", _Handler.lfs_put),
    (("GET", "HEAD"), rf"/{_REPO}/resolve/{_REV}/(?P<path>.+)", _Handler.resolve),
)
