"""A bare git repository as the stand-in Hub keeps it: reading trees, writing commits."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class GitStore:
    """One bare repository."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> GitStore:
        """An empty one with the Hub's own first commit."""
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
        store = cls(path)
        store.commit(
            "initial commit", {".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"}
        )
        return store

    def git(self, *words: str, data: bytes | None = None, env: dict[str, str] | None = None) -> bytes:
        """Run git in it."""
        done = subprocess.run(
            ["git", *words],
            cwd=self.path,
            input=data,
            capture_output=True,
            check=True,
            env={**os.environ, **(env or {})},
        )
        return done.stdout

    def head(self, revision: str = "main") -> str | None:
        """Commit hash, or None where there is no such revision."""
        try:
            return self.git("rev-parse", "--verify", "-q", f"{revision}^{{commit}}").decode().strip()
        except subprocess.CalledProcessError:
            return None

    def commit(
        self,
        title: str,
        add: dict[str, bytes],
        delete: list[str] | None = None,
        *,
        branch: str = "main",
        at: float | None = None,
    ) -> str:
        """Write a commit on a branch.

        Args:
            title: its first line.
            add: path and content.
            delete: paths.
            branch: a new one starts from main.
            at: Unix seconds of the commit, None for now.
        """
        index = {"GIT_INDEX_FILE": str(self.path / "index.tmp")}
        who = {k: v for n in ("AUTHOR", "COMMITTER") for k, v in
               ((f"GIT_{n}_NAME", "trainer"), (f"GIT_{n}_EMAIL", "trainer@localhost"))}  # fmt: skip
        if at is not None:
            who |= {f"GIT_{n}_DATE": f"{int(at)} +0000" for n in ("AUTHOR", "COMMITTER")}
        (self.path / "index.tmp").unlink(missing_ok=True)
        parent = self.head(branch) or self.head()
        if parent:
            self.git("read-tree", parent, env=index)
        for name, content in add.items():
            blob = self.git("hash-object", "-w", "--stdin", data=content).decode().strip()
            self.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}", env=index)
        for name in delete or ():
            self.git("update-index", "--remove", "--force-remove", name, env=index)
        tree = self.git("write-tree", env=index).decode().strip()
        parents = ["-p", parent] if parent else []
        made = self.git("commit-tree", tree, *parents, "-m", title, env=who).decode().strip()
        self.git("update-ref", branch if branch.startswith("refs/") else f"refs/heads/{branch}", made)
        return made

    def squash(self, title: str) -> str:
        """One commit with what main holds now, in place of its history."""
        tree = self.git("rev-parse", "main^{tree}").decode().strip()
        who = {f"GIT_{n}_{k}": v for n in ("AUTHOR", "COMMITTER") for k, v in
               (("NAME", "trainer"), ("EMAIL", "trainer@localhost"))}  # fmt: skip
        made = self.git("commit-tree", tree, "-m", title, env=who).decode().strip()
        self.git("update-ref", "refs/heads/main", made)
        return made

    def refs(self) -> dict[str, str]:
        """Full name of every branch, tag and pull request, and its commit."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)").decode().splitlines()
        return dict(line.split() for line in lines)

    def log(self, revision: str) -> list[tuple[str, str, str]]:
        """(hash, ISO date, title), newest first."""
        lines = self.git("log", "--format=%H%x09%cI%x09%s", revision).decode().splitlines()
        return [(a, b, c) for a, b, c in (line.split("\t", 2) for line in lines)]

    def tree(self, revision: str) -> list[tuple[str, int, str]]:
        """(path, bytes, blob id) of every file."""
        lines = self.git("ls-tree", "-r", "-l", "-z", revision).decode().split("\0")
        rows = []
        for line in filter(None, lines):
            facts, _, path = line.partition("\t")
            _, _, blob, size = facts.split()
            rows.append((path, int(size), blob))
        return rows

    def read(self, revision: str, path: str) -> bytes | None:
        """Content of a file, or None."""
        try:
            return self.git("cat-file", "blob", f"{revision}:{path}")
        except subprocess.CalledProcessError:
            return None
