"""Examples from a data set: on the Hub, or in a folder that the ``datasets`` library knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runscope.errors import InputError, MissingExtra

SPLIT = "test"
"""Taken where none is named; a data set of one split needs no name."""


def dataset_rows(reference: str) -> Iterator[Mapping[str, Any]]:
    """Rows of ``user/name[:split]``, ``hf://datasets/user/name[@revision][:split]`` or ``folder[:split]``.

    Data sets hold no code: loading scripts are not run by the versions of the library that are asked for.

    Raises:
        MissingExtra: ``datasets`` is not installed.
        InputError: no such data set or split.
    """
    found = _loaded(reference)
    import datasets

    for name, feature in (found.features or {}).items():
        if isinstance(
            feature, datasets.Image | datasets.Audio
        ):  # what the files hold, and not what they show
            found = found.cast_column(name, type(feature)(decode=False))
    yield from found


def class_names(reference: str) -> list[Sequence[str]]:
    """The names of the labels in each column that has some, in the order of their numbers; none of a folder of files.

    Raises:
        MissingExtra, InputError: as :func:`dataset_rows`.
    """
    name = reference.partition(":")[0]
    if Path(name).expanduser().is_dir() and not _saved(Path(name).expanduser()):
        return []
    found = _loaded(reference)
    import datasets

    each = [getattr(feature, "feature", feature) for feature in (found.features or {}).values()]
    return [feature.names for feature in each if isinstance(feature, datasets.ClassLabel)]


def _loaded(reference: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtra("datasets", extra="data", needed_for="reading a data set") from error
    name, _, split = reference.removeprefix("hf://datasets/").partition(":")
    name, _, revision = name.partition("@")
    folder = Path(name).expanduser()
    datasets.utils.logging.set_verbosity_error()
    datasets.utils.logging.disable_progress_bar()
    try:
        if folder.is_dir() and _saved(folder):
            found = datasets.load_from_disk(str(folder))
        else:
            found = datasets.load_dataset(str(folder) if folder.is_dir() else name, revision=revision or None)
    except Exception as error:  # the library raises of every kind; none of them may pass as ours
        raise InputError(
            f"the data set {name} cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            hint="check its name; for a private one: hf auth login",
        ) from error
    if isinstance(found, datasets.DatasetDict):
        found = _split(found, name, split)
    return found


def _saved(folder: Path) -> bool:
    return (folder / "dataset_info.json").exists() or (folder / "dataset_dict.json").exists()


def _split(found: Any, name: str, split: str) -> Any:
    if len(found) == 1 and not split:
        return next(iter(found.values()))
    if (split or SPLIT) not in found:
        raise InputError(
            f"the data set {name} has no split {split or SPLIT!r}",
            hint=f"name one behind a colon: {', '.join(f'{name}:{s}' for s in found)}",
        )
    return found[split or SPLIT]
