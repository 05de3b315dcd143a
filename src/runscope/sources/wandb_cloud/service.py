"""W&B's service over plain HTTP.

The SDK hides the status of a refusal and repeats refused requests for minutes inside a process of its own; here each
question is one request whose answer is seen. Questions are asked side by side up to a limit, a Retry-After holds all
of them back, and each has an end.
"""

from __future__ import annotations

import json
import math
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from runscope.errors import (
    NotAllowed,
    NotFound,
    NotSignedIn,
    ServiceError,
    TooManyRequests,
    Unreachable,
    UsageError,
    proxies_named,
)
from runscope.progress import say
from runscope.schema import read_object
from runscope.sources.wandb_cloud.account import authorization, base_url, host_name

SIDE_BY_SIDE = 4
"""Requests under way at once to begin with: W&B limits requests a minute, and answers more of them with 429."""
MOST_AT_ONCE = 16
"""So many at most: while all are answered there is one more with each round; a 429 halves them, for all threads."""
PATIENCE_SECONDS = 120.0
"""How long one question is repeated while the service is busy or away; ``RUNSCOPE_PATIENCE_SECONDS`` sets another."""
SAID_SECONDS = 5.0
"""Silence for longer than this looks like a hang."""
MOST_BYTES = 1 << 29
"""More than a page of rows, or one of the files that a history is exported to, ever is."""
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 30.0
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 60.0
_PASSING = (408, 429, 500, 502, 503, 504)


