"""The Hugging Face Hub through its own client, with errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runscope.errors import NotAllowed, NotFound, NotSignedIn, ServiceError, TooManyRequests, Unreachable


def api(endpoint: str | None, token: str | None) -> Any:
    """The client."""
    import os

    from huggingface_hub import HfApi

    return HfApi(endpoint=endpoint or os.environ.get("HF_ENDPOINT"), token=token, library_name="runscope")


@contextmanager
def mapped(what: str) -> Iterator[None]:
    """Turn the client's exceptions into errors of runscope; tokens never stand in them."""
    import httpx
    from huggingface_hub import errors as hf

    try:
        yield
    except (
        hf.RepositoryNotFoundError,
        hf.RevisionNotFoundError,
        hf.EntryNotFoundError,
        hf.HfHubHTTPError,
    ) as error:
        raise _error(what, error) from None
    except (hf.LocalEntryNotFoundError, hf.OfflineModeIsEnabled, httpx.HTTPError, ConnectionError) as error:
        raise Unreachable(
            f"the Hub did not answer when asked for {what}: {type(error).__name__}",
            hint="check the network, or name a local clone of the repository instead",
        ) from None
    except hf.HFValidationError:
        raise NotFound(
            f"{what} is no repository id",
            hint="a repository is user/name, hf://user/name, or a path",
            status=404,
        ) from None


def _error(what: str, error: Any) -> ServiceError:
    from huggingface_hub import errors as hf

    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if isinstance(error, hf.GatedRepoError) or status == 403:
        return NotAllowed(
            f"{what} is not open to this account", hint="ask for access on its page", status=403
        )
    if status == 401 and not isinstance(error, hf.RepositoryNotFoundError):
        return NotSignedIn(f"the Hub wants a login for {what}", hint="hf auth login", status=401)
    if isinstance(error, hf.RepositoryNotFoundError | hf.RevisionNotFoundError | hf.EntryNotFoundError):
        return NotFound(
            f"the Hub has no {what}, or this account may not see it",
            hint="check the name; for a private repository: hf auth login",
            status=404,
        )
    if status == 429:
        after = response.headers.get("Retry-After") if response is not None else None
        wait = f"wait {after} seconds" if after else "wait a few minutes"
        return TooManyRequests(f"the Hub refuses more requests for now ({what})", hint=wait, status=429)
    if status is not None and status >= 500:
        return Unreachable(f"the Hub is in trouble (status {status})", hint="try again later", status=status)
    return ServiceError(
        f"the Hub refused {what} (status {status})", hint="check the name and the account", status=status
    )
