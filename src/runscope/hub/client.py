"""Calls to the Hugging Face Hub through its own client's session, with errors that say what to do.

The client's listing calls repeat a refused request up to five times and sleep as long as the service asks, without a
word. Here a short wait is waited, a long one is an error that names it, and pages are never followed to another host
(the token would go along).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

from runscope.errors import (
    NotAllowed,
    NotFound,
    NotSignedIn,
    ServiceError,
    StoreError,
    TooManyRequests,
    Unreachable,
    proxies_named,
)
from runscope.progress import say
from runscope.schema import checked, read_json

Kind = TypeVar("Kind")
TIMEOUT_SECONDS = 30
WAITS_SECONDS = (0.3, 1.0)
"""Pauses before a request that failed on the way, or met a 5xx, is sent again."""
MOST_PAGES = 10_000
"""Pages of one listing; at 500 commits a page no repository has as many."""
SAID_SECONDS = 5
"""A wait this long is said: silence looks like a hang."""
PATIENCE_SECONDS = 20
"""The longest wait that a 429 may ask for and still be waited; longer ones are the user's to decide."""
MOST_BYTES = 1 << 28
"""More than any listing, and than any trainer state that a training writes."""
SLOWEST_BYTES_A_SECOND = 10_000
_OF_THE_WIRE = ("content-encoding", "content-length", "transfer-encoding")
"""What does not hold any more once an answer is unpacked."""
_AGAIN = (429, 500, 502, 503, 504)
_TRANSPORTS = ("httpx", "httpx2", "httpcore", "requests", "urllib3")
"""What the client speaks HTTP with; it has changed twice."""


def client_utils() -> Any:
    """The client's documented helpers: headers, checks of names, errors by status."""
    return import_module("huggingface_hub.utils")


