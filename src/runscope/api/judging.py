"""Answers: diagnose, evaluate, both in a row, compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runscope.api.lines import as_line, require_joined, stitch
from runscope.api.saved import checkpoints as list_checkpoints  # arguments here have the verb's own name
from runscope.errors import MissingMetric, UsageError
from runscope.progress import Progress

if TYPE_CHECKING:
    from runscope.evaluation.plan import Plan
    from runscope.evaluation.study import Study
    from runscope.history import Run, Timeline
    from runscope.history.checkpoint import Checkpoint
    from runscope.history.metrics import Better
    from runscope.rules import Metric
    from runscope.verdict import Comparison
    from runscope.verdict.types import Diagnosis


def diagnose(
    what: str | Path | Run | Timeline | Sequence[str | Path | Run],
    *,
    hub: str | None = None,
    checkpoints: Sequence[Checkpoint] | None = None,
    study: Study | None = None,
    ignore: Iterable[str] = (),
    roles: Mapping[str, str | None] | None = None,
    metric: str | None = None,
    **load_options: Any,
) -> Diagnosis:
    """Read the curves of a line (several runs are stitched first) and say what happened.

    Args:
        what: a reference, a run, several of either, or a line.
        hub: Hub repository (or clone, or folder) whose checkpoints belong to the line.
        checkpoints: checkpoints that were listed before; read from ``hub`` otherwise, and without it from the
            Trainer folders that the line was read from.
        study: evaluated checkpoints, from :func:`evaluate`.
        ignore: roles to hide, e.g. ``eval_loss``.
        roles: role → logged name.
        metric: the logged metric that decides which step is best, ``NAME``, ``NAME:lower`` or ``NAME:higher``; else
            what the author selected by, what such tasks are judged by, the held-out loss.

    Raises:
        MissingMetric: the line has no such metric.
        UsageError: its name does not say which way is better.
    """
    from runscope.rules import View
    from runscope.verdict import diagnose as judge

    line = as_line(what, **load_options).with_roles({**(roles or {}), **dict.fromkeys(ignore)})
    saved = tuple(checkpoints or ()) or (list_checkpoints(hub, line=line) if hub else ())
    if not saved and study is None:
        from runscope.hub import saved_beside

        saved = saved_beside(line)
    if study is not None:
        from runscope.evaluation import as_series

        line = line.with_extra(as_series(study))
        saved = saved or tuple(s.checkpoint for s in study.scores)
    return judge(
        View(line, saved, metric=named_metric(line, metric or (roles or {}).get("eval_metric"))), study
    )


def named_metric(line: Timeline, named: str | None) -> Metric | None:
    """The metric that a user names as the one that decides, with its direction.

    Raises:
        MissingMetric: the line has no such metric.
        UsageError: its name does not say which way is better.
    """
    from runscope.errors import nearest
    from runscope.rules import Metric

    if named is None:
        return None
    name, _ = _split(named)
    if line.series(name) is None:
        close = nearest(name, line.names)
        raise MissingMetric(
            f"no metric {name!r} was logged",
            hint=f"did you mean {close!r}?" if close else "runscope show RUN lists what was logged",
        )
    return Metric(*name_and_direction(named))


def _split(named: str) -> tuple[str, str]:
    """``NAME[:lower|higher]`` in two; a name may hold colons of its own."""
    from runscope.history.metrics import BETTER

    name, _, better = named.rpartition(":")
    return (name, better) if better in BETTER else (named, "")


def name_and_direction(named: str) -> tuple[str, Better]:
    """``NAME[:lower|higher]`` in two; without a direction the name has to say which way is better.

    Raises:
        UsageError: it does not.
    """
    from runscope.history.metrics import meaning

    name, better = _split(named)
    known = meaning(name)
    if not better and known is None:
        raise UsageError(
            f"the name {name!r} does not say whether lower or higher is better",
            hint=f"say it: --metric {name}:lower or --metric {name}:higher",
        )
    return name, "lower" if (better or (known.better if known else "")) == "lower" else "higher"


def evaluate(
    what: str | Sequence[Checkpoint],
    data: str | Path | None = None,
    *,
    line: Timeline | None = None,
    train_data: str | Path | None = None,
    also: str | Path | None = None,
    base: str | Path | None = None,
    keep_results: bool = True,
    progress: Progress | None = None,
    **settings: Any,
) -> Study:
    """Evaluate checkpoints on held-out examples and say whether later ones are really worse.

    Args:
        what: Hub repository, clone, folder, or checkpoints from :func:`checkpoints`.
        data: held-out examples: JSON lines, CSV, Parquet or a Hub data set, with ``prompt`` and ``completion``. None
            where the task brings them (``task="lm-eval:NAME"``).
        line: the stitched line; its diagnosis says around which step to look first.
        train_data: training examples, for the generalisation gap and memorising.
        also: a second set of examples, for what the training forgot.
        base: the base model of adapters, where their configuration does not name one that can be loaded.
        keep_results: remember every example's result on disk, so that no call repeats it.
        settings: fields of :class:`runscope.evaluation.EvaluateSettings`.

    Raises:
        InputError: no checkpoint, unusable examples, a base model that cannot be loaded.
        MissingExtra: torch, transformers or peft is not installed.
    """
    from functools import partial

    from runscope.evaluation import EvaluateSettings
    from runscope.evaluation import evaluate as study_of
    from runscope.hub import fetch
    from runscope.store import ResultTable

    chosen = EvaluateSettings(**settings)
    saved = list_checkpoints(what, line=line, progress=progress) if isinstance(what, str) else tuple(what)
    return study_of(
        saved,
        data,
        fetch=partial(fetch, allow_pickle=chosen.allow_pickle),
        train_data=train_data,
        also=also,
        base=base,
        settings=chosen,
        focus=_focus(line),
        training=_training(line),
        results=ResultTable() if keep_results else None,
        progress=progress,
    )


def plan_evaluation(
    what: str | Sequence[Checkpoint],
    data: str | Path | None = None,
    *,
    line: Timeline | None = None,
    train_data: str | Path | None = None,
    also: str | Path | None = None,
    base: str | Path | None = None,
    price: float | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Plan:
    """What :func:`evaluate` would run, download and need in memory, with the same arguments; nothing is loaded.

    With ``price``, dollars an hour, also what a rented GPU would cost.

    Raises:
        InputError: no checkpoint, or unusable examples.
    """
    from runscope.evaluation import EvaluateSettings
    from runscope.evaluation.plan import plan
    from runscope.store import ResultTable

    saved = list_checkpoints(what, line=line, progress=progress) if isinstance(what, str) else tuple(what)
    return plan(
        saved, data, train_data=train_data, also=also, base=base, settings=EvaluateSettings(**settings),
        focus=_focus(line), training=_training(line), results=ResultTable(), price=price,
    )  # fmt: skip


def investigate(
    runs: Sequence[str | Path | Run],
    *,
    hub: str | None = None,
    data: str | Path | None = None,
    train_data: str | Path | None = None,
    also: str | Path | None = None,
    base: str | Path | None = None,
    at: Sequence[int] | None = None,
    force: bool = False,
    scale: Sequence[float] | None = None,
    ignore: Iterable[str] = (),
    roles: Mapping[str, str | None] | None = None,
    metric: str | None = None,
    project: str | None = None,
    keep_results: bool = True,
    progress: Progress | None = None,
    **settings: Any,
) -> Diagnosis:
    """All verbs in a row: stitch the runs, read the curves, evaluate the checkpoints, judge.

    Without ``hub`` no checkpoints are listed; without ``data``, or a task that brings its own, none is evaluated. The
    other arguments are those of :func:`stitch`, :func:`diagnose` and :func:`evaluate`; ``metric`` names what decides in
    the log, in the evaluation, or in both.
    """
    from runscope.evaluation.settings import brings_examples

    listed = list_checkpoints(hub, progress=progress) if hub else ()
    joined = stitch(
        runs, at=at, force=force, scale=scale, checkpoints=listed, project=project, progress=progress
    )
    line = joined if force or at or len(runs) == 1 else require_joined(joined)
    line = line.with_roles({**(roles or {}), **dict.fromkeys(ignore)})
    metric = metric or (roles or {}).get("eval_metric")
    judged = data is not None or brings_examples(str(settings.get("task", "")))
    asked = _with_task(listed, data, settings) if judged and metric else settings
    metric, settings["metric"] = _deciding(line, metric, asked if judged else None)
    if listed:
        from runscope.hub import place

        listed = place(listed, line)
    if not judged:
        return diagnose(line, checkpoints=_weighed(listed), metric=metric)
    if not listed:
        raise UsageError(
            "there is no checkpoint to evaluate", hint="name the repository that holds them: --hub REPO"
        )
    study = evaluate(
        listed, data, line=line, train_data=train_data, also=also, base=base, keep_results=keep_results,
        progress=progress, **settings,
    )  # fmt: skip
    return diagnose(line, checkpoints=_weighed(listed), study=study, metric=metric)


def _weighed(listed: Sequence[Checkpoint]) -> tuple[Checkpoint, ...]:
    """With the norms of the adapters that are on this disk, as those are that were fetched for an evaluation."""
    from runscope.hub import weigh

    weighed, _ = weigh(listed)
    return weighed


def compare(
    trainings: Sequence[str | Path | Run | Timeline | Diagnosis | Sequence[str | Path | Run]], **options: Any
) -> Comparison:
    """Set trainings side by side: which is better, how sure that is, and what cannot be told.

    Args:
        trainings: two or more, each what :func:`diagnose` takes, or a diagnosis.
        options: passed to :func:`diagnose`.

    Raises:
        UsageError: there are fewer than two.
    """
    from runscope.verdict import Diagnosis
    from runscope.verdict import compare as side_by_side

    if len(trainings) < 2:
        raise UsageError(
            "a comparison needs two trainings", hint="name another one; A+B is one training of two runs"
        )
    return side_by_side([t if isinstance(t, Diagnosis) else diagnose(t, **options) for t in trainings])


def _with_task(
    listed: Sequence[Checkpoint], data: str | Path | None, settings: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The settings with the task that the checkpoints' kind proposes, where none is named: it says what can decide."""
    from functools import partial

    from runscope.evaluation import EvaluateSettings
    from runscope.evaluation.proposing import proposed
    from runscope.evaluation.run import usable
    from runscope.evaluation.tasks.kinds import AUTO
    from runscope.hub import fetch

    chosen = EvaluateSettings(**settings)
    if chosen.task != AUTO or not listed:
        return settings
    bring = partial(fetch, allow_pickle=chosen.allow_pickle)
    arms, _ = usable(listed, bring)
    return {**settings, "task": proposed(chosen, bring(arms[-1]), data).task}


