"""How the stand-in for W&B takes a run that the real SDK sends: the run itself, its rows, its files."""

from __future__ import annotations

import json
import math
import time
from typing import Any

from tests.servers.wandb_runs import StoredRun

SCHEMA = """
type Mutation { upsertBucket(input: UpsertBucketInput!): UpsertBucketPayload
  createRunFiles(input: CreateRunFilesInput!): CreateRunFilesPayload }
input UpsertBucketInput { id: String  name: String  groupName: String  modelName: String  entityName: String
  description: String  displayName: String  notes: String  config: JSONString  commit: String  host: String
  debug: Boolean  jobProgram: String  jobRepo: String  jobType: String  state: String  sweep: String  tags: [String!]
  summaryMetrics: JSONString }
type UpsertBucketPayload { bucket: Bucket!  inserted: Boolean! }
type Bucket { id: ID!  name: String!  displayName: String  description: String  config: JSONString  sweepName: String
  project: BucketProject!  historyLineCount: Int }
type BucketProject { id: ID!  name: String!  entity: BucketEntity! }
type BucketEntity { id: ID!  name: String! }
input CreateRunFilesInput { entityName: String!  projectName: String!  runName: String!  files: [String!]! }
type CreateRunFilesPayload { runID: ID!  uploadHeaders: [String!]!  files: [UploadFile!]! }
type UploadFile { name: String!  uploadUrl: String! }
"""
Runs = dict[str, dict[str, StoredRun]]


def upsert(runs: Runs, user: str, given: dict[str, Any]) -> dict[str, Any]:
    """Make a run, or change what is known of one."""
    entity, project, name = given.get("entityName") or user, given["modelName"], given["name"]
    inside = runs.setdefault(f"{entity}/{project}", {})
    inserted = name not in inside
    run = inside.setdefault(name, StoredRun(name, name, "running", {}, time.time(), [], []))
    run.name = given.get("displayName") or run.name
    run.tags = given.get("tags") or run.tags
    run.config |= {k: v["value"] for k, v in json.loads(given.get("config") or "{}").items()}
    where = {"id": "Project:1", "name": project, "entity": {"id": "Entity:1", "name": entity}}
    bucket = {"id": f"Run:{name}", "name": name, "displayName": run.name, "config": "{}", "project": where,
              "historyLineCount": 0}  # fmt: skip
    return {"bucket": bucket, "inserted": inserted}


def files(url: str, given: dict[str, Any]) -> dict[str, Any]:
    """Where files of a run may be put."""
    places = [{"name": n, "uploadUrl": f"{url}/uploads/{given['runName']}/{n}"} for n in given["files"]]
    return {"runID": f"Run:{given['runName']}", "uploadHeaders": [], "files": places}


def stream(runs: Runs, path: str, body: bytes) -> None:
    """Take rows, which replace those from their offset on, and the end of a run.

    Raises:
        KeyError: there is no such run.
    """
    _, entity, project, name, _ = path.strip("/").split("/")
    run = runs[f"{entity}/{project}"][name]
    content = json.loads(body)
    history = content.get("files", {}).get("wandb-history.jsonl")
    if history is not None:
        new = [_row(json.loads(text)) for text in history["content"]]
        run.rows = [*run.rows[: history["offset"]], *new]
    run.heartbeat, run.state = time.time(), "running"
    if content.get("complete"):
        run.state = "failed" if content.get("exitcode") else "finished"


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """Non-finite numbers as the service gives them back: as text."""
    return {k: _said(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


def _said(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
