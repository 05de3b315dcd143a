"""What the stand-in for W&B knows: fields and arguments that the real client asks for, and filters on runs."""

from __future__ import annotations

import re
from typing import Any

from graphql import GraphQLError

from tests.servers.wandb_runs import StoredRun, as_time

SCHEMA = """
scalar Int64
scalar DateTime
scalar JSONString
scalar JSON
type Query { viewer: User  project(name: String!, entityName: String): Project  serverInfo: ServerInfo
  models(entityName: String, after: String, first: Int): ProjectConnection }
type ProjectConnection { edges: [ProjectEdge!]!  pageInfo: PageInfo! }
type ProjectEdge { node: Project }
type ServerInfo { features: [ServerFeature!]! }
type ServerFeature { name: String!  isEnabled: Boolean! }
type User { id: ID!  name: String  username: String  email: String  entity: String  admin: Boolean  flags: JSONString
  teams: EntityConnection }
type EntityConnection { edges: [EntityEdge!]! }
type EntityEdge { node: Entity }
type Entity { name: String! }
type Project { id: ID!  name: String!  internalId: ID!  readOnly: Boolean  runCount(filters: JSONString): Int!
  run(name: String!): Run  runs(filters: JSONString, after: String, first: Int, order: String): RunConnection }
type RunConnection { edges: [RunEdge!]!  pageInfo: PageInfo!  totalCount: Int! }
type RunEdge { node: Run!  cursor: String! }
type PageInfo { endCursor: String  hasNextPage: Boolean! }
type ParquetHistory { parquetUrls: [String!]!  liveData: [JSON!]! }
type Run { id: ID!  projectId: ID!  name: String!  displayName: String  sweepName: String  state: String
  config: JSONString  group: String  jobType: String  commit: String  readOnly: Boolean  createdAt: DateTime!
  heartbeatAt: DateTime  description: String  notes: String  tags: [String!]  systemMetrics: JSONString
  summaryMetrics: JSONString  historyLineCount: Int  historyKeys: JSON  user: User
  history(minStep: Int64, maxStep: Int64, samples: Int): [JSONString!]!
  events(samples: Int): [JSONString!]!
  sampledHistory(specs: [JSONString!]!): [JSON!]!
  parquetHistory(liveKeys: [String!]!): ParquetHistory! }
"""


def fits(run: StoredRun, wanted: dict[str, Any]) -> bool:
    """Whether a filter, in the words of MongoDB as W&B takes them, lets a run through."""
    values: dict[str, Any] = {
        "display_name": run.name, "name": run.id, "state": run.state, "group": run.group, "tags": run.tags,
        "created_at": as_time(run.created).rstrip("Z"), "jobType": run.job_type,
    }  # fmt: skip
    for key, condition in wanted.items():
        if key == "$and":
            if not all(fits(run, part) for part in condition):
                return False
            continue
        if key not in values:
            raise GraphQLError(f"unknown filter {key}")
        if not _holds(values[key], condition):
            return False
    return True


def _holds(value: Any, condition: Any) -> bool:
    if not isinstance(condition, dict):
        return bool(condition in value if isinstance(value, list) else value == condition)
    for word, wanted in condition.items():
        if word == "$in":
            held = any(v in wanted for v in value) if isinstance(value, list) else value in wanted
        elif word == "$gte":
            held = value >= wanted
        elif word == "$regex":
            held = re.search(wanted, value or "") is not None
        else:
            raise GraphQLError(f"unknown condition {word}")
        if not held:
            return False
    return True
