"""W&B runs in the cloud or on a host of one's own, read by W&B's client at full resolution."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from runscope.errors import (
    NotAllowed,
    NotFound,
    NotSignedIn,
    RunscopeError,
    ServiceError,
    TooManyRequests,
    Unreachable,
    UsageError,
)
from runscope.history import Lineage, Run, State
from runscope.sources.base import LoadContext, Progress, existing, finish
from runscope.sources.wandb_rows import Rows, checkpoint_lineage, system_series

FORM = "W&B run (path or URL; its name or id with --project)"
EXAMPLE = "me/pricer/2x9f1k3a"

PAGE_STEPS = 10_000
"""Steps a page. The service counts requests, not rows: few large pages are kinder and faster."""
SIDE_BY_SIDE = 4
MACHINE_ROWS = 5_000
PATIENCE_SECONDS = 120
KNOCK_SECONDS = 15
_WORD = r"[\w.\-]+"
_PATH = re.compile(rf"^({_WORD})/({_WORD})/([^/]+)$|^({_WORD})/({_WORD})$")
_FILE_LIKE = (
    ".csv",
    ".json",
    ".jsonl",
    ".wandb",
    ".parquet",
    ".txt",
    ".toml",
    ".html",
    ".yaml",
    ".yml",
    ".py",
)
_STATES: Mapping[str, State] = {
    "finished": "finished", "failed": "failed", "crashed": "killed", "killed": "killed", "running": "running",
}  # fmt: skip


@dataclass(frozen=True)
class Address:
    """Where a run is. ``entity`` None is the account's own, ``host`` None the one that is set up."""

    entity: str | None
    project: str
    run: str
    host: str | None = None


def claims(reference: str) -> bool:
    """A URL with a run in it, or words that look like a run's path and are nothing on this disk."""
    if reference.startswith(("http://", "https://")):
        return "/runs/" in reference
    looks = _PATH.match(reference) is not None and not reference.endswith(_FILE_LIKE)
    return looks and existing(reference) is None and existing(reference.partition("/")[0]) is None


def address(reference: str) -> Address:
    """Take a path or URL apart; what follows the run in a URL (``/overview``, a query) is of no matter.

    Raises:
        UsageError: a URL that names no run.
    """
    if not reference.startswith(("http://", "https://")):
        words = reference.split("/")
        return Address(words[0] if len(words) == 3 else None, words[-2], words[-1])
    url = urlsplit(reference)
    words = [unquote(w) for w in url.path.split("/") if w]
    place = words.index("runs") if "runs" in words else 0
    if place < 2 or len(words) <= place + 1:
        raise UsageError(
            f"{reference} names no run", hint="the address of a run ends in /ENTITY/PROJECT/runs/ID"
        )
    return Address(words[place - 2], words[place - 1], words[place + 1], _api_host(url.scheme, url.netloc))


def _api_host(scheme: str, netloc: str) -> str | None:
    """The service behind a page's host; None for W&B's own, which the client knows."""
    if netloc in ("wandb.ai", "www.wandb.ai", "app.wandb.ai", "forge.coreweave.com"):
        return None
    return f"{scheme}://{netloc}"


def read(reference: str, context: LoadContext) -> Run:
    """Read a run with all its rows.

    Raises:
        NotSignedIn, NotAllowed, NotFound, TooManyRequests, Unreachable, ServiceError: the service refused.
        UnreadableRun: the run holds no metric.
    """
    found = address(reference)
    host = context.host or found.host
    with _explained(reference):
        service = _service(found, host)
        node = _node(service, found)
        rows, stats = _rows(node, context.progress)
    return finish(_run(reference, node, rows, stats), where=reference)


def _service(found: Address, host: str | None) -> Any:
    """The client, once the service has let us in."""
    import wandb

    overrides = {"entity": found.entity} if found.entity else {}
    base = host or os.environ.get("WANDB_BASE_URL") or wandb.setup().settings.base_url
    _knock(base, found)
    return wandb.Api(overrides={**overrides, "base_url": base}, timeout=PATIENCE_SECONDS)


