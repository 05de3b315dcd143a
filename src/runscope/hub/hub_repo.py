"""A repository on the Hugging Face Hub."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runscope.errors import ServiceError
from runscope.history.checkpoint import Commit, File, Ref
from runscope.hub.client import ask, client_utils, get, host, impatient, mapped, pages
from runscope.hub.safetensors import header_length, parse_header
from runscope.schema import or_none
from runscope.store import Memo

COMMITS_A_PAGE = 500
SIDE_BY_SIDE = 8
FIRST_BYTES = 65_536
"""The header of most adapters fits in here, so that one request does."""
_KEEP_EVERY = 50


@dataclass(frozen=True)
class _Commit:
    """A commit as the Hub's API lists it."""

    id: str
    date: datetime
    title: str = ""


@dataclass(frozen=True)
class _Lfs:
    oid: str = ""
    sha256: str = ""
    size: int = 0


@dataclass(frozen=True)
class _Entry:
    """A file or folder as the Hub's API lists it."""

    type: str
    path: str
    size: int | None = None
    oid: str = ""
    lfs: _Lfs | None = None

    @property
    def bytes(self) -> int:
        """Size of the content, Git LFS followed."""
        return max((self.lfs.size if self.lfs is not None else self.size) or 0, 0)

    @property
    def content_id(self) -> str:
        """Its id, Git LFS followed."""
        return self.oid if self.lfs is None else self.lfs.oid or self.lfs.sha256


@dataclass(frozen=True)
class _Ref:
    targetCommit: str  # noqa: N815 - the API's word
    name: str = ""
    ref: str = ""


@dataclass(frozen=True)
class _Refs:
    branches: list[_Ref] | None = None
    tags: list[_Ref] | None = None
    pullRequests: list[_Ref] | None = None  # noqa: N815 - the API's word