def host(endpoint: str | None) -> str:
    """The Hub to ask: the one given, the one in ``HF_ENDPOINT``, or the public one."""
    return (endpoint or os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def get(
    url: str,
    what: str,
    *,
    token: str | None = None,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """One GET with the account's token.

    Args:
        url: address.
        what: what is asked for, for messages.
        token: another account than the one logged in.
        params, headers: of the request.

    Raises:
        NotFound, NotSignedIn, NotAllowed, TooManyRequests, Unreachable, ServiceError: the Hub refused.
    """
    from huggingface_hub import get_session

    utils = client_utils()
    sent = {**utils.build_hf_headers(token=token, library_name="runscope"), **(headers or {})}
    with proxies_named():
        session = get_session()
    with mapped(what):
        for wait in (*WAITS_SECONDS, None):
            try:
                answer = _bounded(session, url, what, params=params, headers=sent)
            except Exception as error:
                if wait is None or isinstance(error, TimeoutError) or not _on_the_way(error):
                    raise
            else:
                if answer.status_code not in _AGAIN or wait is None:
                    utils.hf_raise_for_status(answer)
                    return answer
                asked = retry_after(answer.headers)
                if asked is not None and asked > PATIENCE_SECONDS:
                    utils.hf_raise_for_status(answer)
                wait = wait if asked is None else asked
                if wait >= SAID_SECONDS:
                    say(f"the Hub asks to wait {wait:.0f} s before it tells of {what}")
            time.sleep(wait)
    raise AssertionError("the last try either returns or raises")


def _bounded(session: Any, url: str, what: str, **more: Any) -> Any:
    """The answer to a GET, read only as long as it is no larger and no slower than an answer is.

    Raises:
        ServiceError: it is larger: a few packed bytes may unfold to more than the memory holds.
        TimeoutError: it trickles in.
    """
    if not hasattr(session, "stream"):  # the client of before 1.0, which gives whole answers
        return session.get(url, timeout=TIMEOUT_SECONDS, **more)
    begun, content = time.monotonic(), bytearray()
    with session.stream("GET", url, timeout=TIMEOUT_SECONDS, **more) as answer:
        for part in answer.iter_bytes():
            content += part
            if len(content) > MOST_BYTES:
                raise ServiceError(
                    f"the Hub answered with more than {MOST_BYTES >> 20} MiB when asked for {what}",
                    hint="check HF_ENDPOINT; or fetch the file yourself and name its folder",
                )
            if time.monotonic() - begun > TIMEOUT_SECONDS + len(content) / SLOWEST_BYTES_A_SECOND:
                raise TimeoutError("the answer trickles in")
        headers = [(k, v) for k, v in answer.headers.multi_items() if k.lower() not in _OF_THE_WIRE]
        return type(answer)(
            answer.status_code, headers=headers, content=bytes(content), request=answer.request
        )


def ask(
    url: str,
    what: str,
    kind: type[Kind],
    *,
    token: str | None = None,
    params: Mapping[str, Any] | None = None,
) -> Kind:
    """What the Hub's API answers, as an instance of ``kind``.

    Raises:
        ServiceError: as :func:`get`; also where another host answered, or the answer is of another kind.
    """
    return _taken(get(url, what, token=token, params=params), url, what, kind)


def pages(
    url: str, what: str, row: type[Kind], *, token: str | None = None, params: Mapping[str, Any] | None = None
) -> Iterator[Kind]:
    """Rows of all pages of a listing, each of the kind ``row``.

    Raises:
        ServiceError: as :func:`ask`; also where a next page lies on another host, or they have no end.
    """
    kind: Any = list[row]  # type: ignore[valid-type]
    following = url
    for _ in range(MOST_PAGES):
        answer = get(following, what, token=token, params=params)
        yield from _taken(answer, url, what, kind)
        params = None
        found = answer.links.get("next", {}).get("url")
        if not found:
            return
        following = urljoin(url, found)
        if urlsplit(following).netloc != urlsplit(url).netloc:
            raise ServiceError(
                f"the next page of {what} lies on another host",
                hint="the Hub that was asked is not to be trusted",
            )
    raise ServiceError(f"the pages of {what} have no end", hint="check HF_ENDPOINT")


def _taken(answer: Any, url: str, what: str, kind: type[Kind]) -> Kind:
    """An answer of the API, looked at: by whom it is, and of which kind."""
    if urlsplit(str(answer.url)).netloc != urlsplit(url).netloc:
        raise ServiceError(
            f"the Hub sends whoever asks for {what} on to another host",
            hint="check HF_ENDPOINT; a proxy may want a login first",
        )
    try:
        return checked(read_json(answer.content), kind)
    except ValueError as error:
        raise ServiceError(
            f"the Hub answered with something else than {what}: {error}",
            hint="check HF_ENDPOINT; a proxy may want a login first",
        ) from None


@contextmanager
def impatient() -> Iterator[None]:
    """Inside, a download of the client's that is told to wait for long ends with an error; its own talk is not shown.

    The client repeats a refused download five times and sleeps as long as the service asks.
    """
    import logging

    from huggingface_hub import get_session

    def look(answer: Any) -> None:
        asked = retry_after(answer.headers) if answer.status_code in _AGAIN else None
        if asked is not None and asked > PATIENCE_SECONDS:
            raise TooManyRequests(
                f"the Hub refuses more downloads for now ({answer.status_code})",
                hint=f"wait {asked:.0f} seconds and call again; what was fetched is kept",
                status=answer.status_code,
            )
        if asked is not None and asked >= SAID_SECONDS:
            say(f"the Hub asks to wait {asked:.0f} s before it sends more")

    with proxies_named():
        session, log = get_session(), logging.getLogger("huggingface_hub")
    hooks, level = session.event_hooks, log.level
    session.event_hooks = {**hooks, "response": [*hooks.get("response", ()), look]}
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        session.event_hooks = hooks
        log.setLevel(level)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a refusal asks to wait: ``Retry-After``, or the ``t`` of a ``ratelimit`` header (IETF draft)."""
    given = headers.get("Retry-After") or ""
    if given.isascii() and given.isdigit():
        return float(given[:9])
    parse = getattr(client_utils(), "parse_ratelimit_headers", None)
    limits = parse(headers) if parse is not None else None
    return float(limits.reset_in_seconds) if limits is not None and limits.remaining == 0 else None


@contextmanager
def mapped(what: str) -> Iterator[None]:
    """Turn the client's exceptions into errors of runscope; neither tokens nor addresses stand in them."""
    from huggingface_hub import errors as hf

    try:
        yield
    except hf.HFValidationError:
        raise NotFound(
            f"{what} is neither a path on this disk nor the name of a repository",
            hint="name user/repo, hf://user/repo, a clone, a git bundle, or a folder with checkpoint-*/",
            status=404,
        ) from None
    except hf.LocalEntryNotFoundError as error:
        # A download that failed on the way ends up here, whatever the Hub's answer was.
        cause = error.__cause__ or error.__context__
        raise (
            _error(what, cause) if getattr(cause, "response", None) is not None else _silent(what, error)
        ) from None
    except (hf.HfHubHTTPError, hf.EntryNotFoundError) as error:
        raise _error(what, error) from None
    except hf.OfflineModeIsEnabled:
        raise Unreachable(
            f"{what} was asked for while HF_HUB_OFFLINE is set",
            hint="unset it, or name a local clone or folder",
        ) from None
    except OSError as error:
        if _on_the_way(error) or isinstance(error, ConnectionError | TimeoutError):
            raise _silent(what, error) from None
        raise StoreError(
            f"{what} cannot be kept on disk: {error.strerror or type(error).__name__}",
            hint="free some space, or set RUNSCOPE_HOME to a folder with space",
        ) from None
    except Exception as error:
        if not _on_the_way(error):
            raise
        raise _silent(what, error) from None


def _on_the_way(error: BaseException) -> bool:
    """Whether no answer came: refused, timed out, cut off."""
    package = type(error).__module__.partition(".")[0]
    if isinstance(error, TimeoutError):
        return True
    return package in _TRANSPORTS and getattr(error, "response", None) is None


def _silent(what: str, error: BaseException) -> Unreachable:
    return Unreachable(
        f"the Hub did not answer when asked for {what}: {type(error).__name__}",
        hint="check the network (and HF_ENDPOINT), or name a local clone of the repository instead",
    )


def _error(what: str, error: Any) -> ServiceError:
    from huggingface_hub import errors as hf

    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    code = response.headers.get("X-Error-Code") if response is not None else None
    if isinstance(error, hf.GatedRepoError) or status == 403:
        return NotAllowed(
            f"{what} is not open to this account", hint="ask for access on its page, or use a token that may read it",
            status=403,
        )  # fmt: skip
    if status == 401:
        # The Hub answers 401 for a repository that is private or missing, unless the token itself is bad.
        bad = (
            "Invalid credentials" in (response.headers.get("X-Error-Message") or "")
            if response is not None
            else False
        )
        if bad or not isinstance(error, hf.RepositoryNotFoundError):
            return NotSignedIn(
                f"the Hub does not accept the token, asked for {what}", hint="hf auth login, or set HF_TOKEN",
                status=401,
            )  # fmt: skip
        return NotSignedIn(
            f"the Hub shows no {what} to this account: it is private, or not there",
            hint="check the name; for a private repository: hf auth login, or set HF_TOKEN", status=401,
        )  # fmt: skip
    if status == 404 or code in ("RepoNotFound", "RevisionNotFound", "EntryNotFound") or status is None:
        return _missing(what, error)
    if status == 429:
        after = retry_after(response.headers) if response is not None else None
        wait = f"wait {after:.0f} seconds and call again" if after else "wait a few minutes and call again"
        return TooManyRequests(
            f"the Hub refuses more requests for now (429), asked for {what}",
            hint=f"{wait}; what was read is kept", status=429,
        )  # fmt: skip
    if status >= 500:
        return Unreachable(
            f"the Hub is in trouble ({status}), asked for {what}", hint="try again later", status=status
        )
    return ServiceError(
        f"the Hub refused {what} ({status})", hint="check the name and the account", status=status
    )


def _missing(what: str, error: Any) -> NotFound:
    from huggingface_hub import errors as hf

    if isinstance(error, hf.RevisionNotFoundError):
        return NotFound(
            f"there is no such revision: {what}", hint="name a branch, a tag, refs/pr/N or a commit after @",
            status=404,
        )  # fmt: skip
    if isinstance(error, hf.EntryNotFoundError):
        return NotFound(
            f"the Hub has no {what}", hint="the file is missing, or was never uploaded whole", status=404
        )
    return NotFound(
        f"the Hub has no {what}, or this account may not see it",
        hint="check the name; for a private repository: hf auth login", status=404,
    )  # fmt: skip
