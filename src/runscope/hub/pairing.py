"""Which run made a repository: by name, by configuration, by time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from runscope.history import Run
from runscope.hub.client import host, pages
from runscope.hub.listing import Listing

PAIRED = 0.5
"""From this score on a run counts as the one that made the repository: time alone is not enough."""
SLACK_SECONDS = 3600.0
"""The last push ends after the run's last log, a repository is made a little before its first."""
_DATE = re.compile(r"(20\d\d)[-_.]?(\d\d)[-_.]?(\d\d)(?:[T\-_. ]?(\d\d)[-_.:h]?(\d\d)(?:[-_.:m]?(\d\d))?)?")
_OWN_NAMES = ("hub_model_id", "push_to_hub_model_id", "hub_repo_id", "repo_id", "push_dataset_to_hub")


@dataclass(frozen=True)
class RepoFacts:
    """A repository as an account's list shows it.

    Attributes:
        name: ``user/repo``.
        project: its name without the date, the number or the hash of the run behind it.
        created_at, changed_at: Unix seconds.
        private: whether others may not see it.
    """

    name: str
    project: str
    created_at: float | None
    changed_at: float | None
    private: bool = False


@dataclass(frozen=True)
class Match:
    """A run that may have made a repository.

    Attributes:
        score: 0 to 1; see :data:`PAIRED`.
        evidence: sentences, strongest first.
    """

    run: Run
    score: float
    evidence: tuple[str, ...]


def list_repositories(
    user: str, *, name: str | None = None, endpoint: str | None = None, token: str | None = None
) -> tuple[RepoFacts, ...]:
    """Model repositories of a person or an organisation, oldest first.

    Args:
        user: the account.
        name: what the repository's name must contain, or a pattern with ``*`` and ``?``.
        endpoint, token: another Hub host, another account than the one logged in.

    Raises:
        ServiceError: the Hub refused.
    """
    words = {"author": user, "limit": 500, "full": "true"}
    if name and not re.search(r"[*?\[]", name):
        words["search"] = name
    rows = pages(
        f"{host(endpoint)}/api/models", f"repositories of {user}", _Listed, token=token, params=words
    )
    found = [_facts(row) for row in rows if row.id or row.modelId]
    if name:
        pattern = name.lower() if re.search(r"[*?\[]", name) else f"*{name.lower()}*"
        found = [f for f in found if fnmatchcase(f.name.partition("/")[2].lower(), pattern)]
    return tuple(sorted(found, key=lambda f: (f.project, f.created_at or 0.0, f.name)))


@dataclass(frozen=True)
class _Listed:
    """A repository as the Hub's API lists it."""

    id: str = ""
    modelId: str = ""  # noqa: N815 - the API's word
    createdAt: str | None = None  # noqa: N815
    lastModified: str | None = None  # noqa: N815
    private: bool = False


def _facts(row: _Listed) -> RepoFacts:
    name = row.id or row.modelId
    return RepoFacts(name, project_of(name), _seconds(row.createdAt), _seconds(row.lastModified), row.private)


def project_of(repo: str) -> str:
    """``pricer`` from ``me/pricer-2024-09-13_13.04.39``; a name without a date keeps all but a trailing run number."""
    name = repo.rpartition("/")[2]
    dated = _DATE.search(name)
    short = name[: dated.start()] if dated else re.sub(r"[-_.](?:v?\d+|run\d*|[0-9a-f]{7,40})$", "", name)
    return short.strip("-_. ") or name


def pair(repo: str, span: tuple[float | None, float | None], runs: Iterable[Run]) -> tuple[Match, ...]:
    """Runs that may have made a repository, likeliest first; those that nothing speaks for are left out.

    Args:
        repo: its name or path.
        span: Unix seconds of its first and last commit, None where unknown.
        runs: candidates.
    """
    matches = [m for run in runs if (m := _match(repo, span, run)).score > 0]
    return tuple(sorted(matches, key=lambda m: -m.score))


def span_of(listing: Listing) -> tuple[float | None, float | None]:
    """Times of a listing's first checkpoint and of its last commit."""
    times = [c.saved_at for c in listing.checkpoints if c.saved_at is not None]
    return (min(times) if times else None, listing.last_commit_at)


def _match(repo: str, span: tuple[float | None, float | None], run: Run) -> Match:
    """Independent signs: each halves, or better, the doubt that is left."""
    found = [s for s in (_by_config(repo, run), _by_name(repo, run), _by_time(span, run)) if s is not None]
    doubt = 1.0
    for weight, _ in found:
        doubt *= 1 - weight
    against = any(weight < 0 for weight, _ in found)
    score = 0.0 if against or not found else 1 - doubt
    return Match(run, round(score, 3), tuple(text for _, text in sorted(found, key=lambda s: -s[0])))


def _by_config(repo: str, run: Run) -> tuple[float, str] | None:
    for key in _OWN_NAMES:
        value = run.config.get(key)
        if isinstance(value, str) and value:
            if value == repo or value == repo.rpartition("/")[2]:
                return 0.95, f"its {key} is {value}"
            return -1.0, f"its {key} is {value}"
    folder = run.config.get("output_dir")
    if (
        isinstance(folder, str)
        and folder
        and _plain(folder.rstrip("/").rpartition("/")[2]) == _plain(repo.rpartition("/")[2])
    ):
        return 0.8, f"its output_dir is {folder}"
    return None


def _by_name(repo: str, run: Run) -> tuple[float, str] | None:
    own = _plain(repo.rpartition("/")[2])
    for label, value in (("name", run.name), ("run_name", run.config.get("run_name")), ("id", run.id)):
        if not isinstance(value, str):
            continue
        plain = _plain(value)
        if len(plain) >= 6 and (plain in own or own in plain):
            return (0.9, f"its {label} {value} stands in the repository's name")
    return None


def _by_time(span: tuple[float | None, float | None], run: Run) -> tuple[float, str] | None:
    first, last = span
    if first is None or run.started_at is None:
        return None
    end = run.ended_at if run.ended_at is not None else float("inf")
    if first > end + SLACK_SECONDS or (last is not None and last < run.started_at - SLACK_SECONDS):
        return -1.0, "it ran at another time"
    whole = last is not None and run.started_at - SLACK_SECONDS <= first and last <= end + SLACK_SECONDS
    return (
        (0.45, "its time covers all commits")
        if whole
        else (0.3, "it ran while some of the commits were made")
    )


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _seconds(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
    except ValueError:
        return None


def best(matches: Sequence[Match]) -> Match | None:
    """The run that made the repository, None where the signs are too weak or two runs have the same."""
    if not matches or matches[0].score < PAIRED:
        return None
    tied = len(matches) > 1 and matches[1].score >= matches[0].score
    return None if tied else matches[0]
