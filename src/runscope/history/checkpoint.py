"""One saved state of the model, wherever it lies."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

StepSource = Literal[
    "title", "trainer_state", "folder", "branch", "weights", "epoch", "commit_time", "given", "unknown"
]
"""How a step is known: from the commit's title, from ``trainer_state.json`` at that revision, from a folder
``checkpoint-N``, from a branch or tag named after it, because an earlier checkpoint has the same weights, from the
epoch that the title names, or from the commit's time against the run's clock."""


DEAD_TAIL = "saved in a discarded tail: the training did not continue from here"
"""Note of a checkpoint that a run saved after the step from which the training was resumed."""


DAMAGED = "its weights cannot be read"
"""Begins the note of a checkpoint whose file was cut off or is no file of weights."""


ADAPTER_A, ADAPTER_B, ADAPTER_UPDATE = "adapter_a", "adapter_b", "adapter_update"
"""Numbers of a checkpoint: Euclidean norms of all A and all B matrices of a LoRA adapter, and of (α/r) B A."""


DTYPE_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
"""Bytes an element of the dtypes of safetensors."""


@dataclass(frozen=True)
class Commit:
    """One commit: hash, Unix seconds, title."""

    revision: str
    saved_at: float
    title: str


@dataclass(frozen=True)
class Ref:
    """A branch, tag or pull request: its name as a revision, and the commit it points to."""

    kind: str
    name: str
    revision: str


@dataclass(frozen=True)
class File:
    """One file of a checkpoint: size in bytes, and the content's id (equal ids: equal bytes).

    The id is the SHA-256 of the content for a Git LFS file (64 digits) and git's blob id (40) for any other.
    """

    path: str
    size_bytes: int
    content_id: str = ""

    def is_content(self, content: bytes) -> bool:
        """Whether these bytes are what the content's id stands for; True where there is no id to go by."""
        if re.fullmatch(r"[0-9a-f]{64}", self.content_id):
            return hashlib.sha256(content).hexdigest() == self.content_id
        if re.fullmatch(r"[0-9a-f]{40}", self.content_id):
            whole = b"blob %d\0" % len(content) + content
            return hashlib.sha1(whole, usedforsecurity=False).hexdigest() == self.content_id
        return True


@dataclass(frozen=True)
class AdapterFacts:
    """What a LoRA adapter's configuration and file header say, without loading it.

    Attributes:
        base_model: name of the base, as recorded.
        rank, alpha: r and lora_alpha.
        target_modules: which matrices are adapted.
        parameters: number of elements that the header counts, None where it was not read.
        dtype: dtype of the tensors, e.g. ``F32``.
        expected_parameters: number of elements by arithmetic from the base's configuration, None where unknown.
        size_bytes: size of the adapter file.
        notes: why a number is missing, or what does not add up.
    """

    base_model: str | None
    rank: int | None
    alpha: float | None
    target_modules: tuple[str, ...]
    parameters: int | None = None
    dtype: str | None = None
    expected_parameters: int | None = None
    size_bytes: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """One saved state: a commit of a Hub repository, a commit of a local clone, or a folder.

    Attributes:
        repo: repository id or path of the clone or folder.
        revision: commit hash; None for a folder on disk.
        subfolder: folder inside the repository that holds the weights, "" for its root.
        title: first line of the commit message, or the folder's name.
        step: continuous step, None where nothing tells.
        own_step: the step of the run that saved it, as its title says. After a restart the own steps begin
            again; pairing with a stitched line sets ``step``.
        step_source: how the step is known.
        epoch: epoch, where known.
        saved_at: Unix seconds of the commit or of the file.
        files: weight and configuration files.
        changed: False where its weights are byte for byte those of the checkpoint before.
        changed_files: paths that differ from the commit before, in its folder.
        same_as: name of an earlier checkpoint with the same weights, None where there is none.
        adapter: facts of a LoRA adapter, None for a full model or where they were not read.
        run_id: the run that saved it, where paired.
        endpoint: Hub host that it comes from, None for the one that is set up.
        notes: what is odd about it.
        extra: numbers read from the weights, by name: ``weights_norm``, ``weights_non_finite``,
            ``adapter_a``, ``adapter_b``, ``adapter_update``.
    """

    repo: str
    revision: str | None
    title: str
    own_step: int | None
    step: int | None = None
    step_source: StepSource = "unknown"
    subfolder: str = ""
    epoch: float | None = None
    saved_at: float | None = None
    files: tuple[File, ...] = ()
    changed: bool = True
    changed_files: tuple[str, ...] = ()
    same_as: str | None = None
    adapter: AdapterFacts | None = None
    run_id: str | None = None
    local_path: Path | None = None
    endpoint: str | None = None
    notes: tuple[str, ...] = ()
    extra: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Short name for people: the first 8 digits of the commit, or the folder."""
        return self.revision[:8] if self.revision else (self.subfolder or Path(self.repo).name)

    @property
    def abandoned(self) -> bool:
        """Whether it lies in a dead tail: it may be a good one, but the training did not end with it."""
        return DEAD_TAIL in self.notes

    @property
    def size_bytes(self) -> int:
        """Bytes of all its files."""
        return sum(f.size_bytes for f in self.files)

    @property
    def weights(self) -> tuple[File, ...]:
        """Its files of weights."""
        return tuple(f for f in self.files if is_weight(f.path))

    @property
    def damage(self) -> str | None:
        """Why it cannot be loaded; None where nothing speaks against it."""
        return next((note for note in self.notes if note.startswith(DAMAGED)), None)

    def file(self, name: str) -> File | None:
        """The file of that name in its folder (of a folder on disk, its paths are relative to it)."""
        wanted = f"{self.subfolder}/{name}" if self.subfolder and self.local_path is None else name
        return next((f for f in self.files if f.path == wanted), None)


_WEIGHTS = (".safetensors", ".bin", ".gguf", ".pt", ".pth", ".h5", ".msgpack")
_NO_WEIGHTS = (
    "training_args", "optimizer", "scheduler", "rng_state", "random_states", "tokenizer", "scaler", "ema_",
)  # fmt: skip


def is_weight(path: str) -> bool:
    """Whether a file holds weights of the model; states of the optimiser and of the trainer do not count."""
    name = path.rpartition("/")[2]
    return name.endswith(_WEIGHTS) and not name.startswith(_NO_WEIGHTS)
