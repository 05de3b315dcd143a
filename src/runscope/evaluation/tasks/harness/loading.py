"""A task of lm-evaluation-harness with its documents and the requests that it makes of them."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from runscope.errors import InputError, MissingExtra, RunscopeError, UnsafeFile, UsageError, nearest
from runscope.evaluation.models.loading import first_line
from runscope.evaluation.tasks.harness.code import code_of, is_reader, with_included

ELSEWHERE = (
    "run lm-evaluation-harness with --log_samples; runscope evaluate --scores FOLDER judges what it wrote"
)
"""For tasks whose results have to come from the harness itself."""
SETTLED = {
    "until", "do_sample", "temperature", "max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens",
    "top_p", "top_k",
}  # fmt: skip
"""Words for generating that say how far a greedy answer goes, or nothing of one."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """A task that is ready.

    Attributes:
        task: the harness's own.
        docs: its documents, in order.
        requests: of each document, in order.
        judged: what the task made of answers, by document and answers.
    """

    task: Any
    docs: tuple[Mapping[str, Any], ...]
    requests: tuple[tuple[Any, ...], ...]
    judged: dict[tuple[int, str], dict[str, Any]] = field(default_factory=dict)


@lru_cache(maxsize=8)
def load(name: str, trusted: bool) -> Loaded:
    """Load a task.

    Args:
        name: as the harness has it, or the place of a YAML file.
        trusted: whether code may be run that the task brings.

    Raises:
        MissingExtra: lm-evaluation-harness is not installed.
        UsageError: there is no such task, or it is several.
        UnsafeFile: it would run code.
        InputError: its data cannot be had, or its answers cannot be asked for here.
    """
    try:
        from lm_eval.api.registry import metric_registry
        from lm_eval.tasks import TaskManager
        from lm_eval.tasks._yaml_loader import load_yaml
    except ImportError as error:
        raise MissingExtra("lm_eval", extra="lm-eval", needed_for=f"--task lm-eval:{name}") from error
    with _as_the_harness():
        manager, file = TaskManager(include_defaults=False), _found(name)
        config: dict[str, Any] = {}
        try:
            files = with_included(file)
            config = load_yaml(file, resolve_func=False)
        except Exception as error:
            raise InputError(f"{file} is no task: {first_line(error)}", hint="mend the YAML") from error
        _refuse_unsafe(name, files, config, list(metric_registry), trusted)
        try:
            (task,) = manager.load(str(file))["tasks"].values()
            _refuse_unasked(name, task)
            return _with_requests(task)
        except RunscopeError:
            raise
        except Exception as error:  # of a task's own data and templates
            raise _not_loaded(name, config, error) from error


@contextmanager
def _as_the_harness() -> Iterator[None]:
    """With the seeds that it sets before it loads tasks, without its log and bars, and templates in a sandbox."""
    from jinja2.sandbox import SandboxedEnvironment
    from lm_eval import utils
    from lm_eval.defaults import DEFAULT_OTHER_SEED, DEFAULT_RANDOM_SEED

    if not isinstance(utils.env, SandboxedEnvironment):
        boxed = SandboxedEnvironment(undefined=utils.env.undefined, keep_trailing_newline=True)
        boxed.filters |= utils.env.filters
        utils.env = boxed
    logs = {name: logging.getLogger(name) for name in ("lm_eval", "datasets", "huggingface_hub")}
    levels = {name: log.level for name, log in logs.items()}
    before = random.getstate(), np.random.get_state()
    for log in logs.values():
        log.setLevel(logging.CRITICAL)
    random.seed(DEFAULT_RANDOM_SEED)
    np.random.seed(DEFAULT_OTHER_SEED)
    try:
        with redirect_stderr(StringIO()):
            yield
    finally:
        for name, log in logs.items():
            log.setLevel(levels[name])
        random.setstate(before[0])
        np.random.set_state(before[1])


def _is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _found(name: str) -> Path:
    """The file that describes a task.

    The harness's own index parses 15,000 files for a name, for 8 seconds; so the file that has the name is looked for
    in their text, and the index is asked only about what is not there.
    """
    from lm_eval import tasks

    if not name:
        raise UsageError("--task lm-eval: names no task", hint="for example --task lm-eval:arc_easy")
    if _is_file(name):
        file = Path(name).expanduser()
        if not file.is_file():
            raise UsageError(f"there is no task at {file}", hint="--task lm-eval:path/to/task.yaml")
        return file.resolve()
    called = re.compile(
        rb"^(?:task|group):[ \t]*[\"']?" + re.escape(name.encode()) + rb"[\"']?[ \t]*\r?$", re.MULTILINE
    )
    every = sorted(Path(tasks.__file__).parent.rglob("*.yaml"))
    return next((file for file in every if called.search(file.read_bytes())), None) or _indexed(name)


def _indexed(name: str) -> Path:
    """The file of what has no task's name in it.

    Raises:
        UsageError: there is no such task, or it is several.
    """
    from lm_eval.tasks import TaskManager
    from lm_eval.tasks._index import Kind

    manager = TaskManager()
    entry = manager.task_index.get(name)
    if entry is None:
        close = nearest(name, manager.all_subtasks)
        raise UsageError(
            f"lm-evaluation-harness has no task {name!r}",
            hint=f"did you mean {close!r}?" if close else "lm-eval ls tasks lists them",
        )
    if entry.kind is Kind.TAG:
        raise _several(name, sorted(entry.tags))
    return Path(entry.yaml_path)


def _several(name: str, parts: Sequence[Any]) -> UsageError:
    names = [part if isinstance(part, str) else str(part.get("task") or part.get("group")) for part in parts]
    shown = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
    return UsageError(
        f"{name} is no single task of lm-evaluation-harness but several: {shown}",
        hint="name one of them; of all together --scores FOLDER judges what the harness writes with --log_samples",
    )


def _refuse_unsafe(
    name: str, files: list[Path], config: dict[str, Any], metrics: list[str], trusted: bool
) -> None:
    if isinstance(config.get("task"), list):
        raise _several(name, config["task"])
    if "class" in config:
        raise InputError(f"{name} is a task in Python, which is not evaluated", hint=ELSEWHERE)
    if config.get("unsafe_code"):
        raise UnsafeFile(f"the task {name} runs code that the model writes", hint=ELSEWHERE)
    code = code_of(files, config, metrics)
    if code and not trusted:
        raise UnsafeFile(
            f"the task {name} would run code: {'; '.join(code[:4])}{'; …' if len(code) > 4 else ''}",
            hint=f"if you trust {files[0].parent}, add --trust-task-code",
        )


def _refuse_unasked(name: str, task: Any) -> None:
    """Stop at a task whose answers would not be the harness's own."""
    words = task.config.generation_kwargs or {}
    why = ""
    if getattr(task, "MULTIMODAL", False):
        why = "it shows pictures or plays sounds"
    elif int(task.config.repeats or 1) > 1 or words.get("do_sample") or words.get("temperature"):
        why = "its answers are drawn by chance"
    elif task.OUTPUT_TYPE == "generate_until" and (odd := set(words) - SETTLED):
        why = f"its answers are made in a way of its own ({', '.join(sorted(odd))})"
    if why:
        raise InputError(f"the task {name} is not evaluated: {why}", hint=ELSEWHERE)