class HubRepo:
    """A repository by its id, at a host."""

    def __init__(self, name: str, endpoint: str | None = None, token: str | None = None) -> None:
        self.name = name
        self.endpoint = endpoint
        self._host = host(endpoint)
        self._token = token

    def _url(self, *words: str) -> str:
        return "/".join((self._host, "api/models", quote(self.name), *words))

    def commits(self, revision: str | None = None) -> list[Commit]:
        """History, oldest first.

        Raises:
            ServiceError: the Hub refused; see :func:`runscope.hub.client.get`.
        """
        self._check()
        where = quote(revision or "main", safe="")
        what = f"repository {self.name}" + (f" at {revision}" if revision else "")
        rows = pages(
            self._url("commits", where), what, _Commit, token=self._token, params={"limit": COMMITS_A_PAGE}
        )
        return [Commit(_hash(row.id), row.date.timestamp(), row.title) for row in rows][::-1]

    def _check(self) -> None:
        with mapped(self.name):
            client_utils().validate_repo_id(self.name)

    def trees(
        self, revisions: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> dict[str, tuple[File, ...]]:
        """Files of each commit with sizes and content ids.

        A commit never changes, so that its files are asked for once and kept; the others are asked for side by side.

        Raises:
            ServiceError: the Hub refused; the trees read so far are kept.
        """
        store = Memo("trees.sqlite")
        prefix = f"{self._host}/{self.name}@"
        kept = store.get([prefix + r for r in revisions])
        trees = {key: or_none(value.get("files"), list[tuple[str, int, str]]) for key, value in kept.items()}
        found = {
            key.removeprefix(prefix): tuple(File(*row) for row in rows) for key, rows in trees.items() if rows
        }
        missing = [r for r in dict.fromkeys(revisions) if r not in found]
        fresh: dict[str, dict[str, Any]] = {}
        pool = ThreadPoolExecutor(SIDE_BY_SIDE)
        try:
            asked = {pool.submit(self._tree, revision): revision for revision in missing}
            for done in as_completed(asked):
                revision, files = asked[done], done.result()
                found[revision] = files
                if files:  # a commit without any file is likelier an answer that went wrong
                    rows = [(f.path, f.size_bytes, f.content_id) for f in files]
                    fresh[prefix + revision] = {"files": rows}
                if len(fresh) >= _KEEP_EVERY:
                    store.put(fresh)
                    fresh = {}
                if progress is not None:
                    progress(len(found))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            if fresh:
                store.put(fresh)
        return found

    def _tree(self, revision: str) -> tuple[File, ...]:
        rows = pages(
            self._url("tree", quote(revision, safe="")), f"files of {self.name} at {revision[:8]}", _Entry,
            token=self._token, params={"recursive": "true"},
        )  # fmt: skip
        return tuple(File(row.path, row.bytes, row.content_id) for row in rows if row.type == "file")

    def refs(self) -> list[Ref]:
        """Branches, tags and open pull requests.

        Raises:
            ServiceError: the Hub refused.
        """
        found = ask(
            self._url("refs"), f"branches of {self.name}", _Refs, token=self._token, params={"include_prs": 1}
        )
        return [
            *(Ref("branch", row.name, row.targetCommit) for row in found.branches or ()),
            *(Ref("tag", row.name, row.targetCommit) for row in found.tags or ()),
            *(Ref("pull request", row.ref, row.targetCommit) for row in found.pullRequests or ()),
        ]

    def notes(self, commits: Sequence[Commit], revision: str | None) -> list[str]:
        """Commits that were there at an earlier look and are not in the history any more."""
        store = Memo("trees.sqlite")
        key = f"{self._host}/{self.name}@{revision or 'main'} history"
        seen = or_none(store.get([key]).get(key, {}).get("commits"), dict[str, str]) or {}
        now = {c.revision: c.title for c in commits}
        if now.keys() - seen.keys():
            store.put({key: {"commits": seen | now}})
        gone = [(revision, title) for revision, title in seen.items() if revision not in now]
        if not gone:
            return []
        named = "; ".join(f"{revision[:8]} «{title}»" for revision, title in gone[-3:])
        count = (
            "1 commit that was here before is"
            if len(gone) == 1
            else f"{len(gone)} commits that were here before are"
        )
        return [f"the branch was rewritten: it has lost {count} since an earlier look ({named})"]

    def content(self, revision: str, path: str) -> bytes:
        """Content of a small file.

        Raises:
            ServiceError: the Hub refused, or has no such file.
        """
        self._check()
        answer: bytes = get(
            self._file_url(revision, path), f"{path} of {self.name}", token=self._token
        ).content
        return answer

    def header(self, revision: str, path: str) -> dict[str, Any]:
        """Names, shapes and dtypes of a safetensors file, by one or two range requests of its first bytes.

        Raises:
            InputError: it is no safetensors file.
            ServiceError: the Hub refused.
        """
        first = self._range(revision, path, 0, FIRST_BYTES - 1)
        length = header_length(first[:8], path)
        if 8 + length > len(first):
            first += self._range(revision, path, len(first), 7 + length)
        return parse_header(first[8 : 8 + length], path)

    def _range(self, revision: str, path: str, first: int, last: int) -> bytes:
        answer = get(
            self._file_url(revision, path), f"{path} of {self.name}", token=self._token,
            headers={"Range": f"bytes={first}-{last}"},
        )  # fmt: skip
        content: bytes = answer.content
        # A host that knows no ranges sends the whole file.
        return content if answer.status_code == 206 else content[first : last + 1]

    def _file_url(self, revision: str, path: str) -> str:
        return f"{self._host}/{quote(self.name)}/resolve/{quote(revision, safe='')}/{quote(path)}"

    def bring(self, revision: str, file: File, target: Path) -> None:
        """Download a file to ``target``; a download that was killed goes on where it stopped.

        Raises:
            ServiceError: the Hub refused, or has no such file.
            StoreError: there is no room for it.
        """
        from huggingface_hub import hf_hub_download

        folder = target.with_name(f"{target.name}.part")
        with mapped(f"{file.path} of {self.name}"), _quiet(), impatient():
            folder.mkdir(parents=True, exist_ok=True)
            got = hf_hub_download(
                self.name, file.path, revision=revision, local_dir=folder, endpoint=self._host, token=self._token,
                library_name="runscope",
            )  # fmt: skip
            Path(got).replace(target)

    remedy = "push the file again"

    def has(self, file: File) -> bool:  # noqa: ARG002 - one signature for all repositories
        """The Hub keeps what it lists, as far as its lists tell."""
        return True


@contextmanager
def _quiet() -> Iterator[None]:
    """No bar of the client's own: runscope draws one for the whole fetch."""
    utils, bars = client_utils(), "huggingface_hub.http_get"
    if utils.are_progress_bars_disabled(bars):
        yield
        return
    utils.disable_progress_bars(bars)
    try:
        yield
    finally:
        utils.enable_progress_bars(bars)


def _hash(given: Any) -> str:
    """A commit's hash; it becomes part of paths, so that nothing else will do.

    Raises:
        ServiceError: it is none.
    """
    if not re.fullmatch(r"[0-9a-f]{40,64}", str(given)):
        raise ServiceError("the Hub named a commit that is no hash", hint="check HF_ENDPOINT")
    return str(given)
