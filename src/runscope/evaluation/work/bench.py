"""Measures checkpoints on examples, and never the same twice."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from runscope.errors import RunscopeError
from runscope.evaluation.examples.example import Example
from runscope.evaluation.models.adapters.adapter import CONFIG as ADAPTER_CONFIG
from runscope.evaluation.models.loading import base_of
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.tasks.kinds import Row, Task, identity
from runscope.evaluation.work.disk import Shelf
from runscope.evaluation.work.launch import Launcher, open_launcher
from runscope.evaluation.work.shards import Fetch, Shard
from runscope.history.checkpoint import Checkpoint
from runscope.hub.contents import identified, is_identified
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


@dataclass(frozen=True)
class Block:
    """A shard with the keys of its results, and whose it is."""

    shard: Shard
    keys: Sequence[str]
    arm: int


@dataclass(frozen=True)
class Errand:
    """What will be asked of every checkpoint that is evaluated, sooner or later.

    Attributes:
        task, examples: what.
        saved: not of the base and of averages.
    """

    task: Task
    examples: Sequence[Example]
    saved: bool = False


class Bench:
    """The checkpoints of one training, and all that is known of them.

    Attributes:
        computed: example evaluations that were really run; the others came from ``results``.
        seconds: wall time by arm.
        errands: what is run ahead while a whole model is in memory, where not all of them fit at once: each is loaded
            once then, and a race that comes back finds the results.
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
        self.errands: list[Errand] = []
        self._one_by_one: bool | None = True if isinstance(fetch, Shelf) else None

    def add(self, checkpoint: Checkpoint) -> int:
        """Take in one more that the training did not save, and return its arm."""
        self.checkpoints.append(checkpoint)
        return len(self.checkpoints) - 1

    def close(self) -> None:
        """Let go of models and workers."""
        if isinstance(self.fetch, Shelf):
            self.fetch.close()
        if self._launcher is not None:
            self._launcher.close()
            self._launcher = None

    def launcher(self) -> Launcher:
        """Who does the work."""
        if self._launcher is None:
            self._launcher = open_launcher(self.settings, self.base, self.fetch)
        return self._launcher

    def in_order(self, arms: Iterable[int]) -> list[int]:
        """Those that are in memory first."""
        launcher = self._launcher
        if launcher is None:  # nothing is
            return list(arms)
        held = {a for a in arms if fetched(self.checkpoints[a]) and launcher.holds(self.checkpoints[a])}
        return sorted(arms, key=lambda arm: arm not in held)

    def prefetch(self, arm: int) -> None:
        """Bring a checkpoint to this disk while another one is computed; whoever needs it says what went wrong."""
        checkpoint = self.checkpoints[arm]
        if arm in self._model_keys or fetched(checkpoint) is not None:  # one that was let go has been asked
            return

        def bring() -> None:
            with suppress(RunscopeError):
                self.fetch(checkpoint)

        threading.Thread(target=bring, daemon=True).start()

    def one_by_one(self) -> bool:
        """Whether checkpoints are whole models of which not all fit into memory, or on the disk, at once."""
        if self._one_by_one is None:
            saved = self.checkpoints[: self.last + 1]
            size = max(sum(f.size_bytes for f in c.weights) for c in saved)
            whole = not (self.fetch(saved[-1]) / ADAPTER_CONFIG).exists()
            self._one_by_one = whole and not self.launcher().holds_all(len(saved), size)
        return self._one_by_one

    def kept(self, task: Task, arm: int, examples: Sequence[Example]) -> dict[int, Row]:
        """Rows that need not be run again, by the position of their example; of a checkpoint on this disk only."""
        checkpoint = self.checkpoints[arm]
        if fetched(checkpoint) is None or not is_identified(
            checkpoint
        ):  # was never evaluated from where it lies
            return {}
        keys = self._keys(task, arm, examples)
        found = self.results.get(keys)
        return {i: found[k] for i, k in enumerate(keys) if k in found}

    def rows(self, task: Task, wanted: Mapping[int, Sequence[Example]]) -> dict[int, list[Row]]:
        """What each arm says to its examples; what is not yet known is run, and kept as it comes."""
        keys = {arm: self._keys(task, arm, examples) for arm, examples in wanted.items()}
        known: dict[str, Row] = dict(self.results.get([k for own in keys.values() for k in own]))
        blocks: list[Block] = []
        for arm, examples in wanted.items():
            missing = {k: e for k, e in zip(keys[arm], examples, strict=True) if k not in known}
            ahead = bool(missing and self.errands) and self.one_by_one()
            blocks += self._blocks(task, arm, missing)
            if ahead:
                blocks += self._ahead(arm, {(task.key, k) for k in missing})
        if blocks:
            known |= self._run(blocks)
        return {arm: [known[k] for k in own] for arm, own in keys.items()}

    def _blocks(self, task: Task, arm: int, missing: Mapping[str, Example]) -> list[Block]:
        """What one arm is to be asked, by key, in parts."""
        # Neighbours in length share a shard, and so a batch with little padding.
        ordered = sorted(missing.items(), key=lambda pair: -pair[1].size)
        checkpoint = self.checkpoints[self.last if arm == BASE else arm]
        found = []
        for begin in range(0, len(ordered), BLOCK):
            block = ordered[begin : begin + BLOCK]
            asked = tuple(e for _, e in block)
            last = self.checkpoints[self.last]
            shard = Shard(task, checkpoint, asked, arm == BASE, last, whole=bool(self._one_by_one))
            found.append(Block(shard, [k for k, _ in block], arm))
        return found

    def _ahead(self, arm: int, asked: set[tuple[str, str]]) -> list[Block]:
        """What else will be asked of an arm, while its model is in memory."""
        found: list[Block] = []
        for errand in self.errands:
            if errand.saved and not 0 <= arm <= self.last:
                continue
            keys = self._keys(errand.task, arm, errand.examples)
            known = self.results.get(keys)
            missing = {
                k: e for k, e in zip(keys, errand.examples, strict=True)
                if k not in known and (errand.task.key, k) not in asked
            }  # fmt: skip
            asked |= {(errand.task.key, k) for k in missing}
            found += self._blocks(errand.task, arm, missing)
        return found

    def _run(self, blocks: Sequence[Block]) -> dict[str, Row]:
        launcher = self.launcher()
        fresh: dict[str, Row] = {}
        done = dict.fromkeys((b.arm for b in blocks), 0)
        total = {a: sum(len(b.keys) for b in blocks if b.arm == a) for a in done}
        for number, result in launcher.run([b.shard for b in blocks]):
            arm, rows = blocks[number].arm, dict(zip(blocks[number].keys, result.rows, strict=True))
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
    told = {PurePosixPath(f.path).name: f.content_id for f in identified(checkpoint).files}
    return sorted(f"{name}:{content}" for name, content in told.items() if name not in NO_MATTER)


def _fingerprint(base: str | Path | None) -> str:
    """What tells one base from another without reading gigabytes: names and sizes of its files."""
    if base is None or not Path(base).is_dir():
        return str(base)
    files = sorted(p for p in Path(base).iterdir() if p.is_file())
    return json.dumps([[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in files])
