"""What the service says of an account and of a project of its: who asks, which runs there are."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from runscope.errors import NotFound, NotSignedIn, ServiceError
from runscope.schema import checked as of_kind
from runscope.schema import or_none
from runscope.sources.wandb_cloud.account import base_url
from runscope.sources.wandb_cloud.facts import ENTITY, PROJECTS, RUNS, Facts
from runscope.sources.wandb_cloud.service import Service


@dataclass(frozen=True)
class _Edge:
    node: dict[str, Any]
    cursor: str | None = None


@dataclass(frozen=True)
class _PageInfo:
    hasNextPage: bool | None = None  # noqa: N815 - the service's word


@dataclass(frozen=True)
class _Runs:
    """A page of a project's runs, in the service's own words."""

    edges: list[_Edge] | None = None
    pageInfo: _PageInfo | None = None  # noqa: N815


def list_runs(service: Service, project: str, filters: dict[str, object] | None = None) -> list[Facts]:
    """All runs of a project that a filter in W&B's own words lets through, oldest first.

    Raises:
        NotFound: there is no such project.
    """
    entity, _, name = project.partition("/")
    found: list[Facts] = []
    cursor: str | None = None
    seen: set[str] = set()
    while True:
        data = service.ask(
            RUNS, entity=entity, project=name, cursor=cursor, perPage=50, order="+created_at",
            filters=json.dumps(filters or {}),
        )  # fmt: skip
        try:
            page = of_kind(checked(data, service, project).get("runs") or {}, _Runs)
        except ValueError as error:
            raise ServiceError(
                f"W&B listed the runs of {project} in a way that is not known: {error}",
                hint="it may be newer than this runscope: pip install -U runscope",
            ) from None
        edges = page.edges or []
        found += [Facts.of_node(edge.node, service.host, project) for edge in edges]
        cursor = edges[-1].cursor if edges else None
        more = page.pageInfo is not None and page.pageInfo.hasNextPage
        if not more or cursor is None or cursor in seen:
            return found
        seen.add(cursor)


@dataclass(frozen=True)
class _Model:
    name: str


@dataclass(frozen=True)
class _ModelEdge:
    node: _Model


@dataclass(frozen=True)
class _ModelPageInfo:
    endCursor: str | None = None  # noqa: N815 - the service's word
    hasNextPage: bool | None = None  # noqa: N815


@dataclass(frozen=True)
class _Models:
    """A page of an entity's projects, in the service's own words."""

    edges: list[_ModelEdge] | None = None
    pageInfo: _ModelPageInfo | None = None  # noqa: N815


def entity_of(place: str) -> tuple[str, str | None] | None:
    """Entity and page's host of ``wandb://me`` or ``https://wandb.ai/me``; None where a place is no entity."""
    if place.startswith("wandb://"):
        name = place.removeprefix("wandb://").strip("/")
        return (name, None) if name and "/" not in name else None
    url = urlsplit(place)
    words = [unquote(word) for word in url.path.split("/") if word]
    if url.scheme not in ("http", "https") or len(words) != 1:
        return None
    return words[0], f"{url.scheme}://{url.netloc}"


def list_projects(place: str) -> list[str]:
    """What names each project of an entity (:func:`entity_of`), by name.

    Raises:
        NotFound: the entity has no project that this account sees.
        ServiceError: the service refused.
    """
    named = entity_of(place)
    assert named is not None, "asked before"
    entity, page = named
    found: set[str] = set()
    cursor: str | None = None
    with Service(base_url(page)) as service:
        while True:
            data = service.ask(PROJECTS, entity=entity, cursor=cursor)
            if data.get("viewer") is None:
                raise _unknown_key(service)
            projects = or_none(data.get("models") or {}, _Models) or _Models()
            found |= {edge.node.name for edge in projects.edges or []}
            info = projects.pageInfo or _ModelPageInfo()
            if not info.hasNextPage or info.endCursor in (None, cursor):
                break
            cursor = info.endCursor
    if not found:
        raise NotFound(
            f"W&B has no project of {entity} that this account sees",
            hint="check the spelling and the account: runscope doctor", status=404,
        )  # fmt: skip
    head = f"{page}/{entity}" if page else entity
    return [f"{head}/{name}" for name in sorted(found)]


def default_entity(service: Service) -> str:
    """The account's own entity, or the one in ``WANDB_ENTITY``.

    Raises:
        NotSignedIn: the service does not know the account.
    """
    named = os.environ.get("WANDB_ENTITY")
    if named:
        return named
    viewer = or_none(service.ask(ENTITY).get("viewer"), dict[str, Any]) or {}
    if not viewer.get("entity"):
        raise _unknown_key(service)
    return str(viewer["entity"])


def require_account() -> None:
    """Ask the service who we are: quick to be refused, where the SDK would try for minutes.

    Raises:
        ServiceError: it cannot be reached, or refuses.
    """
    with Service() as service:
        if service.ask(ENTITY).get("viewer") is None:
            raise _unknown_key(service)


def checked(data: dict[str, Any], service: Service, project: str) -> dict[str, Any]:
    """The project in an answer.

    Raises:
        NotSignedIn: the service does not know the account.
        NotFound: there is no such project, or this account may not see it.
    """
    if data.get("viewer") is None:
        raise _unknown_key(service)
    content = data.get("project")
    if not isinstance(content, dict):
        raise NotFound(
            f"W&B has no project {project} that this account sees",
            hint="check the spelling and the account: runscope doctor", status=404,
        )  # fmt: skip
    return content


def _unknown_key(service: Service) -> NotSignedIn:
    return NotSignedIn(
        f"W&B at {service.base} does not know the key (401)",
        hint="wandb login --relogin, or set WANDB_API_KEY", status=401,
    )  # fmt: skip
