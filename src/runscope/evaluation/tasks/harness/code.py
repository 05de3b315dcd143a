"""What a task of lm-evaluation-harness would run beside a model: found by reading its files, not by loading them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

READERS = ("json", "csv", "parquet", "text", "arrow")
"""What reads local files without running or unpickling anything, of what ``dataset_path`` may name."""


def code_of(files: Sequence[Path], config: dict[str, Any], metrics: Sequence[str]) -> list[str]:
    """Each thing that a task would run, in words.

    Args:
        files: of its configuration.
        config: what they say together, functions as text.
        metrics: that are the harness's own.
    """
    found = [f"the function {function}" for file in files for function in functions_in(file)]
    for metric in config.get("metric_list") or ():
        called = metric.get("metric") if isinstance(metric, dict) else None
        # Where a function judges the answers, a metric's name is a name and nothing is looked up.
        looked_up = isinstance(called, str) and not config.get("process_results")
        if looked_up and (called not in metrics or metric.get("hf_evaluate") is True):
            found.append(f"the metric {called} of the Hub")
    place = str(config.get("dataset_path") or "")
    if is_reader(place) and place not in READERS:
        found.append(f"the reader {place} of its data, which may unpickle them")
    return list(dict.fromkeys(found))


def is_reader(place: str) -> bool:
    """Whether ``dataset_path`` names a reader of the ``datasets`` library, and no data set on the Hub or folder."""
    from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES

    return place in _PACKAGED_DATASETS_MODULES


def with_included(file: Path) -> list[Path]:
    """A file and those that it includes, each once."""
    found: list[Path] = []
    waiting = [file]
    while waiting:
        one = waiting.pop(0).expanduser().resolve()
        if one in found:
            continue
        found.append(one)
        root = _root(one)
        for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
            if key.value == "include":
                waiting += [one.parent / n.value for n in _nodes(value) if isinstance(n, yaml.ScalarNode)]
    return found


def functions_in(file: Path) -> list[str]:
    """What a file names as ``!function module.name``."""
    return [str(node.value) for node in _nodes(_root(file)) if node.tag == "!function"]


def _root(file: Path) -> yaml.Node | None:
    """The file as YAML sees it, nothing of it made yet."""
    root: yaml.Node | None = yaml.compose(file.read_bytes(), Loader=yaml.SafeLoader)
    return root


def _nodes(root: yaml.Node | None) -> Iterator[yaml.Node]:
    """All that stands in it, each once: an anchor may lie inside of itself."""
    waiting, seen = [root] if root is not None else [], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
