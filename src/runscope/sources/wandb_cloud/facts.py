"""What W&B's service says of a run besides its history, and the questions that ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from runscope.errors import ServiceError
from runscope.history import Lineage, State
from runscope.schema import Meta, checked, or_none, read_json
from runscope.sources.secrets import without_secrets
from runscope.store import RunKey

_FIELDS = (
    "name displayName state config group jobType tags createdAt heartbeatAt historyLineCount historyKeys"
)
RUN = (
    "query Run($project: String!, $entity: String!, $name: String!) { viewer { id } "
    f"project(name: $project, entityName: $entity) {{ run(name: $name) {{ {_FIELDS} }} }} }}"
)
RUNS = (
    "query Runs($project: String!, $entity: String!, $cursor: String, $perPage: Int = 50, $order: String, "
    "$filters: JSONString) { viewer { id } project(name: $project, entityName: $entity) { runCount(filters: $filters) "
    "runs(filters: $filters, after: $cursor, first: $perPage, order: $order) { "
    f"edges {{ node {{ {_FIELDS} }} cursor }} pageInfo {{ endCursor hasNextPage }} }} }} }}"
)
SUMMARY = (
    "query Run($project: String!, $entity: String!, $name: String!) { project(name: $project, entityName: $entity) "
    "{ run(name: $name) { summaryMetrics } } }"
)
PROJECTS = (
    "query GetProjects($entity: String, $cursor: String, $perPage: Int = 50) { viewer { id } "
    "models(entityName: $entity, after: $cursor, first: $perPage) "
    "{ edges { node { name } } pageInfo { endCursor hasNextPage } } }"
)
ENTITY = "query GetDefaultEntity { viewer { id entity } }"
PAGE = (
    "query HistoryPage($entity: String!, $project: String!, $run: String!, $minStep: Int64!, $maxStep: Int64!, "
    "$pageSize: Int!) { project(name: $project, entityName: $entity) { run(name: $run) "
    "{ history(minStep: $minStep, maxStep: $maxStep, samples: $pageSize) } } }"
)
EVENTS = (
    "query RunFullHistory($project: String!, $entity: String!, $name: String!, $samples: Int) "
    "{ project(name: $project, entityName: $entity) { run(name: $name) { events(samples: $samples) } } }"
)


def exports_question(*, live: bool) -> str:
    """Where the exported history lies and, where wanted, which rows are not in it yet."""
    content = "parquetUrls liveData" if live else "parquetUrls"
    return (
        "query RunParquetHistory($entity: String!, $project: String!, $runName: String!, $liveKeys: [String!]!) "
        "{ project(name: $project, entityName: $entity) { run(name: $runName) "
        f"{{ parquetHistory(liveKeys: $liveKeys) {{ {content} }} }} }} }}"
    )


_STATES: Mapping[str, State] = {
    "finished": "finished", "failed": "failed", "crashed": "killed", "killed": "killed", "preempted": "killed",
    "running": "running", "preempting": "running",
}  # fmt: skip
Change = Literal["none", "grown", "other"]


Count = Annotated[int, Meta(ge=0, le=1 << 53)]
LARGEST_STEP = 2.0**53


@dataclass(frozen=True)
class _Node:
    """A run as the service's GraphQL schema has it, in its own words."""

    name: Annotated[str, Meta(min_length=1)]
    displayName: str | None = None  # noqa: N815
    state: str | None = None
    createdAt: str | None = None  # noqa: N815
    heartbeatAt: str | None = None  # noqa: N815
    group: str | None = None
    jobType: str | None = None  # noqa: N815
    tags: list[str] | None = None
    historyLineCount: Count | None = None  # noqa: N815
    historyKeys: Any = None  # noqa: N815
    config: Any = None


