"""A report's recipe: everything needed to make it again, as TOML.

Paths in the file are relative to it, so that a folder with data, recipe and report can be moved.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from runscope.errors import InputError, UnsafeFile
from runscope.schema import checked
from runscope.store.files import write_beside
from runscope.store.trusted_file import read_own

if TYPE_CHECKING:
    from runscope.history import Run
    from runscope.verdict.types import Diagnosis

SCHEMA = "runscope.recipe/1"
_PATHS = ("train_data", "also")
_CODE = ("task", "scorer", "beside")
"""Settings that may name code as ``module:name``."""
_OWN = ("runscope.api.example:price_error",)
"""Code that came with runscope, and may be named by whoever likes."""
_REFERENCES = ("hub", "base", "data")
_TRAININGS = ("runs", "baseline")


@dataclass(frozen=True)
class Recipe:
    """The arguments of one investigation, as the user gave them.

    Attributes:
        runs: references of the runs; where trainings are compared, those of one training joined with ``+``.
        compare: the runs are trainings to be set side by side.
        hub: repository, clone or folder with the checkpoints.
        data, train_data, also: held-out and training examples, and a second set to see forgetting.
        base: base model of the adapters.
        at, force, scale: joins decided by hand.
        ignore, roles: roles hidden and named by hand.
        metric: the metric that decides, as :func:`runscope.api.diagnose` takes it.
        project: where bare W&B names are looked up.
        baseline: earlier, good trainings that this one is held against, each as in ``runs``.
        settings: of the evaluation.
        made_from: what each input was when the recipe was written, see :func:`inputs`; empty for a new one.
    """

    runs: tuple[str, ...]
    hub: str | None = None
    data: str | Path | None = None
    train_data: Path | None = None
    also: Path | None = None
    base: str | None = None
    at: tuple[int, ...] = ()
    force: bool = False
    scale: tuple[float, ...] = ()
    ignore: tuple[str, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    metric: str | None = None
    project: str | None = None
    compare: bool = False
    baseline: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    made_from: tuple[Mapping[str, str], ...] = ()

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for :func:`runscope.api.investigate`."""
        left_out = ("settings", "compare", "baseline", "made_from")
        arguments = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}
        arguments |= {"at": self.at or None, "scale": self.scale or None}
        return arguments | dict(self.settings)

    def command(self) -> str:
        """The command line that these arguments came from."""
        words = ["runscope", "report", *self.runs]
        for option in ("hub", "data", "train_data", "also", "base", "metric", "project"):
            if (value := getattr(self, option)) is not None:
                words += [f"--{option.replace('_', '-')}", str(value)]
        for option in ("at", "scale", "ignore", "baseline"):
            for value in getattr(self, option):
                words += [f"--{option}", str(value)]
        for role, name in self.roles.items():
            words += ["--map", f"{role}={name}"]
        for option, value in self.settings.items():
            flag = f"--{option.replace('_', '-')}"
            words += [flag] if value is True else [flag, str(value)]
        words += ["--compare"] if self.compare else []
        return shlex.join(words + (["--force"] if self.force else []))

    def shown_settings(self) -> dict[str, Any]:
        """What was decided by hand, for readers."""
        names = ("at", "force", "scale", "ignore", "roles", "metric", "project", "compare", "baseline")
        given = {name: getattr(self, name) for name in names}
        return {
            name: ", ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, Mapping)
            else ", ".join(map(str, value)) if isinstance(value, tuple) else value
            for name, value in given.items() if value
        }  # fmt: skip

    def trainings(self) -> list[list[str]]:
        """The runs of each training that is compared."""
        return [parts(reference) for reference in self.runs]

    @classmethod
    def read(cls, path: Path, *, trust: bool = False) -> Recipe:
        """Read a recipe file.

        Args:
            path: the file.
            trust: let it name code that is run: a task or scorer of its own, a repository's code, pickles.

        Raises:
            InputError: it is missing, no TOML, or no recipe.
            UnsafeFile: it would run code, and is not trusted.
        """
        content = _content(path)
        if content.get("schema") != SCHEMA or not isinstance(content.get("investigation"), dict):
            raise InputError(
                f"{path} is not a recipe of schema {SCHEMA}", hint="runscope report writes recipes"
            )
        given = content["investigation"]
        unknown = set(given) - {f.name for f in fields(cls)} | set(given) & {"made_from"}
        if unknown or not given.get("runs"):
            raise InputError(
                f"{path}: "
                + (f"unknown keys {', '.join(sorted(unknown))}" if unknown else "no runs are named"),
                hint="it was made by another version, or edited",
            )
        _check_kinds(path, given)
        if not trust:
            _require_harmless(path, given.get("settings", {}))
        inputs = (
            content.get("made_from", {}).get("inputs", ())
            if isinstance(content.get("made_from"), dict)
            else ()
        )
        made_from = tuple(i for i in inputs if isinstance(i, dict) and "name" in i)
        return cls(**{k: _read_value(k, v, path.parent) for k, v in given.items()}, made_from=made_from)

    def write(self, path: Path, *, facts: Mapping[str, Any]) -> None:
        """Write the recipe, with facts (versions, hashes) that tell what it was made from."""
        import tomli_w

        given = {
            k: _write_value(k, v, path.parent)
            for k, v in asdict(self).items()
            if k != "made_from" and v not in (None, (), {}, False)
        }
        content = {"schema": SCHEMA, "investigation": given, "made_from": _toml(facts)}
        text = tomli_w.dumps(content)
        write_beside(path, lambda to: to.write_text(text, encoding="utf-8", errors="replace"))

    def changed(self, inputs: Sequence[Mapping[str, str]]) -> list[str]:
        """Names of inputs that are not what they were when the recipe was written, told by their hashes.

        Files may have moved: what counts is the last part of the name.
        """
        before, now = _by_name(self.made_from), _by_name(inputs)
        return [_named(now[k]) for k in now if k in before and now[k]["sha256"] != before[k]["sha256"]]

    def added(self, inputs: Sequence[Mapping[str, str]]) -> list[str]:
        """Names of inputs that have come since the recipe was written: checkpoints, most often."""
        before, now = _by_name(self.made_from), _by_name(inputs)
        return [_named(now[k]) for k in now if k not in before]

    def missing(self, inputs: Sequence[Mapping[str, str]]) -> list[str]:
        """Names of inputs that the recipe was made from and that are not there any more."""
        before, now = _by_name(self.made_from), _by_name(inputs)
        return [_named(before[k]) for k in before if k not in now]


