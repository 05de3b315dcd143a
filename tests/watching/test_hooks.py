"""A command and a web address are told of an event; what goes wrong there is said and harms nothing."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from runscope.errors import UsageError
from runscope.rules import Finding
from runscope.watching import Event, run_command, send_webhook
from tests.servers.webhook import serve

FOUND = Finding(
    "LOS001", "nan-loss", "critical", 1.0, 'it\'s "NaN"; $(touch evil) `x`', 4500, 5000, fix=("Stop it.",)
)
EVENT = Event("finding", 1.5, f"critical LOS001 {FOUND.message}", FOUND, {"code": "LOS001"})


def test_a_command_gets_the_event_in_its_environment_and_on_stdin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = " ".join(f'"$RUNSCOPE_{n}"' for n in ("CODE", "SEVERITY", "STEP", "MESSAGE"))
    command = f'printf "%s|%s|%s|%s" {names} > env; cat > in'
    assert run_command(command, EVENT, "me/run") is None
    assert (tmp_path / "env").read_text() == f"LOS001|critical|4500|{EVENT.text}"
    told = json.loads((tmp_path / "in").read_text())
    assert (told["code"], told["run"], told["fix"]) == ("LOS001", "me/run", ["Stop it."])
    assert not (tmp_path / "evil").exists()  # a message is data, never part of the command


def test_a_command_that_fails_is_said() -> None:
    assert run_command("echo no room >&2; exit 3", EVENT, "r") == "the command ended with 3: no room"
    assert "127" in str(run_command("there-is-no-such-command", EVENT, "r"))


def test_a_message_is_posted(tmp_path: Path) -> None:
    with serve() as hook:
        assert send_webhook(hook.url, EVENT, "me/run") is None
        (message,) = hook.messages
        assert message["text"] == message["content"] == f"me/run: {EVENT.text}"
        assert (message["event"], message["severity"], message["step"]) == ("finding", "critical", 4500)
        for status, tries in ((404, 1), (503, 2)):
            hook.status = status
            hook.messages.clear()
            problem = send_webhook(hook.url, EVENT, "me/run")
            assert problem is not None
            assert str(status) in problem
            assert "SECRET" not in problem
            assert len(hook.messages) == tries


def test_nobody_takes_the_message() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    problem = send_webhook(f"http://127.0.0.1:{port}/SECRET", EVENT, "r")
    assert problem is not None
    assert "SECRET" not in problem


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "hooks.slack.com/x", "http://"])
def test_only_web_addresses_are_taken(url: str) -> None:
    with pytest.raises(UsageError):
        send_webhook(url, EVENT, "r")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_message_follows_a_redirect_on_the_same_host(status: int) -> None:
    with serve() as hook:
        hook.redirect = (status, "/moved")
        assert send_webhook(hook.url, EVENT, "me/run") is None
        assert [m["event"] for m in hook.messages] == ["finding"]


def test_a_redirect_to_another_host_is_said_and_gets_nothing() -> None:
    with serve() as hook, serve() as other:
        hook.redirect = (307, other.url.replace("127.0.0.1", "localhost"))
        problem = send_webhook(hook.url, EVENT, "me/run")
        assert "redirect to localhost" in str(problem)
        assert "SECRET" not in str(problem)
        assert not other.messages


def test_redirects_in_a_circle_have_an_end() -> None:
    with serve() as hook:
        hook.redirect = (308, "again-and-again")
        assert "508" in str(send_webhook(hook.url, EVENT, "me/run"))


@pytest.mark.parametrize(
    "answer",
    [b"", b"\x00\xff" * 50, b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b"SSH-2.0-x\r\n",
     b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000],
)  # fmt: skip
def test_an_odd_answer_is_a_problem_and_not_the_end(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_all() -> None:
            while True:
                try:
                    with server.accept()[0] as line:
                        line.recv(65536)
                        line.sendall(answer)
                except OSError:
                    if server.fileno() < 0:
                        return

        thread = threading.Thread(target=answer_all, daemon=True)
        thread.start()
        problem = send_webhook(f"http://127.0.0.1:{server.getsockname()[1]}/SECRET", EVENT, "r")
        assert problem is not None
        assert "SECRET" not in problem
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://a:99999/", "http://a b/", "https://", "http:///x", "http://a\n/"]
)
def test_an_address_that_is_none_is_refused_before_anything_is_watched(url: str) -> None:
    with pytest.raises(UsageError, match="--webhook"):
        send_webhook(url, EVENT, "r")


def test_what_a_command_prints_and_leaves_behind_harms_nothing() -> None:
    assert (
        run_command("sleep 300 & printf '\\377\\376' >&2; exit 4", EVENT, "a\0b")
        == "the command ended with 4: \ufffd\ufffd"
    )


def test_values_that_are_no_numbers_are_words_on_the_wire() -> None:
    event = Event("evaluated", 0.0, "x", None, {"mean": float("nan"), "low": [float("-inf")]})
    with serve() as hook:
        assert send_webhook(hook.url, event, "r") is None
        assert hook.messages[0]["facts"] == {"mean": "NaN", "low": ["-Infinity"]}