def _deciding(
    line: Timeline, named: str | None, settings: Mapping[str, Any] | None
) -> tuple[str | None, str | None]:
    """Where a metric decides: its name for the log, and for the evaluation, before anything is evaluated.

    Raises:
        MissingMetric: neither has it.
        UsageError: there is no such task, or a name in the log does not say which way is better.
    """
    from runscope.evaluation import EvaluateSettings
    from runscope.evaluation.tasks.kinds import find_task

    known = (
        {m.name for m in find_task(EvaluateSettings(**settings)).metrics} if settings is not None else set()
    )
    asked = named if named in known else None
    if asked is not None and line.series(asked) is None:
        return None, asked
    try:
        named_metric(line, named)
    except MissingMetric as error:
        if not known:
            raise
        raise MissingMetric(
            f"{error.message}, and the task has none of that name",
            hint=f"of the task: {', '.join(sorted(known))}; {error.hint}",
        ) from None
    return named, asked


def _focus(line: Timeline | None) -> tuple[int | None, int | None]:
    """Best and onset step that the curves suggest: where evaluation looks first."""
    if line is None:
        return (None, None)
    suspicion = diagnose(line).verdict.overfitting
    return (suspicion.best_step, suspicion.onset_step)


def _training(line: Timeline | None) -> Mapping[str, Any] | None:
    """What the last run of a line was told."""
    return line.runs[-1].config if line is not None and line.runs else None