def _content(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_own(path))
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}", hint="name an existing recipe.toml"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not TOML: {error}", hint="runscope report writes recipes") from None


def _check_kinds(path: Path, given: Mapping[str, Any]) -> None:
    """Hold each value against the kind that its key has.

    Raises:
        InputError: one of them is of another kind, or a setting is none.
    """
    plain = str | int | float | bool
    kinds: dict[str, Any] = {
        "runs": list[str], "hub": str, "data": str, "train_data": str, "also": str, "base": str, "at": list[int],
        "force": bool, "scale": list[float], "ignore": list[str], "roles": dict[str, str], "metric": str,
        "project": str, "compare": bool, "baseline": list[str],
        "settings": dict[str, plain | list[plain]],
    }  # fmt: skip
    try:
        for key, value in given.items():
            checked(value, kinds[key])
    except ValueError as error:
        raise InputError(
            f"{path}: {key} is not what it should be: {error}",
            hint="it was made by another version, or edited",
        ) from None
    from runscope.evaluation.settings import EvaluateSettings

    settings = given.get("settings", {})
    unknown = set(settings) - {f.name for f in fields(EvaluateSettings)}
    try:
        checked(settings, EvaluateSettings)
    except ValueError as error:
        wrong = f"the settings are not what they should be: {error}"
    else:
        wrong = f"unknown settings {', '.join(sorted(unknown))}" if unknown else ""
    if wrong:
        raise InputError(f"{path}: {wrong}", hint="it was made by another version, or edited")