class _Places:
    """Places for requests under way: one more with each round that was answered, half as many after a 429."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._limit = float(SIDE_BY_SIDE)
        self._taken = 0

    def __enter__(self) -> None:
        with self._free:
            self._free.wait_for(lambda: self._taken < int(self._limit))
            self._taken += 1

    def __exit__(self, *_: object) -> None:
        with self._free:
            self._taken -= 1
            self._free.notify_all()

    def answered(self, status: int) -> None:
        """Learn from an answer how many the service takes."""
        with self._free:
            if status == 429:
                self._limit = max(1.0, self._limit / 2)
            elif status < 400:
                self._limit = min(float(MOST_AT_ONCE), self._limit + 1 / self._limit)


class Rejected(ServiceError):
    """The service does not know what it was asked for: another version of it."""


class Service:
    """One W&B host, signed in.

    Args:
        base: address of the service; None for the one that is set up.
        now, wait: the clock in seconds, and how to wait for an event on it.

    Attributes:
        base: address of the service.
        host: short name of it, the same for all its addresses.

    Raises:
        NotSignedIn: there is no key for it.
    """

    def __init__(
        self, base: str | None = None, *, now: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:  # fmt: skip
        import httpx

        self.base = base or base_url()
        self.host = host_name(self.base)
        self.patience_seconds = _patience()
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        self._secret = {"Authorization": authorization(self.base)}
        with proxies_named():
            self._client = httpx.Client(timeout=timeout, headers={"User-Agent": "runscope"})
        self._places = _Places()
        self._lock = threading.Lock()
        self._quiet_until = 0.0
        self._said_again = -math.inf
        self._answered = False
        self._stopped = threading.Event()
        self._now, self._wait = now, wait

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._client.close()

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to be asked."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Ask nothing more: whoever waits gives up at once."""
        self._stopped.set()

    def ask(self, question: str, **words: Any) -> dict[str, Any]:
        """Data that the service answers to a GraphQL question.

        Raises:
            Rejected: it does not know a field or an operation.
            NotSignedIn, NotAllowed, NotFound, TooManyRequests, Unreachable, ServiceError: it refused.
        """
        body = json.dumps({"query": question, "variables": words}).encode()
        text = self._answer("POST", f"{self.base}/graphql", body)
        try:
            told = read_object(text)
        except ValueError:
            raise ServiceError(
                f"{self.base} answered with something that is no W&B answer",
                hint="check WANDB_BASE_URL; a proxy may want a login first",
            ) from None
        if told.get("errors"):
            raise self._rejection(
                told["errors"] if isinstance(told["errors"], list) else [told["errors"]], 200
            )
        data = told.get("data")
        return data if isinstance(data, dict) else {}

    def fetch(self, url: str) -> bytes:
        """Content of a file behind a signed address. The key is not sent: the address is enough.

        Raises:
            NotAllowed, NotFound, TooManyRequests, Unreachable, ServiceError: it was refused.
        """
        return self._answer("GET", url, None)

    def _answer(self, method: str, url: str, body: bytes | None) -> bytes:
        """Ask until there is an answer, the service says that there will be none, or patience is at its end."""
        give_up = self._now() + self.patience_seconds
        wait = FIRST_WAIT_SECONDS
        while True:
            problem, after = self._try(method, url, body, give_up)
            if isinstance(problem, bytes):
                return problem
            if after is None or self._stopped.is_set():
                raise problem
            # Jitter, so that several processes which were held back do not come back as one.
            pause = max(after, 0.0) if after >= 0 else wait * (1 + random.random() / 4)
            if self._now() + pause > give_up:
                raise problem
            self._say(problem, give_up, pause)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)
            with self._lock:
                self._quiet_until = max(self._quiet_until, self._now() + pause)

    def _say(self, problem: ServiceError, give_up: float, pause: float) -> None:
        """Say that we wait, and how long at most: where it is to last, and then from time to time."""
        now = self._now()
        with self._lock:
            waited = now + pause - (give_up - self.patience_seconds)
            if waited < SAID_SECONDS or now < self._said_again:
                return
            self._said_again = now + LONGEST_WAIT_SECONDS
        say(f"{problem.message}: asking again, for {give_up - now:.0f} s at most")

    def _try(
        self, method: str, url: str, body: bytes | None, give_up: float
    ) -> tuple[bytes, None] | tuple[ServiceError, float | None]:
        """One request: the answer; or the error, and after how long to ask again (-1: as usual; None: never)."""
        import httpx

        with self._place(give_up):
            try:
                headers = self._secret | {"Content-Type": "application/json"} if body is not None else {}
                with self._client.stream(method, url, content=body, headers=headers) as response:
                    text = _read(response, give_up, self._now)
            except _TooLarge:
                return ServiceError(
                    f"W&B at {_plain(url)} answered with more than {MOST_BYTES >> 20} MiB at once",
                    hint="check WANDB_BASE_URL: no W&B service does",
                ), None
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
                # The client's own message may hold the address, and that a password.
                problem = Unreachable(
                    f"W&B at {_plain(url)} cannot be reached: {type(error).__name__}",
                    hint="check the network, and the host in WANDB_BASE_URL",
                )
                # A host that never answered is likelier misspelt than away.
                hopeless = isinstance(error, httpx.ConnectError | httpx.InvalidURL) and not self._answered
                return problem, None if hopeless else -1.0
        self._answered = True
        self._places.answered(response.status_code)
        if response.status_code == 200:
            return text, None
        retry_after = response.headers.get("Retry-After")
        refused = self._refused(response.status_code, _plain(url), retry_after, text)
        if response.status_code not in _PASSING:
            return refused, None
        return refused, _seconds(retry_after)

    @contextmanager
    def _place(self, give_up: float) -> Iterator[None]:
        """A place among the requests under way, once nothing holds them back."""
        with self._places:
            while (pause := self._quiet_until - self._now()) > 0 and self._now() < give_up:
                if self._wait(self._stopped, pause):
                    break
            yield

    def _refused(self, status: int, where: str, retry_after: str | None, text: bytes) -> ServiceError:
        if status in (400, 422):
            try:
                return self._rejection(read_object(text).get("errors") or [], status)
            except (ValueError, TypeError):
                pass
        if status == 401:
            return NotSignedIn(
                f"W&B at {where} does not know the key (401)",
                hint="wandb login --relogin, or set WANDB_API_KEY", status=401,
            )  # fmt: skip
        if status == 403:
            return NotAllowed(
                f"W&B at {where} does not let this account in (403)",
                hint="ask the project's owner for access", status=403,
            )  # fmt: skip
        if status == 404:
            return NotFound(
                f"there is no W&B service at {where} (404)", hint="check WANDB_BASE_URL", status=404
            )
        if status == 429:
            seconds = _seconds(retry_after)
            wait = f"in {seconds:.0f} s" if seconds >= 0 else "in a few minutes"
            return TooManyRequests(
                "W&B had too many requests (429)",
                hint=f"try again {wait}: what was fetched is kept, and the next call goes on from there", status=429,
            )  # fmt: skip
        if status >= 500:
            return Unreachable(
                f"W&B at {where} is in trouble ({status})", hint="try again later", status=status
            )
        return ServiceError(
            f"W&B at {where} refused ({status})",
            hint="check WANDB_BASE_URL: it may have moved" if status < 400 else "runscope --debug shows more",
            status=status,
        )

    def _rejection(self, errors: Any, status: int) -> ServiceError:
        said = "; ".join(str(e.get("message", e)) if isinstance(e, dict) else str(e) for e in errors)
        lower = said.lower()
        if "permission" in lower or "not allowed" in lower:
            return NotAllowed(f"W&B refused: {said}", hint="ask the project's owner for access", status=403)
        return Rejected(
            f"W&B at {self.base} refused: {said or 'it gave no reason'}",
            hint="it may be too old, or newer than this runscope: pip install -U runscope", status=status,
        )  # fmt: skip


def _read(response: Any, give_up: float, now: Callable[[], float]) -> bytes:
    """The whole answer; one that only trickles in has an end as well."""
    latest = max(give_up, now() + ANSWER_SECONDS)
    content = bytearray()
    for part in response.iter_bytes():
        content += part
        if len(content) > MOST_BYTES:
            raise _TooLarge
        if now() > latest:
            raise TimeoutError
    return bytes(content)


class _TooLarge(Exception):
    """A few packed bytes may unfold to more than the memory holds."""


def _patience() -> float:
    """How long to ask again.

    Raises:
        UsageError: the environment says something that is no time.
    """
    given = os.environ.get("RUNSCOPE_PATIENCE_SECONDS")
    try:
        seconds = float(given) if given else PATIENCE_SECONDS
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:
        raise UsageError(
            f"RUNSCOPE_PATIENCE_SECONDS is {given!r}, no number of seconds", hint="for example 120"
        )
    return seconds


def _seconds(retry_after: str | None) -> float:
    """Retry-After, given in seconds or as a date; -1 where there is none."""
    if not retry_after:
        return -1.0
    try:
        seconds = float(retry_after)
        return max(seconds, 0.0) if math.isfinite(seconds) else -1.0
    except ValueError:
        pass
    try:
        return max((parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return -1.0


def _plain(url: str) -> str:
    """Scheme and host of an address: signatures, paths and passwords are nobody's business."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
