"""What a LoRA adapter is, from its configuration and its file's header: nothing is loaded, next to nothing fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from runscope.errors import InputError, RunscopeError
from runscope.history.checkpoint import AdapterFacts, Checkpoint, File
from runscope.hub.adapters.base_shapes import expected_parameters
from runscope.hub.hub_repo import SIDE_BY_SIDE, HubRepo
from runscope.hub.opening import repo_of
from runscope.hub.safetensors import elements, read_header
from runscope.progress import Progress
from runscope.schema import Meta, checked, read_object
from runscope.store import Memo

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def read_adapters(
    checkpoints: Sequence[Checkpoint],
    *,
    base: str | Path | None = None,
    progress: Progress | None = None,
) -> tuple[Checkpoint, ...]:
    """The checkpoints with the facts of their adapters, read side by side; full models stay as they are.

    What a file says is remembered under the id of its content: an unchanged one costs nothing.

    Args:
        checkpoints: from a listing.
        base: the base model (a folder or a Hub repository) to take the shapes from, where it is not the one that the
            adapter names.
        progress: called with how many were read.
    """
    adapted = [c for c in checkpoints if c.file(CONFIG) is not None]
    alike: dict[tuple[str, ...], list[Checkpoint]] = {}
    for checkpoint in adapted:
        alike.setdefault(_ids(checkpoint), []).append(checkpoint)
    groups = list(alike.values())
    shapes = _Bases(base)
    read: dict[int, Checkpoint] = {}
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        # The first one goes alone: the configuration is the same in all, most often, and is remembered then.
        first = [_facts(group[0]) for group in groups[:1]]
        answers = chain(first, pool.map(_facts, (group[0] for group in groups[1:])))
        for number, (group, (facts, config)) in enumerate(zip(groups, answers, strict=True), 1):
            for checkpoint in group:
                read[id(checkpoint)] = replace(
                    checkpoint, adapter=shapes.completed(checkpoint, facts, config)
                )
            if progress is not None:
                progress("adapters", number, len(groups))
    return tuple(read.get(id(c), c) for c in checkpoints)


def _ids(checkpoint: Checkpoint) -> tuple[str, ...]:
    """What two checkpoints with the same adapter share; those without ids share nothing."""
    files = (checkpoint.file(CONFIG), checkpoint.file(WEIGHTS))
    return tuple(f.content_id or f"{checkpoint.name} {f.path}" for f in files if f is not None)


def read_adapter(checkpoint: Checkpoint, *, base: str | Path | None = None) -> Checkpoint:
    """The checkpoint with the facts of its adapter."""
    return read_adapters([checkpoint], base=base)[0]


def _facts(checkpoint: Checkpoint) -> tuple[AdapterFacts, Mapping[str, Any]]:
    """What configuration and header say; a damaged or unreachable one becomes a note, never an end of the listing."""
    weights = checkpoint.file(WEIGHTS)
    notes = []
    try:
        config = read_object(_content(checkpoint, CONFIG))
    except (ValueError, RunscopeError) as error:
        why = error.message if isinstance(error, RunscopeError) else f"{CONFIG} is no JSON object"
        return AdapterFacts(None, None, None, (), notes=(why,)), {}
    try:
        said = checked(config, _Config)
    except ValueError as error:
        why = f"{CONFIG} is none that peft writes: {error}"
        return AdapterFacts(None, None, None, (), notes=(why,)), {}
    header: Mapping[str, Any] = {}
    if weights is None:
        notes.append(f"there is no {WEIGHTS}: its weights are a pickle, or were saved under another name")
    else:
        try:
            header = _header(checkpoint, weights)
        except RunscopeError as error:
            notes.append(error.message)
    targets = said.target_modules or ()
    named = (targets,) if isinstance(targets, str) else tuple(sorted(targets))
    facts = AdapterFacts(
        base_model=said.base_model_name_or_path, rank=said.r, alpha=said.lora_alpha,
        target_modules=named, parameters=elements(header) or None, dtype=_dtype(header),
        size_bytes=weights.size_bytes if weights is not None else None, notes=tuple(notes),
    )  # fmt: skip
    return facts, config


@dataclass(frozen=True)
class _Config:
    """What is taken from ``adapter_config.json``; the rest of it is peft's own."""

    base_model_name_or_path: str | None = None
    r: Annotated[int, Meta(ge=0, le=1 << 31)] | None = None
    lora_alpha: Annotated[float, Meta(ge=-1e12, le=1e12)] | None = None
    target_modules: list[str] | str | None = None
    modules_to_save: list[str] | None = None
    layers_to_transform: list[int] | int | None = None
    rank_pattern: dict[str, Annotated[int, Meta(ge=0, le=1 << 31)]] | None = None


