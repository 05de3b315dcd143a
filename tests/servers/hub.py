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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.servers.git_store import GitStore

USER = "me"


@dataclass
class Hub:
    """The service's state.

    Attributes:
        root: folder with one bare repository each.
        url: where it listens.
        fail: status answered to everything, None for none.
        retry_after: header sent with a failure.
        page: commits a page.
        use_lfs: False keeps large files in git itself.
        requests: method and path of each call, for tests.
    """

    root: Path
    url: str = ""
    fail: int | None = None
    retry_after: str | None = None
    page: int = 50
    use_lfs: bool = True
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
            self.wfile.write(data)

    def _error(self, status: int, message: str, code: str = "") -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self._answer(status, {"error": message}, headers)

    def _handle(self) -> None:
        hub = self.service
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), parse_qs(parts.query)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        hub.requests.append(f"{self.command} {path}")
        if hub.fail is not None:
            headers = {"Retry-After": hub.retry_after} if hub.retry_after else {}
            code = {"X-Error-Code": "GatedRepo"} if hub.fail == 403 else {}
            return self._answer(hub.fail, {"error": "on demand"}, headers | code)
        for method, pattern, call in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method:
                return call(self, query, body, **match.groupdict())
        return self._error(404, f"no such call: {self.command} {path}")

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

    def info(self, query: Any, body: bytes, repo: str, revision: str = "main") -> None:
        found = self._repo(repo, revision)
        if found is None:
            return None
        store, commit = found
        files = [{"rfilename": path} for path, _, _ in store.tree(commit)]
        return self._answer(
            200, {"id": repo, "modelId": repo, "sha": commit, "private": False, "siblings": files, "tags": []}
        )

    def refs(self, query: Any, body: bytes, repo: str) -> None:
        found = self._repo(repo)
        if found is None:
            return None
        branch = {"name": "main", "ref": "refs/heads/main", "targetCommit": found[1]}
        return self._answer(200, {"branches": [branch], "converts": [], "tags": [], "pullRequests": []})

    def commits(self, query: Any, body: bytes, repo: str, revision: str) -> None:
        found = self._repo(repo, revision)
        if found is None:
            return None
        log = found[0].log(found[1])
        page = int(query.get("p", ["0"])[0])
        rows = [
            {
                "id": sha,
                "title": title,
                "message": "",
                "date": date.replace("+00:00", ".000Z"),
                "authors": [{"user": USER}],
            }
            for sha, date, title in log[page * self.service.page : (page + 1) * self.service.page]
        ]
        more = len(log) > (page + 1) * self.service.page
        url = f"{self.service.url}/api/models/{repo}/commits/{revision}?p={page + 1}"
        return self._answer(200, rows, {"Link": f'<{url}>; rel="next"'} if more else {})

    def tree(self, query: Any, body: bytes, repo: str, revision: str, folder: str | None = None) -> None:
        found = self._repo(repo, revision)
        if found is None:
            return None
        rows = [
            self._entry(found[0], found[1], path, size, blob)
            for path, size, blob in found[0].tree(found[1])
            if not folder or path.startswith(folder.strip("/") + "/")
        ]
        return self._answer(200, rows)

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
        return self._answer(200, content, headers)

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
        made = found[0].commit(title, add, delete)
        return self._answer(
            200, {"commitUrl": f"{self.service.url}/{repo}/commit/{made}", "commitOid": made, "success": True}
        )


def _pointer(content: bytes) -> tuple[str, int] | None:
    found = re.search(rb"oid sha256:([0-9a-f]{64})\nsize (\d+)", content[:200])
    return (found[1].decode(), int(found[2])) if found else None


def _pointer_text(oid: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n".encode()


_REPO = r"(?P<repo>[^/]+/[^/]+)"
_REV = r"(?P<revision>[^/]+)"
_ROUTES = (
    (("GET",), r"/api/whoami-v2", _Handler.whoami),
    (("POST",), r"/api/repos/create", _Handler.create),
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