def _knock(base: str, found: Address) -> None:
    """Ask once, directly, whether the run is there.

    The client repeats a refused request for minutes and loses its status; this says at once what is wrong.
    The key goes where the client would send it and nowhere else.
    """
    import requests

    key = os.environ.get("WANDB_API_KEY")
    account = ("api", key) if key else requests.utils.get_netrc_auth(base)
    if account is None:
        raise NotSignedIn(
            f"no W&B key is set up for {base}", hint="wandb login, or set WANDB_API_KEY", status=401
        )
    question = (
        "query RunscopeKnock($project: String!, $entity: String, $name: String!) "
        "{ viewer { id } project(name: $project, entityName: $entity) { run(name: $name) { id } } }"
    )
    words = {"project": found.project, "entity": found.entity, "name": found.run}
    try:
        answer = requests.post(
            f"{base.rstrip('/')}/graphql", json={"query": question, "variables": words}, auth=account,
            timeout=KNOCK_SECONDS, headers={"User-Agent": "runscope"},
        )  # fmt: skip
    except requests.RequestException as error:
        raise Unreachable(
            f"W&B at {base} cannot be reached: {type(error).__name__}",
            hint="check the network, and the host in WANDB_BASE_URL",
        ) from None
    if answer.status_code != 200:
        raise _refused(answer.status_code, base, answer.headers.get("Retry-After"))
    content = answer.json().get("data") or {}
    if content.get("viewer") is None:
        raise _refused(401, base, None)
    if content.get("project") is None:
        name = f"{found.entity}/{found.project}" if found.entity else found.project
        raise NotFound(
            f"W&B has no project {name} that this account sees",
            hint="check the spelling and the account: runscope doctor", status=404,
        )  # fmt: skip


def _refused(status: int, base: str, retry_after: str | None) -> ServiceError:
    if status == 401:
        return NotSignedIn(
            f"W&B at {base} does not know the key (401)",
            hint="wandb login --relogin, or set WANDB_API_KEY",
            status=401,
        )
    if status == 403:
        return NotAllowed(
            f"W&B at {base} does not let this account in (403)",
            hint="ask the project's owner for access",
            status=403,
        )
    if status == 404:
        return NotFound(f"there is no W&B service at {base} (404)", hint="check WANDB_BASE_URL", status=404)
    if status == 429:
        wait = f"in {retry_after} s" if retry_after else "in a few minutes"
        return TooManyRequests("W&B had too many requests (429)", hint=f"try again {wait}", status=429)
    if status >= 500:
        return Unreachable(f"W&B at {base} is in trouble ({status})", hint="try again later", status=status)
    return ServiceError(
        f"W&B at {base} refused ({status})", hint="runscope --debug shows more", status=status
    )


def _node(service: Any, found: Address) -> Any:
    """The run by its id, else by its display name."""
    import wandb

    entity = found.entity or service.default_entity
    try:
        return service.run(f"{entity}/{found.project}/{found.run}")
    except (ValueError, wandb.errors.CommError) as error:
        if "find run" not in str(error):
            raise
    named = list(service.runs(f"{entity}/{found.project}", filters={"display_name": found.run}, per_page=3))
    if not named:
        raise NotFound(
            f"W&B has no run {entity}/{found.project}/{found.run}",
            hint="the id is the last part of the run's address; a display name must be spelt in full", status=404,
        )  # fmt: skip
    if len(named) > 1:
        ids = ", ".join(run.id for run in named)
        raise UsageError(
            f"several runs of {entity}/{found.project} are called {found.run}",
            hint=f"name one by its id: {ids}",
        )
    return service.run(f"{entity}/{found.project}/{named[0].id}")


def _rows(node: Any, progress: Progress | None) -> tuple[Rows, list[tuple[float, str, float]]]:
    """All rows in order, each once, and the machine's metrics."""
    last = int(node.lastHistoryStep)
    starts = range(0, last + 1, PAGE_STEPS)
    by_step: dict[int, dict[str, Any]] = {}
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        pages = pool.map(lambda start: _page(node, start, min(start + PAGE_STEPS, last + 1)), starts)
        for number, found in enumerate(pages, 1):
            by_step |= found
            if progress is not None:
                progress(f"reading {node.id}", number, len(starts))
    rows = Rows()
    _declared_axes(node, rows)
    for step in sorted(by_step):
        rows.add_row(by_step[step])
    return rows, _machine(node)


