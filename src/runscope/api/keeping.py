"""A checkpoint, or the average of several, written as a folder that loads."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from runscope.api.evaluated import Told
from runscope.api.saved import checkpoints as list_checkpoints
from runscope.errors import StoreError, UsageError
from runscope.progress import Progress

if TYPE_CHECKING:
    from runscope.history import Timeline
    from runscope.history.checkpoint import Checkpoint

_KEPT = (".safetensors", ".json", ".txt", ".model", ".jinja")
_LEFT = ("trainer_state.json",)
_TOKENIZER = (
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "*.model",
    "chat_template.jinja",
)  # fmt: skip
_PROCESSOR = ("preprocessor_config.json", "processor_config.json")
SEE = "runscope checkpoints shows what a repository holds"


@dataclass(frozen=True)
class Kept:
    """What was written.

    Attributes:
        folder: where it lies.
        checkpoints: what it was made from, in order of training.
        notes: what a reader has to know of it.
    """

    folder: Path
    checkpoints: tuple[Checkpoint, ...]
    notes: tuple[str, ...] = ()


def keep(
    repo: str,
    output: str | Path,
    *,
    step: int | None = None,
    revision: str | None = None,
    average: str | None = None,
    evaluated: str | Path | None = None,
    rank: int | None = None,
    why: str | None = None,
    line: Timeline | None = None,
    base: str | Path | None = None,
    progress: Progress | None = None,
) -> Kept:
    """Write a checkpoint, or the average of several, as a folder that loads, with a model card that says why.

    Args:
        repo: Hub repository, clone, bundle or folder.
        output: a folder that is not there, or is empty.
        step: of the checkpoint.
        revision: of the checkpoint: a commit, its first digits, or a folder's name.
        average: ``last:K``, steps as ``200,300,400``, or ``as-good`` with ``evaluated``: the uniform average;
            ``ema:0.5``: the newest counts 1, the one before it a half, and so on.
        evaluated: what an evaluation found, as JSON (``runscope evaluate --output``, ``findings.json``), or the folder
            of a report: names the best checkpoint or those that are as good, and the reason.
        rank: of an averaged LoRA adapter; None keeps the sum of the ranks, which is exact.
        why: the reason, for the model card; else what ``evaluated`` says.
        line: places each checkpoint on its continuous axis.
        base: the base model, whose tokenizer is taken where none lies with an adapter.
        progress: called while commits are read.

    Raises:
        UsageError: not exactly one of ``step``, ``revision`` and ``average``, or none has that name.
        InputError: ``evaluated`` is no evaluation, or lacks what is asked for; weights are cut off or pickles, or
            cannot be averaged.
        StoreError: the folder is not empty, or cannot be written.
    """
    from runscope.evaluation.beside.averages import AS_GOOD, shares_of
    from runscope.evaluation.models.saved.whole import refuse_broken
    from runscope.hub import fetch

    told = Told.read(Path(evaluated)) if evaluated is not None else None
    if told is not None and step is None and revision is None and average is None:
        step, revision = told.best()
    if sum(one is not None for one in (step, revision, average)) != 1:
        raise UsageError(
            "one checkpoint or one average is kept",
            hint="name it by --step, --revision or --average, or name an evaluation by --evaluated",
        )
    if average == AS_GOOD:
        if told is None:
            raise UsageError(
                "which checkpoints are as good as the best is known from an evaluation",
                hint="runscope evaluate REPO --data FILE --average as-good --output evaluation.json, then --evaluated",
            )
        average = told.as_good()
    why = why or (told.reason(step, revision, average) if told is not None else None)
    if rank is not None and (average is None or rank < 1):
        raise UsageError(
            "--rank is that of an average, 1 or more", hint="for example --average last:3 --rank 16"
        )
    output = Path(output)
    _require_empty(output)
    chosen = select(list_checkpoints(repo, line=line, progress=progress), step, revision, average)
    shares = shares_of(average, len(chosen)) if average is not None else None
    folders = [fetch(c) for c in chosen]
    for folder in folders:
        refuse_broken(folder)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as place:
            made = Path(place) / "made"
            made.mkdir()
            notes = _fill(made, folders, rank, base, shares) + _left_behind(chosen[-1])
            card = _card(output.name, made, chosen, why, notes, shares)
            (made / "README.md").write_text(card, encoding="utf-8")
            if output.exists():
                output.rmdir()
            made.rename(output)
    except OSError as error:
        raise StoreError(
            f"{output} cannot be written: {error.strerror}", hint="choose another place with --output"
        ) from error
    return Kept(output, tuple(chosen), tuple(notes))


def _require_empty(output: Path) -> None:
    if output.is_symlink() or (output.exists() and (not output.is_dir() or any(output.iterdir()))):
        raise StoreError(
            f"{output} is there already, and is no empty folder", hint="choose another place with --output"
        )


def select(
    saved: Sequence[Checkpoint], step: int | None, revision: str | None, average: str | None
) -> list[Checkpoint]:
    """The checkpoints that the words name, in order of training.

    Raises:
        UsageError: none has that name, or several have.
    """
    from runscope.evaluation.beside.averages import at_step, members

    if step is not None:
        return [at_step(saved, step)]
    if revision is not None:
        found = [c for c in saved if (c.revision or "").startswith(revision) or revision == c.name]
        if len(found) != 1 or not revision:
            raise UsageError(f"{len(found):,} checkpoints are called {revision!r}", hint=SEE)
        return found
    return members(saved, str(average))


def _fill(
    made: Path, folders: Sequence[Path], rank: int | None, base: str | Path | None, shares: Sequence[float] | None
) -> list[str]:  # fmt: skip
    """Write weights, configuration and tokenizer; what a reader has to know of it."""
    last = folders[-1]
    notes = [
        f"{name} is a link that leads out of its checkpoint: what lies there was taken"
        for name in _links(folders)
    ]
    if len(folders) == 1:
        _copy(last, made, tuple(f"*{ending}" for ending in _KEPT))
    else:
        from runscope.evaluation.models.averaging import average
        from runscope.evaluation.models.loading import import_all

        import_all()  # says what is not installed
        notes += average(folders, made, rank, shares)
    if not _has_reader(made):
        notes += _take_reader(made, last, base)
    return notes


def _links(folders: Sequence[Path]) -> list[str]:
    """Files that lie elsewhere; a checkpoint of the Hub's cache may link to the files of its repository."""
    found = []
    for folder in (f.resolve() for f in folders):
        own = folder.parents[1] if folder.parent.name == "snapshots" else folder.parent
        links = (path for path in sorted(folder.iterdir()) if path.is_symlink() and path.suffix in _KEPT)
        found += [path.name for path in links if own not in path.resolve().parents]
    return list(dict.fromkeys(found))


