"""Tell somebody else: a command of the user's, or a web address that takes a message."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from runscope.errors import UsageError
from runscope.watching.events import Event

COMMAND_SECONDS = 60
WEBHOOK_SECONDS = 15
TRIES = 2


def payload(event: Event, run: str) -> dict[str, Any]:
    """An event as JSON. ``text`` is what Slack and Mattermost show, ``content`` what Discord does."""
    found = event.finding
    text = f"{run}: {event.text}"
    return {
        "schema": "runscope.event/1", "text": text, "content": text, "event": event.kind, "run": run, "at": event.at,
        "code": found.code if found else None, "severity": found.severity if found else None,
        "step": found.first_step if found else None, "message": event.text, "fix": list(found.fix) if found else [],
        "facts": dict(event.facts),
    }  # fmt: skip


def run_command(command: str, event: Event, run: str) -> str | None:
    """Run a user's command for an event, through the shell, with the event in its environment and as JSON on stdin.

    Returns:
        What went wrong, None where it went well.
    """
    told = payload(event, run)
    names = ("event", "run", "code", "severity", "step", "message")
    words = {f"RUNSCOPE_{n.upper()}": "" if told[n] is None else str(told[n]) for n in names}
    try:
        done = subprocess.run(
            command, shell=True, env={**os.environ, **words}, input=json.dumps(told), text=True,
            capture_output=True, timeout=COMMAND_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"the command took longer than {COMMAND_SECONDS} s and was ended"
    except OSError as error:
        return f"the command could not be started: {error.strerror}"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        return f"the command ended with {done.returncode}{': ' + last if last else ''}"
    return None


def check_address(url: str) -> str:
    """The address, if a message can be sent to it.

    Raises:
        UsageError: it is no http or https address.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            "--webhook takes an http or https address", hint="--webhook https://hooks.slack.com/…"
        )
    return url


def send_webhook(url: str, event: Event, run: str) -> str | None:
    """Post an event as JSON.

    Returns:
        What went wrong, None where it went well. The address may hold a secret: only its host is named.
    """
    host = urlsplit(check_address(url)).hostname
    request = urllib.request.Request(
        url, data=json.dumps(payload(event, run)).encode(), method="POST",
        headers={"Content-Type": "application/json", "User-Agent": "runscope"},
    )  # fmt: skip
    problem: str | None = None
    for _ in range(TRIES):
        try:
            with urllib.request.urlopen(request, timeout=WEBHOOK_SECONDS):
                return None
        except urllib.error.HTTPError as error:
            problem = f"{host} refused the message ({error.code})"
            error.close()
            if error.code < 500:
                break
        except (OSError, ValueError) as error:
            problem = f"{host} did not take the message: {type(error).__name__}"
    return problem


def as_json(event: Event, run: str) -> Mapping[str, Any]:
    """An event as one line of ``--format jsonl``."""
    told = payload(event, run)
    return {k: v for k, v in told.items() if k not in ("text", "content")}
