"""A command and a web address are told of an event; what goes wrong there is said and harms nothing."""

from __future__ import annotations

import json
import socket
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