def _left_behind(checkpoint: Checkpoint) -> list[str]:
    """A note where an evaluation of the folder scores other tokens than one of the checkpoint."""
    from runscope.evaluation.examples.scoring import COMPLETION, scoring_of
    from runscope.hub import training_args

    if scoring_of("auto", training_args(checkpoint)) == COMPLETION:
        return []
    return [
        "training_args.bin, a pickle that says which tokens the training scored, was left behind: copy it here where "
        "runscope evaluate is to score this folder as it scored the checkpoint"
    ]


def _has_reader(folder: Path) -> bool:
    """Whether a tokenizer lies in a folder, or what prepares pictures or sounds."""
    return any(any(folder.glob(name)) for name in ("tokenizer*", *_PROCESSOR))


def _take_reader(made: Path, folder: Path, base: str | Path | None) -> list[str]:
    """The tokenizer or processor of the folder above or of the base, where one lies on this disk."""
    config = made / "adapter_config.json"
    named = base or (
        json.loads(config.read_bytes()).get("base_model_name_or_path") if config.is_file() else None
    )
    for place in (folder.parent, Path(str(named or ""))):
        if _has_reader(place):
            _copy(place, made, (*_TOKENIZER, *_PROCESSOR))
            return []
    return [f"no tokenizer or processor lies with it: take that of {named or 'the model it began from'}"]


def _copy(source: Path, target: Path, patterns: Sequence[str]) -> None:
    for path in sorted({p for pattern in patterns for p in source.glob(pattern)}):
        if path.is_file() and path.name not in _LEFT:
            shutil.copyfile(path, target / path.name)


def _card(
    name: str, made: Path, chosen: Sequence[Checkpoint], why: str | None, notes: Sequence[str],
    shares: Sequence[float] | None,
) -> str:  # fmt: skip
    """The model card, Markdown with the Hub's metadata in front."""
    from runscope.reporting.text.escaping import escape

    config = made / "adapter_config.json"
    base = json.loads(config.read_bytes()).get("base_model_name_or_path") if config.is_file() else None
    known = isinstance(base, str) and re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", base) and not Path(base).exists()
    front = [f"library_name: {'peft' if config.is_file() else 'transformers'}"]
    front += [f"base_model: {base}"] if known else []
    kind = "uniform" if shares is None else "weighted"
    what = "This is" if len(chosen) == 1 else f"This is the {kind} average of {len(chosen)} checkpoints:"
    counts = [f", {share:.1%}" for share in shares] if shares is not None else [""] * len(chosen)
    given = escape(why) if why else "No reason was given (`--why`)."
    files = [f"- `{p.name}`: SHA-256 `{_digest(p)}`" for p in sorted(made.glob("*.safetensors"))]
    body = [
        f"# {escape(name)}", what, "", *(f"- {_described(c)}{n}" for c, n in zip(chosen, counts, strict=True)), "",
        *(f"{escape(n[0].upper() + n[1:])}." for n in notes), "",
        "## Why this one", given, "", "## Weights", *files, "",
        f"Written by `runscope keep` on {datetime.now(UTC):%Y-%m-%d}.", "",
    ]  # fmt: skip
    return "\n".join(["---", *front, "---", "", *body])


def _described(checkpoint: Checkpoint) -> str:
    from runscope.reporting.text.escaping import escape

    place = checkpoint.repo if not Path(checkpoint.repo).exists() else Path(checkpoint.repo).resolve().name
    step = f"step {checkpoint.step:,}" if checkpoint.step is not None else checkpoint.name
    commit = f", commit `{checkpoint.revision}`" if checkpoint.revision else ""
    folder = f", folder {escape(checkpoint.subfolder)}" if checkpoint.subfolder else ""
    return f"{escape(step)} of {escape(place)}{commit}{folder}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