def _dtype(header: Mapping[str, Any]) -> str | None:
    """The dtype of most elements."""
    counts: dict[str, int] = {}
    for facts in header.values():
        counts[facts["dtype"]] = counts.get(facts["dtype"], 0) + elements({"": facts})
    return max(counts, key=lambda name: counts[name], default=None)


class _Bases:
    """Configurations of base models, each read once."""

    def __init__(self, given: str | Path | None) -> None:
        self._given = given
        self._known: dict[str, Mapping[str, Any] | str] = {}

    def completed(
        self, checkpoint: Checkpoint, facts: AdapterFacts, adapter: Mapping[str, Any]
    ) -> AdapterFacts:
        """The facts with the number of parameters that the base's configuration makes one expect."""
        name = str(self._given or facts.base_model or "")
        if not name or not adapter:
            return facts
        if name not in self._known:
            self._known[name] = _base_config(name, checkpoint)
        base = self._known[name]
        if isinstance(base, str):
            return replace(facts, notes=(*facts.notes, base))
        expected, why = expected_parameters(base, adapter)
        notes = facts.notes if why is None else (*facts.notes, why)
        if expected is not None and facts.parameters is not None and expected != facts.parameters:
            more = facts.parameters - expected
            notes = (
                *notes,
                f"the file holds {abs(more):,} elements {'more' if more > 0 else 'fewer'} than its configuration says",
            )
        return replace(facts, expected_parameters=expected, notes=notes)


def _base_config(name: str, checkpoint: Checkpoint) -> Mapping[str, Any] | str:
    """``config.json`` of a base model, or why it is not known.

    For a checkpoint on this disk no network is asked: only what the Hub's client has in its cache.
    """
    folder = Path(name).expanduser()
    try:
        if folder.is_dir():
            text = (folder / "config.json").read_bytes()
        elif (cached := _cached(name)) is not None:
            text = cached.read_bytes()
        elif (
            isinstance(repo_of(checkpoint), HubRepo)
            and checkpoint.local_path is None
            and not folder.is_absolute()
        ):
            text = HubRepo(name, checkpoint.endpoint).content("main", "config.json")
        else:
            return (
                f"the base {name} is not on this disk: its shapes are not known (name a folder with --base)"
            )
        return read_object(text)
    except (OSError, ValueError):
        return f"config.json of the base {name} cannot be read: its shapes are not known"
    except RunscopeError as error:
        return f"{error.message}; so the shapes of the base are not known"


def _cached(name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def _content(checkpoint: Checkpoint, name: str) -> bytes:
    file = checkpoint.file(name)
    if file is None:
        raise InputError(f"{checkpoint.name} has no {name}", hint="take another checkpoint")
    if checkpoint.local_path is not None:
        try:
            return (checkpoint.local_path / file.path).read_bytes()
        except OSError as error:
            raise InputError(
                f"{file.path} cannot be read: {error.strerror}", hint="check its rights"
            ) from None
    kept = _Remembered("json", file)
    if kept.value is None:
        content = repo_of(checkpoint).content(str(checkpoint.revision), file.path)
        text = content.decode("utf-8", "replace")
        if not file.is_content(content):  # an answer that went wrong is not kept for good
            return text.encode()
        kept.put(text)
    return str(kept.value).encode()


def _header(checkpoint: Checkpoint, file: File) -> Mapping[str, Any]:
    if checkpoint.local_path is not None:
        try:
            with (checkpoint.local_path / file.path).open("rb") as source:
                return read_header(source.read, file.path)
        except OSError as error:
            raise InputError(
                f"{file.path} cannot be read: {error.strerror}", hint="check its rights"
            ) from None
    kept = _Remembered("header", file)
    if kept.value is None:
        header = repo_of(checkpoint).header(str(checkpoint.revision), file.path)
        if not header:
            return {}
        kept.put(header)
    return kept.value if isinstance(kept.value, dict) else {}


class _Remembered:
    """What the content of a file said, on disk, by the content's id."""

    def __init__(self, kind: str, file: File) -> None:
        self._store = Memo("contents.sqlite")
        self._key = f"{kind} {file.content_id}" if file.content_id else ""
        self.value: Any = self._store.get([self._key]).get(self._key, {}).get("value")

    def put(self, value: Any) -> None:
        self.value = value
        if self._key:
            self._store.put({self._key: {"value": value}})
