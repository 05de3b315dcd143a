"""Measures checkpoints on examples, and never the same twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from runscope.evaluation.examples.example import Example
from runscope.evaluation.models.adapters import CONFIG as ADAPTER_CONFIG
from runscope.evaluation.models.loading import base_of
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.tasks.kinds import Row, Task, identity
from runscope.evaluation.work.launch import Launcher, open_launcher
from runscope.evaluation.work.shards import Fetch, Shard
from runscope.history.checkpoint import Checkpoint
from runscope.hub.fetching import fetched
from runscope.progress import Progress

NO_MATTER = (
    "trainer_state.json",
    "training_args.bin",
    "README.md",
    "optimizer.pt",
    "scheduler.pt",
    "rng_state.pth",
)
"""Files of a checkpoint that change no answer."""
BASE = -1
"""The arm that is the base, which no checkpoint's number is."""
_WORDS = ("tokenizer", "special_tokens_map", "added_tokens", "vocab", "merges", "chat_template",
          "preprocessor", "processor")  # fmt: skip
"""How the files of a tokenizer or processor begin."""
BLOCK = 64
"""Examples between two savings: what a kill can cost."""


class Results(Protocol):
    """Where per-example results are kept: rows of JSON by key."""

    def get(self, keys: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """The rows that are there."""

    def put(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep rows."""


class Remembered:
    """Results for the time of one call, where nothing is kept on disk."""

    def __init__(self) -> None:
        self.kept: dict[str, Mapping[str, Any]] = {}

    def get(self, keys: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """The rows that are there."""
        return {k: self.kept[k] for k in keys if k in self.kept}

    def put(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep rows."""
        self.kept |= rows


class Bench:
    """The checkpoints of one training, and all that is known of them.

    Attributes:
        computed: example evaluations that were really run; the others came from ``results``.
        seconds: wall time by arm.
    """

    def __init__(
        self, checkpoints: Sequence[Checkpoint], *, base: str | Path | None, settings: EvaluateSettings,
        fetch: Fetch, results: Results | None = None, progress: Progress | None = None,
    ) -> None:  # fmt: skip
        self.checkpoints, self.base, self.settings, self.fetch = list(checkpoints), base, settings, fetch
        self.last = len(self.checkpoints) - 1
        self.results: Results = results if results is not None else Remembered()
        self.progress = progress
        self.computed = 0
        self.seconds: dict[int, float] = {}
        self._launcher: Launcher | None = None
        self._model_keys: dict[int, str] = {}

    def add(self, checkpoint: Checkpoint) -> int:
        """Take in one more that the training did not save, and return its arm."""
        self.checkpoints.append(checkpoint)
        return len(self.checkpoints) - 1

    def close(self) -> None:
        """Let go of models and workers."""
        if self._launcher is not None:
            self._launcher.close()
            self._launcher = None

    def launcher(self) -> Launcher:
        """Who does the work."""
        if self._launcher is None:
            self._launcher = open_launcher(self.settings, self.base, self.fetch)
        return self._launcher

    def kept(self, task: Task, arm: int, examples: Sequence[Example]) -> dict[int, Row]:
        """Rows that need not be run again, by the position of their example; of a checkpoint on this disk only."""
        if fetched(self.checkpoints[arm]) is None:
            return {}
        keys = self._keys(task, arm, examples)
        found = self.results.get(keys)
        return {i: found[k] for i, k in enumerate(keys) if k in found}

    def rows(self, task: Task, wanted: Mapping[int, Sequence[Example]]) -> dict[int, list[Row]]:
        """What each arm says to its examples; what is not yet known is run, and kept as it comes."""
        keys = {arm: self._keys(task, arm, examples) for arm, examples in wanted.items()}
        known: dict[str, Row] = dict(self.results.get([k for own in keys.values() for k in own]))
        shards, shard_keys, arms = [], [], []
        for arm, examples in wanted.items():
            missing = {k: e for k, e in zip(keys[arm], examples, strict=True) if k not in known}
            # Neighbours in length share a shard, and so a batch with little padding.
            ordered = sorted(missing.items(), key=lambda pair: -pair[1].size)
            for begin in range(0, len(ordered), BLOCK):
                block = ordered[begin : begin + BLOCK]
                checkpoint = self.checkpoints[self.last if arm == BASE else arm]
                shards.append(
                    Shard(
                        task, checkpoint, tuple(e for _, e in block), arm == BASE, self.checkpoints[self.last]
                    )
                )
                shard_keys.append([k for k, _ in block])
                arms.append(arm)
        if shards:
            known |= self._run(shards, shard_keys, arms)
        return {arm: [known[k] for k in own] for arm, own in keys.items()}

    def _run(
        self, shards: Sequence[Shard], shard_keys: Sequence[Sequence[str]], arms: Sequence[int]
    ) -> dict[str, Row]:
        launcher = self.launcher()
        fresh: dict[str, Row] = {}
        done = dict.fromkeys(arms, 0)
        total = {a: sum(len(s.examples) for s, b in zip(shards, arms, strict=True) if a == b) for a in done}
        for number, result in launcher.run(shards):
            arm, rows = arms[number], dict(zip(shard_keys[number], result.rows, strict=True))
            self.results.put(rows)
            fresh |= rows
            self.computed += len(rows)
            self.seconds[arm] = self.seconds.get(arm, 0.0) + result.seconds
            done[arm] += len(rows)
            if self.progress is not None:
                name = "the base" if arm == BASE else self.checkpoints[arm].name
                self.progress(f"evaluating {name}", done[arm], total[arm])
        return fresh

    def _keys(self, task: Task, arm: int, examples: Sequence[Example]) -> list[str]:
        """What a result depends on: weights, base, precision, task, example."""
        if arm not in self._model_keys:
            self._model_keys[arm] = self._model_key(arm)
        shared = f"{self._model_keys[arm]}{identity(task)}"
        return [hashlib.sha256(f"{shared}{e.id}".encode()).hexdigest() for e in examples]

    def _model_key(self, arm: int) -> str:
        checkpoint = self.checkpoints[self.last if arm == BASE else arm]
        folder, base, s = self.fetch(checkpoint), self.base, self.settings
        if base is None and (folder / ADAPTER_CONFIG).exists():
            base = base_of(folder)  # what lies there may be replaced as well as what the user names
        how = [s.dtype, s.device, s.backend, s.chat, s.trust_remote_code]
        contents = _contents(checkpoint)
        if arm == BASE:  # its own words are not used, and the checkpoint's weights are not either
            contents = ["base", *(c for c in contents if c.startswith(_WORDS))]
        return json.dumps([contents, _fingerprint(base), *how])


def _contents(checkpoint: Checkpoint) -> list[str]:
    """What a checkpoint says, wherever it lies: its weights, configuration and tokenizer."""
    told = {PurePosixPath(f.path).name: f.content_id for f in checkpoint.files}
    return sorted(f"{name}:{content}" for name, content in told.items() if name not in NO_MATTER)


def _fingerprint(base: str | Path | None) -> str:
    """What tells one base from another without reading gigabytes: names and sizes of its files."""
    if base is None or not Path(base).is_dir():
        return str(base)
    files = sorted(p for p in Path(base).iterdir() if p.is_file())
    return json.dumps([[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in files])