def _require_harmless(path: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a recipe that names code: whoever sent it may be a stranger.

    Raises:
        UnsafeFile: it would run something; the message says what.
    """
    from runscope.evaluation.settings import brings_examples

    runs = [
        f"{k} = {v} imports and runs that"
        for k, v in settings.items()
        if k in _CODE and ":" in str(v) and v not in _OWN and not brings_examples(str(v))
    ]
    if settings.get("trust_remote_code"):
        runs.append("trust_remote_code runs the code of the model's repository")
    if settings.get("trust_task_code"):
        runs.append("trust_task_code runs the functions that a task names")
    if settings.get("allow_pickle"):
        runs.append("allow_pickle loads files that can run code")
    if runs:
        raise UnsafeFile(
            f"{path} would run code: {'; '.join(runs)}",
            hint="where you trust it, call again with --trust-recipe",
        )


def _by_name(inputs: Sequence[Mapping[str, str]]) -> dict[tuple[str, str], Mapping[str, str]]:
    """Inputs that have a hash, by the last part of their name and their revision."""
    return {(PurePath(i["name"]).name, i.get("revision", "")): i for i in inputs if i.get("sha256")}


def _named(one: Mapping[str, str]) -> str:
    return one["name"] + (f"@{one['revision'][:8]}" if "revision" in one else "")


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_points(run: Run) -> str:
    """SHA-256 of all that a run logged, whatever it was read from: metric by metric, steps and values."""
    found = hashlib.sha256()
    for name, series in sorted(run.series.items()):
        found.update(name.encode())
        found.update(series.step.tobytes())
        found.update(series.value.tobytes())
    return found.hexdigest()


def inputs(recipe: Recipe, diagnosis: Diagnosis) -> list[dict[str, str]]:
    """What one investigation was made from: runs, examples, checkpoints and base, with hash or revision."""
    found = [
        {"what": "run", "name": run.reference, "sha256": sha256_of_points(run)}
        for run in diagnosis.timeline.runs
    ]
    for what, path in (
        ("held-out examples", recipe.data),
        ("training examples", recipe.train_data),
        ("second set", recipe.also),
        *(("baseline", part) for reference in recipe.baseline for part in parts(reference)),
    ):
        if path is not None and Path(path).is_file():
            found.append({"what": what, "name": str(path), "sha256": sha256(Path(path))})
    if recipe.base is not None:
        found.append({"what": "base model", "name": recipe.base})
    for checkpoint in diagnosis.checkpoints:
        name = f"{checkpoint.repo}/{checkpoint.subfolder}".rstrip("/")
        # A content id that is no hash is a date on this disk: it is another one where the folder was copied to.
        weights = "\n".join(
            sorted(
                f"{f.path} {f.size_bytes if '-' in f.content_id else f.content_id}" for f in checkpoint.files
            )
        )
        digest = hashlib.sha256(weights.encode()).hexdigest() if checkpoint.files else ""
        found.append(
            {"what": "checkpoint", "name": name, "revision": checkpoint.revision or "", "sha256": digest}
        )
    return [{k: v for k, v in one.items() if v} for one in found]


def parts(reference: str) -> list[str]:
    """``A+B`` is one training of two runs, unless a file or folder has that very name."""
    return [reference] if Path(reference).exists() else [part for part in reference.split("+") if part]


def _write_value(key: str, value: Any, folder: Path) -> Any:
    if key in _TRAININGS:
        return ["+".join(_relative(part, folder) for part in parts(v)) for v in value]
    if key in _PATHS:
        return os.path.relpath(value, folder)
    if key in _REFERENCES:
        return _relative(str(value), folder)
    if key == "settings":
        return {name: _task_at(v, folder, _relative) for name, v in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _read_value(key: str, value: Any, folder: Path) -> Any:
    if key in _TRAININGS:
        return tuple(_resolved_all(v, folder) for v in value)
    if key in _PATHS:
        return folder / value
    if key == "data":
        from runscope.evaluation.examples.reading import is_dataset

        # A file that is gone is not looked for elsewhere.
        return value if is_dataset(value) and not (folder / value).exists() else str(folder / value)
    if key in _REFERENCES:
        return _resolved(value, folder)
    if key == "settings":
        return {name: _task_at(v, folder, _resolved) for name, v in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _task_at(value: Any, folder: Path, placed: Callable[[str, Path], str]) -> Any:
    """A setting; where it is a task in a file (``lm-eval:my.yaml``), with the file's place as it is asked for."""
    from runscope.evaluation.settings import HARNESS, brings_examples

    if not isinstance(value, str) or not brings_examples(value):
        return value
    return HARNESS + placed(value.removeprefix(HARNESS), folder)


def _relative(reference: str, folder: Path) -> str:
    """A path on this machine as seen from the recipe; any other reference unchanged."""
    return os.path.relpath(reference, folder) if Path(reference).exists() else reference


def _resolved(reference: str, folder: Path) -> str:
    path = folder / reference
    return str(path) if path.exists() else reference


def _resolved_all(reference: str, folder: Path) -> str:
    if (folder / reference).exists():
        return str(folder / reference)
    return "+".join(_resolved(part, folder) for part in reference.split("+"))


def _toml(value: Any) -> Any:
    """A value as TOML has them: no null, no tuple."""
    if isinstance(value, Mapping):
        return {str(k): _toml(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_toml(v) for v in value if v is not None]
    return value if isinstance(value, str | int | float | bool) else str(value)