@dataclass(frozen=True)
class Facts:
    """What the service says of a run.

    Attributes:
        host: short name of the service.
        project: ``entity/project``.
        id: the run's id.
        name: its display name.
        state: as the service calls it.
        created_at, heartbeat_at: as the service writes times.
        group, job_type, tags: how people sorted it.
        line_count: rows of its history, as the service counts them.
        last_step: largest ``_step``; -1 where nothing was logged, or the service does not say.
        config: as sent, with ``_wandb``, without keys and passwords.
    """

    host: str
    project: str
    id: str
    name: str
    state: str
    created_at: str | None
    heartbeat_at: str | None
    group: str | None
    job_type: str | None
    tags: tuple[str, ...]
    line_count: int
    last_step: int
    config: Mapping[str, Any]

    @classmethod
    def of_node(cls, node: Mapping[str, Any], host: str, project: str) -> Self:
        """From a run as the service sends it.

        Raises:
            ServiceError: it is of another shape.
        """
        try:
            run = checked(node, _Node)
        except ValueError as error:
            raise ServiceError(
                f"W&B at {host} described a run of {project} in a way that is not known: {error}",
                hint="it may be newer than this runscope: pip install -U runscope",
            ) from None
        last = or_none(_object(run.historyKeys).get("lastStep"), float)
        return cls(
            host, project, run.name, run.displayName or run.name, run.state or "unknown", run.createdAt,
            run.heartbeatAt, run.group, run.jobType, tuple(run.tags or ()), run.historyLineCount or 0,
            -1 if last is None or not 0 <= last < LARGEST_STEP else int(last), without_secrets(_object(run.config)),
        )  # fmt: skip

    @classmethod
    def of_dict(cls, kept: Mapping[str, Any]) -> Self | None:
        """From what :meth:`as_dict` made; None where it is of another kind."""
        given = {name: value for name, value in kept.items() if name in {f.name for f in fields(cls)}}
        return or_none(given, cls)

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"tags": list(self.tags)}

    @property
    def key(self) -> RunKey:
        """The run's place in the store."""
        return RunKey(self.host, self.project, self.id)

    @property
    def words(self) -> dict[str, str]:
        """Entity and project as questions want them."""
        entity, _, project = self.project.partition("/")
        return {"entity": entity, "project": project}

    @property
    def how_it_ended(self) -> State:
        """The state in the words of every source."""
        return _STATES.get(self.state, "unknown")

    @property
    def started_at(self) -> float | None:
        """Unix seconds; None where the service says no time that can be read."""
        try:
            when = datetime.fromisoformat((self.created_at or "").replace("Z", "+00:00"))
            return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError, OSError):
            return None

    @property
    def settings(self) -> dict[str, Any]:
        """The run's configuration as its author set it."""
        return {k: _value(v) for k, v in self.config.items() if k not in ("_wandb", "wandb_version")}

    @property
    def internal(self) -> Mapping[str, Any]:
        """What W&B itself keeps in the configuration."""
        inner = _value(self.config.get("_wandb"))
        return inner if isinstance(inner, Mapping) else {}

    @property
    def lineage(self) -> Lineage | None:
        """The fork or rewind that the run began with."""
        branch = self.internal.get("branch_point")
        if not isinstance(branch, Mapping) or not branch.get("run_id"):
            return None
        at = or_none(branch.get("step"), Count)
        kind: Literal["rewind", "fork"] = "rewind" if branch["run_id"] == self.id else "fork"
        return Lineage(kind, str(branch["run_id"]), at, "_step")

    @property
    def axes(self) -> dict[str, int]:
        """``define_metric`` as the service keeps it: x-axes, with how widely each applies.

        Entries have a name (1) or pattern (2) and the place of their axis (5), counted from 1.
        """
        entries = self.internal.get("m")
        entries = [e for e in entries if isinstance(e, Mapping)] if isinstance(entries, list) else []
        found: dict[str, int] = {}
        for entry in entries:
            place = entry.get("5")
            axis = (
                entries[place - 1].get("1") if isinstance(place, int) and 0 < place <= len(entries) else None
            )
            if axis and isinstance(axis, str):
                found[axis] = found.get(axis, 0) + (100 if entry.get("2") == "*" else 1)
        return found

    def with_last_step(self, summary: Any) -> Self:
        """The same, with the last step that a run's summary tells."""
        last = or_none(_object(summary).get("_step"), float)
        return replace(self, last_step=int(last)) if last is not None and 0 <= last < LARGEST_STEP else self

    def change_since(self, before: Facts) -> Change:
        """What happened to the history since it was read: nothing, rows were added, or it is another one.

        A rewind is seen by the branch point that W&B writes down, or by a history that got shorter. Where rows were
        added the reader still compares the last row that it knows.
        """
        rewound = self.internal.get("branch_point") != before.internal.get("branch_point")
        shorter = self.last_step < before.last_step or self.line_count < before.line_count
        if rewound or shorter or self.created_at != before.created_at:
            return "other"
        same = (self.last_step, self.line_count, self.heartbeat_at) == (
            before.last_step, before.line_count, before.heartbeat_at,
        )  # fmt: skip
        return "none" if same else "grown"


def _object(content: Any) -> Mapping[str, Any]:
    """An object that comes as such or as JSON."""
    if isinstance(content, str):
        try:
            content = read_json(content)
        except ValueError:
            return {}
    return content if isinstance(content, Mapping) else {}


def _value(entry: Any) -> Any:
    """The service wraps what a user set: ``{"value": …, "desc": …}``."""
    return entry["value"] if isinstance(entry, Mapping) and "value" in entry else entry
