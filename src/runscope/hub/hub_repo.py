"""A repository on the Hugging Face Hub."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runscope.hub.checkpoint import File
from runscope.hub.client import api, mapped
from runscope.hub.git_repo import Commit


@dataclass(frozen=True)
class HubRepo:
    """A repository by its id, at a host."""

    name: str
    endpoint: str | None = None
    token: str | None = None

    def _ask(self, what: str, call: Callable[[Any], Any]) -> Any:
        with mapped(what):
            return call(api(self.endpoint, self.token))

    def commits(self, revision: str = "main") -> list[Commit]:
        """History, oldest first."""
        found = self._ask(
            f"repository {self.name}", lambda hub: list(hub.list_repo_commits(self.name, revision=revision))
        )
        return [Commit(c.commit_id, c.created_at.timestamp(), c.title) for c in found][::-1]

    def files(self, revision: str) -> Iterator[File]:
        """Files of a commit with sizes and content ids."""
        found = self._ask(
            f"files of {self.name}",
            lambda hub: list(hub.list_repo_tree(self.name, revision=revision, recursive=True)),
        )
        for entry in found:
            if hasattr(entry, "blob_id"):
                yield File(entry.path, entry.size, entry.lfs.sha256 if entry.lfs else entry.blob_id)

    def content(self, revision: str, path: str) -> bytes:
        """Content of a file, through the client's own cache."""
        return self.download(revision, path).read_bytes()

    def download(self, revision: str, path: str) -> Path:
        """The file in the client's cache."""
        return Path(
            self._ask(
                f"{path} of {self.name}", lambda hub: hub.hf_hub_download(self.name, path, revision=revision)
            )
        )

    def safetensors_header(self, revision: str, path: str) -> dict[str, Any]:
        """Names, shapes and dtypes, by two range requests: 8 bytes with the length, then so many of JSON."""
        import httpx
        from huggingface_hub import hf_hub_url

        with mapped(f"{path} of {self.name}"):
            hub = api(self.endpoint, self.token)
            url = hf_hub_url(self.name, path, revision=revision, endpoint=hub.endpoint)
            headers = hub._build_hf_headers(token=self.token)
            with httpx.Client(follow_redirects=True, timeout=30) as client:

                def span(first: int, last: int) -> bytes:
                    answer = client.get(url, headers={**headers, "Range": f"bytes={first}-{last}"})
                    answer.raise_for_status()
                    return answer.content

                (length,) = struct.unpack("<Q", span(0, 7)[:8])
                found: dict[str, Any] = json.loads(span(8, 7 + length)[:length])
                return found
