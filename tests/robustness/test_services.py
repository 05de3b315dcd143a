"""Services that answer with what nobody asked for, in forty ways: refused in words, nothing kept, nothing hung."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from runscope.cli import main
from runscope.errors import RunscopeError, ServiceError, TooManyRequests
from runscope.hub import fetch, list_checkpoints, list_repository
from runscope.store import RunStore
from tests.hub import repos
from tests.servers import hub as hubs

KEY = "k" * 40
DEEP = b"[" * 5000 + b"]" * 5000
DEEP_OBJECT = b'{"a":' * 600 + b"1" + b"}" * 600

BODIES: dict[str, bytes] = {
    "nothing": b"", "no JSON": b"<html>sign in</html>", "half": b'{"data": {"proj', "null": b"null", "list": b"[]",
    "object": b"{}", "number": b"1", "text": b'"yes"', "true": b"true", "NaN": b"NaN", "nested deep": DEEP,
    "objects deep": DEEP_OBJECT, "no UTF-8": b"\xff\xfe\x00", "zero bytes": b"\0" * 300,
    "huge number": b"1" + b"0" * 6000,
    "list of lists": b"[[]]", "list of numbers": b"[1, 2]", "list of nulls": b"[null]", "list of texts": b'["a"]',
    "empty rows": b"[{}]", "two values": b"{} {}", "a mark in front": b"\xef\xbb\xbf{}",
    "half a letter": b'{"a": "\\ud800"}',
}  # fmt: skip
"""What either service may answer to everything."""

WANDB: dict[str, Any] = {
    "no viewer": {"data": {"project": None}}, "viewer is a list": {"data": {"viewer": [], "project": []}},
    "project is a text": {"data": {"viewer": {"id": 1}, "project": "x"}},
    "run is a list": {"data": {"viewer": {"id": 1}, "project": {"run": [1]}}},
    "run without a name": {"data": {"viewer": {"id": 1}, "project": {"run": {"displayName": "x"}}}},
    "rows beyond all": {"data": {"viewer": {"id": 1}, "project": {"run": {"name": "a", "historyLineCount": 10**30}}}},
    "rows as text": {"data": {"viewer": {"id": 1}, "project": {"run": {"name": "a", "historyLineCount": "many"}}}},
    "tags as a number": {"data": {"viewer": {"id": 1}, "project": {"run": {"name": "a", "tags": 5}}}},
    "runs without end": {"data": {"viewer": {"id": 1}, "project": {
        "run": None, "runs": {"edges": [{"node": {"name": "a", "displayName": "x"}, "cursor": "c"}],
                              "pageInfo": {"hasNextPage": True}}}}},
    "rows counted, none sent": {"data": {"viewer": {"id": 1}, "project": {"run": {
        "name": "abc", "historyLineCount": 50, "historyKeys": {"lastStep": 49}, "history": [], "events": []}}}},
    "rows that are no JSON": {"data": {"viewer": {"id": 1}, "project": {"run": {
        "name": "abc", "historyLineCount": 5, "historyKeys": {"lastStep": 4}, "history": ["{", "x"], "events": []}}}},
    "rows nested deep": {"data": {"viewer": {"id": 1}, "project": {"run": {
        "name": "abc", "historyLineCount": 1, "historyKeys": {"lastStep": 0}, "history": [DEEP_OBJECT.decode()]}}}},
    "history is an object": {"data": {"viewer": {"id": 1}, "project": {"run": {
        "name": "abc", "historyLineCount": 5, "historyKeys": {"lastStep": 4}, "history": {"a": 1}}}}},
    "foreign steps": {"data": {"viewer": {"id": 1}, "project": {"run": {
        "name": "abc", "historyLineCount": 3, "historyKeys": {"lastStep": 2},
        "history": ['{"_step": 1e999, "loss": 1}', '{"_step": "x"}', '{"_step": 99999999999999999999}']}}}},
    "errors as a text": {"errors": "no"}, "errors as numbers": {"errors": [1, None]}, "data is a list": {"data": [1]},
}  # fmt: skip

HUB: dict[str, Any] = {
    "commit without a date": [{"id": "a" * 40}],
    "date that is none": [{"id": "a" * 40, "date": "yesterday", "title": "x"}],
    "commit that is no hash": [{"id": "../../x", "date": "2026-01-01T00:00:00Z", "title": "x"}],
    "date as a number": [{"id": "a" * 40, "date": 5, "title": "x"}],
    "title as a list": [{"id": "a" * 40, "date": "2026-01-01T00:00:00Z", "title": []}],
    "year 1": [{"id": "a" * 40, "date": "0001-01-01T00:00:00Z", "title": "step 1"}],
    "an error": {"error": "no"}, "commits in an object": {"commits": []}, "rows of rows": [[{"id": "a" * 40}]],
    "huge size": [{"type": "file", "path": "model.safetensors", "size": 10**400, "oid": "b" * 40}],
}  # fmt: skip


@contextmanager
def answering(respond: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server on loopback that answers everything in one way; its address."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *words: Any) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            respond(self)

        do_POST = do_HEAD = do_GET  # noqa: N815 - the names that http.server calls

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def body(content: bytes, status: int = 200, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content)

    return respond


def hung_up(handler: BaseHTTPRequestHandler) -> None:
    """Promise more than is sent."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"data":')
    handler.close_connection = True


