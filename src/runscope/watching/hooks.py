"""Tell somebody else: a command of the user's, or a web address that takes a message."""

from __future__ import annotations

import json
import math
import os
import subprocess
import tempfile
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from runscope.errors import UsageError
from runscope.watching.events import Event

COMMAND_SECONDS = 60
WEBHOOK_SECONDS = 15
TRIES = 2
REDIRECTS = 3
NTFY = ("ntfy", "ntfy+http")
"""Schemes of an ntfy topic on a host of one's own; https://ntfy.sh/TOPIC is known by its host."""
PRIORITIES = {"critical": 5, "warning": 4, "info": 2}
"""Of a message on a phone: 5 rings until it is seen, 3 is usual (https://docs.ntfy.sh/publish)."""
WORDS = ("event", "run", "code", "severity", "step", "message")
"""What a command finds in its environment, each behind ``RUNSCOPE_``; no settings of a runscope that it calls."""


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
    words = {
        f"RUNSCOPE_{n.upper()}": "" if told[n] is None else str(told[n]).replace("\0", "") for n in WORDS
    }
    # Files, not pipes: a program that the command leaves in the background would keep a pipe open.
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said:
        asked.write(_as_bytes(told))
        asked.seek(0)
        try:
            done = subprocess.run(
                command, shell=True, env={**os.environ, **words}, stdin=asked, stdout=subprocess.DEVNULL, stderr=said,
                timeout=COMMAND_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"the command took longer than {COMMAND_SECONDS} s and was ended"
        except (OSError, ValueError) as error:
            return f"the command could not be started: {getattr(error, 'strerror', None) or error}"
        if done.returncode:
            said.seek(max(0, said.seek(0, os.SEEK_END) - 2000))
            last = (said.read().decode("utf-8", "replace").strip().splitlines() or [""])[-1]
            return f"the command ended with {done.returncode}{': ' + last if last else ''}"
    return None


def _as_bytes(told: Mapping[str, Any]) -> bytes:
    """JSON that every parser takes; values that are no numbers as words, as on every wire of runscope."""
    return json.dumps(_plain(told), allow_nan=False).encode("utf-8", "replace")


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def check_address(url: str) -> str:
    """The address, if a message can be sent to it.

    Raises:
        UsageError: it is no http or https address.
    """
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https", *NTFY)
        well = (
            known and bool(parts.hostname) and parts.port != 0 and (not _is_ntfy(url) or bool(_topic(url)[1]))
        )
    except ValueError:  # a bracket that is not closed, a port beyond all ports
        well = False
    if not well or not url.isprintable() or " " in url:
        raise UsageError(
            "--webhook takes an http or https address, or an ntfy topic",
            hint="--webhook https://hooks.slack.com/… or https://ntfy.sh/TOPIC (ntfy://HOST/TOPIC for your own)",
        )
    return url


def send_webhook(url: str, event: Event, run: str) -> str | None:
    """Post an event as JSON; a redirect on the same host is followed with the message.

    Returns:
        What went wrong, None where it went well. The address may hold a secret: only its host is named.
    """
    return post(url, payload(event, run))


def post(url: str, message: Mapping[str, Any]) -> str | None:
    """Post a message as JSON.

    Returns:
        What went wrong, None where it went well. The address may hold a secret: only its host is named.
    """
    host = urlsplit(check_address(url)).hostname
    if _is_ntfy(url):
        url, message = _for_a_phone(url, message)
    body = _as_bytes(message)
    problem: str | None = None
    for _ in range(TRIES):
        try:
            status, place = _post(url, body)
        except Exception as error:  # whatever an address or an answer is made of, the watch goes on
            problem = f"{host} did not take the message: {type(error).__name__}"
            continue
        if status < 300:
            return None
        if status < 400:
            other = urlsplit(place).hostname or "nowhere"
            return f"{host} answered with a redirect to {other}: whether it took the message is not known"
        problem = f"{host} refused the message ({status})"
        if status < 500:
            break
    return problem


def _is_ntfy(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in NTFY or parts.hostname == "ntfy.sh"


def _topic(url: str) -> tuple[str, str]:
    """The address that messages are published to, and the topic."""
    parts = urlsplit(url)
    head, _, topic = parts.path.rstrip("/").rpartition("/")
    scheme = {"ntfy": "https", "ntfy+http": "http"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, f"{head}/", parts.query, "")), topic


def _for_a_phone(url: str, message: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The same message as ntfy publishes it (https://docs.ntfy.sh/publish, "Publish as JSON")."""
    place, topic = _topic(url)
    severity, event = message.get("severity"), message.get("event")
    stalled = event in ("stalled", "stop")
    return place, {
        "topic": topic,
        "title": f"runscope: {severity or event or 'scan'}",
        "message": str(message.get("text", "")),
        "priority": PRIORITIES.get(str(severity), 4 if stalled else 3),
        "tags": ["rotating_light" if severity == "critical" or event == "stop" else "warning"]
        if severity in ("critical", "warning") or stalled
        else [],
    }


def _post(url: str, body: bytes) -> tuple[int, str]:
    """Status of the answer, and where a redirect leads that was not followed. The answer's body is not read."""
    import httpx

    headers = {"Content-Type": "application/json", "User-Agent": "runscope"}
    with httpx.Client(timeout=WEBHOOK_SECONDS, follow_redirects=False) as client:
        for _ in range(REDIRECTS + 1):
            with client.stream("POST", url, content=body, headers=headers) as answer:
                named = answer.headers.get("Location")
                place = urljoin(url, named or "")
                if answer.status_code not in (301, 302, 307, 308) or not named or not _same_host(url, place):
                    return answer.status_code, place
                url = place
    return 508, url  # they lead in a circle


def _same_host(url: str, other: str) -> bool:
    """Whether a redirect stays with whom the message was meant for, and does not fall back to plain HTTP."""
    here, there = urlsplit(url), urlsplit(other)
    secure = here.scheme == there.scheme or there.scheme == "https"
    return here.hostname == there.hostname and secure


def as_json(event: Event, run: str) -> Mapping[str, Any]:
    """An event as one line of ``--format jsonl``."""
    told = payload(event, run)
    return {k: v for k, v in told.items() if k not in ("text", "content")}