def _with_requests(task: Any) -> Loaded:
    """With prompts as the harness makes them, few-shot examples by its own seed."""
    from lm_eval.defaults import DEFAULT_OTHER_SEED

    if task.config.num_fewshot is None:
        task.set_config(key="num_fewshot", value=0)
    task.set_fewshot_seed(seed=DEFAULT_OTHER_SEED)
    task.build_all_requests()
    docs = tuple(task.eval_docs)
    requests: list[list[Any]] = [[] for _ in docs]
    for one in task.instances:
        requests[one.doc_id].append(one)
    return Loaded(task, docs, tuple(tuple(sorted(own, key=lambda r: r.idx)) for own in requests))


def _not_loaded(name: str, config: Mapping[str, Any], error: Exception) -> InputError:
    place = str(config.get("dataset_path") or "")
    if place and not is_reader(place) and not Path(place).expanduser().exists():
        return InputError(
            f"the task {name} takes its examples from the data set {place} on the Hub, which cannot be had: "
            f"{first_line(error)}",
            hint="where there is a network it is downloaded once, and kept below HF_HOME; a task of your own reads "
            "local files (dataset_path: json)",
        )
    return InputError(
        f"the task {name} cannot be loaded: {first_line(error)}",
        hint="does it run in lm-evaluation-harness itself?",
    )