def no_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n")
    handler.close_connection = True


WAYS: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {
    **{name: body(content) for name, content in BODIES.items()},
    **{f"status {status}": body(b"{}", status) for status in (204, 301, 400, 401, 403, 404, 409, 418, 422)},
    "hung up": hung_up, "no HTTP": no_http,
    "said to be compressed": body(b"{}", Content_Encoding="gzip"),
    "wait for an hour": body(b"{}", 429, Retry_After="3600"),
    "wait for ever": body(b"{}", 503, Retry_After="9" * 400),
    "wait until a year": body(b"{}", 429, Retry_After="Fri, 31 Dec 9999 23:59:59 GMT"),
    "wait for no number": body(b"{}", 429, Retry_After="nan", ratelimit="x;r=;t="),
    "elsewhere": body(b"{}", 302, Location="http://[::1/"),
    "round in circles": body(b"{}", 307, Location="/again"),
}  # fmt: skip


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, a key for either service, and little patience."""
    for name, value in {
        "RUNSCOPE_HOME": str(tmp_path / "home"), "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": "hf_secretsecretsecret",
        "WANDB_API_KEY": KEY, "RUNSCOPE_PATIENCE_SECONDS": "0", "NETRC": str(tmp_path / "netrc"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    return tmp_path


def refused(words: list[str], capsys: pytest.CaptureFixture[str], *, or_empty: bool = False) -> None:
    """The command says in two lines what is wrong, and no key stands in them."""
    capsys.readouterr()
    status = main(words)
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if not line.startswith("note:")]
    if not (or_empty and status == 0):
        assert status == 2, said
        assert [line.partition(":")[0] for line in lines] == ["error", "hint"], said.err
        assert "unexpected error" not in said.err
        assert "does not belong there" not in said.err
    assert KEY not in said.err + said.out
    assert "secretsecret" not in said.err + said.out


@pytest.mark.parametrize("way", [*WAYS, *WANDB])
def test_wandb_answers_badly(
    way: str, account: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    respond = WAYS.get(way) or body(json.dumps(WANDB[way]).encode())
    with answering(respond) as url:
        monkeypatch.setenv("WANDB_BASE_URL", url)
        refused(["show", "me/pricer/abc"], capsys)
        refused(["pull", "me/pricer"], capsys, or_empty=True)
    assert not [facts for _, facts in RunStore().all() if facts.get("rows")], "what went wrong is not kept"


@pytest.mark.parametrize("way", [*WAYS, *HUB])
def test_the_hub_answers_badly(
    way: str, account: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    respond = WAYS.get(way) or body(json.dumps(HUB[way]).encode())
    with answering(respond) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        # An empty list of commits is an answer: a repository without any.
        refused(["checkpoints", "me/pricer"], capsys, or_empty=way == "list")


def test_a_hub_that_sends_on_to_another_host_is_no_empty_repository(
    account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        answering(body(b"[]")) as other,
        answering(body(b"", 302, Location=other.replace("127.0.0.1", "localhost"))) as url,
    ):
        monkeypatch.setenv("HF_ENDPOINT", url)
        with pytest.raises(ServiceError, match="another host"):
            list_repository("me/pricer")


def test_one_empty_answer_does_not_poison_the_store(
    account: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "server").mkdir()
    with hubs.serve(tmp_path / "server") as service:
        monkeypatch.setenv("HF_ENDPOINT", service.url)
        repos.training(service, "me/pricer", tmp_path / "output", (100, 200))
        service.empty_trees = True
        assert list_checkpoints("me/pricer") == ()
        service.empty_trees = False
        assert [c.step for c in list_checkpoints("me/pricer")] == [100, 200]


def test_a_download_that_shall_wait_for_an_hour_ends_and_says_so(
    account: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "server").mkdir()
    with hubs.serve(tmp_path / "server") as service:
        monkeypatch.setenv("HF_ENDPOINT", service.url)
        repos.training(service, "me/pricer", tmp_path / "output", (100,))
        (checkpoint,) = list_checkpoints("me/pricer")
        service.fail, service.fail_path, service.retry_after = 429, "/resolve/", "3600"
        capfd.readouterr()
        with pytest.raises(TooManyRequests) as caught:
            fetch(checkpoint)
        assert "3600 seconds" in caught.value.hint
        assert capfd.readouterr().err == "", "the client's own lines are not shown"


def endless(handler: BaseHTTPRequestHandler) -> None:
    """A list that goes on until the asker has enough."""
    handler.send_response(200)
    handler.end_headers()
    handler.close_connection = True
    with suppress(OSError):
        while handler.command != "HEAD":
            handler.wfile.write(b"[1, 2, 3, 4]," * 80_000)


def unfolding(handler: BaseHTTPRequestHandler) -> None:
    """A few packed bytes that unfold to much."""
    with suppress(OSError):
        body(packed(), Content_Encoding="gzip")(handler)


@cache
def packed() -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    return b"".join(packer.compress(bytes(1 << 24)) for _ in range(33)) + packer.flush()


@pytest.mark.parametrize("respond", [endless, unfolding])
def test_an_answer_that_no_memory_holds_is_refused(
    respond: Callable[[BaseHTTPRequestHandler], None],
    account: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with answering(respond) as url:
        monkeypatch.setenv("WANDB_BASE_URL", url)
        monkeypatch.setenv("HF_ENDPOINT", url)
        for words in (["show", "me/pricer/abc"], ["checkpoints", "me/pricer"]):
            assert main(words) == 2
            said = capsys.readouterr().err.splitlines()
            assert [line.partition(":")[0] for line in said] == ["error", "hint"]
            assert "MiB" in said[0]


def test_a_busy_service_is_waited_for_aloud(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from runscope import progress
    from runscope.sources import load

    told: list[str] = []
    monkeypatch.setenv("RUNSCOPE_PATIENCE_SECONDS", "7")
    calls = iter(range(100))

    def respond(handler: BaseHTTPRequestHandler) -> None:
        body(b"{}", 429, Retry_After="5" if next(calls) == 0 else "9")(handler)

    progress.listen(told.append)
    try:
        with answering(respond) as url:
            monkeypatch.setenv("WANDB_BASE_URL", url)
            with pytest.raises(RunscopeError):
                load("me/pricer/abc")
    finally:
        progress.listen(None)
    assert told
    assert "429" in told[0]
