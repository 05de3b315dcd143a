"""One saved state of the model, wherever it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

StepSource = Literal["title", "trainer_state", "folder", "commit_time", "given", "unknown"]


@dataclass(frozen=True)
class File:
    """One file of a checkpoint: size in bytes, and the content's id (equal ids: equal bytes)."""

    path: str
    size_bytes: int
    content_id: str = ""


@dataclass(frozen=True)
class AdapterFacts:
    """What a LoRA adapter's configuration and file header say, without loading it.

    Attributes:
        base_model: name of the base, as recorded.
        rank, alpha: r and lora_alpha.
        target_modules: which matrices are adapted.
        parameters: number of elements that the header counts, None where it was not read.
        dtype: dtype of the tensors, e.g. ``F32``.
    """

    base_model: str | None
    rank: int | None
    alpha: float | None
    target_modules: tuple[str, ...]
    parameters: int | None = None
    dtype: str | None = None


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
        adapter: facts of a LoRA adapter, None for a full model or where they were not read.
        run_id: the run that saved it, where paired.
        notes: what is odd about it.
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
    adapter: AdapterFacts | None = None
    run_id: str | None = None
    local_path: Path | None = None
    notes: tuple[str, ...] = ()
    extra: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Short name for people: the first 8 digits of the commit, or the folder."""
        return self.revision[:8] if self.revision else (self.subfolder or Path(self.repo).name)

    @property
    def size_bytes(self) -> int:
        """Bytes of all its files."""
        return sum(f.size_bytes for f in self.files)

    def at_step(
        self, step: int | None, *, epoch: float | None = None, run_id: str | None = None
    ) -> Checkpoint:
        """The same checkpoint placed on the continuous axis."""
        return replace(
            self, step=step, epoch=epoch if epoch is not None else self.epoch, run_id=run_id or self.run_id
        )