def _page(node: Any, start: int, end: int) -> dict[int, dict[str, Any]]:
    """Rows from one step up to another, by step.

    A service may send fewer rows than the page has: what is missing behind the last one is asked for again.
    """
    by_step: dict[int, dict[str, Any]] = {}
    while start < end:
        found = list(node.scan_history(page_size=end - start, min_step=start, max_step=end, use_cache=False))
        for row in found:
            # A row that is both in an export and live comes twice; what is None there was not logged.
            kept = {k: v for k, v in row.items() if v is not None}
            by_step.setdefault(int(kept["_step"]), {}).update(kept)
        if not found:
            break
        start = max(by_step) + 1
    return by_step


def _declared_axes(node: Any, rows: Rows) -> None:
    """``define_metric`` as the service keeps it: entries with a name (1) or pattern (2), and their axis' place (5)."""
    entries = (_internal(node).get("m")) or []
    for entry in entries if isinstance(entries, list) else []:
        place = entry.get("5") if isinstance(entry, Mapping) else None
        if isinstance(place, int) and 0 < place <= len(entries):
            axis = entries[place - 1].get("1")
            if axis:
                rows.axes[axis] += 100 if entry.get("2") == "*" else 1


def _internal(node: Any) -> Mapping[str, Any]:
    raw = getattr(node, "rawconfig", None) or {}
    inner = raw.get("_wandb") or {}
    value = inner.get("value", inner) if isinstance(inner, Mapping) else {}
    return value if isinstance(value, Mapping) else {}


def _machine(node: Any) -> list[tuple[float, str, float]]:
    """Machine metrics, as many as the service gives; a run without them has none."""
    found = []
    for row in node.history(samples=MACHINE_ROWS, stream="system", pandas=False) or []:
        at = row.get("_timestamp")
        if isinstance(at, int | float):
            found += [
                (float(at), name, float(value))
                for name, value in row.items()
                if not name.startswith("_") and isinstance(value, int | float)
            ]
    return found


def _run(reference: str, node: Any, rows: Rows, stats: list[tuple[float, str, float]]) -> Run:
    series, histograms, step_key, step, when = rows.finished()
    finite = when[np.isfinite(when)]
    config = {k: v for k, v in node.config.items() if k != "_wandb"}
    started = _seconds(getattr(node, "created_at", None))
    return Run(
        reference=reference,
        id=node.id,
        name=node.name or node.id,
        source="wandb",
        series=series,
        step_key=step_key,
        config=config,
        started_at=started or (float(finite.min()) if len(finite) else None),
        ended_at=float(finite.max()) if len(finite) else None,
        state=_STATES.get(node.state, "unknown"),
        lineage=_lineage(node) or checkpoint_lineage(config),
        system=system_series(stats, when, step),
        histograms=histograms,
        project=f"{node.entity}/{node.project}",
        notes=("the run still goes on: this is what it has logged so far",)
        if node.state == "running"
        else (),
    )


def _lineage(node: Any) -> Lineage | None:
    branch = _internal(node).get("branch_point")
    if not isinstance(branch, Mapping) or not branch.get("run_id"):
        return None
    at = branch.get("step")
    rewound = branch["run_id"] == node.id
    return Lineage(
        "rewind" if rewound else "fork", str(branch["run_id"]), None if at is None else int(at), "_step"
    )


def _seconds(text: str | None) -> float | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else None
    except ValueError:
        return None


@contextmanager
def _explained(reference: str) -> Iterator[None]:
    """Errors of the client as ours, with the status that their text still tells."""
    import wandb

    try:
        yield
    except RunscopeError:
        raise
    except wandb.errors.AuthenticationError as error:
        raise NotSignedIn(str(error), hint="wandb login, or set WANDB_API_KEY", status=401) from error
    except (wandb.errors.Error, OSError, ValueError) as error:
        text = str(error)
        status = re.search(r"\b(4\d\d|5\d\d)\b", text)
        if status:
            raise _refused(int(status[1]), "its host", None) from error
        if "did not respond in time" in text or isinstance(error, OSError):
            raise Unreachable(
                f"W&B did not answer in {PATIENCE_SECONDS} s while {reference} was read",
                hint="it may be limiting requests; try again in a few minutes",
            ) from error
        raise ServiceError(
            f"W&B refused {reference}: {text or type(error).__name__}", hint="runscope doctor"
        ) from error
