"""Listing a repository of 500 commits: on a Hub that answers each call after 50 ms, and in a clone.

``python benchmarks/hub.py [--commits 500] [--delay 0.05]`` prints a table: the loop that people write with the Hub's
client (commits, then the files of each), ``runscope.hub`` the first time, again, and after one more commit.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.servers.hub import Hub, serve

REPO = "me/long"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commits", type=int, default=500)
    parser.add_argument("--delay", type=float, default=0.05, help="seconds before each answer")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"RUNSCOPE_HOME": f"{folder}/home", "HF_HOME": f"{folder}/hf", "HF_TOKEN": "none"}
        (Path(folder) / "server").mkdir()
        with serve(Path(folder) / "server") as hub:
            _fill(hub, words.commits)
            hub.delay_seconds = words.delay
            os.environ["HF_ENDPOINT"] = hub.url
            _measure(hub, Path(folder), words.commits)


def _fill(hub: Hub, commits: int) -> None:
    """One fast import instead of a process for each commit."""
    hub.create(REPO)
    store = hub.store(REPO)
    assert store is not None
    stream = []
    for number in range(1, commits):
        title = f"Training in progress, step {50 * number}"
        stream.append(f"commit refs/heads/main\ncommitter t <t@t> {1_700_000_000 + 60 * number} +0000\n")
        stream.append(f"data {len(title)}\n{title}\n")
        if number == 1:
            stream.append("from refs/heads/main^0\n")
        for name in ("model.safetensors", *(f"file-{k}.json" for k in range(10 if number == 1 else 0))):
            content = f"{name} of {number}"
            stream.append(f"M 100644 inline {name}\ndata {len(content)}\n{content}\n")
    store.git("fast-import", "--quiet", data="".join(stream).encode())


def _measure(hub: Hub, folder: Path, commits: int) -> None:
    from huggingface_hub import HfApi

    from runscope.hub import list_checkpoints

    client = HfApi(endpoint=hub.url)

    def plain() -> int:
        found = client.list_repo_commits(REPO)
        return sum(
            bool(list(client.list_repo_tree(REPO, revision=c.commit_id, recursive=True))) for c in found
        )

    def ours() -> int:
        return len(list_checkpoints(REPO))

    print(f"{commits} commits, each answer after {1000 * hub.delay_seconds:.0f} ms")
    print("| what | seconds | calls |\n| --- | --- | --- |")
    rows: list[tuple[str, Callable[[], int]]] = [
        ("loop with the client", plain), ("runscope, the first time", ours), ("again", ours),
    ]  # fmt: skip
    for name, call in rows:
        _row(name, call, hub)
    store = hub.store(REPO)
    assert store is not None
    store.commit("Training in progress, step 99999", {"model.safetensors": b"one more"})
    _row("after one more commit", ours, hub)
    clone = folder / "clone"
    subprocess.run(["git", "clone", "-q", str(store.path), str(clone)], check=True)
    _row("a clone of it", lambda: len(list_checkpoints(str(clone))), hub)


def _row(name: str, call: Callable[[], int], hub: Hub) -> None:
    hub.requests.clear()
    begun = time.perf_counter()
    call()
    print(f"| {name} | {time.perf_counter() - begun:.1f} | {len(hub.requests)} |")


if __name__ == "__main__":
    main()
