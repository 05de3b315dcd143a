"""The lines of Python that load a checkpoint."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path, PurePath

from runscope.history.checkpoint import Checkpoint

_CACHED = re.compile(r"(?:^|/)models--(?P<name>[^/]+)/snapshots/(?P<revision>[0-9a-f]{40})(?:/|$)")
"""How huggingface_hub lays out its cache: models--OWNER--NAME/snapshots/COMMIT."""


def loading_code(checkpoint: Checkpoint, base: str | None = None) -> str:
    """The few lines of Python that load a checkpoint.

    Args:
        checkpoint: on the Hub, or fetched to a local folder.
        base: the base model that was named by hand, because the adapter names none that loads.
    """
    checkpoint, base = _named(checkpoint), _hub_name(base)[0] if base is not None else None
    adapter = checkpoint.adapter is not None or any(
        PurePath(f.path).name == "adapter_config.json" for f in checkpoint.files
    )
    where = _place_in_code(checkpoint)
    first = _fetching(checkpoint)
    if adapter and base is not None:
        return first + (
            "from peft import PeftModel\n"
            "from transformers import AutoModelForCausalLM\n"
            f"base = AutoModelForCausalLM.from_pretrained({base!r})\n"
            f"model = PeftModel.from_pretrained(base, {where})"
        )
    package, name = (
        ("peft", "AutoPeftModelForCausalLM") if adapter else ("transformers", "AutoModelForCausalLM")
    )
    return f"{first}from {package} import {name}\nmodel = {name}.from_pretrained({where})"


def _named(checkpoint: Checkpoint) -> Checkpoint:
    """A copy in a cache of the Hub, by its name and revision there: nobody else has this machine's cache."""
    if checkpoint.revision is not None or checkpoint.local_path is None:
        return checkpoint
    name, revision = _hub_name(str(checkpoint.local_path))
    return (
        checkpoint if revision is None else replace(checkpoint, repo=name, revision=revision, local_path=None)
    )


def _hub_name(place: str) -> tuple[str, str | None]:
    """Name and revision of a place in a cache of the Hub; any other place as it is."""
    found = _CACHED.search(PurePath(place).as_posix())
    return (found["name"].replace("--", "/"), found["revision"]) if found else (place, None)


def _place_in_code(checkpoint: Checkpoint) -> str:
    if _is_here(checkpoint):
        return repr(str(checkpoint.local_path))
    if _is_clone(checkpoint):
        words = [repr(_cloned(checkpoint))]
    else:
        words = [repr(checkpoint.repo)]
        if checkpoint.revision:
            words.append(f"revision={checkpoint.revision!r}")
    if checkpoint.subfolder:
        words.append(f"subfolder={checkpoint.subfolder!r}")
    return ", ".join(words)


def _is_here(checkpoint: Checkpoint) -> bool:
    """Whether a folder on this disk is the place to name; of a commit that would only be a copy in our own cache."""
    return checkpoint.local_path is not None and checkpoint.revision is None


def _is_clone(checkpoint: Checkpoint) -> bool:
    """Whether the repository is git on disk: no library loads a revision of that."""
    on_hub = re.fullmatch(r"[\w.-]+(/[\w.-]+)?", checkpoint.repo) and not checkpoint.repo.endswith(
        (".bundle", ".git")
    )
    return checkpoint.revision is not None and (not on_hub or Path(checkpoint.repo).exists())


def _cloned(checkpoint: Checkpoint) -> str:
    return f"{PurePath(checkpoint.repo).stem}-{checkpoint.name}"


def _fetching(checkpoint: Checkpoint) -> str:
    if _is_here(checkpoint) or not _is_clone(checkpoint):
        return ""
    source, target = shlex.quote(checkpoint.repo), shlex.quote(_cloned(checkpoint))
    return f"# first: git clone {source} {target} && git -C {target} checkout {checkpoint.name}\n"
